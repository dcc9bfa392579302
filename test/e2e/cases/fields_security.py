# SPDX-License-Identifier: Apache-2.0
"""LinuxContainerSecurityContext and NamespaceOption: every field does what it says."""

import json
import os

from cases.fields_container import image_with, refused
from cases.pulls import pulled
from harness.case import Skip
from oci import Tree

PASSWD = (b"root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n1000:x:7:7::/:/bin/sh\n"
          b"bad:x:99999999999:0::/:\n")
GROUP = b"root:x:0:\nwww:x:34:\nlogs:x:40:web\nmore:x:41:root,web\nother:x:42:root\n"


def people(t, registry, **config):
    tree = Tree().file("etc/passwd", PASSWD).file("etc/group", GROUP)
    return image_with(t, registry, "people", tree, **config)


def security(**fields):
    return {"linux": {"securityContext": fields}}


def rows_of(container):
    """/proc/self/status of a process in the container."""
    return dict(line.split(":", 1) for line in
                container.output("cat", "/proc/self/status").splitlines())


def identity(container):
    """(uid, gid, groups) of the container's first process, as the kernel has it."""
    with open(f"/proc/{container.pid}/status", encoding="utf-8") as f:
        rows = dict(line.split(":", 1) for line in f)
    return (int(rows["Uid"].split()[0]), int(rows["Gid"].split()[0]),
            [int(group) for group in rows["Groups"].split()])


def test_users_and_groups(t):
    user = {"runAsUser": {"value": "33"}}
    with t.registry() as registry:
        reference = people(t, registry, User="web", Cmd=["sleep", "1000"])
        pulled(t, reference)
    pod = t.pod()
    for fields, found in (
            ({}, (33, 34, [34, 40, 41])),
            ({"supplementalGroups": ["50", "40", "50"]}, (33, 34, [34, 40, 41, 50])),
            ({"supplementalGroupsPolicy": "Strict"}, (33, 34, [34])),
            (dict(user, supplementalGroups=["50"], supplementalGroupsPolicy="Strict"),
             (33, 34, [34, 50])),
            (dict(user, runAsGroup={"value": "42"}), (33, 42, [40, 41, 42])),
            ({"runAsUsername": "web", "runAsGroup": {"value": "0"}}, (33, 0, [0, 40, 41])),
            # A number is not a name, and need not be known.
            ({"runAsUser": {"value": "1000"}}, (1000, 0, [0])),
            ({"runAsUser": {"value": "0"}}, (0, 0, [0, 41, 42]))):
        container = pod.run(image=reference, **security(**fields))
        assert identity(container) == found, (fields, identity(container))
        status = container.status["user"]["linux"]
        assert (int(status["uid"]), int(status["gid"]),
                [int(group) for group in status["supplementalGroups"]]) == found, status
        assert container.output("id", "-u") == f"{found[0]}\n"
        container.remove()
    where = "config.linux.security_context"
    for fields, part in (
            ({"runAsUsername": "nobody-here"}, f'{where}: user "nobody-here"'),
            ({"runAsUsername": "bad"}, f'{where}: user "bad"'),
            (dict(user, runAsUsername="web"), f"{where}.run_as_username"),
            ({"runAsGroup": {"value": "1"}}, f"{where}.run_as_group"),
            ({"runAsUser": {"value": "2147483648"}}, f"{where}.run_as_user"),
            ({"supplementalGroups": ["1", "-1"]}, f"{where}.supplemental_groups[1]"),
            ({"supplementalGroupsPolicy": 7}, f"{where}.supplemental_groups_policy")):
        refused(t, pod, part, image={"image": reference}, **security(**fields))


def test_capabilities(t):
    def bits(*numbers):
        return sum(1 << number for number in numbers)

    chown, kill, net_raw, net_admin = 0, 5, 13, 12
    pod = t.pod()
    full = int(rows_of(t.pod(linux={"securityContext": {"privileged": True}}).run(
        ["sleep", "1000"], **security(privileged=True)))["CapBnd"], 16)
    default = int(rows_of(pod.run(["sleep", "1000"]))["CapBnd"], 16)
    assert default == bits(0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31), hex(default)
    for capabilities, found in (
            ({"addCapabilities": ["NET_ADMIN"]}, default | bits(net_admin)),
            ({"addCapabilities": ["CAP_NET_ADMIN", "net_admin"]}, default | bits(net_admin)),
            ({"dropCapabilities": ["NET_RAW", "CAP_KILL"]}, default & ~bits(net_raw, kill)),
            ({"dropCapabilities": ["ALL"]}, 0),
            ({"dropCapabilities": ["ALL"], "addCapabilities": ["CHOWN"]}, bits(chown)),
            ({"addCapabilities": ["ALL"]}, full),
            ({"addCapabilities": ["ALL"], "dropCapabilities": ["KILL"]}, full & ~bits(kill))):
        rows = rows_of(pod.run(["sleep", "1000"], **security(capabilities=capabilities)))
        for name in ("CapBnd", "CapEff", "CapPrm"):
            assert int(rows[name], 16) == found, (capabilities, name, rows[name])
        assert int(rows["CapInh"], 16) == int(rows["CapAmb"], 16) == 0, rows
    # Those of a user who is not root are ambient or nothing.
    nobody = {"runAsUser": {"value": "99"}}
    rows = rows_of(pod.run(["sleep", "1000"], **security(**nobody)))
    assert int(rows["CapEff"], 16) == int(rows["CapPrm"], 16) == 0, rows
    rows = rows_of(pod.run(["sleep", "1000"], **security(
        capabilities={"addAmbientCapabilities": ["NET_ADMIN"]}, **nobody)))
    for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        assert int(rows[name], 16) == bits(net_admin), (name, rows)
    for field in ("addCapabilities", "dropCapabilities", "addAmbientCapabilities"):
        for name in ("FLY", "", "CAP_", "0"):
            refused(t, pod, "config.linux.security_context.capabilities",
                    **security(capabilities={field: [name]}))


def test_masked_and_readonly_paths(t):
    """Exactly those of the request."""
    tree = Tree().dir("secrets").file("secrets/key", b"key").file("plain", b"plain")
    tree.dir("opt").symlink("alias", "secrets")
    with t.registry() as registry:
        reference = image_with(t, registry, "masked", tree, Cmd=["sleep", "1000"])
        pulled(t, reference)
    pod = t.pod()
    container = pod.run(image=reference, **security(
        maskedPaths=["/proc/version", "/secrets", "/plain", "/no/such", "/plain/below"],
        readonlyPaths=["/proc/sys", "/opt", "/missing"]))
    assert container.output("ls", "-A", "/secrets") == ""
    assert container.output("cat", "/plain", "/proc/version") == ""
    for path, why in (("/secrets/new", "Read-only"), ("/opt/new", "Read-only")):
        code, _, err = container.exec("touch", path)
        assert code != 0 and why in err, err
    code, _, err = container.exec("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    assert code != 0 and "Read-only" in err, err
    container.output("touch", "/new")
    bare = pod.run(image=reference, **security(capabilities={"addCapabilities": ["NET_ADMIN"]}))
    points = [line.split()[1] for line in bare.output("cat", "/proc/mounts").splitlines()]
    assert not [point for point in points if point.startswith("/proc/")], points
    bare.output("sh", "-c", "cat /secrets/key; touch /opt/new; "
                "echo 1 > /proc/sys/net/ipv4/ip_forward")
    for made in (container, bare):
        made.remove()
    for field, name in (("maskedPaths", "masked_paths"), ("readonlyPaths", "readonly_paths")):
        for path in ("proc/kcore", "", "/proc/../etc", "/" + "x" * 4096):
            refused(t, pod, f"config.linux.security_context.{name}[1]",
                    **security(**{field: ["/fine", path]}))


def test_readonly_root(t):
    container = t.pod().run(["sleep", "1000"], **security(readonlyRootfs=True))
    for path in ("/new", "/bin/new", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"):
        code, _, err = container.exec("sh", "-c", f"echo x >> {path}")
        assert code != 0 and "Read-only" in err, (path, err)
    container.output("sh", "-c", "echo x > /dev/shm/x; echo x > /dev/null; "
                     "cat /dev/shm/x")


def test_privileged(t):
    """Everything, and it wins over what would take something away."""
    pod = t.pod(linux={"securityContext": {"privileged": True}})
    container = pod.run(["sleep", "1000"], **security(
        privileged=True, seccomp={"profileType": "RuntimeDefault"},
        maskedPaths=["/proc/version"], readonlyPaths=["/proc/sys"],
        capabilities={"dropCapabilities": ["ALL"]}))
    rows = rows_of(container)
    assert rows["Seccomp"].strip() == "0", rows
    with open("/proc/self/status", encoding="utf-8") as f:
        bound = next(line for line in f if line.startswith("CapBnd:")).split()[1]
    assert rows["CapEff"].strip() == bound, rows
    mounts = {line.split()[1]: line.split()[3].split(",")
              for line in container.output("cat", "/proc/mounts").splitlines()}
    assert "rw" in mounts["/sys"] and not [m for m in mounts if m.startswith("/proc/")], mounts
    container.output("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    host = {name for name in os.listdir("/dev")
            if not os.path.islink("/dev/" + name) and not os.path.isdir("/dev/" + name)}
    seen = set(container.output("ls", "/dev").split())
    assert host - {"console"} <= seen, host - seen
    assert "seccomp" not in json.loads(t.call("ContainerStatus", {
        "containerId": container.id, "verbose": True})["info"]["info"])["runtimeSpec"]["linux"]


def test_privileged_needs_a_privileged_pod(t):
    refused(t, t.pod(), "config.linux.security_context.privileged", **security(privileged=True))


def namespaces(container):
    return {kind: os.readlink(f"/proc/{container.pid}/ns/{kind}")
            for kind in ("pid", "ipc", "net", "uts", "mnt", "cgroup", "user", "time")}


def options(**fields):
    return {"linux": {"securityContext": {"namespaceOptions": fields}}}


def test_namespaces(t):
    own = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in
           ("pid", "ipc", "net", "uts", "mnt", "cgroup", "user", "time")}
    pod = t.pod(**options(pid="CONTAINER"))
    first, second = (namespaces(pod.run(["sleep", "1000"], **options(pid="CONTAINER")))
                     for _ in range(2))
    for kind in ("ipc", "net", "uts"):
        assert first[kind] == second[kind] != own[kind], kind
    for kind in ("pid", "mnt", "cgroup"):
        assert first[kind] != second[kind] and first[kind] != own[kind], kind
    for kind in ("user", "time"):
        assert first[kind] == own[kind], kind
    shared = t.pod(**options(pid="POD"))
    first, second = (namespaces(shared.run(["sleep", "1000"], **options(pid="POD")))
                     for _ in range(2))
    assert first["pid"] == second["pid"] != own["pid"]
    host = namespaces(t.pod(**options(pid="NODE", ipc="NODE", network="NODE")).run(
        ["sleep", "1000"], **options(pid="NODE", ipc="NODE", network="NODE")))
    for kind in ("pid", "ipc", "net", "uts"):
        assert host[kind] == own[kind], kind
    # A container that says nothing has what its pod has.
    plain = namespaces(t.pod(**options(pid="NODE", ipc="NODE", network="NODE")).run(
        ["sleep", "1000"]))
    assert plain["ipc"] == own["ipc"] and plain["net"] == own["net"], plain


def test_shared_memory(t):
    pod = t.pod()
    writer, reader = (pod.run(["sleep", "1000"]) for _ in range(2))
    writer.output("sh", "-c", "echo mine > /dev/shm/x")
    assert reader.output("cat", "/dev/shm/x") == "mine\n"
    assert "65536" in reader.output("df", "-k", "/dev/shm"), "64 MiB"
    assert t.pod().run(["sleep", "1000"]).exec("cat", "/dev/shm/x")[0] != 0
    host = t.pod(**options(ipc="NODE")).run(["sleep", "1000"])
    name = f"berth-e2e-{os.getpid()}"
    try:
        host.output("touch", f"/dev/shm/{name}")
        assert os.path.exists(f"/dev/shm/{name}")
    finally:
        os.unlink(f"/dev/shm/{name}")


def test_namespaces_that_contradict_the_pods(t):
    pod = t.pod()
    where = "config.linux.security_context.namespace_options."
    for fields, part in (({"ipc": "NODE"}, "ipc"), ({"network": "NODE"}, "network"),
                         ({"ipc": "CONTAINER"}, "ipc"), ({"network": "TARGET"}, "network"),
                         ({"pid": 9}, "pid"), ({"targetId": "x"}, "target_id"),
                         ({"pid": "TARGET"}, "target_id")):
        refused(t, pod, where + part, **options(**fields))


def test_target(t):
    pod, other = t.pod(**options(pid="CONTAINER")), t.pod()
    target = pod.run(["sleep", "4321"], **options(pid="CONTAINER"))
    debugger = pod.run(["sleep", "1000"], **options(pid="TARGET", targetId=target.id[:12]))
    assert namespaces(debugger)["pid"] == namespaces(target)["pid"]
    assert "sleep 4321" in debugger.output("ps")
    stranger = other.run(["sleep", "1000"])
    created = pod.create(["true"])
    ended = pod.run(["true"])
    ended.wait()
    request = {"podSandboxId": pod.id, "sandboxConfig": pod.config}
    for number, (identity, code, part) in enumerate((
            (stranger.id, "FailedPrecondition", "another pod"),
            (created.id, "FailedPrecondition", "not running"),
            (ended.id, "FailedPrecondition", "not running"),
            ("f" * 64, "NotFound", "f" * 64))):
        message = t.fails(code, "CreateContainer", dict(request, config=dict(
            {"metadata": {"name": f"bad{number}"}, "image": {"image": t.busybox},
             "command": ["true"]}, **options(pid="TARGET", targetId=identity))), part=part)
        assert "target_id" in message or code == "NotFound", message
    # The debugger lives in the target's namespace, and so it ends with it.
    target.stop()
    debugger.wait()


def test_seccomp_profiles(t):
    path = os.path.join(t.tmp, "profile.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}]}, f)
    pod = t.pod()

    def filtered(**fields):
        container = pod.run(["sleep", "1000"], **security(**fields))
        mode = rows_of(container)["Seccomp"].strip()
        denied = container.exec("mkdir", "/made")[0] != 0
        container.remove()
        return mode, denied

    local = {"profileType": "Localhost", "localhostRef": path}
    assert filtered() == ("0", False)
    assert filtered(seccomp={"profileType": "Unconfined"}) == ("0", False)
    assert filtered(seccomp={"profileType": "RuntimeDefault"}) == ("2", False)
    assert filtered(seccomp=local) == ("2", True)
    assert filtered(seccompProfilePath="runtime/default") == ("2", False)
    assert filtered(seccompProfilePath="localhost/" + path) == ("2", True)
    assert filtered(seccompProfilePath="localhost/" + path,
                    seccomp={"profileType": "Unconfined"}) == ("0", False)
    with open(path, "w", encoding="utf-8") as f:
        f.write("{")
    for profile, code in ((local, "InvalidArgument"),
                          (dict(local, localhostRef="/no/such"), "NotFound"),
                          (dict(local, localhostRef="relative"), "InvalidArgument"),
                          (dict(local, localhostRef=""), "InvalidArgument")):
        refused(t, pod, "seccomp.localhost_ref", code=code, **security(seccomp=profile))
    refused(t, pod, "seccomp_profile_path", **security(seccompProfilePath="localhost/relative"))


def test_apparmor_without_apparmor(t):
    if os.path.exists("/sys/module/apparmor/parameters/enabled"):
        raise Skip("this kernel has AppArmor")
    pod = t.pod()
    where = "config.linux.security_context.apparmor"
    refused(t, pod, where, **security(apparmor={"profileType": "Localhost", "localhostRef": "x"}))
    refused(t, pod, where, **security(apparmorProfile="localhost/x"))
    refused(t, pod, where + "_profile", **security(apparmorProfile="nonsense"))
    for fields in ({"apparmor": {"profileType": "RuntimeDefault"}},
                   {"apparmor": {"profileType": "Unconfined"},
                    "apparmorProfile": "localhost/x"}, {"apparmorProfile": "runtime/default"}):
        pod.create(["true"], **security(**fields)).remove()


def test_no_new_privileges(t):
    """The bit itself; what it does to programs with the set-user-ID bit is critest's."""
    pod = t.pod()
    for wanted in (True, False):
        container = pod.run(["sleep", "1000"], **security(
            runAsUser={"value": "99"}, noNewPrivs=wanted))
        assert rows_of(container)["NoNewPrivs"].strip() == str(int(wanted))
