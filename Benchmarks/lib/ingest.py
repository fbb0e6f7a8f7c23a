# SPDX-License-Identifier: Apache-2.0
"""Loads each server with the same CT instances over 1 and 4 associations and prints a table.

Every cell is a fresh server on an empty directory. A round runs every cell once, so that a machine
that gets slower or faster meanwhile does it to all of them; the table shows medians of the rounds.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import instances
import machine
from contenders import CONTENDERS, ROOT

SEND_TIMEOUT_SECONDS = 900
WARM_UP_COUNT = 8
DEFAULT = "varve-jpegls,varve-asreceived,orthanc-jpegls,orthanc,storescp"


def arguments():
    parser = argparse.ArgumentParser(
        prog="Benchmarks/ingest.sh",
        description="Ingest throughput of Varve, Orthanc with PostgreSQL, and DCMTK storescp, side by side.",
        epilog="example: Benchmarks/ingest.sh --instances 500 --rounds 1 --only orthanc,storescp",
    )
    parser.add_argument("--instances", type=int, default=2000, help="instances a cell (default 2000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of all cells (default 3)")
    parser.add_argument("--only", default=DEFAULT, help="comma-separated, of: " + ", ".join(CONTENDERS))
    parser.add_argument("--associations", default="1,4", help="associations at once (default 1,4)")
    parser.add_argument(
        "--stock-instances", type=int, default=None,
        help="instances for the rows with a sender that leaves Nagle's algorithm on (default a fifth; 0: no such rows)",
    )  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="also write every measurement to FILE")
    parser.add_argument("--work", default="/tmp", help="where servers keep their data meanwhile (default /tmp)")
    chosen = parser.parse_args()
    for name in chosen.only.split(","):
        if name not in CONTENDERS:
            parser.error("unknown server %r; there are: %s" % (name, ", ".join(CONTENDERS)))
    return chosen


def send(files, associations, port, ae_title, nodelay):
    """Sends with that many dcmsend processes at once. Returns (seconds, CPU seconds of the senders)."""
    environment = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    if nodelay:
        environment["TCP_NODELAY"] = "1"
    share = -(-len(files) // associations)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    senders = [
        subprocess.Popen(
            ["dcmsend", "--quiet", "--no-halt", "-to", "30", "-td", "120", "-aec", ae_title, "127.0.0.1", str(port)]
            + files[index * share : (index + 1) * share],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        for index in range(associations)
    ]
    deadline = start + SEND_TIMEOUT_SECONDS
    for sender in senders:
        try:
            sender.wait(max(1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            for other in senders:
                other.kill()
            raise RuntimeError("senders did not finish in %d s" % SEND_TIMEOUT_SECONDS)
    seconds = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if any(sender.returncode for sender in senders):
        raise RuntimeError("dcmsend failed: %s" % [sender.returncode for sender in senders])
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(kind, files, warm_up, associations, nodelay, work):
    directory = tempfile.mkdtemp(prefix="varve-bench-", dir=work)
    server = kind(directory, nodelay)
    try:
        server.start()
        send(warm_up, 1, server.port, server.ae_title, True)
        os.sync()
        held = server.held()
        data, catalog = server.folders()
        sizes = [sum(map(machine.written_bytes, folders)) for folders in (data, catalog)]
        before, cpu = machine.cpu_seconds_by_label(server.roots()), machine.cpu_seconds(server.roots())
        seconds, client_cpu = send(files, associations, server.port, server.ae_title, nodelay)
        # storescp's children are counted when their parent has waited for them.
        cpu = machine.cpu_seconds(server.roots()) - cpu
        after = machine.cpu_seconds_by_label(server.roots())
        peak = max(machine.peak_memory_bytes(server.roots()).values(), default=0)
        stored = server.held() - held
        data, catalog = server.folders()
        server.stop()  # what was still in memory (Postgres' dirty pages) is on disk after it
        os.sync()
        sizes = [
            sum(map(machine.written_bytes, folders)) - size for folders, size in zip((data, catalog), sizes)
        ]
        if stored != len(files):
            print("  LOST: sent %d, held %d" % (len(files), stored), file=sys.stderr)
        return {
            "perSecond": len(files) / seconds,
            "cpuMilliseconds": cpu / len(files) * 1000,
            "clientMilliseconds": client_cpu / len(files) * 1000,
            "dataBytes": sizes[0] / len(files),
            "catalogBytes": sizes[1] / len(files),
            "peakBytes": peak,
            "cpuMillisecondsOf": {
                label: (spent - before.get(label, 0)) / len(files) * 1000 for label, spent in after.items()
            },
            "stored": stored,
            "sent": len(files),
        }
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def cells(chosen):
    stock = chosen.instances // 5 if chosen.stock_instances is None else chosen.stock_instances
    for associations in map(int, chosen.associations.split(",")):
        for name in chosen.only.split(","):
            yield name, associations, True, chosen.instances
    if stock:
        for name in chosen.only.split(","):
            yield name, 1, False, min(stock, chosen.instances)


def describe(chosen):
    machine.describe()
    for name in chosen.only.split(","):
        try:
            version = CONTENDERS[name][0].version()
        except (OSError, IndexError):
            version = "not found"
        print("%s: %s" % (name, version))
    print()


def table(results):
    head = ("server", "assoc", "sender", "instances/s", "range", "CPU ms", "client ms", "data KB", "catalog KB", "peak MB")
    form = "| %-42s | %5s | %6s | %11s | %11s | %6s | %9s | %7s | %10s | %7s |"
    print(form % head)
    print("|" + "|".join("-" * len(cell) for cell in (form % head).strip("|").split("|")) + "|")
    for (name, associations, nodelay), rows in results.items():
        def median(key):
            return statistics.median(row[key] for row in rows)

        rates = [row["perSecond"] for row in rows]
        lost = sum(row["sent"] - row["stored"] for row in rows)
        print(form % (
            CONTENDERS[name][1], associations, "tuned" if nodelay else "stock",
            "%.1f" % median("perSecond"), "%.0f-%.0f" % (min(rates), max(rates)),
            "%.2f" % median("cpuMilliseconds"), "%.2f" % median("clientMilliseconds"),
            "%.0f" % (median("dataBytes") / 1000), "%.1f" % (median("catalogBytes") / 1000),
            "%.0f" % (median("peakBytes") / 1e6),
        ) + ("  LOST %d" % lost if lost else ""))  # fmt: skip
    print()
    print("where the CPU time goes, ms an instance:")
    for (name, associations, nodelay), rows in results.items():
        labels = sorted({label for row in rows for label in row["cpuMillisecondsOf"]})
        spent = {label: statistics.median(row["cpuMillisecondsOf"].get(label, 0) for row in rows) for label in labels}
        shown = ", ".join("%s %.2f" % pair for pair in sorted(spent.items(), key=lambda pair: -pair[1]) if pair[1] > 0)
        print("  %-18s %d, %s: %s" % (name, associations, "tuned" if nodelay else "stock", shown))
    print()
    print("CPU ms: all server processes, Postgres included, an instance. client ms: dcmsend, an instance.")
    print("data KB, catalog KB: on disk after a stop, all copies, an instance; the catalog's fixed part included.")
    print("peak MB: the largest process.")
    print("sender tuned: TCP_NODELAY=1 for DCMTK and Orthanc; stock: without, as most modalities are.")


def main():
    chosen = arguments()
    corpus = os.environ.get("VARVE_TEST_CORPUS", os.path.join(ROOT, "..", "shared", "corpus"))
    cache = os.environ.get("VARVE_BENCH_CACHE", "/tmp/varve-bench-cache")
    studies = max(1, min(20, chosen.instances // 4))
    files = instances.make(corpus, os.path.join(cache, "load-%d" % chosen.instances), chosen.instances, studies, "A")
    warm_up = instances.make(corpus, os.path.join(cache, "warm"), WARM_UP_COUNT, 1, "W")
    for path in files + warm_up:  # the first server must not pay for reading them from the disk
        with open(path, "rb") as file:
            file.read()
    describe(chosen)
    results = {}
    for round_number in range(chosen.rounds):
        for name, associations, nodelay, count in cells(chosen):
            kind, title = CONTENDERS[name]
            try:
                row = measure(kind, files[:count], warm_up, associations, nodelay, chosen.work)
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                print("round %d: %s: %s" % (round_number + 1, name, error), file=sys.stderr)
                continue
            results.setdefault((name, associations, nodelay), []).append(row)
            print("round %d of %d: %-42s %d association%s, %s sender: %7.1f/s  %6.2f ms CPU" % (
                round_number + 1, chosen.rounds, title, associations, "s"[: associations - 1],
                "tuned" if nodelay else "stock", row["perSecond"], row["cpuMilliseconds"],
            ), flush=True)  # fmt: skip
    print()
    table(results)
    if chosen.json:
        with open(chosen.json, "w") as file:
            json.dump([{"server": key[0], "associations": key[1], "tuned": key[2], "rounds": rows}
                       for key, rows in results.items()], file, indent=1)  # fmt: skip
    if not results or any(row["stored"] != row["sent"] for rows in results.values() for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
