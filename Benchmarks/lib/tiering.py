# SPDX-License-Identifier: Apache-2.0
"""How fast a study gets into a cold pack, and how long its first image takes from there.

A cluster of `varve up` is filled with studies, each of which is ordered into a directory tier. The time is that from when the pack's
file appears under its temporary name to when it is there, synced, under its own; the reference is `cp` of that pack with a sync, in
the same directory, with an empty page cache as the storage node has read past it. Then the cluster is started anew twice, and the
first image of a study is read by WADO-RS: from the storage nodes, and when they are all dead.
"""

import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import machine
import repair
from contenders import ROOT
from repair import step, tell, wait

NODES, COPIES, ACK = 3, 2, 2
RATE_GOAL, LATENCY_GOAL = 0.6, 2.0
READS = 50
RULES = """version: 1
tiers:
  hot: {nodes: hot}
  cold: {packs: {directory: %s}}
policies:
  active: {copies: {hot: 2}}
default: active
rules: []
"""


class Cluster(repair.Cluster):
    def __init__(self, work, store):
        super().__init__(work)
        place = "cold-stores=file://" + store
        self.options = ("--storage-setting", place, "--ingest-setting", place)

    def varve(self, *words):
        program = os.environ.get("VARVE_BINARY", os.path.join(ROOT, ".build/release/varve"))
        environment = {**os.environ, "VARVE_SERVER": "http://127.0.0.1:%d" % self.http}
        return subprocess.run([program, *words], env=environment, capture_output=True, text=True, check=True).stdout

    def restart(self):
        self.stop()
        self.start(NODES)

    def peak_memory(self):
        """Bytes, of the storage node that has needed most."""
        found = 0
        for number in range(1, NODES + 1):
            with open(os.path.join(self.data, "run", "storage-%d.pid" % number)) as file:
                pid = file.read().split()[0]
            with open("/proc/%s/status" % pid) as file:
                found = max(found, int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1)) << 10)
        return found

    def first_read(self, one):
        """Seconds from the request to the last byte."""
        path = "/dicom-web/studies/%s/series/%s/instances/%s" % (one.study, one.series, one.sop_instance)
        request = urllib.request.Request("http://127.0.0.1:%d%s" % (self.http, path))
        request.add_header("Accept", 'multipart/related; type="application/dicom"; transfer-syntax=*')
        begin = time.monotonic()
        with urllib.request.urlopen(request, timeout=60) as answer:
            body = answer.read()
        seconds = time.monotonic() - begin
        if one.data_set[-4096:] not in body:
            raise RuntimeError("another image came")
        return seconds


def move(cluster, store, uid):
    """(seconds from the temporary name to the own, seconds until it was read back and counted, path) of the study's pack."""
    cluster.varve("study", "move", uid, "--tier", "cold", "--soak-seconds", "86400", "--reason", "a benchmark")
    uploads = os.path.join(store, ".varve-uploads")
    while not os.listdir(uploads):
        time.sleep(0.001)
    begin = time.monotonic()
    while os.listdir(uploads):
        time.sleep(0.001)
    built = time.monotonic() - begin
    pack = None

    def is_counted():
        nonlocal pack
        pack = cluster.json("/api/v1/studies/" + uid)["packs"][0]
        return pack["state"] == "counted"

    wait("the pack of " + uid, is_counted, 120, 0.05)
    return built, time.monotonic() - begin, os.path.join(store, pack["key"])


def copy(pack, directory, number):
    """Seconds of `cp` with a sync, into a file that stays: blocks that have just been freed would be quicker."""
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("1")
    target = os.path.join(directory, "copy-%d" % number)
    begin = time.monotonic()
    subprocess.run(["cp", pack, target], check=True)
    subprocess.run(["sync", target], check=True)
    return time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(prog="Benchmarks/tiering.sh", description=__doc__.split("\n")[0])
    parser.add_argument("--instances", type=int, default=1500, help="of half a megabyte in a study (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="studies that are moved (default %(default)s)")
    parser.add_argument("--work", default=tempfile.gettempdir(), help="where data is kept meanwhile (default %(default)s)")
    chosen = parser.parse_args()
    if os.getuid() != 0:
        sys.exit("tiering: run it as root: the page cache has to be emptied between the runs")
    machine.describe()
    work = tempfile.mkdtemp(prefix="varve-tiering-", dir=chosen.work)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("tiering: terminated"))
    repair.COPIES, repair.ACK, repair.STUDY = COPIES, ACK, chosen.instances
    store = os.path.join(work, "store")
    os.makedirs(store)
    cluster, results = Cluster(work, store), []
    try:
        cluster.varve("pack", "init", store)
        cluster.start(NODES)
        rules = os.path.join(work, "rules.yaml")
        with open(rules, "w") as file:
            file.write(RULES % store)
        cluster.varve("lifecycle", "load", rules, "--reason", "a benchmark")
        studies = [repair.Made("tiering-%d" % number) for number in range(chosen.rounds)]
        step("%d studies of %d instances of 512 x 512 x 16 bits, as received" % (chosen.rounds, chosen.instances))
        for made in studies:
            repair.fill(cluster, made, chosen.instances)
        ratios, before = [], cluster.peak_memory()
        for number, made in enumerate(studies):
            built, whole, pack = move(cluster, store, made(0).study)
            size = os.path.getsize(pack)
            copied = copy(pack, work, number)
            ratios.append(copied / built)
            print("    %.0f MB: built in %.2f s, %.0f MB/s; read back and counted after %.2f s; cp with sync %.2f s, %.0f MB/s: %.2f" % (
                size / 1e6, built, size / 1e6 / built, whole, copied, size / 1e6 / copied, copied / built))  # fmt: skip
        ratio = statistics.median(ratios)
        tell(results, "pack built, rate against cp with sync (median)", ratio, ">= %.2f" % RATE_GOAL, ratio >= RATE_GOAL)
        print("memory of the storage node that needed most: %.0f MB before, %.0f MB after" % (
            before / 1e6, cluster.peak_memory() / 1e6))  # fmt: skip
        # The same instances: none of them has been read by this process of the ingest node.
        times = {}
        for source in ("storage nodes", "pack"):
            step("images of one study from the " + source + ", after a new start")
            cluster.restart()
            if source == "pack":
                for number in range(1, NODES + 1):
                    cluster.kill("storage-%d" % number)
            firsts = [cluster.first_read(made(0)) for made in studies]
            following = [cluster.first_read(studies[0](index)) for index in range(1, READS)]
            times[source] = (statistics.median(firsts), statistics.median(following))
            print("    first %s ms; %d others of one study, median %.1f ms" % (
                ", ".join("%.1f" % (one * 1000) for one in firsts), len(following), times[source][1] * 1000))  # fmt: skip
        for name, index in (("first image of a study", 0), ("following images", 1)):
            ratio = times["pack"][index] / times["storage nodes"][index]
            tell(results, name + ", pack against storage nodes (median)", ratio, "<= %.1f" % LATENCY_GOAL, ratio <= LATENCY_GOAL)
        print("load after: %.2f %.2f %.2f" % os.getloadavg())
    finally:
        cluster.stop()
        shutil.rmtree(work, ignore_errors=True)
    print("%d of %d goals met" % (sum(results), len(results)))


if __name__ == "__main__":
    main()
