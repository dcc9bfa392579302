# SPDX-License-Identifier: Apache-2.0
"""Pods whose root is nobody on the node."""

import os
import subprocess

from cases.pulls import pulled
from harness import wait
from harness.case import Skip, own_node
from oci import Tree

BASE = 300000
IDS = [{"hostId": BASE, "containerId": 0, "length": 65536}]
USERNS = {"mode": "POD", "uids": IDS, "gids": IDS}


def options(network="POD"):
    # PIDs as kubelet has them.
    return {"network": network, "pid": "CONTAINER", "usernsOptions": USERNS}


def pod_of(t, network="POD", **config):
    status = t.call("Status")
    if not all(row.get("features", {}).get("userNamespaces") for row in status["runtimeHandlers"]):
        raise Skip("this kernel cannot map the owners of files")
    return t.pod(linux={"securityContext": {"namespaceOptions": options(network)}}, **config)


def linux(network="POD", **security):
    return {"securityContext": dict({"namespaceOptions": options(network)}, **security)}


def start(pod, command, network="POD", **config):
    container = pod.run(command, linux=linux(network), **config)
    wait.until(lambda: "up\n" in container.log_text(), 10, "the container to be up")
    return container


def test_root_is_nobody_on_the_node(t):
    container = start(pod_of(t), ["sh", "-c", "id -u; echo up; exec sleep 1000"])
    assert container.log_text() == "0\nup\n"
    assert container.output("cat", "/proc/self/uid_map").split() == ["0", str(BASE), "65536"]
    with open(f"/proc/{container.pid}/status", encoding="utf-8") as f:
        assert f"Uid:\t{BASE}\t{BASE}\t{BASE}\t{BASE}\n" in f.read()
    for kind in ("user", "net", "ipc", "uts", "pid", "mnt", "cgroup"):
        assert (os.readlink(f"/proc/{container.pid}/ns/{kind}") !=
                os.readlink(f"/proc/self/ns/{kind}")), kind
    for path in ("/", "/bin/busybox", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev",
                 "/dev/null", "/dev/shm"):
        assert container.output("stat", "-c", "%u:%g", path) == "0:0\n", path
    container.output("sh", "-c", "echo 192.0.2.1 more >> /etc/hosts && echo x > /dev/shm/x")


def test_sysctls_are_set(t):
    container = start(pod_of(t), ["sh", "-c", "echo up; exec sleep 1000"])
    assert container.output("cat", "/proc/sys/net/ipv4/ping_group_range").split() == ["0", "65535"]
    assert container.output("cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start") == "0\n"


def test_volumes_keep_their_owners(t):
    disk = os.path.join(t.tmp, "volume")
    memory = os.path.join(t.tmp, "secret")
    for path in (disk, memory):
        os.makedirs(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", memory], check=True)
    try:
        pod = pod_of(t)
        mounts = [{"containerPath": target, "hostPath": source, "uidMappings": IDS,
                   "gidMappings": IDS} for target, source in (("/disk", disk), ("/memory", memory))]
        container = start(pod, ["sh", "-c", "echo up; exec sleep 1000"], mounts=mounts)
        for target, source in (("/disk", disk), ("/memory", memory)):
            container.output("sh", "-c", f"echo x > {target}/root && echo y > {target}/user && "
                             f"chown 7:8 {target}/user")
            info = os.stat(os.path.join(source, "root"))
            assert (info.st_uid, info.st_gid) == (0, 0), info
            info = os.stat(os.path.join(source, "user"))
            assert (info.st_uid, info.st_gid) == (7, 8), info
            assert container.output("stat", "-c", "%u:%g", target + "/user") == "7:8\n"
        pod.stop()
        pod.remove()
    finally:
        subprocess.run(["umount", memory], check=True)


def test_a_user_of_the_image(t):
    pod = pod_of(t)
    container = pod.run(["sh", "-c", "id -u; echo x > /tmp/x; echo y > /dev/stdout; echo up; "
                         "exec sleep 1000"], linux=linux(runAsUser={"value": 1000}))
    wait.until(lambda: "up\n" in container.log_text(), 10, "the container to be up")
    assert container.log_text() == "1000\ny\nup\n"
    assert os.stat(f"/proc/{container.pid}").st_uid == BASE + 1000


@own_node()
def test_it_survives_the_daemon(t):
    pod = pod_of(t)
    running = start(pod, ["sh", "-c", "echo up; exec sleep 1000"])
    created = pod.create(["sh", "-c", "id -u; stat -c %u /bin/busybox"], linux=linux())
    t.node.runtime.kill()
    t.node.runtime.start()
    assert running.output("id", "-u") == "0\n"
    created.start()
    assert created.wait().get("exitCode", 0) == 0
    assert created.log_text() == "0\n0\n"


def test_the_network_of_the_node(t):
    container = start(pod_of(t, network="NODE"), ["sh", "-c", "echo up; exec sleep 1000"],
                      network="NODE")
    assert (os.readlink(f"/proc/{container.pid}/ns/net") == os.readlink("/proc/self/ns/net"))
    container.output("ls", "/sys/class/net/lo")
    assert container.exec("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")[0] != 0


def test_wrong_mappings(t):
    for userns, part in (
            (dict(USERNS, uids=IDS + IDS), "userns_options.uids"),
            (dict(USERNS, gids=[]), "userns_options.gids"),
            (dict(USERNS, uids=[dict(IDS[0], containerId=1)]), "userns_options.uids"),
            (dict(USERNS, gids=[dict(IDS[0], length=1)]), "userns_options.gids"),
            (dict(USERNS, mode="CONTAINER"), "userns_options"),
            (dict(USERNS, mode="TARGET"), "userns_options")):
        config = t.pod_config(linux={"securityContext": {"namespaceOptions": {
            "pid": "CONTAINER", "usernsOptions": userns}}})
        t.fails("InvalidArgument", "RunPodSandbox", {"config": config}, part)
    pod = pod_of(t)
    other = [dict(IDS[0], hostId=BASE + 1)]
    good = {"metadata": {"name": "c"}, "image": {"image": t.busybox}, "command": ["true"],
            "linux": linux()}
    for change, part in (
            ({"linux": {"securityContext": {"namespaceOptions": {
                "pid": "CONTAINER", "usernsOptions": dict(USERNS, uids=other)}}}}, "userns_options"),
            ({"linux": linux(runAsUser={"value": 70000})}, "not mapped"),
            ({"mounts": [{"containerPath": "/x", "hostPath": t.tmp, "uidMappings": other,
                          "gidMappings": IDS}]}, "mounts[0].uidMappings")):
        t.fails("InvalidArgument", "CreateContainer", {
            "podSandboxId": pod.id, "config": dict(good, **change), "sandboxConfig": pod.config},
            part)
    message = t.fails("FailedPrecondition", "CreateContainer", {
        "podSandboxId": pod.id, "sandboxConfig": pod.config, "config": dict(good, mounts=[
            {"containerPath": "/x", "hostPath": "/proc/sys", "uidMappings": IDS,
             "gidMappings": IDS}])}, "/proc/sys")
    assert "does not support" in message, message


def test_an_image_as_a_volume(t):
    with t.registry() as registry:
        reference = registry.image("data", Tree().file("top", b"top").done())
        pulled(t, reference)
    # As kubelet sends it: with mappings on every mount.
    container = start(pod_of(t), ["sh", "-c", "echo up; exec sleep 1000"], mounts=[
        {"containerPath": "/data", "readonly": True, "image": {"image": reference},
         "uidMappings": IDS, "gidMappings": IDS}])
    assert container.output("stat", "-c", "%u:%g", "/data/top") == "0:0\n"
