#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ctest_report.py NAME JUNIT: names what failed or was skipped, and prints one line of counts."""

import re
import sys
import xml.etree.ElementTree as ElementTree


def reason(case):
    """Why a test was skipped: the last words it said."""
    text = (case.findtext("system-out") or "").strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if re.search(r"skip", line, re.IGNORECASE)]
    return (said or lines or ["no reason given"])[-1][:200]


def gtest_skips(case):
    """Names of skipped googletest cases inside of a program that passed."""
    text = case.findtext("system-out") or ""
    return sorted(set(re.findall(r"^\[  SKIPPED \] (\S+?\.\S+?)(?:$| \()", text, re.MULTILINE)))


def main(name, path):
    passed = failed = skipped = 0
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        status = case.get("status")
        test = case.get("name")
        if status == "run":
            passed += 1
            for inner in gtest_skips(case):
                skipped += 1
                print(f"skip {name}: {test}: {inner}: {reason(case)}")
        elif status in ("notrun", "disabled"):
            skipped += 1
            print(f"skip {name}: {test}: {reason(case)}")
        else:
            failed += 1
            print(f"FAIL {name}: {test}")
    print(f"{name}: {passed} passed, {failed} failed, {skipped} skipped")


if __name__ == "__main__":
    main(*sys.argv[1:3])
