#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times and memory of runtimes side by side; hack/bench is its front door."""

import argparse
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../hack/images"))
sys.dont_write_bytecode = True
from harness import place, procs  # noqa: E402
from harness.node import BUSYBOX, Node  # noqa: E402
from harness.runtimes import Containerd  # noqa: E402

PULLED = "registry.k8s.io/e2e-test-images/nginx:1.14-2"
ORDER = ("RunPodSandbox", "CreateContainer", "StartContainer", "ExecSync", "ListContainers",
         "StopContainer", "RemoveContainer", "StopPodSandbox", "RemovePodSandbox", "PullImage",
         "RemoveImage")
STREAMS = ("exec: first byte (ms)", "exec: the client's part (ms)", "exec: the rest (ms)",
           "exec: whole (ms)", "exec: output (MiB/s)", "exec: input (MiB/s)",
           "port-forward (MiB/s)")
LISTS = ("ListPodSandbox", "ListPodSandbox, undecoded", "ListPodSandbox, from memory",
         "ListContainers", "ListContainers, undecoded", "ListContainers, from memory",
         "ListContainerStats", "ListPodSandboxStats", "Status, after a second", "kill to event")
WORKLOAD = "sleep"


def quantile(values, q):
    """The smallest value that at least the share q of all does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * q // 100) - 1)]


def pss_kib(pid):
    match = re.search(r"^Pss:\s+(\d+) kB", procs.read(f"/proc/{pid}/smaps_rollup"), re.MULTILINE)
    return int(match[1]) if match else 0


class Memory:
    """PSS of everything that one runtime needs, the workload itself apart."""

    def __init__(self, node, names):
        own = node.own_pids()
        self.by_name = {}
        for pid in procs.pids():
            name = procs.name_of(pid)
            if pid in own or name == WORKLOAD or not names(name):
                continue
            size, count = self.by_name.get(name, (0, 0))
            self.by_name[name] = (size + pss_kib(pid), count + 1)

    @property
    def total(self):
        return sum(size for size, _ in self.by_name.values())


def is_containerd(name):
    return name.startswith("containerd") or name == "pause"


def measure_memory(node, runtime, pods, logs):
    """(kB of the idle daemon and its helpers, kB more for each pod, detail)."""
    if runtime.name == "containerd":
        names = is_containerd
    else:
        def names(name):
            return not is_containerd(name) and name not in ("cribench", "docker-registry")
    before = Memory(node, names)
    process = subprocess.Popen(
        [node.tools["cribench"], "-runtime", f"{runtime.name}={runtime.socket}", "-hold", str(pods),
         "-image", BUSYBOX, "-logs", logs], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdout.readline().strip() != "ready":
        raise SystemExit(f"{runtime.name}: {pods} pods could not be made\n" + runtime.log_tail())
    after = Memory(node, names)
    process.communicate("\n")
    return before.total, (after.total - before.total) / pods, after.by_name


def measure(node, runtimes, rounds, logs, *mode):
    command = [node.tools["cribench"], "-n", str(rounds), "-image", BUSYBOX, "-pull", PULLED,
               "-logs", logs, *mode]
    for runtime in runtimes:
        command += ["-runtime", f"{runtime.name}={runtime.socket}"]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        raise SystemExit("".join(runtime.log_tail() for runtime in runtimes))
    return json.loads(result.stdout)


def print_table(title, rows, times, names):
    """Of rates ("/s") the low quantiles are the bad ones."""
    print(f"{title:28}" + "".join(f"{name:>22}" for name in names)
          + (f"{'times better (p50)':>22}" if len(names) == 2 else ""))
    for row in rows:
        cells, middles, rate = "", [], "/s" in row
        for name in names:
            values = times[name][row]
            middles.append(quantile(values, 50))
            cells += f"{quantile(values, 50):13.2f} /{quantile(values, 1 if rate else 99):7.2f}"
        if rate:
            middles.reverse()
        ratio = f"{middles[1] / max(middles[0], 0.001):22.1f}" if len(names) == 2 else ""
        print(f"{row:28}{cells}{ratio}")
    print()


def print_memory(node, runtimes, pods, logs):
    memory = {}
    for runtime in runtimes:
        idle, each, detail = measure_memory(node, runtime, pods, logs)
        memory[runtime.name] = {"idle_kb": idle, "pod_kb": each, "detail": detail}
        parts = ", ".join(f"{count} x {name} {size} kB"
                          for name, (size, count) in sorted(detail.items()))
        print(f"memory (PSS) of {runtime.name}: {idle / 1024:.1f} MiB idle, "
              f"{each:.0f} kB for each of {pods} pods beside the workload ({parts})")
    return memory


def run_parts(node, runtimes, arguments):
    """Everything that was asked for, printed; the single values."""
    logs = os.path.join(node.tmp, "logs")
    names = [runtime.name for runtime in runtimes]
    parts = arguments.parts.split(",")
    result = {}
    for part, title, rows, mode, rounds in (
            ("pods", "ms", ORDER, (), arguments.rounds),
            ("streams", "", STREAMS, ("-streams", str(arguments.mib)), max(arguments.rounds // 5, 5)),
            ("lists", f"ms, at {arguments.list_pods} pods", LISTS,
             ("-lists", str(arguments.list_pods)), arguments.rounds)):
        if part in parts:
            result[part] = measure(node, runtimes, rounds, logs, *mode)
            print_table(f"p50 / p99, {rounds} of each, {title}".rstrip(", "), rows, result[part],
                        names)
    if "memory" in parts:
        result["memory"] = print_memory(node, runtimes, arguments.pods, logs)
    return result


def main():
    parser = argparse.ArgumentParser(prog="hack/bench")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--pods", type=int, default=50)
    parser.add_argument("--mib", type=int, default=200, help="what goes through a stream")
    parser.add_argument("--list-pods", type=int, default=250)
    parser.add_argument("--parts", default="pods,streams,lists,memory")
    parser.add_argument("--only", choices=("berthd", "containerd"))
    parser.add_argument("--json", help="where all single values go")
    arguments = parser.parse_args()
    place.enter(os.path.abspath(__file__))
    with Node(arguments.only or "berthd") as node:
        runtimes = [node.runtime]
        if not arguments.only:
            runtimes.append(Containerd(node.work, node.tools))
            runtimes[1].start()
        result = run_parts(node, runtimes, arguments)
        if arguments.json:
            with open(arguments.json, "w", encoding="utf-8") as f:
                json.dump(result, f)
        for runtime in runtimes[1:]:
            runtime.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
