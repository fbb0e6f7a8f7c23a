# SPDX-License-Identifier: Apache-2.0
"""How fast a study gets into a cold pack, and how long its first image takes from there.

A cluster of `varve up` is filled with studies, each of which is ordered into a tier. In a directory the time is that from when the
pack's file appears under its temporary name to when it is there, synced, under its own; the reference is `cp` of that pack with a sync,
in the same directory, with an empty page cache as the storage node has read past it. In a bucket it is that from when the server
knows of the upload to when the catalog has the pack; the reference is `aws s3 cp` of it to the same bucket, its start included.

The first image of a study is read by WADO-RS before, from the storage nodes, and when their copies have been dropped, each time after
a new start of the cluster. From a directory it may take twice as long; from a bucket as long as a range request, of as many bytes as
an instance has, more.
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
from tiers import BucketTier, DirectoryTier

NODES, COPIES, ACK = 3, 2, 2
RATE_GOAL, LATENCY_GOAL = 0.6, 2.0
READS = 50
RULES = """version: 1
tiers:
  hot: {nodes: hot}
  cold: {packs: %s}
policies:
  active: {copies: {hot: 2}}
default: active
rules: []
"""


class Cluster(repair.Cluster):
    def __init__(self, work, tier):
        super().__init__(work)
        place = "cold-stores=" + tier.place
        drop = "drop-packed-copies=yes"
        self.options = ("--storage-setting", place, "--ingest-setting", place, "--coordinator-setting", drop)

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


def move(cluster, tier, uid):
    """(seconds that building took, seconds until it was read back and counted as well, the study's pack)."""
    cluster.varve("study", "move", uid, "--tier", "cold", "--soak-seconds", "0", "--reason", "a benchmark")
    tier.wait_begun()
    begin = time.monotonic()
    tier.wait_built(cluster, uid)
    built = time.monotonic() - begin
    pack = None

    def is_counted():
        nonlocal pack
        pack = cluster.json("/api/v1/studies/" + uid)["packs"][0]
        return pack["state"] == "counted"

    wait("the pack of " + uid, is_counted, 600, 0.05)
    return built, time.monotonic() - begin, pack


def read(cluster, source, studies):
    """(seconds of the first image of a study, of those that follow), medians, after a new start.

    The same instances each time: none of them has been read by this process of the ingest node.
    """
    step("images of one study from the " + source + ", after a new start")
    cluster.restart()
    firsts = []
    for made in studies:
        # What the one before has left to do is done.
        time.sleep(1)
        firsts.append(cluster.first_read(made(0)))
    following = [cluster.first_read(studies[0](index)) for index in range(1, READS)]
    print("    first %s ms; %d others of one study, median %.1f ms" % (
        ", ".join("%.1f" % (one * 1000) for one in firsts), len(following), statistics.median(following) * 1000))  # fmt: skip
    return statistics.median(firsts), statistics.median(following)


def main():
    parser = argparse.ArgumentParser(prog="Benchmarks/tiering.sh", description=__doc__.split("\n")[0])
    parser.add_argument("--instances", type=int, default=1500, help="of half a megabyte in a study (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="studies that are moved (default %(default)s)")
    parser.add_argument("--s3", action="store_true", help="into a bucket, not a directory")
    parser.add_argument("--endpoint", help="of a server with a user test-id, test-secret; its bucket varve-benchmark is emptied "
                        "(default: moto's server, which is started)")  # fmt: skip
    parser.add_argument("--work", default=tempfile.gettempdir(), help="where data is kept meanwhile (default %(default)s)")
    chosen = parser.parse_args()
    if os.getuid() != 0:
        sys.exit("tiering: run it as root: the page cache has to be emptied between the runs")
    machine.describe()
    work = tempfile.mkdtemp(prefix="varve-tiering-", dir=chosen.work)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("tiering: terminated"))
    repair.COPIES, repair.ACK, repair.STUDY = COPIES, ACK, chosen.instances
    cluster, tier, results = None, None, []
    try:
        tier = BucketTier(work, chosen.endpoint) if chosen.s3 else DirectoryTier(work)
        cluster = Cluster(work, tier)
        tier.prepare(cluster)
        cluster.start(NODES)
        rules = os.path.join(work, "rules.yaml")
        with open(rules, "w") as file:
            file.write(RULES % tier.packs)
        cluster.varve("lifecycle", "load", rules, "--reason", "a benchmark")
        studies = [repair.Made("tiering-%d" % number) for number in range(chosen.rounds)]
        step("%d studies of %d instances of 512 x 512 x 16 bits, as received" % (chosen.rounds, chosen.instances))
        for made in studies:
            repair.fill(cluster, made, chosen.instances)
        times = {"storage nodes": read(cluster, "storage nodes", studies)}
        step("each study into a pack")
        ratios, packs, before = [], [], cluster.peak_memory()
        for number, made in enumerate(studies):
            built, whole, pack = move(cluster, tier, made(0).study)
            packs.append(pack)
            size = pack["bytes"]
            copied = tier.copy(pack["key"], number)
            ratios.append(copied / built)
            print("    %.0f MB: built in %.2f s, %.0f MB/s; read back and counted after %.2f s; %s %.2f s, %.0f MB/s: %.2f" % (
                size / 1e6, built, size / 1e6 / built, whole, tier.reference, copied, size / 1e6 / copied, copied / built))  # fmt: skip
        ratio = statistics.median(ratios)
        tell(results, "pack built, rate against %s (median)" % tier.reference, ratio, ">= %.2f" % RATE_GOAL, ratio >= RATE_GOAL)
        print("memory of the storage node that needed most: %.0f MB before, %.0f MB after" % (
            before / 1e6, cluster.peak_memory() / 1e6))  # fmt: skip
        wait("the copies to be dropped", lambda: not any(node["records"] for node in cluster.nodes().values()), 300)
        times["pack"] = read(cluster, "pack", studies)
        for name, index in (("first image of a study", 0), ("following images", 1)):
            cold, hot = times["pack"][index], times["storage nodes"][index]
            if not chosen.s3:
                tell(results, name + ", pack against storage nodes (median)", cold / hot, "<= %.1f" % LATENCY_GOAL,
                     cold / hot <= LATENCY_GOAL)  # fmt: skip
                continue
            ranges = [tier.range_request(pack["key"], len(studies[0](0).data_set)) for pack in packs for _ in range(5)]
            most = hot + statistics.median(ranges)
            print("    storage nodes %.1f ms, one range request %.1f ms" % (hot * 1000, statistics.median(ranges) * 1000))
            tell(results, name + ", ms from a pack (median)", cold * 1000, "<= %.1f" % (most * 1000), cold <= most)
        print("load after: %.2f %.2f %.2f" % os.getloadavg())
    finally:
        if cluster is not None:
            cluster.stop()
        if tier is not None:
            tier.stop()
        shutil.rmtree(work, ignore_errors=True)
    print("%d of %d goals met" % (sum(results), len(results)))


if __name__ == "__main__":
    main()
