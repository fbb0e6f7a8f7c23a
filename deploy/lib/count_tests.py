# SPDX-License-Identifier: Apache-2.0
"""Adds up JUnit XML reports: prints "PASSED FAILED SKIPPED" over all files that exist.

usage: count_tests.py FAILURES FILE...

A line for each test that failed, with the first words of its message, is added to the file FAILURES.
"""

import os
import sys
import xml.etree.ElementTree as ElementTree


MESSAGE_LENGTH = 300


def described(case, problem):
    """What failed and how it says so, in one line."""
    message = " ".join((problem.get("message") or problem.text or "").split())
    return f"{case.get('classname')} {case.get('name')}: {message[:MESSAGE_LENGTH]}"


def count(path, failures):
    total = failed = skipped = 0
    try:
        cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    except ElementTree.ParseError:  # the process ended before it had written its report
        return 0, 0, 0
    for case in cases:
        total += 1
        problem = next((found for found in case if found.tag in ("failure", "error")), None)
        if problem is not None:
            failed += 1
            failures.append(described(case, problem))
        elif case.find("skipped") is not None:
            skipped += 1
    return total - failed - skipped, failed, skipped


if __name__ == "__main__":
    sums = [0, 0, 0]
    failures = []
    for path in sys.argv[2:]:
        if os.path.exists(path):
            sums = [one + other for one, other in zip(sums, count(path, failures))]
    with open(sys.argv[1], "a", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in failures)
    print(*sums)
