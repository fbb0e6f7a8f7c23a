# SPDX-License-Identifier: Apache-2.0
"""The load, every attempt of it written down, and the judgement on those that failed."""

import hashlib
import multiprocessing
import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field

from load import made_small
from support import wado
from support.sender import Association

PAUSE_SECONDS = 0.06
ASSOCIATION_SECONDS = 60


@dataclass
class Excuse:
    """From `begin` to `end` (None: still) something is expected not to be had of `subject`: an ingest node, `stores` of all,
    or the `catalog`, without which what was stored is known to some only."""

    subject: str
    why: str
    begin: float
    end: float = None


@dataclass
class Ledger:
    excuses: list = field(default_factory=list)

    def begin(self, subject, why):
        self.excuses.append(Excuse(subject, why, time.monotonic()))
        return self.excuses[-1]

    @staticmethod
    def end(excuse):
        excuse.end = time.monotonic()

    def covers(self, subjects, begin, end):
        return any(
            one.subject in subjects and one.begin <= end and (one.end is None or one.end >= begin)
            for one in list(self.excuses)
        )


@dataclass(frozen=True)
class Attempt:
    sender: int
    index: int
    ingest: str
    begin: float
    end: float
    outcome: str  # ok, a status in hexadecimal digits, or what became of the association
    digest: str = ""


def failed(attempts, ledger):
    """The attempts that failed without an excuse."""
    return [
        one for one in attempts
        if one.outcome != "ok" and not ledger.covers(("stores", one.ingest), one.begin, one.end)
    ]  # fmt: skip


def send(label, sender, ingest, address, port, path, stop):
    """As a modality: what was not acknowledged is sent again, and nothing else is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    index, association = 0, None
    with open(path, "a", buffering=1) as log:

        def note(begin, outcome, digest=""):
            log.write("%d %.6f %.6f %s %s\n" % (index, begin, time.monotonic(), outcome.replace(" ", "-"), digest))

        while not stop.is_set():
            one = made_small(label, sender, index)
            begin = time.monotonic()
            if association is None or not association.is_established:
                try:
                    association = Association(
                        port, [(one.sop_class, one.syntax)], host=address, timeout=ASSOCIATION_SECONDS
                    )
                except (OSError, RuntimeError, ValueError):
                    association = None
                if association is None or not association.is_established:
                    note(begin, "no association")
                    stop.wait(0.3)
                    continue
                begin = time.monotonic()
            try:
                status = association.store(one.sop_class, one.sop_instance, one.syntax, one.data_set)
            except (OSError, RuntimeError, ValueError):
                status = None
            if status == 0:
                note(begin, "ok", one.digest)
                index += 1
                stop.wait(PAUSE_SECONDS)
            else:
                note(begin, "association lost" if status is None else "%04X" % status)
                if status is None:
                    association.association.abort()
                    association = None
                stop.wait(0.3)
        if association is not None and association.is_established:
            association.association.release()


class Load:
    """Associations to every ingest node, one process each."""

    def __init__(self, label, addresses, port, directory, each=2):
        self.label = label
        self._stop = multiprocessing.Event()
        self.ingests = [ingest for ingest in sorted(addresses) for _ in range(each)]
        self._paths = [os.path.join(directory, "attempts-%d" % sender) for sender in range(len(self.ingests))]
        self._offsets = [0] * len(self.ingests)
        self._attempts = []
        self._lock = threading.Lock()
        self._processes = [
            multiprocessing.Process(
                target=send,
                args=(label, sender, ingest, addresses[ingest], port, self._paths[sender], self._stop),
                daemon=True,
            )
            for sender, ingest in enumerate(self.ingests)
        ]
        for process in self._processes:
            process.start()

    def attempts(self):
        """All so far."""
        with self._lock:
            for sender, path in enumerate(self._paths):
                if not os.path.exists(path):
                    continue
                with open(path) as file:
                    file.seek(self._offsets[sender])
                    text = file.read()
                whole = text[: text.rfind("\n") + 1]
                self._offsets[sender] += len(whole)
                for line in whole.splitlines():
                    index, begin, end, outcome, digest = (line + " ").split(" ")[:5]
                    self._attempts.append(
                        Attempt(sender, int(index), self.ingests[sender], float(begin), float(end), outcome, digest)
                    )
            return list(self._attempts)

    def acknowledged(self):
        return [one for one in self.attempts() if one.outcome == "ok"]

    def finish(self):
        self._stop.set()
        for process in self._processes:
            process.join(90)
            if process.is_alive():
                process.kill()
                process.join(10)


def check(world, label, attempt, ingest, timeout=30):
    """(whether the answer was wrong, what is wrong or None) of an acknowledged instance, compared byte for byte."""
    one = made_small(label, attempt.sender, attempt.index)
    status, body, headers = world.get(ingest, "/dicom-web/" + one.path, timeout)
    name = "%d/%d (%s) at %s" % (attempt.sender, attempt.index, one.sop_instance, ingest)
    if status != 200:
        return status in (404, 410), "%s: HTTP %d %s" % (name, status, body[:160])
    found = wado.parts(body, headers["Content-Type"])
    if len(found) != 1:
        return True, "%s: %d parts" % (name, len(found))
    _, data = wado.part10.split(found[0][1])
    if hashlib.sha256(data).hexdigest() != attempt.digest or data != one.data_set:
        return True, "%s: other bytes than were sent" % name
    return False, None


class Reader(threading.Thread):
    """Reads what was acknowledged, by chance, while the faults last. Wrong answers are problems; none at all is counted."""

    def __init__(self, world, load, ledger, seed):
        super().__init__(daemon=True)
        self.world, self.load, self.ledger = world, load, ledger
        self.dice = random.Random("%d/reader" % seed)
        self.problems, self.reads, self.unanswered = [], 0, 0
        self._stop_event = threading.Event()

    def run(self):
        while not self._stop_event.wait(0.1):
            known = self.load.acknowledged()
            if not known:
                continue
            attempt = self.dice.choice(known)
            ingest = self.dice.choice(sorted(set(self.load.ingests)))
            begin = time.monotonic()
            is_wrong, said = check(self.world, self.load.label, attempt, ingest)
            self.reads += 1
            if said is None:
                continue
            # Until journals are entered, the other ingest node does not know what is in them.
            if is_wrong and not (
                "HTTP 404" in said and self.ledger.covers(("catalog",), attempt.begin, time.monotonic())
            ):
                self.problems.append("read: " + said)
            elif not self.ledger.covers((ingest, "stores", "catalog"), begin, time.monotonic()):
                self.unanswered += 1

    def finish(self):
        self._stop_event.set()
        self.join(60)
