# SPDX-License-Identifier: Apache-2.0
"""A cluster of many hosts under load, hurt by faults of the network, of processes, of Postgres, and by what operators do.

Run by cluster.sh, which makes the namespaces that this happens in. At the end all is healed, and then: every instance that was
acknowledged is read, byte for byte what was sent; everything has all its copies, and no copy waits for a person; and no store
failed while its ingest node and as many storage nodes were in reach as a store needs.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Interop"))
sys.dont_write_bytecode = True
os.environ["TCP_NODELAY"] = "1"

from hosts import atlas  # noqa: E402
from hosts.attempts import Ledger, Load, Reader, check, failed  # noqa: E402
from hosts.hurts import Hurts, PassedOver  # noqa: E402
from hosts.network import Network, NetworkError  # noqa: E402
from hosts.world import COPIES, DICOM, INGEST, STORAGE, World  # noqa: E402
from load import made_small  # noqa: E402
from support.cluster import ClusterError, binary  # noqa: E402

WHOLE_SECONDS = 300
READ_SECONDS = 120
# Of more studies than this only so many have every copy read; of all it is looked whether the copies are there.
VERIFIED_STUDIES = 100
TOLD = 12


def options():
    parser = argparse.ArgumentParser(prog="Tests/Torture/cluster.sh", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10, help="of load and faults (default %(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="of the random choices; printed at the start")
    parser.add_argument("--faults", default=",".join(atlas.KINDS), help="only these (default: all, see --list)")
    parser.add_argument("--list", action="store_true", help="print the faults that the seed has happen, and end")
    parser.add_argument("--keep", action="store_true", help="keep the cluster's data and logs")
    chosen = parser.parse_args()
    chosen.faults = chosen.faults.split(",")
    unknown = set(chosen.faults) - set(atlas.KINDS)
    if unknown:
        parser.error("no such fault: %s" % ", ".join(sorted(unknown)))
    if not os.access(binary(), os.X_OK):
        sys.exit("no varve at %s: run `swift build -c release`, or set VARVE_BINARY" % binary())
    return chosen


class Campaign:
    def __init__(self, world, seed, steps):
        self.world, self.seed, self.steps = world, seed, steps
        self.ledger = Ledger()
        self.hurts = Hurts(world, self.ledger)
        self.counts, self.passed_over = collections.Counter(), collections.Counter()
        self.fault_problems = []
        self._held = collections.Counter()
        self._lock = threading.Lock()
        self.start = time.monotonic()

    def say(self, text):
        print("%6.1f s  %s" % (time.monotonic() - self.start, text), flush=True)

    def run(self, seconds):
        self.start = time.monotonic()
        threads = []
        for step in self.steps:
            time.sleep(max(0.0, self.start + step.at - time.monotonic()))
            with self._lock:
                busy = set(self._held)
                if not step.fits(busy):
                    self.passed_over[step.name] += 1
                    self.say("passed over, for what is still hurt: %s" % step)
                    continue
                self._held.update(step.resources)
            threads.append(threading.Thread(target=self._play, args=(step,), daemon=True))
            threads[-1].start()
        time.sleep(max(0.0, self.start + seconds - time.monotonic()))
        self.hurts.over.set()
        for thread in threads:
            thread.join()

    def _play(self, step):
        self.say(step)
        begin = time.monotonic()
        try:
            self.hurts.play(step)
            self.counts[step.name] += 1
            self.say("    well again after %.1f s: %s" % (time.monotonic() - begin, step))
        except PassedOver as reason:
            self.passed_over[step.name] += 1
            self.say("    passed over (%s): %s" % (reason, step))
        except Exception as error:  # noqa: BLE001
            self.counts[step.name] += 1
            self.fault_problems.append("%s: %s" % (step, error))
            self.say("    NOT well again: %s: %r" % (step, error))
        finally:
            with self._lock:
                self._held.subtract(step.resources)
                self._held = +self._held


def settle(world):
    """Problems of a cluster that nothing hurts any more."""
    problems = []
    begin = time.monotonic()
    try:
        for host in INGEST:
            world.wait_ready(host, WHOLE_SECONDS)
        world.wait("all storage nodes up", lambda: world.up_count() == len(STORAGE), WHOLE_SECONDS)
        world.wait_journals(WHOLE_SECONDS)
        world.wait_whole(WHOLE_SECONDS)
    except ClusterError as error:
        with contextlib.suppress(ClusterError):
            error = "%s; repair says %s" % (error, world.repair())
        problems.append(str(error))
    with contextlib.suppress(ClusterError):
        stuck = world.json("/api/v1/repair/stuck?limit=5")
        problems += ["stuck: %s" % row for row in stuck]
    print("whole %.1f s after the last fault" % (time.monotonic() - begin), flush=True)
    return problems


def read_everything(world, label, acknowledged):
    """Problems of instances that are not read as they were sent, at both ingest nodes by turns."""
    def read(number, attempt):
        deadline = time.monotonic() + READ_SECONDS
        while True:
            is_wrong, said = check(world, label, attempt, INGEST[number % len(INGEST)])
            if said is None or is_wrong or time.monotonic() > deadline:
                return said
            time.sleep(1)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return [said for said in pool.map(read, range(len(acknowledged)), acknowledged) if said]


def count_copies(world, label, acknowledged, dice):
    """Problems of instances that have fewer copies than wanted."""
    wanted = collections.defaultdict(set)
    for attempt in acknowledged:
        one = made_small(label, attempt.sender, attempt.index)
        wanted[one.study].add(one.sop_instance)
    verified = set(dice.sample(sorted(wanted), min(VERIFIED_STUDIES, len(wanted))))

    def look(study):
        try:
            shown = world.json("/api/v1/studies/%s%s" % (study, "?verify=true" if study in verified else ""), 60)
        except ClusterError as error:
            return [str(error)]
        copies = {entry["sopInstanceUID"]: entry["copies"] for entry in shown["instances"]}
        return [
            "%s of study %s: %s" % (uid, study, copies.get(uid))
            for uid in sorted(wanted[study])
            if len({copy["node"] for copy in copies.get(uid, []) if copy["state"] == "good"}) < COPIES
        ]

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return [problem for found in pool.map(look, sorted(wanted)) for problem in found]


def verify(world):
    """Problems that `varve verify --deep` finds."""
    try:
        done = world.run("verify", "--deep", timeout=600)
    except ClusterError as error:
        return [str(error)]
    print("varve verify --deep: " + (done.stdout.strip().splitlines() or ["nothing"])[-1], flush=True)
    return [] if done.returncode == 0 else (done.stdout + done.stderr).strip().splitlines() or ["status %d" % done.returncode]


def describe(attempts, reader, campaign):
    good = [one for one in attempts if one.outcome == "ok"]
    outcomes = collections.Counter(one.outcome for one in attempts if one.outcome != "ok")
    times = sorted(one.end - one.begin for one in good)
    if times:
        print("%d instances acknowledged, median %.0f ms, p99 %.0f ms, slowest %.1f s; not acknowledged: %s" % (
            len(good), statistics.median(times) * 1000, times[int(len(times) * 0.99)] * 1000, times[-1],
            ", ".join("%d %s" % (count, what) for what, count in sorted(outcomes.items())) or "none",
        ))  # fmt: skip
    for one in sorted(good, key=lambda one: one.begin - one.end)[:3]:
        print("    %.1f s at %s, begun at %.1f s" % (one.end - one.begin, one.ingest, one.begin - campaign.start))
    print("%d reads meanwhile, %d without an answer though nothing excused it" % (reader.reads, reader.unanswered))
    print("%d faults: %s" % (
        sum(campaign.counts.values()), ", ".join("%s %d" % one for one in sorted(campaign.counts.items()))))  # fmt: skip
    if campaign.passed_over:
        print("passed over: " + ", ".join("%s %d" % one for one in sorted(campaign.passed_over.items())))
    if campaign.hurts.takeovers:
        print("another coordinator led after %.1f s at most, of %d" % (
            max(campaign.hurts.takeovers), len(campaign.hurts.takeovers)))  # fmt: skip


def play(world, seed, steps, minutes):
    """{check: problems}"""
    label = "cluster-%d" % seed
    world.start()
    campaign = Campaign(world, seed, steps)
    addresses = {host: world.network.addresses[host] for host in INGEST}
    load = Load(label, addresses, DICOM, world.directory)
    reader = Reader(world, load, campaign.ledger, seed)
    problems = {}
    world.wait("a first acknowledged instance", load.acknowledged)
    reader.start()
    campaign.run(minutes * 60)
    load.finish()
    reader.finish()
    try:
        campaign.hurts.heal_all()
    except NetworkError as error:
        campaign.fault_problems.append("healing: %s" % error)
    problems["every fault ends well"] = campaign.fault_problems
    problems["everything has all its copies, none is stuck"] = settle(world)
    attempts = load.attempts()
    acknowledged = [one for one in attempts if one.outcome == "ok"]
    problems["no store fails that has enough hosts"] = [
        "%s %d/%d after %.1f s at %.1f s: %s" % (
            one.ingest, one.sender, one.index, one.end - one.begin, one.begin - campaign.start, one.outcome)
        for one in failed(attempts, campaign.ledger)
    ]  # fmt: skip
    problems["reads under faults are right"] = reader.problems
    lost = read_everything(world, label, acknowledged)
    problems["every acknowledged instance is there, byte for byte"] = lost
    problems["every instance has %d good copies" % COPIES] = count_copies(
        world, label, acknowledged, random.Random("%d/copies" % seed))  # fmt: skip
    problems["varve verify --deep finds all sound"] = verify(world)
    problems["no process ends by itself"] = world.surprises()
    describe(attempts, reader, campaign)
    print("%d of %d acknowledged instances lost" % (len(lost), len(acknowledged)), flush=True)
    return problems


def main():
    chosen = options()
    if os.getpid() != 1:
        sys.exit("run Tests/Torture/cluster.sh: without its namespaces this would change the machine's own network")
    seed = random.SystemRandom().randrange(1 << 32) if chosen.seed is None else chosen.seed
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    print("cluster: %g minutes, seed %d (repeat with --seed %d)" % (chosen.minutes, seed, seed), flush=True)
    try:
        network = Network()
    except NetworkError as error:
        print("skipped, because this machine does not permit a network of namespaces: %s" % error)
        print("cluster: 0 passed, 0 failed, 1 skipped")
        return 0
    missing = {
        "netem": network.why_no_queue("netem", "delay", "1ms"),
        "tbf": network.why_no_queue("tbf", "rate", "1mbit", "burst", "32k", "latency", "50ms"),
        "rules": network.why_no_rules(),
    }
    skipped = [name for name in chosen.faults if missing.get(atlas.KINDS[name].needs)]
    for name in skipped:
        needed = atlas.KINDS[name].needs
        print("skipped, because this machine does not permit it: %s (%s: %s)" % (name, needed, missing[needed]))
    names = [name for name in chosen.faults if name not in skipped]
    steps = atlas.plan(seed, chosen.minutes * 60, names)
    if chosen.list:
        for step in steps:
            print("%6.1f s  %s" % (step.at, step))
        return 0
    work = tempfile.mkdtemp(prefix="varve-cluster-")
    # Postgres is another user, who has to get in.
    os.chmod(work, 0o711)
    world, problems = World(work, network), {"the cluster runs": ["it did not come to an end"]}
    try:
        problems = play(world, seed, steps, chosen.minutes)
    except (ClusterError, NetworkError) as error:
        problems["the cluster runs"] = [str(error)]
    except KeyboardInterrupt:
        print("cluster: interrupted", flush=True)
        # All others in the process namespace of this run; with its first process, which this is, the kernel ends it.
        os.kill(-1, signal.SIGKILL)
        if not chosen.keep:
            shutil.rmtree(work, ignore_errors=True)
        os._exit(130)
    world.stop()
    if chosen.keep or any(problems.values()):
        print("data and logs are in", work)
    else:
        shutil.rmtree(work, ignore_errors=True)
    for name, found in problems.items():
        print("%s: %s" % (name, "%d PROBLEMS" % len(found) if found else "yes"))
        for problem in found[:TOLD]:
            print("    " + problem)
    failures = sum(bool(found) for found in problems.values())
    print("cluster: %d passed, %d failed, %d skipped" % (len(problems) - failures, failures, len(skipped)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
