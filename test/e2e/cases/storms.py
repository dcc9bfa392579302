# SPDX-License-Identifier: Apache-2.0
"""Many bad clients at once: nothing grows, nothing is left."""

import json
import os
import re
import subprocess

from harness import procs, wait
from harness.case import own_node


def resources(pid):
    """(descriptors, threads, resident kB) of a process."""
    status = procs.read(f"/proc/{pid}/status")
    return (len(os.listdir(f"/proc/{pid}/fd")),
            int(re.search(r"^Threads:\s+(\d+)", status, re.MULTILINE)[1]),
            int(re.search(r"^VmRSS:\s+(\d+)", status, re.MULTILINE)[1]))


def storm(t, *arguments):
    result = subprocess.run(
        [t.tools["cristorm"], "-socket", t.node.runtime.socket, *map(str, arguments)],
        capture_output=True, text=True, timeout=500, check=False)
    assert result.returncode == 0, result.stderr[-2000:] + result.stdout
    return result.stdout


@own_node()
def test_ten_thousand_streams(t):
    # A pod has 128 execs at once.
    containers = [t.host_pod().run(["sleep", "1000"]) for _ in range(4)]
    chatty = t.host_pod().run(["sh", "-c", "while true; do echo tick; sleep 0.05; done"])
    pid = t.node.runtime.pid

    def rain(count):
        storm(t, "-containers", ",".join(c.id for c in containers), "-attach", chatty.id,
              "-count", count, "-parallel", 200)

    rain(2000)

    def settled(fds, threads):
        now = resources(pid)
        return now if now[0] <= fds and now[1] <= threads else None

    # Threads of a burst end some seconds after it.
    before = wait.until(lambda: settled(200, 60), 40, f"the first storm to settle: {resources(pid)}")
    rain(8000)
    after = wait.until(lambda: settled(before[0], before[1] + 2), 40,
                       f"descriptors and threads to fall: {before} then {resources(pid)}")
    assert after[2] <= before[2] * 1.2 + 4096, (before, after)
    for container in containers:
        assert container.output("echo", "well").strip() == "well"
        # Of all those processes nothing is left.
        wait.until(lambda c=container: len(c.output("ps").splitlines()) < 10, 20,
                   "the execs to be gone: " + container.output("ps")[-500:])


@own_node()
def test_cancelled_calls(t):
    config = t.pod_config()
    t.call("PullImage", {"image": {"image": t.busybox}})
    pid = t.node.runtime.pid
    storm(t, "-mode", "cancel", "-pod", json.dumps(config), "-image", t.busybox, "-count", 50,
          "-parallel", 8)
    t.clean()
    before = resources(pid)
    storm(t, "-mode", "cancel", "-pod", json.dumps(config), "-image", t.busybox, "-count", 400,
          "-parallel", 8)
    # What the cancelled calls had made is there to be listed and removed, all of it.
    t.clean()
    wait.until(lambda: resources(pid)[0] <= before[0], 20,
               f"descriptors: {before} then {resources(pid)}")
    assert t.call("ListPodSandbox").get("items", []) == []
    assert t.call("ListContainers").get("containers", []) == []
