# SPDX-License-Identifier: Apache-2.0
"""ContainerConfig but for mounts and limits: every field does what it says."""

import base64
import signal

from cases.hostile_layers import busybox_tar
from cases.pulls import pulled
from harness import wait
from harness.node import BUSYBOX
from oci import Tree


def refused(t, pod, part, code="InvalidArgument", **config):
    before = t.call("ListContainers")
    message = t.fails(code, "CreateContainer", {
        "podSandboxId": pod.id, "sandboxConfig": pod.config,
        "config": dict({"metadata": {"name": "bad"}, "image": {"image": t.busybox}, "linux": {},
                        "command": ["true"]}, **config)}, part=part)
    assert t.call("ListContainers") == before, message
    return message


def value(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def image_with(t, registry, name, tree=None, **config):
    """busybox with more files and another configuration."""
    layers = [registry.layout.layer(busybox_tar(t))]
    return registry.image(name, (tree or Tree()).done(), base=layers, config=config)


def test_command_and_arguments(t):
    with t.registry() as registry:
        reference = image_with(t, registry, "args", Entrypoint=["echo", "entry"], Cmd=["cmd"])
        pulled(t, reference)
    pod = t.pod()
    for config, said in (({}, "entry cmd"), ({"args": ["a", ""]}, "entry a "),
                         ({"command": ["echo"]}, ""), ({"command": ["echo"], "args": ["x"]}, "x")):
        container = pod.run(config.pop("command", ()), image=reference, **config)
        container.wait()
        assert container.log_text() == said + "\n", (said, container.log_text())
        container.remove()
    refused(t, pod, "config.command[0]", command=[""])
    refused(t, pod, "config.command[1]", command=["echo", "a\0b"])


def test_environment(t):
    with t.registry() as registry:
        reference = image_with(t, registry, "env", Env=["A=image", "B=image", "PATH=/bin:/x"],
                               Cmd=["sleep", "1000"])
        pulled(t, reference)
    container = t.pod(hostname="h").run(image=reference, envs=[
        {"key": "A", "value": value("first")}, {"key": "A", "value": value("second")},
        {"key": "RAW", "value": value(b"\xff\xfe\n=")}, {"key": "EMPTY", "value": ""}])
    with open(f"/proc/{container.pid}/environ", "rb") as f:
        rows = f.read().split(b"\0")[:-1]
    assert sorted(rows) == sorted([
        b"PATH=/bin:/x", b"HOSTNAME=h", b"HOME=/root", b"A=second", b"B=image",
        b"RAW=\xff\xfe\n=", b"EMPTY="]), rows
    assert container.output("sh", "-c", "echo $A$B$HOME") == "secondimage/root\n"
    pod = t.pod()
    plain = pod.run(["sleep", "1000"], tty=True)
    shown = plain.output("env").splitlines()
    assert "TERM=xterm" in shown, shown
    assert any(row.startswith("PATH=/usr/local/sbin:") for row in shown), shown
    plain.remove()
    for key in ("", "A=B", "A\0"):
        refused(t, pod, "config.envs[0].key", envs=[{"key": key, "value": ""}])
    refused(t, pod, "config.envs[0].value", envs=[{"key": "A", "value": value(b"a\0b")}])
    refused(t, pod, "config.envs[0].value", envs=[{"key": "A", "value": value("x" * (128 << 10))}])


def test_working_directory(t):
    tree = Tree().dir("app").symlink("link", "/app").symlink("up", "../../..")
    with t.registry() as registry:
        reference = image_with(t, registry, "cwd", tree, WorkingDir="/app", Cmd=["pwd", "-P"])
        pulled(t, reference)
    pod = t.pod()
    for asked, found in (("", "/app"), ("/made/for/it", "/made/for/it"), ("relative", "/relative"),
                         ("/link/sub", "/app/sub"), ("/up/etc", "/etc"), ("/tmp/../opt", "/opt")):
        for root in (False, True):
            container = pod.run(image=reference, workingDir=asked,
                                linux={"securityContext": {"readonlyRootfs": root}})
            assert container.wait().get("exitCode", 0) == 0, container.log_text()
            assert container.log_text() == found + "\n", (asked, container.log_text())
            container.remove()
    refused(t, pod, "config.working_dir", workingDir="/" + "x" * 4096)


def test_image_by_any_name(t):
    pod = t.pod()
    status = t.call("ImageStatus", {"image": {"image": t.busybox}})["image"]
    for asked in (t.busybox, status["id"], status["id"].removeprefix("sha256:")[:12],
                  status["repoDigests"][0]):
        container = pod.create(["true"], image=asked)
        found = container.status
        assert found["imageId"] == status["id"], found
        assert found["imageRef"] == status["repoDigests"][0], found
        container.remove()
    answer = t.call("CreateContainer", {
        "podSandboxId": pod.id, "sandboxConfig": pod.config,
        "config": {"metadata": {"name": "named"}, "linux": {}, "command": ["true"],
                   "image": {"image": status["id"], "userSpecifiedImage": "shown/name:1"}}})
    found = t.call("ContainerStatus", answer)["status"]
    assert found["image"]["image"] == "shown/name:1", found
    t.call("RemoveContainer", answer)
    refused(t, pod, "example.test/none", code="NotFound", image={"image": "example.test/none:1"})


def test_stop_signals(t):
    """The request's signal, else the image's, else SIGTERM; the status tells which."""
    shell = ["sh", "-c", "for s in TERM USR1 USR2; do trap \"echo $s; exit 7\" $s; done; "
             "echo up; while :; do sleep 0.02; done"]
    with t.registry() as registry:
        reference = image_with(t, registry, "signal", StopSignal="SIGUSR1")
        odd = image_with(t, registry, "odd", StopSignal="SIGNONSENSE")
        for name in (reference, odd):
            pulled(t, name)
    pod = t.pod()
    for image, asked, sent in ((t.busybox, None, "TERM"), (reference, None, "USR1"),
                               (reference, "SIGNAL_SIGUSR2", "USR2"),
                               (reference, "SIGNAL_RUNTIME_DEFAULT", "USR1")):
        config = {"stopSignal": asked} if asked else {}
        container = pod.run(shell, image=image, **config)
        assert container.status["stopSignal"] == "SIGNAL_SIG" + sent, container.status
        wait.until(lambda: container.log_text() == "up\n", 10, "the traps")
        container.stop(timeout=60)
        assert container.status["exitCode"] == 7, container.status
        assert container.log_text() == f"up\n{sent}\n", container.log_text()
    realtime = pod.run(["sh", "-c", "trap 'exit 9' 37; echo up; while :; do sleep 0.02; done"],
                       stopSignal="SIGNAL_SIGRTMINPLUS3")
    wait.until(lambda: realtime.log_text() == "up\n", 10, "the trap")
    realtime.stop(timeout=60)
    assert realtime.status["exitCode"] == 9, realtime.status
    pod = t.pod()
    for image, asked, part in ((odd, None, "SIGNONSENSE"), (odd, 99, "config.stop_signal")):
        config = {"stopSignal": asked} if asked else {}
        t.fails("InvalidArgument", "CreateContainer", {
            "podSandboxId": pod.id, "sandboxConfig": pod.config,
            "config": dict({"metadata": {"name": "bad"}, "image": {"image": image}, "linux": {}},
                           **config)}, part=part)


def test_stop_is_sent_once_and_can_be_shortened(t):
    container = t.pod().run(["sh", "-c", "trap 'echo term' TERM; echo up; "
                             "while :; do sleep 0.02; done"])
    wait.until(lambda: container.log_text() == "up\n", 10, "the trap")
    request = {"containerId": container.id, "timeout": "600"}
    first = t.background_raw("StopContainer", request)
    wait.until(lambda: container.log_text() == "up\nterm\n", 10, "the signal")
    # Others wait as long as they like: nothing is sent again, and the shortest wait counts.
    second = t.background_raw("StopContainer", dict(request, timeout="500"))
    assert container.status["state"] == "CONTAINER_RUNNING"
    container.stop(timeout=1)
    assert container.status["exitCode"] == 128 + signal.SIGKILL, container.status
    assert container.log_text() == "up\nterm\n", container.log_text()
    for waiter in (first, second):
        waiter.wait(timeout=20)


def test_standard_input_is_empty_unless_asked_for(t):
    pod = t.pod()
    closed = pod.run(["sh", "-c", "cat; echo end"])
    assert closed.wait().get("exitCode", 0) == 0 and closed.log_text() == "end\n"
    held = pod.run(["sh", "-c", "echo up; cat; echo end"], stdin=True)
    wait.until(lambda: held.log_text() == "up\n", 10, "the container to be up")
    assert held.status["state"] == "CONTAINER_RUNNING"


def test_resource_classes_are_refused(t):
    """Who asks for a guarantee that this node does not give."""
    pod = t.pod(annotations={"rdt.resources.beta.kubernetes.io/container.gold": "gold"})
    config = {"metadata": {"name": "gold"}, "image": {"image": BUSYBOX}, "command": ["sleep", "9"]}
    t.fails("FailedPrecondition", "CreateContainer", {
        "podSandboxId": pod.id, "config": config, "sandboxConfig": pod.config},
        part="rdt.resources.beta.kubernetes.io/container.gold")
    config["metadata"]["name"] = "plain"
    config["annotations"] = {"io.kubernetes.cri.blockio-class": "slow"}
    t.fails("FailedPrecondition", "CreateContainer", {
        "podSandboxId": pod.id, "config": config, "sandboxConfig": pod.config},
        part="io.kubernetes.cri.blockio-class")
