# SPDX-License-Identifier: Apache-2.0
"""What an attacker finds: in the processes and files of the node, from inside of an image or a
container, and as a client of the socket. docs/security.md names the rules."""

import os
import socket
import stat
import subprocess
import tarfile

from cases.hostile_layers import busybox_tar, raw
from cases.pulls import pulled, refused
from harness import procs, wait
from harness.client import CallError

SYM = tarfile.SYMTYPE
SHARED_PID = {"securityContext": {"namespaceOptions": {"pid": "POD"}}}
CLOSE_ON_EXEC = 0o2000000


def inherited(pid):
    """The descriptors that a program started by the process would have: number and target."""
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        rows = dict(line.split(":\t", 1) for line in
                    procs.read(f"/proc/{pid}/fdinfo/{name}").splitlines() if ":\t" in line)
        if rows and not int(rows["flags"], 8) & CLOSE_ON_EXEC and int(name) > 2:
            found.append((name, os.readlink(f"/proc/{pid}/fd/{name}")))
    return found


def status_of(pid):
    return dict(line.split(":\t", 1) for line in procs.read(f"/proc/{pid}/status").splitlines()
                if ":\t" in line)


def test_processes_hold_what_they_need(t):
    # One that serves a stream, too.
    streams = t.pod().run(["sleep", "1000"])
    session = t.crictl.open("exec", "-i", streams.id, "cat", stdin=subprocess.PIPE)
    session.stdin.write(b"x\n")
    session.stdin.flush()
    assert session.stdout.readline() == b"x\n"
    pod = t.pod(linux=SHARED_PID)
    container = pod.run(["sleep", "1000"], linux=SHARED_PID)
    monitor = procs.parent_of(container.pid)
    spawner = procs.parent_of(monitor)
    pause = [pid for pid in procs.children_of(monitor) if procs.name_of(pid) == "pause"]
    assert procs.name_of(spawner) == "berth-spawner" and len(pause) == 1, (spawner, pause)
    for pid in (t.node.runtime.pid, spawner, monitor, *pause):
        assert not inherited(pid), (procs.name_of(pid), inherited(pid))
    for pid in (spawner, monitor, *pause):
        # Nothing of the daemon's own environment, where proxies' passwords may be.
        assert procs.read(f"/proc/{pid}/environ") == "", procs.name_of(pid)
        assert os.readlink(f"/proc/{pid}/exe").startswith("/memfd:"), procs.name_of(pid)
        try:
            open(f"/proc/{pid}/exe", "r+b").close()
            raise AssertionError("the program that makes containers can be written")
        except OSError:
            pass
    for pid in (spawner, monitor):
        assert sorted(procs.mounts_of(pid)) == [("/", "tmpfs"), ("/proc", "proc"),
                                                ("/sys", "sysfs")], procs.mounts_of(pid)
        # Outside of every pod's limits.
        cgroups = procs.read(f"/proc/{pid}/cgroup")
        assert f"/{t.node.instance}/monitors" in cgroups and pod.id not in cgroups, cgroups
    # Whoever shares its PID namespace finds nothing behind /proc/1.
    assert int(status_of(pause[0])["CapPrm"], 16) == 0, status_of(pause[0])
    assert os.listdir(f"/proc/{pause[0]}/fd") == [], procs.fds_of(pause[0])
    assert procs.mounts_of(pause[0]) == [("/", "tmpfs")], procs.mounts_of(pause[0])
    assert sorted(os.listdir(f"/proc/{container.pid}/fd")) == ["0", "1", "2"]
    assert os.readlink(f"/proc/{container.pid}/ns/cgroup") != os.readlink("/proc/self/ns/cgroup")
    session.kill()
    session.communicate()


def test_pods_add_no_mounts_to_the_node(t):
    before = procs.mounts_of("self")
    for _ in range(3):
        t.pod().run(["sleep", "1000"])
    t.pod(linux=SHARED_PID).run(["sleep", "1000"], linux=SHARED_PID)
    assert procs.mounts_of("self") == before
    # Nor to the daemon, which lives in the node's mount namespace.
    assert procs.mounts_of(t.node.runtime.pid) == before


def reach(paths):
    """The sockets among the paths to which uid 1000 can connect."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(1000)
        os.setuid(1000)
        for path in paths:
            try:
                socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET
                              if "berthd" not in path else socket.SOCK_STREAM).connect(path)
                os.write(write, (path + "\n").encode())
            except OSError:
                pass
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as f:
        found = f.read().split()
    os.waitpid(child, 0)
    return found


def test_files_and_sockets_are_the_nodes_alone(t):
    t.pod().run(["sleep", "1000"])
    runtime = t.node.runtime
    for top in (runtime.state, runtime.root):
        mode = stat.S_IMODE(os.stat(top).st_mode)
        assert mode in (0o700, 0o711), (top, oct(mode))
        for name in os.listdir(top):
            info = os.lstat(os.path.join(top, name))
            assert info.st_uid == 0 and not info.st_mode & 0o007, (top, name, oct(info.st_mode))
    sockets = [os.path.join(directory, name)
               for directory, _, names in os.walk(runtime.state) for name in names
               if stat.S_ISSOCK(os.lstat(os.path.join(directory, name)).st_mode)]
    assert runtime.socket in sockets and len(sockets) >= 3, sockets
    assert reach(sockets) == []
    # A pod on the node's network would reach a socket without a file.
    abstract = [line for line in procs.read("/proc/net/unix").splitlines() if " @" in line]
    assert not abstract, abstract


def test_links_of_the_image_lead_nowhere(t):
    """Where berth makes or mounts something, the image has a link to a directory of the node."""
    canary = os.path.join(t.tmp, "canary")
    os.makedirs(canary)
    up = "../" * 30
    pod = t.pod()
    with t.registry() as registry:
        base = registry.layout.layer(busybox_tar(t))
        for name in ("etc", "dev", "proc", "sys", "data", "etc/hosts", "etc/resolv.conf",
                     "etc/passwd", "dev/shm", "sys/fs/cgroup", "work"):
            for target in (canary, up + canary[1:], "/proc/1/root" + canary):
                tree = raw().entry(name, SYM, link=target)
                reference = registry.image("x", tree.done(), base=[base], config={
                    "WorkingDir": "/work/made", "Volumes": {"/data/volume": {}}})
                pulled(t, reference)
                try:
                    pod.run(["true"], image=reference, mounts=[
                        {"hostPath": t.tmp, "containerPath": "/data/mount"}]).wait()
                except CallError as error:
                    assert error.code not in ("Internal", "Unavailable"), (name, target, error)
                assert os.listdir(canary) == [], (name, target)
    assert pod.run(["true"]).wait().get("exitCode", 0) == 0


def test_volumes_of_the_image_stay_inside(t):
    pod = t.pod()
    with t.registry() as registry:
        base = registry.layout.layer(busybox_tar(t))
        for path in ("/../../../../etc", "/a/../../b"):
            reference = registry.image("x", base=[base], config={"Volumes": {path: {}}})
            pulled(t, reference)
            t.fails("InvalidArgument", "CreateContainer", {
                "podSandboxId": pod.id, "sandboxConfig": pod.config, "config": {
                    "metadata": {"name": "c"}, "image": {"image": reference},
                    "command": ["true"]}}, part="Volumes")
        reference = registry.image("y", base=[base], config={
            "Volumes": {"/proc": {}, "/proc/sys": {}, "/sys": {}, "/dev/shm/x": {}, "/": {}}})
        pulled(t, reference)
        container = pod.run(["sleep", "1000"], image=reference, linux={
            "securityContext": {"readonlyPaths": ["/proc/sys"], "maskedPaths": ["/proc/timer_list"]}})
        assert container.exec("sh", "-c", "echo 1 > /proc/sys/kernel/domainname")[0] != 0
        assert container.output("stat", "-c", "%t:%T", "/proc/timer_list") == "1:3\n"


def test_an_image_with_a_million_settings(t):
    """As much as a configuration may hold. It may fail to start, but not hold a thread for hours."""
    pod = t.pod()
    with t.registry() as registry:
        base = registry.layout.layer(busybox_tar(t))
        for field in ("Volumes", "Labels"):
            refused(t, registry.image("x", base=[base], config={
                field: {f"/{n}": {} for n in range(300000)}}), "DataLoss", part="members")
        for field, value in (("Env", [f"v{number}=" for number in range(500000)]),
                             ("Volumes", {f"/v{n}": {} for n in range(30000)}),
                             ("Labels", {f"l{n}": "" for n in range(30000)})):
            reference = registry.image("x", base=[base], config={field: value})
            pulled(t, reference)
            try:
                pod.run(["true"], image=reference)
            except CallError as error:
                assert error.code not in ("DeadlineExceeded", "Internal", "Unavailable"), error
            t.call("RemoveImage", {"image": {"image": reference}})
    assert pod.run(["true"]).wait().get("exitCode", 0) == 0


def test_too_large_an_environment(t):
    pod = t.pod()
    container = pod.create(["true"], envs=[
        {"key": f"v{number}", "value": t.bytes("x" * 65536)} for number in range(50)])
    t.fails("InvalidArgument", "StartContainer", {"containerId": container.id}, part="too long")
    assert container.status["reason"] == "StartError", container.status


def test_too_large_a_request(t):
    for size in (17 << 20, 90 << 20):
        config = t.pod_config(annotations={"a": "x" * size})
        t.fails("ResourceExhausted", "RunPodSandbox", {"config": config}, part="larger than max")
    assert not t.call("ListPodSandbox").get("items")


def test_connections_without_an_end(t):
    """Clients that connect and say nothing, or nonsense, hold nobody up."""
    def connect():
        client = socket.socket(socket.AF_UNIX)
        client.connect(t.node.runtime.socket)
        return client

    clients = [connect() for _ in range(300)]
    for number, client in enumerate(clients):
        if number % 2:
            try:
                client.sendall(os.urandom(4096))
            except OSError:
                pass
    t.crictl("version")
    t.pod()
    for client in clients:
        client.close()


def test_a_flood_of_output(t):
    """It costs the flooding container's pod, whose monitor does not grow."""
    flood = t.pod().run(["sh", "-c", "yes | head -c 8388608; exec sleep 1000"])
    other = t.pod().run(["sh", "-c", "for i in $(seq 50); do echo $i; done; exec sleep 1000"])
    wait.until(lambda: other.log_text().endswith("50\n"), 20, "the other container's lines")
    # Each line of two bytes is written with its time stamp and tags.
    wait.until(lambda: os.path.getsize(flood.log_path) > 8388608 * 20, 60, "the whole flood")
    monitor = procs.parent_of(flood.pid)
    peak = int(status_of(monitor)["VmHWM"].split()[0])
    assert peak < 4096, f"{peak} kB"
    os.truncate(flood.log_path, 0)

