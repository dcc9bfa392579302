# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of the daemon, of a pod's monitor, of the spawner, and of several of them, while
containers write and end.

Each container must run on, each exit code be true, each line be in the log once."""

import os
import random
import signal
import time

from harness import procs, wait
from harness.case import own_node

WRITER = "i=0; while :; do i=$((i+1)); echo $i; done"
ROUNDS = 3


def check_log(container):
    """Full lines are 1, 2, 3, ... without a gap or a repetition; the number of lines."""
    count, begun = 0, b""
    with open(container.log_path, "rb") as f:
        for row in f:
            assert row.endswith(b"\n"), f"the log ends within a line, after line {count}"
            _, _, tag, content = row[:-1].split(b" ", 3)
            begun += content
            if tag == b"P":
                continue
            assert begun == b"%d" % (count + 1), f"line {begun!r} follows line {count} in the log"
            count, begun = count + 1, b""
    return count


def log_size(container):
    return os.path.getsize(container.log_path)


class Load:
    """Pods with a writer and some containers that end with random codes at random times."""

    def __init__(self, t, pods=2):
        self.writers, self.enders = [], []
        self.pods = [t.pod() for _ in range(pods)]
        for pod in self.pods:
            self.writers.append(pod.run(["sh", "-c", WRITER]))
            for _ in range(4):
                code, delay = random.randrange(256), random.uniform(0, 2)
                ender = pod.run(["sh", "-c", f"sleep {delay:.2f}; exit {code}"])
                self.enders.append((ender, code))
        # The parent of a container's first process is its pod's monitor.
        self.monitors = [procs.parent_of(writer.pid) for writer in self.writers]
        assert t.node.runtime.pid not in self.monitors and 1 not in self.monitors, self.monitors
        self.pids = [writer.pid for writer in self.writers]

    def check(self, t):
        listed = {c["id"]: c for c in t.call("ListContainers")["containers"]}
        for writer, pid in zip(self.writers, self.pids):
            assert listed[writer.id]["state"] == "CONTAINER_RUNNING", listed[writer.id]
            assert writer.pid == pid, "the container's process is another one"
            assert writer.output("echo", "in") == "in\n"
            size = log_size(writer)
            wait.until(lambda: log_size(writer) > size, 5, "the writer's log to grow")
        for ender, code in self.enders:
            status = ender.wait(20)
            assert status.get("exitCode", 0) == code, (code, status)
        for writer in self.writers:
            writer.stop()
            assert writer.status["exitCode"] == 137, writer.status
        for writer in self.writers:
            assert check_log(writer) > 100


def spawners():
    return [pid for pid in procs.pids() if procs.name_of(pid) == "berth-spawner"]


def kill_and_check(t, daemon, monitors, spawner=False, rest=()):
    for _ in range(ROUNDS):
        load = Load(t)
        time.sleep(random.uniform(0, 0.5))  # the moment of the kill is to be any moment
        victims = [t.node.runtime.pid] if daemon else []
        victims += load.monitors if monitors else []
        victims += spawners() if spawner else []
        assert len(victims) >= daemon + monitors + spawner, victims
        random.shuffle(victims)
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        if daemon:
            t.node.runtime.kill()
            time.sleep(random.uniform(0, 1))  # containers end while no daemon is there
            t.node.runtime.start()
            t.node.connect()
        load.check(t)
        for pod in load.pods:
            pod.stop()
            pod.remove()
        left = t.call("ListContainers").get("containers", [])
        assert [c["id"] for c in left] == list(rest), left


@own_node()
def test_daemon(t):
    kill_and_check(t, daemon=True, monitors=False)


@own_node()
def test_monitors(t):
    kill_and_check(t, daemon=False, monitors=True)


@own_node()
def test_daemon_and_monitors(t):
    kill_and_check(t, daemon=True, monitors=True)


@own_node()
def test_spawner(t):
    kill_and_check(t, daemon=False, monitors=False, spawner=True)


@own_node()
def test_daemon_and_spawner(t):
    """What only these two kept, monitors hold as well: a new container of an old pod finds the
    pod's shared memory."""
    pod = t.pod()
    keeper = pod.run(["sh", "-c", "echo kept > /dev/shm/note; sleep 1000"])
    wait.until(lambda: keeper.output("cat", "/dev/shm/note") == "kept\n", 5, "the note")
    kill_and_check(t, daemon=True, monitors=False, spawner=True, rest=[keeper.id])
    assert pod.run(["cat", "/dev/shm/note"]).wait().get("exitCode", 0) == 0


@own_node()
def test_orderly_restart(t):
    """SIGTERM: the daemon ends by itself, and everything else goes on."""
    load = Load(t)
    assert t.node.runtime.stop() == 0
    t.node.runtime.start()
    t.node.connect()
    load.check(t)


@own_node()
def test_nobody_sees_a_refusal(t):
    """The listening socket outlives the daemon: a call made meanwhile waits for the next one."""
    t.node.runtime.kill()
    process = t.crictl.start("version")
    t.node.runtime.start()
    assert process.wait(20) == 0, process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    t.node.connect()


def restart_and_reap(t, client):
    """A new daemon; then the end of a client of the old one. In this order: what connected to the
    kept socket before it was killed waits for the next daemon, and the call may succeed there."""
    t.node.runtime.start()
    t.node.connect()
    client.wait()


@own_node()
def test_operations_cut_short(t):
    """The daemon is killed in the middle of creates and removals: afterwards everything that was
    asked for again works, and what was removed is gone."""
    for _ in range(8):
        config = t.pod_config()
        process = t.background_raw("RunPodSandbox", {"config": config})
        time.sleep(random.uniform(0, 0.02))
        t.node.runtime.kill()
        restart_and_reap(t, process)
        pod = t.call("RunPodSandbox", {"config": config})["podSandboxId"]
        assert t.call("PodSandboxStatus", {"podSandboxId": pod})["status"]["state"] == \
            "SANDBOX_READY"
        process = t.background_raw("StopPodSandbox", {"podSandboxId": pod})
        time.sleep(random.uniform(0, 0.02))
        t.node.runtime.kill()
        restart_and_reap(t, process)
        t.call("StopPodSandbox", {"podSandboxId": pod})
        t.call("RemovePodSandbox", {"podSandboxId": pod})
    assert not t.call("ListPodSandbox").get("items")


@own_node()
def test_pull_cut_short(t):
    """After a kill in the middle of a pull the image is there whole, or not at all."""
    image = {"image": {"image": "registry.k8s.io/e2e-test-images/nginx:1.14-2"}}
    for _ in range(8):
        process = t.background_raw("PullImage", image)
        time.sleep(random.uniform(0, 0.3))
        t.node.runtime.kill()
        restart_and_reap(t, process)
        if "image" in t.call("ImageStatus", image):
            container = t.pod().run(["nginx", "-v"], image=image["image"]["image"])
            assert container.wait().get("exitCode", 0) == 0
            t.clean()
        t.call("RemoveImage", image)
