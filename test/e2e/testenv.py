#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command against a runtime in a private place; hack/testenv is its front door."""

import argparse
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from harness import leaks, place  # noqa: E402
from harness.node import Node  # noqa: E402


def main():
    parser = argparse.ArgumentParser(prog="hack/testenv")
    parser.add_argument("--runtime", choices=("berthd", "containerd"), default="berthd")
    parser.add_argument("--config", default="", help="lines added to berthd's configuration")
    parser.add_argument("--keep", action="store_true", help="keep the work directory and its logs")
    parser.add_argument("--no-leak-check", action="store_true")
    parser.add_argument("--log", help="where the runtime's log goes in the end")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    place.enter(os.path.abspath(__file__))
    leak_check = arguments.runtime == "berthd" and not arguments.no_leak_check
    with Node(arguments.runtime, config=arguments.config, keep=arguments.keep) as node:
        before = node.warm_up() if leak_check else None
        result = subprocess.run(arguments.command, env=node.environment(), check=False)
        left = leaks.check(node, before) if leak_check and node.runtime.running() else []
        if not node.runtime.running():
            left = [f"{node.runtime.name} ended during the run:\n{node.runtime.log_tail()}"]
        if arguments.log:
            shutil.copyfile(node.runtime.log, arguments.log)
    if left:
        print("left behind one second after the run:", file=sys.stderr)
        for line in left[:40]:
            print("  " + line, file=sys.stderr)
        return 3
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
