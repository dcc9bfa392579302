#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ctest_report.py NAME JUNIT [GTEST_DIR]: names what failed or was skipped, and prints one line of
counts.

JUNIT is ctest's report. GTEST_DIR holds the reports of googletest programs (GTEST_OUTPUT=xml:DIR/),
since a skip inside of a program that passed is in no other place whole. A skip counts as a failure
where this machine has what it is said to need, and where the reason is none that is known here."""

import glob
import os
import re
import shutil
import sys
import xml.etree.ElementTree as ElementTree


def has_programs(match):
    return all(shutil.which(name) for name in re.findall(r"[\w.+-]+", match["programs"])
               if name not in ("or", "and"))


def has_unified(_match):
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        return any(" - cgroup2 " in line for line in f)


def is_kernel_of(match):
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return tuple(map(int, release.groups())) >= (int(match["major"]), int(match["minor"]))


# Reasons for a skip, and whether this machine has what the skipped test wants.
REASONS = (
    (r"needs root", lambda _: os.geteuid() == 0),
    (r"(?P<programs>.*) (is|are) not installed", has_programs),
    (r"needs a static busybox", lambda _: os.access("/bin/busybox", os.X_OK)),
    (r"no cgroup v2 here", has_unified),
    (r"needs Linux (?P<major>\d+)\.(?P<minor>\d+)", is_kernel_of),
    (r"the Go module .* cannot be downloaded", lambda _: "BERTH_CRI_PROTO" in os.environ),
)


def judge(reason):
    """Why a skip with this reason is a failure; None if it is a fair one."""
    for pattern, possible in REASONS:
        match = re.search(pattern, reason)
        if match:
            return "this machine could run it" if possible(match) else None
    return "hack/ctest_report.py does not know this reason"


def last_words(case):
    """Why a whole program was skipped: the last words it said."""
    lines = [line.strip() for line in (case.findtext("system-out") or "").splitlines()]
    return ([line for line in lines if line] or ["no reason given"])[-1][:200]


def inner_skips(directory):
    """{program: (cases that ran, [(case, reason)])} from the reports of googletest programs."""
    programs = {}
    for path in glob.glob(os.path.join(directory, "*.xml")):
        ran, skips = 0, []
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            skipped = case.find("skipped")
            if skipped is None:
                ran += case.get("result") == "completed"
                continue
            # The first line is where it stands in the source.
            text = (skipped.text or skipped.get("message") or "").strip().splitlines()
            reason = " ".join(text[1:] if len(text) > 1 else text).strip() or "no reason given"
            skips.append((f"{case.get('classname')}.{case.get('name')}", reason))
        programs[os.path.basename(path).removesuffix(".xml")] = (ran, skips)
    return programs


class Report:
    def __init__(self, name):
        self.name = name
        self.passed = self.failed = self.skipped = 0

    def skip(self, test, reason):
        fault = judge(reason)
        if fault:
            self.fail(f"{test}: skipped ({reason}), but {fault}")
        else:
            self.skipped += 1
            print(f"skip {self.name}: {test}: {reason}")

    def fail(self, what):
        self.failed += 1
        print(f"FAIL {self.name}: {what}")


def main(name, junit, directory=None):
    report = Report(name)
    programs = inner_skips(directory) if directory else {}
    for case in ElementTree.parse(junit).getroot().iter("testcase"):
        status, test = case.get("status"), case.get("name")
        if status == "run":
            ran, skips = programs.get(test, (1, []))
            for inner, reason in skips:
                report.skip(f"{test}: {inner}", reason)
            report.passed += ran > 0
            if not ran and not skips:
                report.fail(f"{test}: ran no case at all")
        elif status in ("notrun", "disabled"):
            report.skip(test, last_words(case))
        else:
            report.fail(test)
    print(f"{name}: {report.passed} passed, {report.failed} failed, {report.skipped} skipped")


if __name__ == "__main__":
    main(*sys.argv[1:4])
