# SPDX-License-Identifier: Apache-2.0
"""GetContainerEvents: complete, in order, for everybody who listens."""

import os
import select
import signal

from harness import procs, wait
from harness.case import own_node

CREATED, STARTED, STOPPED, DELETED = (
    f"CONTAINER_{word}_EVENT" for word in ("CREATED", "STARTED", "STOPPED", "DELETED"))


def listen(t):
    return t.stream("GetContainerEvents").await_headers()


def expect(stream, *events):
    """Reads as many events as are given as (type, id); the last one."""
    event = None
    for kind, identity in events:
        event = stream.message()
        assert event is not None, stream.end
        assert (event["containerEventType"], event["containerId"]) == (kind, identity), event
    return event


def test_the_life_of_a_pod(t):
    listeners = [listen(t) for _ in range(3)]
    pod = t.pod(labels={"app": "web"}, annotations={"note": "x"})
    first = pod.run(["sh", "-c", "exit 7"])
    first.wait()
    second = pod.run(["sleep", "1000"])
    second.stop()
    first.remove()
    pod.stop()
    pod.remove()
    for stream in listeners:
        ready = expect(stream, (CREATED, pod.id), (STARTED, pod.id))
        status = ready["podSandboxStatus"]
        assert status["id"] == pod.id and status["state"] == "SANDBOX_READY", status
        assert status["network"]["ip"] and status["labels"] == {"app": "web"}, status
        assert status["annotations"] == {"note": "x"}, status
        assert int(ready["createdAt"]) >= int(status["createdAt"]) > 0, ready
        assert ready["containersStatuses"] == [], ready
        running = expect(stream, (CREATED, first.id), (STARTED, first.id))
        assert [s["state"] for s in running["containersStatuses"]] == ["CONTAINER_RUNNING"], running
        ended = expect(stream, (STOPPED, first.id))["containersStatuses"][0]
        assert ended["state"] == "CONTAINER_EXITED" and ended["exitCode"] == 7, ended
        assert ended["reason"] == "Error" and ended["imageRef"], ended
        both = expect(stream, (CREATED, second.id), (STARTED, second.id), (STOPPED, second.id))
        assert {s["id"]: s["exitCode"] for s in both["containersStatuses"]} == {
            first.id: 7, second.id: 137}, both
        left = expect(stream, (DELETED, first.id))
        assert [s["id"] for s in left["containersStatuses"]] == [second.id], left
        stopped = expect(stream, (STOPPED, pod.id))
        assert stopped["podSandboxStatus"]["state"] == "SANDBOX_NOTREADY", stopped
        gone = expect(stream, (DELETED, second.id), (DELETED, pod.id))
        assert gone["podSandboxStatus"]["id"] == pod.id, gone


def test_an_event_says_what_status_says(t):
    stream = listen(t)
    pod = t.pod()
    container = pod.run(["sleep", "1000"])
    event = expect(stream, (CREATED, pod.id), (STARTED, pod.id),
                   (CREATED, container.id), (STARTED, container.id))
    answer = t.call("PodSandboxStatus", {"podSandboxId": pod.id})
    assert event["podSandboxStatus"] == answer["status"], (event, answer)
    assert event["containersStatuses"] == [container.status], (event, container.status)


def test_a_failed_start_is_an_end(t):
    stream = listen(t)
    pod = t.pod()
    container = pod.create(["/no/such/program"])
    t.fails("NotFound|FailedPrecondition|Unknown|InvalidArgument", "StartContainer",
            {"containerId": container.id})
    event = expect(stream, (CREATED, pod.id), (STARTED, pod.id),
                   (CREATED, container.id), (STOPPED, container.id))
    status = event["containersStatuses"][0]
    assert (status["exitCode"], status["reason"]) == (128, "StartError"), status


@own_node()
def test_ends_while_the_daemon_was_down_are_told(t):
    pod = t.pod()
    ends = pod.run(["sleep", "1000"])
    stays = pod.run(["sleep", "1000"])
    before = listen(t)
    pid = ends.pid
    t.node.runtime.kill()
    told = before.message()
    assert told is None and before.end["code"] == "Unavailable", (told, before.end)
    os.kill(pid, signal.SIGKILL)
    t.node.runtime.start()
    event = expect(listen(t), (STOPPED, ends.id))
    states = {s["id"]: (s["state"], s["exitCode"]) for s in event["containersStatuses"]}
    assert states == {ends.id: ("CONTAINER_EXITED", 137), stays.id: ("CONTAINER_RUNNING", 0)}, event


@own_node()
def test_who_leaves_or_does_not_read_holds_nobody_up(t):
    fds = sorted(procs.fds_of(t.node.runtime.pid))
    quick, slow = listen(t), listen(t)
    slow.pause()
    for _ in range(10):
        listen(t).close()
    pod = t.pod()
    container = pod.run(["true"])
    container.wait()
    expect(quick, (CREATED, pod.id), (STARTED, pod.id), (CREATED, container.id),
           (STARTED, container.id), (STOPPED, container.id))
    slow.resume()
    expect(slow, (CREATED, pod.id), (STARTED, pod.id), (CREATED, container.id),
           (STARTED, container.id), (STOPPED, container.id))
    quick.close()
    slow.close()
    pod.remove()
    wait.until(lambda: len(procs.fds_of(t.node.runtime.pid)) <= len(fds), 20,
               "the daemon to close what was opened for listeners and the pod")


def test_crictl_shows_them(t):
    process = t.crictl.start("events", "--output", "json")
    try:
        def shown():
            t.pod()
            readable, _, _ = select.select([process.stdout], [], [], 0.5)
            return process.stdout.readline() if readable else None
        assert wait.until(shown, 20, "crictl to show an event").strip() == "{"
        rows = [process.stdout.readline() for _ in range(4)]
        assert any("CONTAINER_CREATED_EVENT" in row for row in rows), rows
    finally:
        process.kill()
        process.communicate()
