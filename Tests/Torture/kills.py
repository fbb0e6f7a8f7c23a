# SPDX-License-Identifier: Apache-2.0
"""Kills, one after another: a cluster that stays up under a load that goes on, and nothing acknowledged is lost.

Each kill takes one or two of the storage nodes, the ingest node and the coordinator, now and then all storage nodes,
Postgres, or everything, a short time after the last. What was acknowledged since the last one is read and compared,
at once where reads are promised to go on, and every copy of it that the catalog names is read where it lies. Every 50
kills the cluster has to become whole; at the end it is started again and all is read once more.
"""

import collections
import dataclasses
import os
import random
import time

from load import PynetdicomLoad, made_small
from support.cluster import ClusterError
from verifier import Verifier

# Back at once, however often a process has died; no TLS, no scrubbing: neither has to do with what a kill may take.
OPTIONS = ("--restart-delay-limit", "0.2", "--scrub-seconds", "0", "--loss-settling-seconds", "20")
# So that segments are sealed and begun every few seconds.
SEGMENT_BYTE_COUNT = 2 << 20
SENDERS = 3
CHECK_EVERY = 50
LONGEST_WAIT = 1.0
# How long a process may take to be back, and what was acknowledged to be readable everywhere, in seconds. A client that
# found a node away waits up to 5 s until it tries again.
BACK_SECONDS, WHOLE_SECONDS = 60, 60
INGEST, COORDINATOR, POSTGRES, EVERYTHING = "ingest-1", "coordinator-1", "postgres", "up"


@dataclasses.dataclass(frozen=True)
class Kill:
    # Seconds since the last one was dealt with.
    wait: float
    names: tuple
    # Seconds after it came back that the first of them is killed again; None: it is not.
    again: float | None = None

    def __str__(self):
        said = "everything" if EVERYTHING in self.names else " and ".join(self.names)
        return said + ("" if self.again is None else ", again after %.2f s" % self.again)

    def leaves_reads(self):
        """Whether one copy of everything, and who reads it, stays."""
        storage = [name for name in self.names if name.startswith("storage")]
        return len(storage) <= 1 and set(self.names) <= {COORDINATOR, *storage}


def plan(nodes, dice):
    """One kill; the same dice, the same kill."""
    wait, throw = dice.uniform(0, LONGEST_WAIT), dice.random()
    if throw < 0.02:
        return Kill(wait, (EVERYTHING,))
    if throw < 0.06:
        return Kill(wait, (POSTGRES,))
    if throw < 0.08:
        return Kill(wait, (POSTGRES, dice.choice(nodes + [INGEST])))
    if throw < 0.14:
        return Kill(wait, tuple(nodes))
    first, second = dice.choice(nodes + [INGEST]), dice.choice(nodes + [INGEST, COORDINATOR])
    if first == second:
        # While it starts, most often.
        return Kill(wait, (first,), again=dice.uniform(0, 0.4))
    return Kill(wait, (first, second) if dice.random() < 0.5 else (second,))


class Campaign:
    """All kills of one cluster, and what came of them."""

    def __init__(self, scene, seed, work):
        self.scene, self.seed, self.label = scene, seed, "kills-%d" % seed
        self.verifier = Verifier(scene, made_small)
        self.load = self.scene.load = PynetdicomLoad(
            self.label, scene.cluster.port, work, made_small, SENDERS, count=1 << 30, seconds=1 << 30
        )
        self.forget()

    def forget(self):
        """Nothing has happened yet."""
        self.taken = collections.Counter()
        self.everything, self.since_check = [], []
        self.kills = collections.Counter()
        # What failed any check, and what failed the last of all.
        self.hurt, self.lost, self.problems = set(), None, []
        self.slowest = 0.0

    # MARK: Kills

    def play(self, number):
        """One kill and all that is looked at behind it."""
        kill = plan(self.scene.nodes, random.Random("%d/%d" % (self.seed, number)))
        problems = len(self.problems)
        time.sleep(kill.wait)
        began = time.monotonic()
        self.strike(kill)
        batch = self.fresh()
        if kill.leaves_reads():
            self.note(self.verifier.failures(self.label, batch))
        self.await_back(kill.names)
        if not kill.leaves_reads():
            self.read_in_the_end(batch)
        self.check_copies(batch)
        seconds = time.monotonic() - began
        self.slowest = max(self.slowest, seconds)
        if not self.load.is_running():
            raise ClusterError("nobody sends any more")
        return kill, len(batch), seconds, self.problems[problems:]

    def strike(self, kill):
        if EVERYTHING in kill.names:
            self.kills.update(self.scene.nodes + [INGEST, COORDINATOR, POSTGRES, EVERYTHING])
            self.scene.kill_everything()
            self.scene.start()
            return
        pids = [self._kill(name) for name in kill.names]
        for pid in pids:
            self.scene.cluster.wait_gone(pid)
        if kill.again is not None:
            self._await_pid(kill.names[0])
            time.sleep(kill.again)
            self.scene.cluster.wait_gone(self._kill(kill.names[0]))

    def _kill(self, name):
        pid = self.scene.kill(name)
        if pid is None:
            raise ClusterError("%s does not run, and nobody has killed it" % name)
        self.kills[name] += 1
        return pid

    def _await_pid(self, name):
        self.scene.wait("%s to run" % name, lambda: self.scene.cluster.pid(name), BACK_SECONDS, 0.01)

    def await_back(self, names):
        """Until each of them serves. A coordinator serves nobody who waits: that one leads is for `check_whole`."""
        for name in names if EVERYTHING not in names else self.scene.cluster.names():
            self._await_pid(name)
        scene = self.scene
        scene.wait("the ingest node to be ready", lambda: scene.cluster.get("/readyz")[0] == 200, BACK_SECONDS, 0.02)
        for node in scene.nodes:
            if node in names or EVERYTHING in names:
                scene.wait("%s to take records" % node, lambda: self._takes_records(node), BACK_SECONDS, 0.05)

    def _takes_records(self, node):
        status = self.scene.node_status(node)
        return status is not None and status["acceptsWrites"]

    # MARK: What was acknowledged

    def fresh(self):
        """What was acknowledged since this was last asked."""
        batch = []
        for sender, index in self.load.acknowledged():
            # Each sends one after the other.
            if index >= self.taken[sender]:
                self.taken[sender] = index + 1
                batch.append((sender, index))
        self.everything += batch
        self.since_check += batch
        return batch

    def note(self, failures):
        for which, _, said in failures:
            self.hurt.add(which)
            self.problems.append(said)

    def read_in_the_end(self, batch):
        """Reads may have to wait for somebody; nothing may be denied or be wrong meanwhile."""
        deadline = time.monotonic() + WHOLE_SECONDS
        while batch:
            failures = self.verifier.failures(self.label, batch)
            is_over = time.monotonic() > deadline
            self.note([failure for failure in failures if failure[1] or is_over])
            batch = [which for which, is_wrong, _ in failures if not is_wrong and not is_over]
            time.sleep(0.1 if batch else 0)

    def check_copies(self, batch, seconds=WHOLE_SECONDS):
        """Every copy that the catalog names is read where it is; nodes and catalog may take a while to be there."""
        deadline = time.monotonic() + seconds
        wanted = {made_small(self.label, *which).sop_instance: which for which in batch}
        studies = {which: made_small(self.label, *which).study for which in batch}
        while wanted:
            shown, unfinished = {}, {}
            for study in {studies[which] for which in wanted.values()}:
                shown.update(self._copies(study))
            for uid, which in wanted.items():
                is_final, said = judge(shown.get(uid))
                if said and (is_final or time.monotonic() > deadline):
                    self.note([(which, is_final, "%s/%d/%d (%s) %s" % (self.label, *which, uid, said))])
                elif said:
                    unfinished[uid] = which
            wanted = unfinished
            time.sleep(0.1 if wanted else 0)

    def _copies(self, study):
        """{SOP Instance UID: copies}; nothing while the catalog does not answer or does not know of it."""
        try:
            shown = self.scene.cluster.json("/api/v1/studies/%s?verify=true" % study)
        except ClusterError:
            return {}
        return {entry["sopInstanceUID"]: entry["copies"] for entry in shown["instances"]}

    # MARK: Now and then

    def check_whole(self):
        """The cluster has become whole, and nothing happened that nobody did."""
        self.scene.wait_settled()
        self.scene.wait("a coordinator to lead", self._is_led)
        self.check_copies(self.since_check)
        self.since_check = []
        self.problems += self.scene.strangers() + self.scene.crashes() + self.scene.losses()

    def _is_led(self):
        status = self.scene.cluster.json("/api/v1/status")
        return status["coordinator"] is not None

    def finish(self):
        """The load ends, the cluster is started again, and all is read."""
        self.load.finish()
        self.fresh()
        self.check_whole()
        self.scene.stop()
        self.scene.start()
        self.scene.wait_settled()
        before, self.hurt = self.hurt, set()
        self.note(self.verifier.failures(self.label, self.everything))
        self.check_copies(self.everything)
        self.lost, self.hurt = len(self.hurt), self.hurt | before
        self.problems += self.scene.strangers() + self.scene.crashes() + self.scene.losses()

    def summary(self):
        counts = ", ".join("%s %d" % one for one in sorted(self.kills.items()))
        return "%d processes killed (%s); %d instances acknowledged, %s%d failed a check; %d refused; slowest %.1f s" % (
            sum(self.kills.values()), counts, len(self.everything),
            "" if self.lost is None else "%d lost, " % self.lost,
            len(self.hurt), self.load.refusals(), self.slowest,
        )  # fmt: skip


def judge(copies):
    """(whether that can't change any more, what is wrong or None) of an instance's copies."""
    if not copies:
        return False, "is not in the catalog"
    bad = [copy for copy in copies if copy["state"] != "good"]
    said = ", ".join("%s %s (%s)" % (copy["node"], copy["state"], copy.get("reason")) for copy in bad)
    if any(copy["state"] in ("missing", "damaged") for copy in bad):
        return True, "has lost the copy on: " + said
    if bad:
        return False, "can't be read on: " + said
    if len({copy["node"] for copy in copies}) < 2:
        return True, "was acknowledged with fewer than two copies"
    return False, None


def run(scene, seed, chosen, work):
    """Plays all kills. Returns (how many passed, what failed)."""
    began = time.monotonic()
    campaign = Campaign(scene, seed, work)
    passed, failures = 0, []
    try:
        scene.wait("a first acknowledged instance", campaign.load.acknowledged)
        for number in range(chosen.first, chosen.first + chosen.kills):
            kill, count, seconds, problems = campaign.play(number)
            print("kill %4d: %s: %d instances since, all seen in %.2f s" % (number, kill, count, seconds), flush=True)
            if number % CHECK_EVERY == 0:
                before = len(campaign.problems)
                campaign.check_whole()
                problems += campaign.problems[before:]
                print("           whole again; " + campaign.summary(), flush=True)
            for problem in problems[:8]:
                print("    " + problem, flush=True)
            failures += ["kill %d: %s" % (number, problem) for problem in problems]
            passed += not problems
            if problems and chosen.stop:
                return passed, failures
        print("all again, every copy read, after a restart of the whole cluster", flush=True)
        before = len(campaign.problems)
        campaign.finish()
        for problem in campaign.problems[before:][:8]:
            print("    " + problem, flush=True)
        failures += ["at the end: " + problem for problem in campaign.problems[before:]]
        passed += len(campaign.problems) == before
    finally:
        campaign.load.finish()
        print("%.2f s a kill; %s" % ((time.monotonic() - began) / chosen.kills, campaign.summary()), flush=True)
    return passed, failures
