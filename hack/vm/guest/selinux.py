# SPDX-License-Identifier: Apache-2.0
"""SELinux, enforcing, with Debian's policy and the types for containers of hack/vm/container.cil:
what processes and files are labelled with, and that the labels confine."""

import contextlib
import json
import os
import re
import shutil
import subprocess

SLEEP = ["sleep", "1000"]
IMAGE = "registry.k8s.io/e2e-test-images/busybox:1.29-2"
PROCESS = "system_u:system_r:container_t"
FILE = "system_u:object_r:container_file_t"
PAIR = re.compile(r"s0:c\d+,c\d+$")
FIELD = "config.linux.security_context.selinux_options"
CONTEXTS = "/etc/selinux/default/contexts/lxc_contexts"
SETTINGS = "/etc/berth/config.toml.d/selinux.toml"


def asked(**options):
    """What both a pod and a container have as their `linux`."""
    return {"securityContext": {"selinuxOptions": options}}


def label_of(path):
    return os.getxattr(path, "security.selinux", follow_symlinks=False).decode().rstrip("\0")


def set_label(path, label):
    os.setxattr(path, "security.selinux", label.encode() + b"\0", follow_symlinks=False)


def domain_of(pid):
    with open(f"/proc/{pid}/attr/current", encoding="ascii") as f:
        return f.read().rstrip("\0\n")


def domain(container):
    """Of its first process and of an exec."""
    first = domain_of(container.pid)
    inside = container.output("cat", "/proc/self/attr/current").rstrip("\0\n")
    assert inside == first, (inside, first)
    return first


def level(container):
    """Of a container with the policy's own types."""
    label = domain(container)
    assert label.startswith(PROCESS + ":"), label
    return label[len(PROCESS) + 1:]


def inside(container, path):
    """A path of the container as the node sees it."""
    return f"/proc/{container.pid}/root{path}"


def volume(t, name, label="system_u:object_r:var_lib_t:s0"):
    """A directory of the node with a file in it."""
    path = f"/var/lib/vm-selinux/{t.name.replace('/', '-')}-{name}"
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path + "/inner")
    with open(path + "/inner/file", "w", encoding="ascii") as f:
        f.write("content\n")
    os.symlink("/etc/shadow", path + "/link")
    for place in (path, path + "/inner", path + "/inner/file"):
        set_label(place, label)
    return path


def mount(path, **more):
    return [dict({"hostPath": path, "containerPath": "/data"}, **more)]


def denied(container, script):
    code, _, err = container.exec("sh", "-c", script)
    assert code != 0 and "permission denied" in err.lower(), (script, code, err)


def refused(t, code, part, pod=None, **linux):
    config = {"metadata": {"name": "refused"}, "command": SLEEP, "image": {"image": IMAGE},
              "linux": asked(**linux)}
    if pod is None:
        return t.fails(code, "RunPodSandbox", {"config": t.pod_config(linux=asked(**linux))},
                       part=part)
    return t.fails(code, "CreateContainer", {
        "podSandboxId": pod.id, "config": config, "sandboxConfig": pod.config}, part=part)


def restart():
    subprocess.run(["systemctl", "restart", "berthd"], check=True)


@contextlib.contextmanager
def settings(text):
    os.makedirs(os.path.dirname(SETTINGS), exist_ok=True)
    with open(SETTINGS, "w", encoding="ascii") as f:
        f.write(text)
    try:
        restart()
        yield
    finally:
        os.unlink(SETTINGS)
        restart()


def test_containers_have_the_pods_level(t):
    pod = t.pod()
    first, second = pod.run(SLEEP), pod.run(SLEEP)
    assert PAIR.match(level(first)), level(first)
    assert level(second) == level(first)
    other = t.pod().run(SLEEP)
    assert PAIR.match(level(other)) and level(other) != level(first), level(other)


def test_streamed_execs_and_terminals(t):
    pod = t.pod(linux=asked(level="s0:c1,c2"))
    container = pod.run(["sh", "-c", "tty; echo $(cat /proc/self/attr/current); exec sleep 1000"],
                        tty=True, stdin=True)
    t.until(lambda: f"{PROCESS}:s0:c1,c2" in container.log_text(), "its own label in its log")
    assert "/dev/" in container.log_text(), container.log_text()
    shown = t.crictl("exec", container.id, "cat", "/proc/self/attr/current")
    assert shown.rstrip("\0\n") == f"{PROCESS}:s0:c1,c2", shown


def test_options(t):
    pod = t.pod(linux=asked(level="s0:c1,c2"))
    assert level(pod.run(SLEEP)) == "s0:c1,c2"
    assert level(pod.run(SLEEP, linux=asked(level="s0:c7"))) == "s0:c7"
    free = pod.run(SLEEP, linux=asked(type="spc_t"))
    assert domain(free) == "system_u:system_r:spc_t:s0:c1,c2"
    # The container's replace the pod's, whose level stays.
    pod = t.pod(linux=asked(type="spc_t", level="s0:c3"))
    assert domain(pod.run(SLEEP)) == "system_u:system_r:spc_t:s0:c3"
    assert level(pod.run(SLEEP, linux=asked(type="container_t"))) == "s0:c3"


def test_files(t):
    container = t.pod().run(SLEEP, mounts=[
        {"containerPath": "/image", "readonly": True, "image": {"image": t.busybox}}])
    wanted = f"{FILE}:{level(container)}"
    container.output("sh", "-c", "echo made >/made; echo made >/dev/shm/made")
    for path in ("/", "/bin/busybox", "/made", "/dev", "/dev/null", "/dev/pts", "/dev/ptmx",
                 "/dev/pts/ptmx", "/dev/shm", "/dev/shm/made", "/dev/mqueue", "/image",
                 "/image/bin/busybox", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"):
        found = label_of(inside(container, path))
        assert found == wanted, (path, found, wanted)
    # What they are for.
    for path in ("/dev/null", "/etc/hosts", "/made"):
        container.output("sh", "-c", f"cat {path} >/dev/null && echo >>{path}")
    container.output("sh", "-c", "cp /bin/busybox /true && /true")


def test_session_keyring(t):
    """A container may look into its own, which is labelled with its process."""
    container = t.pod().run(SLEEP)
    assert "_ses" in container.output("cat", "/proc/keys"), container.output("cat", "/proc/keys")


def test_files_of_the_node_are_denied(t):
    secret = volume(t, "secret", "system_u:object_r:shadow_t:s0")
    container = t.pod().run(SLEEP, mounts=mount(secret))
    denied(container, "cat /data/inner/file")
    denied(container, "echo >/data/made")
    free = t.pod(linux=asked(type="spc_t")).run(SLEEP, mounts=mount(secret))
    assert free.output("cat", "/data/inner/file") == "content\n"


def test_files_of_other_pods_are_denied(t):
    path = volume(t, "shared")
    owner = t.pod().run(SLEEP, mounts=mount(path, selinuxRelabel=True))
    other = t.pod().run(SLEEP, mounts=mount(path))
    denied(other, "cat /data/inner/file")
    denied(other, "echo >/data/made")
    friend = t.pod(linux=asked(level=level(owner))).run(SLEEP, mounts=mount(path))
    assert friend.output("cat", "/data/inner/file") == "content\n"


def test_relabel(t):
    path = volume(t, "data")
    before = {name: label_of(f"{path}/{name}") for name in (".", "inner", "inner/file", "link")}
    pod = t.pod()
    container = pod.run(SLEEP, mounts=mount(path))
    denied(container, "echo more >>/data/inner/file")
    assert {name: label_of(f"{path}/{name}") for name in before} == before
    container = pod.run(SLEEP, mounts=mount(path, selinuxRelabel=True))
    container.output("sh", "-c", "echo more >>/data/inner/file && echo >/data/made")
    wanted = f"{FILE}:{level(container)}"
    for name in (*before, "made"):
        assert label_of(f"{path}/{name}") == wanted, (name, label_of(f"{path}/{name}"))
    assert label_of("/etc/shadow") == "system_u:object_r:shadow_t:s0"
    t.fails("InvalidArgument", "CreateContainer", {
        "podSandboxId": pod.id, "sandboxConfig": pod.config,
        "config": {"metadata": {"name": "refused"}, "command": SLEEP, "image": {"image": IMAGE},
                   "linux": {}, "mounts": mount("/etc", selinuxRelabel=True)}},
        part='config.mounts[0].selinux_relabel: "/etc" is the node\'s own')


def test_privileged(t):
    linux = {"securityContext": {"privileged": True}}
    pod = t.pod(linux=linux)
    secret = volume(t, "secret", "system_u:object_r:shadow_t:s0")
    container = pod.run(SLEEP, linux=linux, mounts=mount(secret, selinuxRelabel=True))
    assert domain(container) == "system_u:system_r:spc_t:s0"
    assert container.output("cat", "/data/inner/file") == "content\n"
    assert label_of(secret) == "system_u:object_r:shadow_t:s0"
    assert PAIR.match(level(pod.run(SLEEP)))


def test_what_is_not_known_is_refused(t):
    for pod in (None, t.pod()):
        refused(t, "InvalidArgument", f"{FIELD}.level: ", pod, level="c1")
        refused(t, "InvalidArgument", f'{FIELD}.level: the policy does not know "s7"', pod,
                level="s7")
        refused(t, "InvalidArgument", f'{FIELD}.level: the policy does not know "s0:c5000"', pod,
                level="s0:c5000")
        for part in ("user", "role", "type"):
            refused(t, "InvalidArgument", f'{FIELD}.{part}: the policy does not know "none_x"', pod,
                    **{part: "none_x"})
            refused(t, "InvalidArgument", f"{FIELD}.{part}: ", pod, **{part: "a b"})


def test_restart_of_the_service(t):
    pod = t.pod()
    container = pod.run(SLEEP)
    before = level(container)
    restart()
    assert level(container) == before
    assert level(pod.run(SLEEP)) == before
    other = t.pod().run(SLEEP)
    assert PAIR.match(level(other)) and level(other) != before


def test_user_namespaces(t):
    ids = [{"hostId": 300000, "containerId": 0, "length": 65536}]
    linux = {"securityContext": {"namespaceOptions": {
        "usernsOptions": {"mode": "POD", "uids": ids, "gids": ids}}}}
    container = t.pod(linux=linux).run(SLEEP, linux=linux)
    wanted = f"{FILE}:{level(container)}"
    container.output("sh", "-c", "echo made >/made; echo made >/dev/shm/made")
    for path in ("/", "/made", "/dev/null", "/dev/shm/made", "/etc/hosts"):
        assert label_of(inside(container, path)) == wanted, path


def test_daemon_and_helpers(t):
    """What the policy makes of a service that it does not know."""
    t.pod(linux={"securityContext": {"namespaceOptions": {"pid": "POD"}}}).run(SLEEP)
    shown = subprocess.run(["ps", "-eo", "label,comm"], capture_output=True, text=True,
                           check=True).stdout
    found = {tuple(line.split()) for line in shown.splitlines()
             if re.search(r"berth|stage|monitor|spawner|pause", line.split()[-1])}
    assert found and {label for label, _ in found} == {"system_u:system_r:initrc_t:s0"}, shown


def test_switched_off(t):
    pod = t.pod()
    container = pod.run(SLEEP)
    with settings('[selinux]\nmode = "off"\n'):
        assert level(container)
        free = t.pod(linux=asked(level="s0:c1,c2")).run(SLEEP)
        assert domain(free) == "system_u:system_r:initrc_t:s0"
        assert not label_of(inside(free, "/bin/busybox")).startswith(FILE)
        refused(t, "InvalidArgument", f"{FIELD}.level: ", pod, level="c1")
    assert level(pod.run(SLEEP)) == level(container)


def test_policy_without_the_contexts(t):
    """Debian's own policy names types for containers that it does not have."""
    with open(CONTEXTS, encoding="ascii") as f:
        text = f.read()
    kept = label_of(CONTEXTS)
    with open(CONTEXTS, "w", encoding="ascii") as f:
        f.write(text.replace("container_t", "none_t"))
    try:
        restart()
        assert domain(t.pod().run(SLEEP)) == "system_u:system_r:initrc_t:s0"
        log = subprocess.run(["journalctl", "-u", "berthd", "--no-pager", "-n", "50"],
                             capture_output=True, text=True, check=True).stdout
        assert "does not know" in log, log
    finally:
        with open(CONTEXTS, "w", encoding="ascii") as f:
            f.write(text)
        restart()
    assert label_of(CONTEXTS) == kept
