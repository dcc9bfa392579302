# SPDX-License-Identifier: Apache-2.0
"""What /proc says about processes, mounts and cgroups of this place."""

import os
import re


def read(path):
    """The text of a file, or an empty one when it is gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def pids():
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def name_of(pid):
    return read(f"/proc/{pid}/comm").strip()


def parent_of(pid):
    match = re.search(r"\) \S (\d+) ", read(f"/proc/{pid}/stat"))
    return int(match[1]) if match else 0


def command_of(pid):
    return read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()


def children_of(pid):
    return [child for child in pids() if parent_of(child) == pid]


def is_zombie(pid):
    return bool(re.search(r"\) Z ", read(f"/proc/{pid}/stat")))


def fds_of(pid):
    """The targets of a process's descriptors; numbers that change from run to run are cut off."""
    targets = []
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return targets
    for name in names:
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        targets.append(re.sub(r":\[\d+\]$", "", target))
    return targets


def mounts_of(pid):
    """(mount point, type) of each mount that a process sees."""
    rows = []
    for line in read(f"/proc/{pid}/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        rows.append((left.split()[4], right.split()[0]))
    return rows


def cgroup_roots():
    return [line.split()[4] for line in read("/proc/self/mountinfo").splitlines()
            if " - cgroup" in line]


def cgroups_named(word):
    """Every cgroup directory, on all hierarchies, with the word in its path below the mount."""
    found = []
    for root in cgroup_roots():
        for directory, _, _ in os.walk(root):
            if word in directory[len(root):]:
                found.append(directory)
    return sorted(found)
