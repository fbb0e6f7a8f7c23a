# SPDX-License-Identifier: Apache-2.0
"""The torture: what was acknowledged is there, whatever dies, fails, fills up or rots.

Each round loads a cluster over 4 associations and hurts it by one to three faults, chosen by chance within what is
promised: the loss of any one node. When the cluster is whole again, every instance that was acknowledged must be
readable, bit for bit what was sent, and every copy that the catalog names must be good, except at the one node whose
disk is made to rot, where `varve study show` must say so; every process must run, once; and none may have ended that
nobody killed. At the end the same is checked once more for all rounds, with every copy read, after a restart of the
whole cluster. The same seed makes the same choices.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Interop"))
sys.dont_write_bytecode = True
os.environ["TCP_NODELAY"] = "1"

import faults  # noqa: E402
import kills  # noqa: E402
from faults.small_disk import SmallDisk  # noqa: E402
from load import DcmsendLoad, PynetdicomLoad  # noqa: E402
from scene import Scene  # noqa: E402
from support.cluster import ClusterError, binary  # noqa: E402
from verifier import Verifier  # noqa: E402

# Every this many rounds DCMTK's dcmsend sends instead of pynetdicom.
DCMSEND_EVERY = 4
# How many more images must be acknowledged under a fault, and how long that may take at most.
PROGRESS = 12
PROGRESS_SECONDS = 180
HEAL_SECONDS = 1800
# How many of this round's images are read under the fault, and of all earlier ones behind it.
SAMPLE = 20
EARLIER_SAMPLE = 100


class Round:
    """One round: its faults, its load, and what came of it."""

    def __init__(self, number, scene, seed, names):
        self.scene = scene
        self.dice = random.Random("%d/%d" % (seed, number))
        self.label = "torture-%d-%d" % (seed, number)
        self.faults = faults.plan(scene, self.dice, names)
        self.delays = [self.dice.uniform(0.0, 1.5) for _ in self.faults]
        self.hold = self.dice.uniform(0.5, 2.0)
        self.load_type = DcmsendLoad if number % DCMSEND_EVERY == DCMSEND_EVERY - 1 else PynetdicomLoad
        self.acknowledged, self.problems = [], []
        self.before = self.refusals = self.reported = 0
        self.ready_seconds = 0.0

    def __str__(self):
        return ", ".join(map(str, self.faults))

    def play(self, directory, earlier):
        os.mkdir(directory)
        load = self.scene.load = self.load_type(self.label, self.scene.cluster.port, directory)
        begun = []
        try:
            self.scene.wait("a first acknowledged instance", load.acknowledged)
            for fault, delay in zip(self.faults, self.delays):
                time.sleep(delay)
                self.before = len(load.acknowledged())
                begun.append(fault)
                fault.strike()
            self._look(load)
            time.sleep(self.hold)
        finally:
            for fault in begun:
                fault.relieve()
            load.finish()
            self.acknowledged, self.refusals = load.acknowledged(), load.refusals()
        waited = time.monotonic()
        self.scene.wait_settled()
        self.ready_seconds = time.monotonic() - waited
        for fault in begun:
            fault.settled()
        self._check(earlier)
        shutil.rmtree(directory, ignore_errors=True)

    def _look(self, load):
        """While the faults last: stores go on, reads are right, and each fault looks at what it came for."""
        away = set().union(*(fault.away for fault in self.faults))
        if self.scene.is_rotten:
            away.add(self.scene.rotten)
        halts = any(fault.halts for fault in self.faults)
        # A rotten disk takes writes.
        if len(away - {self.scene.rotten}) <= 1 and not halts:
            count = len(load.acknowledged())
            self.scene.wait(
                "%d more instances acknowledged under: %s" % (PROGRESS, self),
                lambda: len(load.acknowledged()) >= count + PROGRESS or not load.is_running(),
                PROGRESS_SECONDS,
            )
        for fault in self.faults:
            fault.during()
        if not halts:
            sample = self.dice.sample(load.acknowledged(), min(SAMPLE, len(load.acknowledged())))
            self.problems += Verifier(self.scene).read(self.label, sample, is_promised=len(away) <= 1)

    def _check(self, earlier):
        verifier = Verifier(self.scene)
        self.problems += verifier.read(self.label, self.acknowledged)
        self.problems += verifier.copies(self.label, self.acknowledged, verify=self.scene.is_rotten)
        self.reported = verifier.reported
        for label, instances in earlier:
            self.problems += verifier.read(label, instances)
        for fault in self.faults:
            self.problems += fault.check(self)
        self.problems += self.scene.strangers() + self.scene.crashes() + self.scene.losses()

    def summary(self):
        return "%s: %d acknowledged, %d of them since; %d refused, ready %.1f s later%s: %s" % (
            self.load_type.name, len(self.acknowledged), len(self.acknowledged) - self.before, self.refusals,
            self.ready_seconds, ", %d copies said to be damaged" % self.reported if self.reported else "",
            "%d PROBLEMS" % len(self.problems) if self.problems else "all there",
        )  # fmt: skip


def check_everything(scene, everything):
    """All rounds again, after a restart of the whole cluster."""
    print("all rounds again, every copy read, after a restart of the whole cluster", flush=True)
    scene.stop()
    scene.start()
    scene.wait_settled()
    verifier = Verifier(scene)
    problems = []
    for label, instances in everything.items():
        problems += verifier.read(label, instances)
        problems += verifier.copies(label, instances, verify=True)
    if scene.is_rotten:
        # What was damaged was read above and so is known: it has to be good again before long.
        def is_healed():
            verifier.reported = 0
            again = [text for item in everything.items() for text in verifier.copies(*item, verify=True)]
            return not again and verifier.reported == 0

        scene.wait("every copy to be good again", is_healed, HEAL_SECONDS)
    problems += scene.strangers() + scene.crashes() + scene.losses()
    print("%d instances acknowledged; %d records of %s fetched again; all copies good at the end: %s" % (
        sum(map(len, everything.values())), scene.healed_count(scene.rotten), scene.rotten, "no" if problems else "yes",
    ), flush=True)  # fmt: skip
    return problems


def earlier_sample(everything, dice):
    flat = [(label, one) for label, instances in everything.items() for one in instances]
    chosen = {}
    for label, one in dice.sample(flat, min(EARLIER_SAMPLE, len(flat))):
        chosen.setdefault(label, []).append(one)
    return chosen.items()


def run(scene, seed, chosen, work):
    """Plays all rounds. Returns (how many passed, what failed)."""
    everything, passed, failures = {}, 0, []
    for number in range(chosen.first - 1, chosen.first - 1 + chosen.rounds):
        one = Round(number, scene, seed, chosen.faults)
        print("round %2d: %s" % (number + 1, one), flush=True)
        try:
            one.play(os.path.join(work, "round-%d" % (number + 1)), earlier_sample(everything, one.dice))
        except ClusterError as error:
            one.problems.append(str(error))
        everything[one.label] = one.acknowledged
        print("          %s\n          %s" % (one, one.summary()), flush=True)
        for problem in one.problems[:8]:
            print("    " + problem, flush=True)
        failures += ["round %d: %s" % (number + 1, problem) for problem in one.problems]
        passed += not one.problems
        if one.problems and (scene.cluster.process is None or scene.cluster.process.poll() is not None or chosen.stop):
            return passed, failures
    problems = check_everything(scene, everything)
    for problem in problems[:8]:
        print("    " + problem, flush=True)
    return passed + (not problems), failures + ["at the end: " + problem for problem in problems]


def options():
    parser = argparse.ArgumentParser(prog="Tests/Torture/run.sh", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--kills", type=int, default=0, help="instead of rounds: so many kills of one cluster")
    parser.add_argument("--seed", type=int, default=None, help="of the random choices; printed at the start")
    parser.add_argument("--first", type=int, default=1, help="the number of the first, to repeat one of a seed")
    parser.add_argument("--faults", default=",".join(faults.NAMES), help="only these (default %(default)s)")
    parser.add_argument("--disks", type=int, default=None, help="of each storage node (default: 1 or 2, by the seed)")
    parser.add_argument("--stop", action="store_true", help="end with the first round that has problems")
    parser.add_argument("--keep", action="store_true", help="keep the cluster's data and logs")
    chosen = parser.parse_args()
    chosen.faults = chosen.faults.split(",")
    unknown = set(chosen.faults) - {kind.__name__ for kind, _ in faults.WEIGHTS + faults.BEYOND}
    if unknown:
        parser.error("no such fault: %s" % ", ".join(sorted(unknown)))
    if not os.access(binary(), os.X_OK):
        sys.exit("no varve at %s: run `swift build -c release`, or set VARVE_BINARY" % binary())
    return chosen


def rounds(scene, seed, chosen, work):
    """As `run`, with the small disk; returns how many faults the machine does not permit, too."""
    skipped = 0
    try:
        scene.small_disk = SmallDisk(work, scene.directory_of(scene.small))
    except OSError as error:
        scene.no_small_disk = str(error)
    missing = {name: why for name, why in faults.unavailable(scene).items() if name in chosen.faults}
    for name, reason in missing.items():
        skipped += 1
        print("skipped, because this machine does not permit it: %s (%s)" % (name, reason), flush=True)
    if len(missing) == len(set(chosen.faults)):
        raise ClusterError("nothing is left to hurt the cluster with")
    scene.begin()
    return *run(scene, seed, chosen, work), skipped


def killings(scene, seed, chosen, work):
    """Kills only, and what is asked for that no archive survives."""
    scene.begin()
    for kind, _ in faults.BEYOND:
        if kind.__name__ in chosen.faults:
            fault = kind(scene, random.Random(seed))
            print(fault, flush=True)
            fault.strike()
    return *kills.run(scene, seed, chosen, work), 0


def main():
    chosen = options()
    # As an interrupt: the cluster is ended and the small disk unmounted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("torture: terminated"))
    seed = random.SystemRandom().randrange(1 << 32) if chosen.seed is None else chosen.seed
    what = "%d kills" % chosen.kills if chosen.kills else "%d rounds" % chosen.rounds
    dice = random.Random(seed)
    drawn = dice.choice((1, 2))
    disks = chosen.disks or drawn
    print("torture: %s, %d disks a node, seed %d (repeat with --seed %d)" % (what, disks, seed, seed), flush=True)
    work = tempfile.mkdtemp(prefix="varve-torture-")
    shim = os.environ.get("VARVE_FAULTY_DISK")
    if chosen.kills:
        scene = Scene(work, dice, shim, disks, kills.OPTIONS, kills.SEGMENT_BYTE_COUNT)
    else:
        scene = Scene(work, dice, shim, disks)
    passed, failures, skipped = 0, [], 0
    try:
        passed, failures, skipped = (killings if chosen.kills else rounds)(scene, seed, chosen, work)
    except ClusterError as error:
        failures.append(str(error))
        print(error)
    finally:
        try:
            scene.stop()
        except ClusterError as error:
            failures.append(str(error))
            print(error)
        if scene.small_disk:
            scene.small_disk.unmount()
        if chosen.keep or failures:
            print("data and logs are in", work)
        else:
            shutil.rmtree(work, ignore_errors=True)
    failed = (chosen.kills or chosen.rounds) + 1 - passed
    print("torture: %d passed, %d failed, %d skipped" % (passed, failed, skipped))
    sys.exit(1 if failed or failures else 0)


if __name__ == "__main__":
    main()
