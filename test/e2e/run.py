#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the end-to-end cases; hack/e2e is its front door. README.md says how to write one."""

import argparse
import importlib
import os
import pkgutil
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../hack/images"))
sys.dont_write_bytecode = True
import cases  # noqa: E402
from harness import leaks, place  # noqa: E402
from harness.case import Case, Skip  # noqa: E402
from harness.node import Node  # noqa: E402


def find_cases(patterns):
    """(name, function) of each case whose name has one of the patterns in it."""
    for module_info in pkgutil.iter_modules(cases.__path__):
        module = importlib.import_module("cases." + module_info.name)
        for name, function in vars(module).items():
            if name.startswith("test_") and callable(function):
                name = f"{module_info.name}/{name[5:]}"
                if not patterns or any(pattern in name for pattern in patterns):
                    yield name, function


class Runner:
    def __init__(self, arguments):
        self.arguments = arguments
        self.counts = {"ok": 0, "FAIL": 0, "skip": 0}
        self._node = None
        self._before = None

    def shared_node(self):
        if self._node and not self._node.runtime.running():
            self.drop_node()
        if not self._node:
            self._node = Node(self.arguments.runtime, keep=self.arguments.keep)
            self._node.__enter__()
            self._before = self._node.warm_up()
        return self._node

    def drop_node(self):
        node, self._node = self._node, None
        if node:
            node.__exit__(None, None, None)

    def on_shared_node(self, name, function):
        node = self.shared_node()
        case = Case(node, name)
        try:
            function(case)
        except Skip:
            raise
        except BaseException:
            # The next case gets a fresh node: this one's state is not to be trusted.
            self.print_log(node)
            self.drop_node()
            raise
        try:
            case.clean()
            self.check_leaks(node, self._before)
        except BaseException:
            self.print_log(node)
            self.drop_node()
            raise

    def on_own_node(self, name, function):
        # One node at a time: each one's end sweeps the whole place.
        self.drop_node()
        options = dict(function.node_options, keep=self.arguments.keep)
        with Node(self.arguments.runtime, **options) as node:
            try:
                before = node.warm_up()
                case = Case(node, name)
                function(case)
                case.clean()
                self.check_leaks(node, before)
            except Skip:
                raise
            except BaseException:
                self.print_log(node)
                raise

    def check_leaks(self, node, before):
        left = leaks.check(node, before) if self.arguments.runtime == "berthd" else []
        if left:
            raise AssertionError("left behind after the case:\n  " + "\n  ".join(left[:30]))

    def print_log(self, node):
        if self.arguments.verbose:
            print(node.runtime.log_tail(40))

    def run(self, name, function):
        start = time.monotonic()
        result, detail = "ok", ""
        try:
            if hasattr(function, "node_options"):
                self.on_own_node(name, function)
            else:
                self.on_shared_node(name, function)
        except Skip as reason:
            result, detail = "skip", str(reason)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            result = "FAIL"
            detail = str(error) or type(error).__name__
            if self.arguments.verbose or not isinstance(error, AssertionError):
                detail += "\n" + traceback.format_exc()
            elif error.__traceback__:
                frames = [frame for frame in traceback.extract_tb(error.__traceback__)
                          if "/cases/" in frame.filename]
                if frames:
                    detail += f"\n  at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}"
                    detail += f": {frames[-1].line}"
        self.counts[result] += 1
        took = f" {time.monotonic() - start:.2f} s" if result != "skip" else ""
        print(f"{result:4} e2e: {name}{took}" + (f": {detail}" if detail else ""), flush=True)


def main():
    parser = argparse.ArgumentParser(prog="hack/e2e")
    parser.add_argument("--runtime", choices=("berthd", "containerd"), default="berthd")
    parser.add_argument("--keep", action="store_true", help="keep the work directories")
    parser.add_argument("--verbose", action="store_true", help="show logs and tracebacks")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("pattern", nargs="*")
    arguments = parser.parse_args()
    found = sorted(find_cases(arguments.pattern),
                   key=lambda found: hasattr(found[1], "node_options"))
    if arguments.list:
        print("\n".join(name for name, _ in found))
        return 0
    place.enter(os.path.abspath(__file__))
    runner = Runner(arguments)
    try:
        for name, function in found:
            runner.run(name, function)
    finally:
        runner.drop_node()
    counts = runner.counts
    if not found:
        print("FAIL e2e: no case has this name")
        counts["FAIL"] += 1
    print(f"e2e: {counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    return 1 if counts["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
