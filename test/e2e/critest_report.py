#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""critest_report.py REPORT EXPECTED clean|leak all|some: holds critest's JSON report against the
list of expected failures. Lines of the list are "part of a spec's full name  # reason"."""

import json
import sys


def read_expected(path):
    """[(part of a name, reason)]; a line without a reason is refused."""
    rows = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            part, mark, reason = line.partition("  # ")
            if not mark or not reason.strip():
                sys.exit(f"{path}:{number}: a reason is missing ('  # why')")
            rows.append((part.strip(), reason.strip()))
    return rows


def specs(report):
    """(full name, state, message) of each spec that was to run."""
    for suite in report:
        for spec in suite["SpecReports"] or []:
            name = " ".join((spec.get("ContainerHierarchyTexts") or []) + [spec["LeafNodeText"]])
            failure = spec.get("Failure") or {}
            if spec["LeafNodeType"] != "It":
                if spec["State"] != "passed":
                    yield name or spec["LeafNodeType"], spec["State"], failure.get("Message", "")
                continue
            yield name.strip(), spec["State"], failure.get("Message", "")


def main(report_path, expected_path, leak, scope):
    expected = read_expected(expected_path)
    with open(report_path, encoding="utf-8") as f:
        report = json.load(f)
    used = set()
    passed, failed, skipped, known, bad = 0, 0, 0, 0, []
    for name, state, message in specs(report):
        # Benchmarks are left out by critest itself; a filter leaves out the rest.
        if state in ("skipped", "pending") and not message:
            continue
        rows = [row for row in expected if row[0] in name]
        used.update(rows)
        if state == "passed":
            if rows:
                failed += 1
                bad.append(f"passes, but is expected to fail ({rows[0][1]}): {name}")
            else:
                passed += 1
        elif state in ("skipped", "pending"):
            skipped += 1
            print(f"skip critest: {name}: {' '.join(message.split())}")
        elif rows:
            known += 1
        else:
            failed += 1
            bad.append(f"FAIL critest: {name}\n     " + " ".join(message.split())[:600])
    if scope == "all":
        for part, _ in expected:
            if not any(row[0] == part for row in used):
                failed += 1
                bad.append(f"no such spec, though it is expected to fail: {part}")
    if leak == "leak":
        failed += 1
        bad.append("FAIL critest: something was left behind (listed above)")
    for line in bad:
        print(line)
    if passed + failed + known == 0:
        failed += 1
        print("FAIL critest: no spec ran")
    print(f"critest: {passed} passed, {failed} failed, {skipped} skipped, "
          f"{known} failed as expected")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:5]))
