# SPDX-License-Identifier: Apache-2.0
"""What a runtime holds at one moment, and what it holds more of at a later one."""

import json
import os
import re
import subprocess
import time
from collections import Counter

from . import procs

# How long the teardown may go on after the call that asked for it was answered.
BOUND = 1.0


def _output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _nft_lines():
    text = _output("nft", "--stateless", "--numeric", "list", "ruleset")
    return Counter(line.strip() for line in text.splitlines() if line.strip(" }"))


def _links():
    return Counter(link["ifname"] for link in json.loads(_output("ip", "-json", "link")))


def _named_netns():
    return Counter(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else Counter()


def _fd_kind(target):
    # A socket file of one connection, a memfd and a /proc path carry numbers that differ each time.
    return re.sub(r"\d+", "N", target)


class Snapshot:
    """Counts of everything of a node; apart from it stand the tests' own processes."""

    def __init__(self, node):
        raw = node.raw
        self.counts = {
            "pods": Counter(pod["id"] for pod in raw.call("ListPodSandbox").get("items", [])),
            "containers": Counter(
                c["id"] for c in raw.call("ListContainers").get("containers", [])),
            "named network namespaces": _named_netns(),
            "links": _links(),
            "nft lines": _nft_lines(),
            "cgroups": Counter(procs.cgroups_named(node.instance)),
            "mounts of the node": Counter(map(" ".join, procs.mounts_of("self"))),
        }
        ours = node.own_pids()
        processes = self.counts["processes"] = Counter()
        fds = self.counts["descriptors"] = Counter()
        mounts = self.counts["mounts"] = Counter()
        networks = self.counts["network namespaces"] = Counter()
        for pid in procs.pids():
            if pid in ours:
                continue
            name = procs.name_of(pid)
            if not name:
                continue
            processes[name + (" (zombie)" if procs.is_zombie(pid) else "")] += 1
            for target in procs.fds_of(pid):
                fds[f"{name}: {_fd_kind(target)}"] += 1
            for mount in procs.mounts_of(pid):
                mounts[f"{name}: {' '.join(mount)}"] += 1
            try:
                networks[os.readlink(f"/proc/{pid}/ns/net")] = 1
            except OSError:
                continue

    def more_than(self, before):
        """One line for each thing that this snapshot has and the other has not."""
        lines = []
        for kind, counts in self.counts.items():
            for thing, number in sorted((counts - before.counts[kind]).items()):
                lines.append(f"{kind}: {thing}" + (f" ({number} times)" if number > 1 else ""))
        return lines


def check(node, before):
    """The lines that are still there BOUND seconds from now; an empty list means no leak."""
    end = time.monotonic() + BOUND
    while True:
        # On a machine that stands still a snapshot can take longer than the bound: its first part
        # is then older than what is asked for.
        begun = time.monotonic()
        lines = Snapshot(node).more_than(before)
        if not lines or begun > end:
            return lines
        time.sleep(0.01)
