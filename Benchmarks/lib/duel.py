# SPDX-License-Identifier: Apache-2.0
"""Servers that hold the same, asked the same by turns: runs the cells, prints a table and what became of the goals.

All servers are up all the time, one is asked at a time. A round runs every cell once on each, the first of them another one
each round, so that a machine that gets slower or faster meanwhile does it to all of them; figures are medians of the rounds.
"""

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, field

import machine
from contenders import ROOT

CELL_TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Cell:
    """One question: for each contender by name, what http_load or dimse_load is to send."""

    name: str
    requests: dict  # {contender: text for http_load, or bytes for dimse_load}
    syntax: str = ""  # C-MOVE: the one transfer syntax that the destination accepts
    items: int = 0  # matches or instances of each answer by DIMSE, for the check; 0: not known
    bytes_alike: bool = False  # all contenders must send the same number of bytes, within 5 %
    unit: str = "requests"


@dataclass(frozen=True)
class Goal:
    """Varve's rate in `cell` is at least `least` times that of `over`; without `least` it is only compared."""

    cell: str
    over: str
    least: float = None


@dataclass
class Load:
    """The load generators, compiled, and a place for what they send."""

    directory: str
    programs: dict = field(default_factory=dict)

    def __post_init__(self):
        for name in ("http_load", "dimse_load"):
            self.programs[name] = os.path.join(self.directory, name)
            source = os.path.join(ROOT, "Benchmarks", "lib", name + ".c")
            subprocess.run(["gcc", "-O2", "-o", self.programs[name], source, "-lpthread"], check=True)

    def run(self, cell, name, server, clients, seconds):
        """One cell on one server: a row of figures."""
        sent = cell.requests[name]
        path = os.path.join(self.directory, "requests")
        with open(path, "wb") as file:
            file.write(sent if isinstance(sent, bytes) else sent.encode())
        is_dimse = isinstance(sent, bytes)
        port = server.port if is_dimse else server.http
        command = [self.programs["dimse_load" if is_dimse else "http_load"], "127.0.0.1", str(port)]
        command += [str(clients), str(seconds), path]
        if cell.syntax:
            command += [str(server.destination), cell.syntax]
        before, labels = machine.cpu_seconds(server.roots()), machine.cpu_seconds_by_label(server.roots())
        done = subprocess.run(command, capture_output=True, text=True, timeout=CELL_TIMEOUT_SECONDS)
        if done.returncode:
            raise RuntimeError(done.stderr.strip()[:500])
        cpu = machine.cpu_seconds(server.roots()) - before
        after = machine.cpu_seconds_by_label(server.roots())
        figures = list(map(float, done.stdout.split()))
        jobs, rate, byte_count, wall, client, median, high = figures[:7]
        if is_dimse and cell.items and figures[7] != jobs * cell.items:
            raise RuntimeError("%d answers brought %d, not %d each" % (jobs, figures[7], cell.items))
        return {
            "perSecond": rate,
            "jobs": int(jobs),
            "seconds": wall,
            "bytesEach": byte_count / jobs,
            "medianMilliseconds": median,
            "p95Milliseconds": high,
            "cpuMilliseconds": cpu / jobs * 1000,
            "clientMilliseconds": client / jobs * 1000,
            "clientCores": client / wall,
            "cpuMillisecondsOf": {
                label: (spent - labels.get(label, 0)) / jobs * 1000 for label, spent in after.items()
            },
        }


def options(parser, rounds, seconds, clients):
    parser.add_argument("--rounds", type=int, default=rounds, help="rounds of all cells (default %d)" % rounds)
    parser.add_argument("--seconds", type=float, default=seconds, help="seconds a cell (default %g)" % seconds)
    parser.add_argument("--clients", default=clients, help="connections at once (default %s)" % clients)
    parser.add_argument("--only", default="", metavar="WORDS", help="cells with one of these comma-separated words only")
    parser.add_argument("--json", metavar="FILE", help="also write every measurement to FILE")
    parser.add_argument("--work", default="/tmp", help="where servers keep their data meanwhile (default /tmp)")


def chosen_cells(cells, only):
    words = [word for word in only.split(",") if word]
    return [cell for cell in cells if not words or any(word in cell.name for word in words)]


def describe(servers):
    machine.describe()
    for name, server in servers.items():
        print("%s: %s" % (server.title, server.version()))
    print(flush=True)


def fight(servers, cells, chosen, load):
    """{(cell name, clients, contender): rows}."""
    results, failed = {}, False
    names = list(servers)
    for round_number in range(chosen.rounds):
        turn = round_number % len(names)
        for cell in cells:
            for clients in map(int, chosen.clients.split(",")):
                told = []
                for name in names[turn:] + names[:turn]:
                    if name not in cell.requests:
                        continue
                    try:
                        row = load.run(cell, name, servers[name], clients, chosen.seconds)
                    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                        print("round %d: %s: %s: %s" % (round_number + 1, cell.name, name, error), file=sys.stderr)
                        failed = True
                        continue
                    results.setdefault((cell.name, clients, name), []).append(row)
                    told.append("%s %.1f/s (%.2f ms CPU)" % (name, row["perSecond"], row["cpuMilliseconds"]))
                print("round %d of %d: %s, %d: %s" % (
                    round_number + 1, chosen.rounds, cell.name, clients, ", ".join(told)), flush=True)  # fmt: skip
    return results, not failed and _bytes_alike(cells, results)


def _bytes_alike(cells, results):
    alike = True
    for cell in cells:
        counts = {key[2]: rows[0]["bytesEach"] for key, rows in results.items() if key[0] == cell.name}
        if cell.bytes_alike and counts and max(counts.values()) > 1.05 * min(counts.values()):
            print("%s: not the same bytes: %s" % (cell.name, counts), file=sys.stderr)
            alike = False
    return alike


def _median(rows, key):
    return statistics.median(row[key] for row in rows)


def table(servers, results):
    print()
    head = ("what", "clients", "server", "a second", "range", "median ms", "p95 ms", "CPU ms", "client ms", "KB")
    form = "| %-38s | %7s | %-7s | %9s | %15s | %9s | %8s | %8s | %9s | %8s |"
    print(form % head)
    print("|" + "|".join("-" * len(cell) for cell in (form % head).strip("|").split("|")) + "|")
    for (cell, clients, name), rows in sorted(results.items(), key=lambda item: _place(results, item[0])):
        rates = [row["perSecond"] for row in rows]
        print(form % (
            cell, clients, servers[name].title, "%.1f" % _median(rows, "perSecond"),
            "%.1f-%.1f" % (min(rates), max(rates)), "%.2f" % _median(rows, "medianMilliseconds"),
            "%.2f" % _median(rows, "p95Milliseconds"), "%.2f" % _median(rows, "cpuMilliseconds"),
            "%.3f" % _median(rows, "clientMilliseconds"), "%.1f" % (_median(rows, "bytesEach") / 1000),
        ))  # fmt: skip
    print()
    print("where the servers' CPU time goes, ms an answer:")
    for (cell, clients, name), rows in sorted(results.items(), key=lambda item: _place(results, item[0])):
        labels = sorted({label for row in rows for label in row["cpuMillisecondsOf"]})
        spent = {label: statistics.median(row["cpuMillisecondsOf"].get(label, 0) for row in rows) for label in labels}
        shown = ", ".join("%s %.2f" % pair for pair in sorted(spent.items(), key=lambda pair: -pair[1]) if pair[1] > 0)
        print("  %-38s %d, %-7s: %s" % (cell, clients, servers[name].title, shown))
    busiest = max(results.items(), key=lambda item: _median(item[1], "clientCores"))
    print()
    print("CPU ms: all processes of the server, Postgres included, an answer. client ms: the load generator, an answer.")
    print("KB: what is received an answer. The load generator used at most %.2f of a core's time (%s, %d, %s)." % (
        _median(busiest[1], "clientCores"), busiest[0][0], busiest[0][1], servers[busiest[0][2]].title))  # fmt: skip


def _place(results, key):
    """Cells in the order in which they ran, contenders side by side."""
    cells = list(dict.fromkeys(cell for cell, _, _ in results))
    names = list(dict.fromkeys(name for _, _, name in results))
    return cells.index(key[0]), key[1], sorted(names, key=lambda name: name != "varve").index(key[2])


def goals(servers, results, wanted):
    """Prints each goal with what was measured; the list for the JSON output."""
    print()
    form = "| %-38s | %7s | %-14s | %5s | %6s | %-6s | %9s |"
    head = ("goal", "clients", "Varve against", "least", "ratio", "", "CPU ratio")
    print(form % head)
    print("|" + "|".join("-" * len(cell) for cell in (form % head).strip("|").split("|")) + "|")
    judged = []
    for goal in wanted:
        for clients in sorted({clients for cell, clients, _ in results if cell == goal.cell}):
            ours, theirs = (results.get((goal.cell, clients, name)) for name in ("varve", goal.over))
            if not ours or not theirs:
                continue
            ratio = _median(ours, "perSecond") / _median(theirs, "perSecond")
            ours, theirs = _median(ours, "cpuMilliseconds"), _median(theirs, "cpuMilliseconds")
            cpu = theirs / ours if ours else 0
            is_met = goal.least is None or ratio >= goal.least
            verdict = "" if goal.least is None else "met" if is_met else "MISSED"
            least = "" if goal.least is None else "%.1f" % goal.least
            print(form % (goal.cell, clients, servers[goal.over].title, least, "%.2f" % ratio, verdict, "%.2f" % cpu))
            if goal.least is None:
                continue
            judged.append({"cell": goal.cell, "clients": clients, "over": goal.over, "least": goal.least,
                           "ratio": ratio, "cpuRatio": cpu, "met": is_met})  # fmt: skip
    print("%d of %d goals met" % (sum(one["met"] for one in judged), len(judged)))
    print("ratio: of answers a second. CPU ratio: their CPU time an answer to Varve's, which other work disturbs less.")
    return judged


def write_json(path, results, judged):
    with open(path, "w") as file:
        json.dump({"cells": [{"cell": key[0], "clients": key[1], "server": key[2], "rounds": rows}
                             for key, rows in results.items()], "goals": judged}, file, indent=1)  # fmt: skip
