# SPDX-License-Identifier: Apache-2.0
"""Joins what the two parse benchmarks printed into a table a folder. Usage: parse.py FOLDER ROUNDS."""

import math
import os
import statistics
import sys
from collections import defaultdict

PIXELS = 500_000  # a file of more bytes than this has that much pixel data, in the corpus


def rows(path):
    """Path -> (microseconds, bytes for the header, bytes for the whole); None where it was not read."""
    result = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            time, header, whole, count, name = line.rstrip("\n").split("\t")
            numbers = [None if text == "-" else float(text) for text in (time, header, whole)]
            result[name] = (*numbers, int(count))
    return result


def main():
    folder, rounds = sys.argv[1], int(sys.argv[2])
    sides = {}
    for side in ("varve", "dcmtk"):
        runs = [rows(os.path.join(folder, f"{side}-{number}")) for number in range(1, rounds + 1)]
        times = {}
        for name in runs[0]:
            measured = [run[name][0] for run in runs]
            times[name] = None if None in measured else statistics.median(measured)
        sides[side] = times
    memory = {side: rows(os.path.join(folder, f"{side}-bytes")) for side in sides}

    for side, times in sides.items():
        for name in sorted(name for name, time in times.items() if time is None):
            print(f"not read by {side}: {name}")
    both = [name for name in sides["varve"] if sides["varve"][name] and sides["dcmtk"].get(name)]
    if not both:
        sys.exit("error: no file was read by both")

    groups = defaultdict(list)
    for name in both:
        groups[os.path.basename(os.path.dirname(name))].append(name)
    groups["all"] = both
    print(f"{'files in':<22} {'files':>5} {'Varve us':>9} {'DCMTK us':>9} {'ratio':>6} {'slowest':>8}  KB allocated: Varve, DCMTK")
    for group, names in groups.items():
        mine = statistics.mean(sides["varve"][name] for name in names)
        theirs = statistics.mean(sides["dcmtk"][name] for name in names)
        worst = min(sides["dcmtk"][name] / sides["varve"][name] for name in names)
        allocated = [statistics.mean(memory[side][name][1] for name in names) / 1024 for side in ("varve", "dcmtk")]
        print(
            f"{group:<22} {len(names):>5} {mine:>9.2f} {theirs:>9.2f} {theirs / mine:>6.2f} {worst:>8.2f}"
            f"  {allocated[0]:.1f}, {allocated[1]:.1f}"
        )
    geometric = math.exp(statistics.mean(math.log(sides["dcmtk"][n] / sides["varve"][n]) for n in both))
    print(f"geometric mean of the ratios: {geometric:.2f}")

    big = [name for name in both if memory["varve"][name][3] > PIXELS and memory["varve"][name][2]]
    copies = 0
    if big:
        whole = {side: max(big, key=lambda name: memory[side][name][2] / memory[side][name][3]) for side in sides}
        for side, name in whole.items():
            _, _, allocated, count = memory[side][name]
            print(
                f"reading a whole file of more than {PIXELS} bytes, pixel data included, allocates at most"
                f" {allocated / count:.2f} of its bytes with {side}: {allocated:.0f} of {count} ({os.path.basename(name)})"
            )
        copies = sum(memory["varve"][name][2] > 0.1 * memory["varve"][name][3] for name in big)
        print(f"files of more than {PIXELS} bytes: {len(big)}; Varve allocated a tenth of it or more for {copies}")
    total = {side: sum(sides[side][name] for name in both) for side in sides}
    sys.exit(0 if total["varve"] <= total["dcmtk"] and copies == 0 else 1)


if __name__ == "__main__":
    main()
