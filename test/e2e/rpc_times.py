#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rpc_times.py BERTHD CONTAINERD: the files that critimes writes, side by side: for each RPC the
calls, the time of all of them in ms, and the ratio of the times of one call."""

import json
import sys


def read(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def row(name, sums):
    cells = [f"{one['calls']:6} {one['ms']:10.1f}" for one in sums]
    each = [one["ms"] / one["calls"] if one["calls"] else 0 for one in sums]
    ratio = f"{each[1] / each[0]:8.1f}" if all(each) else f"{'':8}"
    return f"{name:28}{cells[0]}  {cells[1]}{ratio}"


def main(paths):
    both = [read(path) for path in paths]
    none = {"calls": 0, "ms": 0}
    print(f"{'':28}{'berthd: calls, ms':>17}  {'containerd':>17}{'times':>8}")
    names = sorted(set(both[0]) | set(both[1]),
                   key=lambda name: -both[1].get(name, none)["ms"])
    for name in names:
        print(row(name, [one.get(name, none) for one in both]))
    print(row("all", [{"calls": sum(call["calls"] for call in one.values()),
                       "ms": sum(call["ms"] for call in one.values())} for one in both]))


if __name__ == "__main__":
    main(sys.argv[1:3])
