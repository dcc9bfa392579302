# SPDX-License-Identifier: Apache-2.0
"""PodSandboxConfig: every field does what it says."""

import os
import socket

NODE = {"securityContext": {"namespaceOptions": {"network": "NODE"}}}


def refused(t, part, code="InvalidArgument", **config):
    before = t.call("ListPodSandbox")
    message = t.fails(code, "RunPodSandbox", {"config": t.pod_config(**config)}, part=part)
    assert t.call("ListPodSandbox") == before, message
    return message


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def test_hostname(t):
    pod = t.pod(hostname="some-name")
    named = pod.run(["sleep", "1000"])
    assert named.output("sh", "-c", "hostname; cat /etc/hostname; echo $HOSTNAME") == \
        "some-name\n" * 3
    assert f"{pod.ip}\tsome-name\n" in named.output("cat", "/etc/hosts")
    nameless = t.pod()
    assert nameless.run(["sleep", "1000"]).output(
        "sh", "-c", "hostname; echo $HOSTNAME") == f"{nameless.id[:12]}\n" * 2
    # With the node's network a pod has the node's name, whatever it asks for.
    for config in ({}, {"hostname": "other"}):
        container = t.pod(linux=NODE, **config).run(["sleep", "1000"])
        assert container.output("sh", "-c", "hostname; cat /etc/hostname; echo $HOSTNAME") == \
            (socket.gethostname() + "\n") * 3
        assert os.readlink(f"/proc/{container.pid}/ns/uts") == os.readlink("/proc/self/ns/uts")


def test_resolver(t):
    dns = {"servers": ["10.9.8.7", "fd00::1"], "searches": ["a.example", "b.example"],
           "options": ["ndots:3"]}
    text = "search a.example b.example\nnameserver 10.9.8.7\nnameserver fd00::1\noptions ndots:3\n"
    for linux in ({}, NODE):
        container = t.pod(dnsConfig=dns, linux=linux).run(["sleep", "1000"])
        assert container.output("cat", "/etc/resolv.conf") == text
        container.output("sh", "-c", "echo nameserver 10.1.1.1 > /etc/resolv.conf")
    # Without a configuration it is the node's; with one that says nothing it is empty.
    pod = t.pod()
    container = pod.run(["sleep", "1000"],
                        linux={"securityContext": {"readonlyRootfs": True}})
    assert container.output("cat", "/etc/resolv.conf") == read("/etc/resolv.conf")
    assert container.exec("sh", "-c", "echo x > /etc/resolv.conf")[0] != 0
    assert t.pod(dnsConfig={}).run(["sleep", "1000"]).output("cat", "/etc/resolv.conf") == ""
    for field in ("servers", "searches", "options"):
        for value in ("", "a b", "a\nb", "a\tb"):
            refused(t, f"config.dns_config.{field}[1]", dnsConfig={field: ["good", value]})


def test_log_directory(t):
    path = os.path.join(t.tmp, "made/for/it")
    pod = t.pod(logDirectory=path)
    assert os.path.isdir(path)
    container = pod.run(["echo", "x"], logPath="deeper/down/0.log")
    container.wait()
    assert container.status["logPath"] == f"{path}/deeper/down/0.log"
    assert read(container.status["logPath"]).endswith(" stdout F x\n")
    silent = pod.run(["echo", "x"], logPath="")
    assert silent.wait()["exitCode"] == 0 and not silent.status.get("logPath")
    nowhere = t.pod(logDirectory="").run(["sh", "-c", "yes | head -n 100000"])
    assert nowhere.wait()["exitCode"] == 0 and not nowhere.status.get("logPath")
    assert os.listdir(path) == ["deeper"]
    refused(t, "config.log_directory", logDirectory="relative/path")
    refused(t, "config.log_directory", logDirectory="/tmp/../etc")


def test_labels_and_annotations_are_echoed(t):
    strange = {"": "empty key", "a": "", "né\n": "two\nlines\t\x01\x7f", "b" * 1000: "c" * 100000}
    pod = t.pod(labels=strange, annotations=strange)
    container = pod.create(["true"], labels=strange, annotations=strange)
    listed = t.call("ListContainers")["containers"][0]
    for found in (pod.status, container.status, listed, t.call("ListPodSandbox")["items"][0]):
        assert found["labels"] == strange and found["annotations"] == strange, found
    assert t.call("ListPodSandbox", {"filter": {"labelSelector": {"né\n": strange["né\n"]}}})
    found = {key: value for key, value in pod.status["metadata"].items() if value}
    assert found == pod.config["metadata"], found


def test_sysctls(t):
    values = {"net.ipv4.ip_local_port_range": "2000\t3000", "net/core/somaxconn": "321",
              "kernel.shm_rmid_forced": "1", "kernel.msgmax": "4321", "fs.mqueue.msg_max": "11"}
    container = t.pod(linux={"sysctls": values}).run(["sleep", "1000"])
    for name, value in values.items():
        assert container.output("cat", "/proc/sys/" + name.replace(".", "/")) == value + "\n", name
    # What a pod has that says nothing, and that it may say otherwise.
    port = "net.ipv4.ip_unprivileged_port_start"
    files = ["/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/net/ipv4/ping_group_range"]
    assert container.output("cat", *files) == "0\n0\t2147483647\n"
    other = t.pod(linux={"sysctls": {port: "77"}}).run(["sleep", "1000"])
    assert other.output("cat", files[0]) == "77\n"
    ipc = {"securityContext": {"namespaceOptions": {"ipc": "NODE"}}}
    for linux, name, value, part in (
            ({}, "vm.swappiness", "1", "vm.swappiness"),
            ({}, "kernel.core_pattern", "|/bin/sh", "kernel.core_pattern"),
            ({}, "kernel.hostname", "x", "kernel.hostname"),
            ({}, "net.no.such", "1", "net/no/such"), ({}, "net", "1", "net"),
            ({}, "", "1", "config.linux.sysctls"), ({}, "net.a\n", "1", "config.linux.sysctls"),
            ({}, "net.ipv4.ip_forward", "1\n2", "config.linux.sysctls[net.ipv4.ip_forward]"),
            ({}, "net.ipv4.ip_local_port_range", "nonsense", "ip_local_port_range"),
            (NODE, "net.ipv4.ip_forward", "1", "net.ipv4.ip_forward"),
            (ipc, "kernel.msgmax", "1", "kernel.msgmax")):
        refused(t, part, code="InvalidArgument|NotFound",
                linux=dict(linux, sysctls={name: value}))


def test_cgroup_parent(t):
    parent = f"/{t.node.instance}/below/here"
    container = t.pod(linux={"cgroupParent": parent}).run(["sleep", "1000"])
    rows = read(f"/proc/{container.pid}/cgroup").splitlines()
    assert any(f"{parent}/{container.id}" in row for row in rows), rows
    default = t.pod().run(["sleep", "1000"])
    rows = read(f"/proc/{default.pid}/cgroup").splitlines()
    assert any(f"/{t.node.instance}/{default.id}" in row for row in rows), rows
    for parent in ("/a/../b", "..", "/a\nb", "/" + "x" * 256):
        refused(t, "config.linux.cgroup_parent", linux={"cgroupParent": parent})


def test_contradictions_are_refused_by_name(t):
    options = "config.linux.security_context.namespace_options."
    for security, part in (
            ({"runAsGroup": {"value": "5"}}, "config.linux.security_context.run_as_group"),
            ({"runAsUser": {"value": "-5"}}, "config.linux.security_context.run_as_user"),
            ({"runAsUser": {"value": "4294967295"}}, "config.linux.security_context.run_as_user"),
            ({"supplementalGroups": ["-1"]}, "supplemental_groups[0]"),
            ({"seccompProfilePath": "nonsense"}, "seccomp_profile_path"),
            ({"namespaceOptions": {"network": "CONTAINER"}}, options + "network"),
            ({"namespaceOptions": {"ipc": "TARGET"}}, options + "ipc"),
            ({"namespaceOptions": {"pid": "TARGET", "targetId": "x"}}, options + "pid"),
            ({"namespaceOptions": {"targetId": "x"}}, options + "target_id")):
        refused(t, part, linux={"securityContext": security})


def test_the_pause_process_has_nothing(t):
    """What a pod's own security context is about: berth's own process, always without rights."""
    pod = t.pod(linux={"securityContext": {
        "namespaceOptions": {"pid": "POD"}, "runAsUser": {"value": "77"}, "privileged": True,
        "readonlyRootfs": False, "supplementalGroups": ["88"]}})
    container = pod.run(["sleep", "1000"], linux={"securityContext": {
        "namespaceOptions": {"pid": "POD"}}})
    assert container.output("cat", "/proc/1/comm") != "sleep\n"
    with open(f"/proc/{container.pid}/status", encoding="utf-8") as f:
        pids = next(line for line in f if line.startswith("NSpid:")).split()
    assert len(pids) == 3 and pids[2] != "1", pids
    status = container.output("cat", "/proc/1/status")
    rows = dict(line.split(":", 1) for line in status.splitlines())
    assert rows["Uid"].split() == ["65535"] * 4 and rows["Groups"].split() == [], rows
    assert all(int(rows[name], 16) == 0 for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")), rows
    assert rows["NoNewPrivs"].strip() == "1", rows
