# SPDX-License-Identifier: Apache-2.0
"""What is answered about pods and containers, and that it stays the same."""

import itertools
import json
import os
import re
import signal
import time

from harness import wait
from harness.case import own_node
from harness.node import BUSYBOX

# Keys and values as nobody would choose them: they come back byte by byte.
ODD = {"io.kubernetes.container.ports": '[{"containerPort":80}]', "": "no key", "empty": "",
       "white": " \t\n", "umlaut.example/Straße": "größer 🐳", "nul": "a\u0000b", "long": "y" * 100000}


def test_runtime_version_is_semver(t):
    version = t.call("Version")
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", version["runtimeVersion"]), version


def told_everywhere(t, pod, container):
    """(what, labels and annotations) wherever the pod or the container is described."""
    def both(message):
        return message["labels"], message["annotations"]

    for method, key in (("ListPodSandbox", "items"), ("ListContainers", "containers")):
        yield method, both(t.call(method)[key][0])
    for method, key in (("StreamPodSandboxes", "podSandboxes"), ("StreamContainers", "containers")):
        yield method, both(t.call(method)[0][key][0])
    yield "PodSandboxStatus", both(pod.status)
    yield "ContainerStatus", both(container.status)
    for method in ("ListContainerStats", "ListPodSandboxStats"):
        yield method, both(t.call(method)["stats"][0]["attributes"])
    stats = t.call("PodSandboxStats", {"podSandboxId": pod.id})["stats"]
    yield "PodSandboxStats", both(stats["attributes"])
    yield "the containers of PodSandboxStats", both(stats["linux"]["containers"][0]["attributes"])


@own_node()
def test_labels_and_annotations_are_told_as_given(t):
    pod = t.pod(labels=ODD, annotations=ODD)
    container = pod.run(["sleep", "1000"], labels=ODD, annotations=ODD)
    for restarted in (False, True):
        if restarted:
            t.node.runtime.kill()
            t.node.runtime.start()
            t.node.connect()
        for what, told in told_everywhere(t, pod, container):
            assert told == (ODD, ODD), (what, restarted)
    events = t.stream("GetContainerEvents").await_headers()
    container.stop()
    event = events.message()
    assert event["podSandboxStatus"]["annotations"] == ODD, event
    assert event["containersStatuses"][0]["labels"] == ODD, event


def test_times_are_told_once_they_have_come(t):
    before = time.time_ns()
    pod = t.pod()
    container = pod.create(["sleep", "1000"])

    def times():
        status = container.status
        return [int(status[key]) for key in ("createdAt", "startedAt", "finishedAt")]

    created, started, finished = times()
    assert before < created < time.time_ns() and (started, finished) == (0, 0)
    # There is nothing to stop in what was not started, and it can still be.
    container.stop()
    assert times() == [created, 0, 0] and container.status["state"] == "CONTAINER_CREATED"
    container.start()
    _, started, finished = times()
    assert created <= started < time.time_ns() and finished == 0
    container.stop()
    assert times()[:2] == [created, started] and started <= times()[2] < time.time_ns()
    assert before < int(pod.status["createdAt"]) <= created


def test_info_is_told_on_request_only(t):
    pod = t.pod()
    container = pod.run(["sleep", "1000"])
    for method, request in (("Status", {}), ("PodSandboxStatus", {"podSandboxId": pod.id}),
                            ("ContainerStatus", {"containerId": container.id}),
                            ("ImageStatus", {"image": {"image": BUSYBOX}})):
        assert not t.call(method, request).get("info"), method
        info = t.call(method, dict(request, verbose=True))["info"]
        assert info and all(isinstance(json.loads(text), dict) for text in info.values()), info


def test_a_prefix_is_enough_in_every_field(t):
    pod, other = t.pod(), t.pod()
    container = pod.run(["sleep", "1000"])
    # The shortest that no other has.
    short = next(pod.id[:n] for n in range(1, 64) if not other.id.startswith(pod.id[:n]))
    for method, key in (("ListContainers", "containers"), ("ListContainerStats", "stats")):
        for field, value in (("id", container.id[:8]), ("podSandboxId", short)):
            assert len(t.call(method, {"filter": {field: value}})[key]) == 1, (method, field)
            none = {"filter": {field: value, "labelSelector": {"no": "such"}}}
            assert not t.call(method, none).get(key), (method, field)
    for method, key in (("ListPodSandbox", "items"), ("ListPodSandboxStats", "stats")):
        assert len(t.call(method, {"filter": {"id": short}})[key]) == 1, method
    t.call("PodSandboxStats", {"podSandboxId": short})
    t.call("UpdatePodSandboxResources", {"podSandboxId": short})
    assert t.call("PortForward", {"podSandboxId": short})["url"]
    for method, more in (("ContainerStats", {}), ("ReopenContainerLog", {}),
                         ("UpdateContainerResources", {"linux": {"cpuShares": "512"}}),
                         ("ExecSync", {"cmd": ["true"]}), ("Attach", {"stdout": True}),
                         ("Exec", {"cmd": ["true"], "stdout": True}), ("StopContainer", {}),
                         ("RemoveContainer", {})):
        t.call(method, dict(more, containerId=container.id[:12]))
    t.call("StopPodSandbox", {"podSandboxId": short})
    t.call("RemovePodSandbox", {"podSandboxId": short})
    assert [p["id"] for p in t.call("ListPodSandbox")["items"]] == [other.id]


@own_node(config="[handlers.runc]\nruntime_path = '/usr/sbin/runc'\n")
def test_limits_may_change_before_the_start(t):
    """By berth itself and by another OCI runtime, which sets limits once more."""
    for handler, restarted in itertools.product(("", "runc"), (False, True)):
        t.handler = handler
        pod = t.pod()
        container = pod.create(["sleep", "1000"], linux={"resources": {
            "cpuPeriod": "100000", "cpuQuota": "50000", "memoryLimitInBytes": str(64 << 20)}})
        t.call("UpdateContainerResources", {
            "containerId": container.id, "linux": {"memoryLimitInBytes": str(32 << 20)}})
        if restarted:
            t.node.runtime.kill()
            t.node.runtime.start()
            t.node.connect()
        container.start()
        linux = container.status["resources"]["linux"]
        assert (linux["memoryLimitInBytes"], linux["cpuQuota"]) == (str(32 << 20), "50000"), linux
        found = container.output("sh", "-c",
                                 "cat /sys/fs/cgroup/memory.max 2>/dev/null || "
                                 "cat /sys/fs/cgroup/memory/memory.limit_in_bytes")
        assert found.strip() == str(32 << 20), found
        found = container.output("sh", "-c",
                                 "cat /sys/fs/cgroup/cpu.max 2>/dev/null || "
                                 "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us")
        assert found.split()[0] == "50000", found


@own_node()
def test_out_of_memory_while_nobody_watches(t):
    container = t.pod().run(
        ["sh", "-c", "read x; x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"], stdin=True,
        linux={"resources": {"memoryLimitInBytes": str(32 << 20)}})
    pid = container.pid
    # Its input outlives the daemon.
    with open(f"/proc/{pid}/fd/0", "wb", buffering=0) as pipe:
        t.node.runtime.kill()
        pipe.write(b"go\n")
    wait.until(lambda: not os.path.exists(f"/proc/{pid}"), 60, "the container to be killed")
    t.node.runtime.start()
    t.node.connect()
    status = container.status
    assert (status["reason"], status["exitCode"]) == ("OOMKilled", 137), status


@own_node(config=f'[images]\npinned = ["{BUSYBOX}"]\n')
def test_a_pinned_image_is_removed_on_request(t):
    image = t.call("ImageStatus", {"image": {"image": BUSYBOX}})["image"]
    assert image["pinned"] is True, image
    t.call("RemoveImage", {"image": {"image": BUSYBOX}})
    assert not t.call("ImageStatus", {"image": {"image": BUSYBOX}}).get("image")
    t.call("PullImage", {"image": {"image": BUSYBOX}})


def test_log_content_is_raw(t):
    container = t.pod().run(["printf", r"carriage\r\n\000nul\377\n\n tail"])
    container.wait()
    assert container.log_lines() == [
        (b"stdout", b"F", b"carriage\r"), (b"stdout", b"F", b"\0nul\xff"), (b"stdout", b"F", b""),
        (b"stdout", b"P", b" tail")]


def test_without_a_log_path_output_is_drained(t):
    pod = t.pod()
    for config in ({"logPath": ""}, {}):
        status = pod.run(["sh", "-c", "head -c 10000000 /dev/zero; exit 9"], **config).wait()
        assert status["exitCode"] == 9, status
        assert bool(status["logPath"]) == (not config), status
    bare = t.pod(logDirectory="")
    assert bare.run(["sh", "-c", "seq 1 100000; exit 9"]).wait()["exitCode"] == 9


def test_the_log_file_stays_when_its_container_goes(t):
    container = t.pod().run(["echo", "text"])
    container.wait()
    os.rename(container.log_path, container.log_path + ".1")
    t.fails("FailedPrecondition", "ReopenContainerLog", {"containerId": container.id})
    assert not os.path.exists(container.log_path), "a log that nobody writes"
    os.rename(container.log_path + ".1", container.log_path)
    container.remove()
    assert container.log_text() == "text\n"


def test_without_stdin_the_input_is_empty(t):
    container = t.host_pod().run(["sh", "-c", "readlink /proc/self/fd/0; cat; echo end"])
    assert container.wait().get("exitCode", 0) == 0
    assert container.log_text() == "/dev/null\nend\n"


def test_once_does_not_close_a_terminal(t):
    """stdin_once closes the input of a container without a terminal only."""
    container = t.host_pod().run(
        ["sh", "-c", "while read x; do echo got $x; done; echo end; exec sleep 1000"],
        stdin=True, stdinOnce=True, tty=True)
    for number in (b"1", b"2"):
        client = t.crictl.open("attach", "-i", container.id, stdin=-1)
        client.stdin.write(number + b"\n")
        client.stdin.flush()
        lines = [client.stdout.readline(), client.stdout.readline()]
        assert b"got " + number + b"\r\n" in lines, lines
        client.kill()
        client.communicate()
    assert "end" not in container.log_text()


def test_attach_follows_the_containers_terminal(t):
    """Whatever the client says of it: with a terminal there is one stream."""
    container = t.host_pod().run(["sh", "-c", "read x; echo out; echo err >&2; sleep 1000"],
                                 stdin=True, tty=True)
    client = t.crictl.open("attach", "-i", container.id, stdin=-1)
    client.stdin.write(b"go\n")
    client.stdin.flush()
    seen = b"".join(client.stdout.readline() for _ in range(3))
    assert b"out\r\n" in seen and b"err\r\n" in seen, seen
    client.send_signal(signal.SIGKILL)
    client.communicate()
