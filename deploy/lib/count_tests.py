# SPDX-License-Identifier: Apache-2.0
"""Adds up JUnit XML reports: prints "PASSED FAILED SKIPPED" over all files that exist.

usage: count_tests.py FILE...
"""

import os
import sys
import xml.etree.ElementTree as ElementTree


def count(path):
    total = failed = skipped = 0
    try:
        cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    except ElementTree.ParseError:  # the process ended before it had written its report
        return 0, 0, 0
    for case in cases:
        total += 1
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None:
            skipped += 1
    return total - failed - skipped, failed, skipped


if __name__ == "__main__":
    sums = [0, 0, 0]
    for path in sys.argv[1:]:
        if os.path.exists(path):
            sums = [one + other for one, other in zip(sums, count(path))]
    print(*sums)
