# SPDX-License-Identifier: Apache-2.0
"""How fast lost copies are made again, what that does to stores meanwhile, and what a new node is given.

A cluster of `varve up` is filled, loses a node while nothing else happens, gets a new one, and loses others under load.
Nothing but the time it takes until a node counts as out differs from the defaults, and the limit of the rate where it says
so. Rates are compared with bare programs on the same disk over the same loopback, run between the phases.
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import machine
from contenders import ROOT
from store_scu import StoreSCU

sys.path.insert(0, os.path.join(ROOT, "Tests", "Interop"))
from support.phantom import PIXEL_DATA, instance  # noqa: E402

NODES, COPIES, ACK = 5, 3, 2
SIDE = 512
STUDY = 4  # instances of one study: a thousand studies lie evenly enough for a tenth to be no chance
SENDERS = 2
PAUSE_SECONDS = 0.02
QUICK = ("suspect-seconds=1", "down-seconds=3", "out-seconds=8", "survey-seconds=5", "steady-seconds=1")
UNLIMITED = ("repair-bytes-per-second=0",)
RATE_GOAL, LATENCY_GOAL, MOVE_GOAL = 0.6, 1.5, 1.1
# As one coordinator has it by default (repair-streams).
STREAMS = 8


class Cluster:
    # More words for `varve up`.
    options = ()

    def __init__(self, work):
        self.work = work
        os.chmod(work, 0o711)
        self.data = os.path.join(work, "data")
        self.port, self.http = machine.free_port(), machine.free_port()
        self.process = None
        self.removed = []

    def start(self, nodes, settings=()):
        program = os.environ.get("VARVE_BINARY", os.path.join(ROOT, ".build/release/varve"))
        words = [program, "up", "--data", self.data, "--storage-nodes", str(nodes), "--copies", str(COPIES), "--ack", str(ACK)]
        words += ["--dicom-port", str(self.port), "--http-port", str(self.http), "--no-restart", "--codec", "as-received", *self.options]
        for setting in (*QUICK, *settings):
            words += ["--coordinator-setting", setting]
        log = os.path.join(self.work, "varve.log")
        with open(log, "wb") as out:
            self.process = subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        deadline = time.monotonic() + 120
        while "varve: ready" not in open(log, errors="replace").read():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("varve did not get ready:\n" + open(log, errors="replace").read()[-2000:])
            time.sleep(0.05)
        wanted = nodes - len(self.removed)
        wait("%d nodes up" % wanted, lambda: sum(one["state"] == "up" for one in self.nodes().values()) == wanted)

    def stop(self):
        if self.process is not None:
            machine.stop(self.process, 60)
            self.process = None

    def json(self, path):
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % (self.http, path), timeout=60) as answer:
            return json.load(answer)

    def nodes(self):
        """{name: what the status says} of those that have not been removed."""
        rows = [row["node"] for row in self.json("/api/v1/nodes")]
        return {row["name"]: row for row in rows if row["state"] != "removed"}

    def repair(self):
        return self.json("/api/v1/repair")

    def is_whole(self):
        now = self.repair()
        return (
            "surveyedAt" in now and not now["underReplicated"] and not now["waiting"]
            and now["remaining"]["instances"] == 0 and not now["remaining"]["isCounting"] and not now["queue"]
        )  # fmt: skip

    def wait_whole(self, seconds=1200):
        first = self.repair().get("surveyedAt")
        wait("a survey", lambda: self.repair().get("surveyedAt") != first)
        wait("full redundancy", self.is_whole, seconds)

    def show_logs(self):
        """What ingest nodes and coordinators said last, for whoever wants to know why this ended."""
        for directory, _, names in os.walk(self.data):
            for name in sorted(names):
                if name.endswith(".log") and name.startswith(("ingest", "coordinator")):
                    with open(os.path.join(directory, name), errors="replace") as file:
                        print("--- %s\n%s" % (name, file.read()[-6000:]), flush=True)

    def kill(self, name):
        with open(os.path.join(self.data, "run", name + ".pid")) as file:
            os.kill(int(file.read().split()[0]), signal.SIGKILL)

    def remove(self, name):
        program = os.environ.get("VARVE_BINARY", os.path.join(ROOT, ".build/release/varve"))
        environment = {**os.environ, "VARVE_SERVER": "http://127.0.0.1:%d" % self.http}

        def is_taken():
            return subprocess.run([program, "node", "remove", name], env=environment, capture_output=True).returncode == 0

        wait("the removal of " + name, is_taken)
        self.removed.append(name)


def wait(what, condition, seconds=180, pause=0.2):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("waited %d s for: %s" % (seconds, what))
        time.sleep(pause)


class Made:
    """Instances of 512 x 512 pixels, no two alike."""

    def __init__(self, label):
        self.label = label
        self.noise = random.Random(label).randbytes(SIDE * SIDE * 2)

    def __call__(self, index):
        shift = index * 2 % len(self.noise)
        side = SIDE.to_bytes(2, "little")
        values = {0x00280010: side, 0x00280011: side, PIXEL_DATA: self.noise[shift:] + self.noise[:shift]}
        return instance(self.label, index, study=index // STUDY, values=values)


def store_all(cluster, made, numbers, times=None, ends=None, pause=0.0):
    """Stores until there are no more, or until `ends` is set; notes (when, seconds) of each."""
    first = made(0)
    scu = StoreSCU(cluster.port, "VARVE", first.sop_class, first.syntax)
    for index in numbers:
        if ends is not None and ends.is_set():
            break
        one = made(index)
        begin = time.monotonic()
        status = scu.store(one.sop_instance, [one.data_set])
        if status != 0:
            raise RuntimeError("a store was answered %04X" % status)
        if times is not None:
            times.append((begin, time.monotonic() - begin))
        if pause:
            time.sleep(pause)
    scu.socket.close()


class Foreground:
    """A steady load, whose every store is timed."""

    def __init__(self, cluster, label):
        self.times, self._ends, self._failures = [], threading.Event(), []
        self._threads = [
            threading.Thread(target=self._run, args=(cluster, Made("%s-%d" % (label, sender)))) for sender in range(SENDERS)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, cluster, made):
        try:
            store_all(cluster, made, range(1 << 30), self.times, self._ends, PAUSE_SECONDS)
        except (RuntimeError, OSError) as error:
            self._failures.append(str(error))

    def finish(self):
        self._ends.set()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise RuntimeError("the load: " + self._failures[0])

    def between(self, begin, end):
        """Seconds of the stores that began in that time, ascending."""
        return sorted(seconds for at, seconds in list(self.times) if begin <= at <= end)


def p99(times):
    return times[int(len(times) * 0.99)] if times else float("nan")


class Watch(threading.Thread):
    """Notes from when to when copies are made, and how many bytes."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.first = cluster.repair()["madeBytes"]
        self.copies = cluster.repair()["madeCopies"]
        self.samples = [(time.monotonic(), self.first)]
        self._ends = threading.Event()
        self.start()

    def run(self):
        while not self._ends.wait(0.2):
            try:
                said = self.cluster.repair()
            except OSError:
                continue
            self.samples.append((time.monotonic(), said["madeBytes"]))

    def finish(self):
        """(bytes, begin, end)"""
        self._ends.set()
        self.join()
        said = self.cluster.repair()
        last = said["madeBytes"]
        self.samples.append((time.monotonic(), last))
        self.copies = said["madeCopies"] - self.copies
        # The last moment at which nothing had been made, and the first at which all had.
        begin = max(at for at, made in self.samples if made == self.first)
        end = min(at for at, made in self.samples if made == last)
        return last - self.first, begin, end


class Bare:
    """The least that has to be done: each run writes as much as repair does, to files of its own, which stay until all have run.

    Past the page cache, as storage nodes do. Through it a virtual machine writes at 300 MB/s or at 1,700, by whether its host
    has to find the pages first: that is measured too, and only told.
    """

    def __init__(self, work):
        self.work = work
        self.run_count = 0
        for name in ("bare_log", "bare_copy"):
            source = os.path.join(ROOT, "Benchmarks", "lib", name + ".c")
            libraries = ["-lpthread", "-lisal", "-lcrypto"] if name == "bare_copy" else ["-lpthread"]
            subprocess.run(["gcc", "-O2", "-o", os.path.join(work, name), source, *libraries], check=True)
        self.rates = {"bare_log": [], "bare_copy": []}
        self.checked, self.cached = [], []

    def measure(self, targets, record_bytes, records, runs=3):
        """Runs each a few times by turns: single runs lie up to a factor of two apart."""
        for _ in range(runs):
            self._measure_once(targets, record_bytes, records)
        print("    bare log %s MB/s, bare copy over loopback into %d synced logs %s MB/s, with its checksums %s, "
              "through the page cache %s" % (
            self._last(self.rates["bare_log"], runs), targets, self._last(self.rates["bare_copy"], runs),
            self._last(self.checked, runs), self._last(self.cached, runs)), flush=True)  # fmt: skip

    @staticmethod
    def _last(rates, count):
        return ", ".join("%.0f" % (rate / 1e6) for rate in rates[-count:])

    def _measure_once(self, targets, record_bytes, records):
        block_bytes = record_bytes // 4096 * 4096
        log = [os.path.join(self._directory(), "log"), "16", str(records), str(block_bytes)]
        seconds = float(self._run([os.path.join(self.work, "bare_log"), *log])[0])
        self.rates["bare_log"].append(records * block_bytes / seconds)
        for rates, words in (
            (self.rates["bare_copy"], []), (self.checked, ["checked"]), (self.cached, ["cached"]),
        ):  # fmt: skip
            directory = self._directory()
            # One for all: it is written before the time is taken.
            os.symlink(os.path.join(self.work, "bare-source"), os.path.join(directory, "source"))
            copy = [directory, str(targets), str(STREAMS), str(records), str(block_bytes), *words]
            seconds, count = map(float, self._run([os.path.join(self.work, "bare_copy"), *copy]))
            rates.append(count / seconds)

    def _directory(self):
        self.run_count += 1
        path = os.path.join(self.work, "bare-%d" % self.run_count)
        os.makedirs(path)
        return path

    @staticmethod
    def _run(words):
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()

    def clear(self):
        """Nothing more is measured: what comes next needs the room, some 60 GB with the defaults."""
        for number in range(1, self.run_count + 1):
            shutil.rmtree(os.path.join(self.work, "bare-%d" % number))

    def allowed(self):
        """The lower of the two is what the machine allows."""
        return min(statistics.median(rates) for rates in self.rates.values())


def step(text):
    print("==> " + text, flush=True)


def tell(results, text, ratio, goal, is_met):
    results.append(is_met)
    print("%s: ratio %.2f, goal %s: %s" % (text, ratio, goal, "met" if is_met else "MISSED"), flush=True)


def fill(cluster, made, count):
    begin = time.monotonic()
    failures = []

    def run(first):
        try:
            store_all(cluster, made, range(first, count, 4))
        except (RuntimeError, OSError) as error:
            failures.append(str(error))

    threads = [threading.Thread(target=run, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(failures[0])
    print("    %.0f instances/s" % (count / (time.monotonic() - begin)), flush=True)


def new_node(cluster, count, results):
    """A node joins the others, which have everything."""
    watch = Watch(cluster)
    cluster.stop()
    # As fast as it goes; what a limit does is looked at below.
    cluster.start(NODES + 1, UNLIMITED)
    cluster.wait_whole()
    moved, begin, end = watch.finish()
    one = moved / max(1, watch.copies)
    holds = cluster.nodes()["storage-%d" % (NODES + 1)]["records"]
    share = count * COPIES / NODES
    print("    %d copies, %.0f MB in %.1f s: %.0f MB/s into one node" % (
        watch.copies, moved / 1e6, end - begin, moved / 1e6 / (end - begin)))  # fmt: skip
    tell(results, "new node: copies on it against an even share of %.0f" % share, holds / share, "0.90 to 1.10",
         0.9 <= holds / share <= 1.1)  # fmt: skip
    minimum = share * one
    tell(results, "new node: bytes moved against the even share", moved / minimum, "<= %.2f" % MOVE_GOAL,
         moved / minimum <= MOVE_GOAL)  # fmt: skip


def lose_idle(cluster, name):
    watch = Watch(cluster)
    cluster.kill(name)
    wait("%s out" % name, lambda: cluster.nodes()[name]["state"] == "out")
    cluster.wait_whole()
    made, begin, end = watch.finish()
    rate = made / (end - begin)
    print("    %d copies, %.0f MB in %.1f s: %.0f MB/s" % (watch.copies, made / 1e6, end - begin, rate / 1e6))
    cluster.remove(name)
    return rate, made // max(1, watch.copies)


def lose_loaded(cluster, name, label, seconds, results):
    """Stores before, while copies are made, and afterwards, of one load."""
    watch = Watch(cluster)
    load = Foreground(cluster, "load-" + name)
    try:
        time.sleep(2)  # connections, codecs and caches are warm
        before = time.monotonic()
        time.sleep(seconds)
        killed = time.monotonic()
        cluster.kill(name)
        wait("%s out" % name, lambda: cluster.nodes()[name]["state"] == "out")
        cluster.wait_whole()
        made, begin, end = watch.finish()
        after = time.monotonic()
        time.sleep(seconds)
        last = time.monotonic()
    finally:
        load.finish()
    quiet = sorted(load.between(before, killed) + load.between(after, last))
    busy = load.between(begin, end)
    away = load.between(killed, begin)
    rate = made / (end - begin)
    for what, times in (("quiet", quiet), ("node silent, nothing copied yet", away), ("while copies are made", busy)):
        print("    %s: %d stores, median %.1f ms, p99 %.1f ms" % (
            what, len(times), statistics.median(times or [float("nan")]) * 1000, p99(times) * 1000))  # fmt: skip
    print("    %.0f MB in %.1f s: %.0f MB/s" % (made / 1e6, end - begin, rate / 1e6))
    ratio = p99(busy) / p99(quiet)
    tell(results, "store p99 while copies are made, %s" % label, ratio, "<= %.2f" % LATENCY_GOAL, ratio <= LATENCY_GOAL)
    cluster.remove(name)
    return rate


def main():
    parser = argparse.ArgumentParser(prog="Benchmarks/repair.sh", description=__doc__.split("\n")[0])
    parser.add_argument("--instances", type=int, default=4000, help="of half a megabyte each (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="of load before and after a repair (default %(default)s)")
    parser.add_argument("--work", default=tempfile.gettempdir(), help="where data is kept meanwhile (default %(default)s)")
    chosen = parser.parse_args()
    machine.describe()
    work = tempfile.mkdtemp(prefix="varve-repair-", dir=chosen.work)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("repair: terminated"))
    cluster, bare, results = Cluster(work), Bare(work), []
    try:
        step("%d nodes, %d copies, %d instances of 512 x 512 x 16 bits, as received" % (NODES, COPIES, chosen.instances))
        cluster.start(NODES, UNLIMITED)
        fill(cluster, Made("stock"), chosen.instances)
        cluster.wait_whole()
        # As many as a node has.
        count = chosen.instances * COPIES // NODES
        bare.measure(NODES - 1, SIDE * SIDE * 2, count)
        step("a node is lost, nothing else happens, no limit of the rate")
        rate, one = lose_idle(cluster, "storage-1")
        bare.measure(NODES - 1, one, count)
        allowed = bare.allowed()
        tell(results, "repair %.0f MB/s, the machine allows %.0f" % (rate / 1e6, allowed / 1e6), rate / allowed,
             ">= %.2f" % RATE_GOAL, rate / allowed >= RATE_GOAL)  # fmt: skip
        checked = statistics.median(bare.checked)
        cached = statistics.median(bare.cached)
        print("of the bare copy with its checksums, %.0f MB/s: %.2f; of the one through the page cache, %.0f MB/s: %.2f" % (
            checked / 1e6, rate / checked, cached / 1e6, rate / cached), flush=True)  # fmt: skip
        bare.clear()
        step("a new, empty node, no limit of the rate")
        new_node(cluster, chosen.instances, results)
        for name, label, settings in (
            ("storage-2", "no limit of the rate", UNLIMITED),
            ("storage-3", "limit as it is by default", ()),
        ):
            step("a node is lost under load, " + label)
            cluster.stop()
            cluster.start(NODES + 1, settings)
            cluster.wait_whole()
            lose_loaded(cluster, name, label, chosen.seconds, results)
        print("load after: %.2f %.2f %.2f" % os.getloadavg())
    except RuntimeError:
        cluster.show_logs()
        raise
    finally:
        cluster.stop()
        shutil.rmtree(work, ignore_errors=True)
    print("%d of %d goals met" % (sum(results), len(results)))


if __name__ == "__main__":
    main()
