# SPDX-License-Identifier: Apache-2.0
"""Runtime handlers: named profiles of the configuration that pods choose."""

import json
import os
import subprocess

from cases.fields_image_volumes import data_image, volume
from cases.pulls import pulled
from harness import wait
from harness.case import own_node

HARDENED = """
[handlers.hardened]
capabilities = ["CHOWN"]
sysctls = { "net.core.somaxconn" = "99" }
pod_annotations = ["io.example.*"]
cgroup_writable = true
"""


def capabilities(container):
    """The capability bits of the container's first process."""
    status = container.output("cat", "/proc/self/status")
    return next(int(line.split()[1], 16) for line in status.splitlines()
                if line.startswith("CapBnd:"))


@own_node(config=HARDENED)
def test_profile_applies_to_its_pods_only(t):
    plain = t.pod().run(["sleep", "1000"])
    t.handler = "hardened"
    pod = t.pod(annotations={"io.example.team": "red", "private": "x"})
    hardened = pod.run(["sleep", "1000"])
    assert pod.status["runtimeHandler"] == "hardened"
    assert capabilities(hardened) == 1 << 0, hex(capabilities(hardened))
    assert capabilities(plain) != capabilities(hardened)
    somaxconn = "/proc/sys/net/core/somaxconn"
    assert hardened.output("cat", somaxconn) == "99\n"
    assert plain.output("cat", somaxconn) != "99\n"
    info = t.call("ContainerStatus", {"containerId": hardened.id, "verbose": True})["info"]
    annotations = json.loads(info["info"])["runtimeSpec"]["annotations"]
    assert annotations["io.example.team"] == "red" and "private" not in annotations, annotations
    mounts = {line.split()[1]: line.split()[3].split(",")
              for line in hardened.output("cat", "/proc/mounts").splitlines()}
    assert "rw" in mounts["/sys/fs/cgroup"], mounts["/sys/fs/cgroup"]


@own_node(config=HARDENED)
def test_pod_setting_wins_over_the_profile(t):
    t.handler = "hardened"
    pod = t.pod(linux={"sysctls": {"net.core.somaxconn": "77"}})
    container = pod.run(["sleep", "1000"], linux={
        "securityContext": {"capabilities": {"addCapabilities": ["KILL"]}}})
    assert container.output("cat", "/proc/sys/net/core/somaxconn") == "77\n"
    assert capabilities(container) == (1 << 0) | (1 << 5), hex(capabilities(container))


@own_node(config=HARDENED + "[handlers.runc]\ncapabilities = []\n")
def test_names(t):
    """Aliases mean the default unless they are defined; others are refused by name."""
    handlers = [h["name"] for h in t.call("Status")["runtimeHandlers"]]
    assert sorted(handlers) == ["", "berth", "crun", "hardened", "runc"], handlers
    t.handler = "crun"
    assert capabilities(t.pod().run(["sleep", "1000"])) != 0
    t.handler = "runc"
    assert capabilities(t.pod().run(["sleep", "1000"])) == 0
    t.fails("InvalidArgument", "RunPodSandbox",
            {"config": t.pod_config(), "runtimeHandler": "kata"}, part="kata")


def test_bad_profile_is_refused_by_the_check(t):
    path = f"{t.tmp}/config.toml"
    for text, part in [("[handlers.a]\nfoo = 1\n", ":2: handlers.a.foo: unknown key"),
                       ("[handlers.a]\ncapabilities = ['FLY']\n", "handlers.a.capabilities"),
                       ("[handlers.a]\nseccomp_profile = '/no/such'\n",
                        "handlers.a.seccomp_profile"),
                       ("[handlers.a]\nruntime_path = '/no/such'\n",
                        "handlers.a.runtime_path: \"/no/such\": No such file"),
                       ("[handlers.a]\nruntime_path = '/usr/sbin'\n",
                        "handlers.a.runtime_path: \"/usr/sbin\": Is a directory"),
                       ("[handlers.a]\nruntime_path = '/etc/passwd'\n",
                        "handlers.a.runtime_path: \"/etc/passwd\": Permission denied"),
                       ("default_handler = 'kata'\n", "no [handlers.kata]")]:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        check = subprocess.run([t.tools["berthd"], "config", "check", "--config", path],
                               capture_output=True, text=True, check=False)
        assert check.returncode == 1 and part in check.stderr, check


EXTERNAL = "[handlers.runc]\nruntime_path = '/usr/sbin/runc'\n"


@own_node(config=EXTERNAL)
def test_external_runtime(t):
    """Debian's runc makes the containers of one handler; everything else is as ever."""
    own = t.pod().run(["sleep", "1000"])
    t.handler = "runc"
    pod = t.pod()
    container = pod.run(["sh", "-c", "echo out; echo err >&2; exit 5"])
    status = container.wait()
    assert status["exitCode"] == 5 and status["reason"] == "Error", status
    assert sorted(container.log_lines()) == [(b"stderr", b"F", b"err"), (b"stdout", b"F", b"out")]

    shell = "trap 'exit 3' TERM; touch /dev/shm/mine; echo ready; while :; do sleep 0.05; done"
    container = pod.run(["sh", "-c", shell])
    wait.until(lambda: "ready" in container.log_text(), 10, "the container to be ready")
    assert container.exec("sh", "-c", "echo hi; exit 4") == (4, "hi\n", "")
    # The pod's namespaces and shared memory are the same as those of berth's own containers.
    info = t.call("PodSandboxStatus", {"podSandboxId": pod.id, "verbose": True})["info"]["info"]
    assert os.path.samefile(json.loads(info)["netnsPath"], f"/proc/{container.pid}/ns/net")
    assert container.output("ls", "/dev/shm") == "mine\n"
    container.stop(timeout=10)
    assert container.status["exitCode"] == 3, container.status

    killed = pod.run(["sleep", "1000"])
    killed.stop()
    assert killed.status["exitCode"] == 137, killed.status
    assert own.output("echo", "alive") == "alive\n"


@own_node(config=EXTERNAL)
def test_external_runtime_over_a_restart(t):
    t.handler = "runc"
    pod = t.pod()
    container = pod.run(["sh", "-c", "trap 'exit 6' TERM; while :; do sleep 0.05; done"])
    pid = container.pid
    t.node.runtime.kill()
    t.node.runtime.start()
    t.node.connect()
    assert container.pid == pid
    assert container.output("echo", "alive") == "alive\n"
    container.stop(timeout=10)
    assert container.status["exitCode"] == 6, container.status


@own_node(config=EXTERNAL)
def test_external_runtime_refusals(t):
    t.handler = "runc"
    pod = t.pod()
    t.fails("Unimplemented", "CreateContainer", {
        "podSandboxId": pod.id, "sandboxConfig": pod.config,
        "config": {"metadata": {"name": "tty"}, "image": {"image": t.busybox}, "tty": True,
                   "linux": {}}}, part="terminal")
    container = pod.create(["/no/such/program"])
    t.fails("Internal|NotFound", "StartContainer", {"containerId": container.id},
            part="/no/such/program")
    status = container.status
    assert status["reason"] == "StartError" and status["exitCode"] == 128, status


@own_node(config=EXTERNAL)
def test_external_runtime_oom(t):
    t.handler = "runc"
    pod = t.pod()
    status = pod.run(["dd", "if=/dev/zero", "of=/dev/null", "bs=200M"], linux={
        "resources": {"memoryLimitInBytes": 16 << 20}}).wait()
    assert (status["reason"], status["exitCode"]) == ("OOMKilled", 137), status
    killed = pod.run(["sleep", "1000"], linux={"resources": {"memoryLimitInBytes": 16 << 20}})
    killed.stop()
    status = killed.status
    assert (status["reason"], status["exitCode"]) == ("Error", 137), status


@own_node(config=EXTERNAL)
def test_external_runtime_image_volumes(t):
    """Also over a restart of the daemon; nothing stays of them."""
    with t.registry() as registry:
        reference = data_image(registry)
        pulled(t, reference)
    t.handler = "runc"
    pod = t.pod()
    mounts = [volume(reference), volume(reference, "/file", imageSubPath="sub/inner",
                                        mountOptions=["noexec"])]
    waiting = pod.create(["sleep", "1000"], mounts=mounts)
    running = pod.run(["sleep", "1000"], mounts=mounts)
    t.fails("NotFound", "CreateContainer", {
        "podSandboxId": pod.id, "sandboxConfig": pod.config,
        "config": {"metadata": {"name": "bad"}, "image": {"image": t.busybox}, "linux": {},
                   "command": ["true"], "mounts": [volume(reference, imageSubPath="none")]}},
            part="sub path")
    t.node.runtime.kill()
    t.node.runtime.start()
    t.node.connect()
    waiting.start()
    for container in (waiting, running):
        assert container.output("cat", "/data/top", "/data/second", "/file") == "topsecondinner"
        code, _, err = container.exec("touch", "/data/new")
        assert code != 0 and "Read-only" in err, err
    waiting.remove()
    assert running.output("cat", "/data/sub/inner") == "inner"


WRONG = """
[handlers.failing]
runtime_path = '/bin/false'
[handlers.other]
runtime_path = '/bin/ls'
"""


@own_node(config=WRONG)
def test_external_runtime_that_is_none(t):
    """The message names the program and says what it said."""
    for handler, part in (("failing", "/bin/false: ended with exit code 1"),
                          ("other", "unrecognized option '--root'")):
        t.handler = handler
        container = t.pod().create(["true"])
        message = t.fails("Internal", "StartContainer", {"containerId": container.id}, part=part)
        status = container.status
        assert status["reason"] == "StartError" and status["message"] in message, status
