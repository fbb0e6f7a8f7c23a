# SPDX-License-Identifier: Apache-2.0
"""Which faults there are, and which of them a seed has happen when: pure choices, the same for the same seed.

What is promised bounds them. At most two of the five storage nodes are hurt, drained or replaced at once, so that as many are
left as an instance has copies; but for `ThreeDown`, which leaves those that a store needs, and `FourDown`, under which no store
can succeed. Nothing is wiped but one node at a time, and only when everything had all its copies.
"""

import random
from dataclasses import dataclass

from .world import INGEST, STORAGE

MOST_STORAGE = 2
LEFT_OVER = 16


@dataclass(frozen=True)
class Kind:
    weight: int
    storage: tuple = (0,)  # how many storage nodes it takes, one of these
    takes: tuple = ()  # besides: of ingest, coordinator, postgres, operator, each of which is hurt by one fault at a time
    seconds: tuple = (2.0, 12.0)  # how long it lasts
    after: float = 8.0  # how long it takes, about, until all is well again
    exclusive: bool = False  # no storage node may be hurt besides
    needs: str = ""  # netem, tbf or rules: what the machine must permit
    whole: bool = False  # only where everything has all its copies


KINDS = {
    # Storage nodes
    "KillStorage": Kind(4, storage=(1, 1, 2), seconds=(0.5, 18.0)),
    "StopStorage": Kind(2, storage=(1,), seconds=(1.0, 15.0)),
    "UnplugStorage": Kind(2, storage=(1, 2), seconds=(1.0, 15.0)),
    "DeafStorage": Kind(2, storage=(1,), seconds=(2.0, 15.0), needs="rules"),
    "MuteStorage": Kind(2, storage=(1,), seconds=(2.0, 15.0), needs="rules"),
    "LossyStorage": Kind(1, storage=(1,), seconds=(4.0, 12.0), needs="rules"),
    "SlowStorage": Kind(1, storage=(1,), seconds=(4.0, 12.0), needs="tbf"),
    "DelayedStorage": Kind(1, storage=(1,), seconds=(4.0, 12.0), needs="netem"),
    "ThreeDown": Kind(1, storage=(3,), seconds=(2.0, 10.0), exclusive=True),
    "FourDown": Kind(1, storage=(4,), seconds=(2.0, 10.0), exclusive=True),
    # Ingest nodes
    "KillIngest": Kind(3, takes=("ingest",), seconds=(0.2, 6.0)),
    "StopIngest": Kind(1, takes=("ingest",), seconds=(1.0, 12.0)),
    "UnplugIngest": Kind(1, takes=("ingest",), seconds=(1.0, 12.0)),
    "LossyIngest": Kind(1, takes=("ingest",), seconds=(4.0, 10.0), needs="rules"),
    "IngestWithoutStorage": Kind(2, storage=(1, 2), takes=("ingest",), seconds=(2.0, 15.0), needs="rules"),
    "IngestWithoutCatalog": Kind(2, takes=("ingest",), seconds=(2.0, 15.0), needs="rules"),
    # Coordinators
    "KillLeader": Kind(3, takes=("coordinator",), seconds=(0.5, 12.0)),
    "StopLeader": Kind(2, takes=("coordinator",), seconds=(5.0, 15.0)),
    "KillStandbyCoordinator": Kind(1, takes=("coordinator",), seconds=(0.5, 6.0)),
    "UnplugLeader": Kind(1, takes=("coordinator",), seconds=(4.0, 15.0)),
    "LeaderWithoutStorage": Kind(1, takes=("coordinator",), seconds=(4.0, 15.0), needs="rules"),
    "LeaderWithoutCatalog": Kind(2, takes=("coordinator",), seconds=(4.0, 15.0), needs="rules"),
    # Postgres
    "FailOver": Kind(3, takes=("postgres",), seconds=(1.0, 8.0), after=15.0),
    "KillStandby": Kind(1, takes=("postgres",), seconds=(1.0, 10.0), after=12.0),
    "StopPrimary": Kind(1, takes=("postgres",), seconds=(1.0, 12.0), after=10.0),
    "UnplugPrimary": Kind(1, takes=("postgres",), seconds=(1.0, 12.0), after=10.0),
    # What operators do
    "Drain": Kind(2, storage=(1,), takes=("operator",), seconds=(4.0, 20.0), after=15.0),
    "Replace": Kind(2, storage=(1,), takes=("operator",), seconds=(0.5, 3.0), after=35.0),
    "Lose": Kind(2, storage=(1,), takes=("operator",), seconds=(0.5, 3.0), after=40.0, whole=True),
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    at: float  # seconds after the begin
    name: str
    storage: tuple
    ingest: str
    seconds: float
    chance: float  # for what else the fault has to choose, in 0..<1
    others: tuple  # storage nodes in some order

    def __str__(self):
        hosts = list(self.storage) + ([self.ingest] if "ingest" in KINDS[self.name].takes else [])
        return "%s(%s%.1f s)" % (self.name, "".join(host + ", " for host in hosts), self.seconds)

    @property
    def resources(self):
        return set(self.storage) | set(KINDS[self.name].takes)

    def fits(self, busy):
        """Whether it may begin while others hold these resources."""
        hurt = busy & set(STORAGE)
        most = 0 if KINDS[self.name].exclusive else MOST_STORAGE - len(self.storage)
        return not self.resources & busy and (not self.storage or len(hurt) <= most) and len(hurt) <= MOST_STORAGE


def plan(seed, seconds, names):
    """The steps of a run, in the order of their times."""
    dice = random.Random(seed)
    steps, busy, bag = [], [], []
    at = 2.0
    while at < seconds - 3.0:
        # What is left of one bag fits seldom: it comes first, and the next bag is at hand.
        if len(bag) < LEFT_OVER:
            more = [name for name in sorted(names) for _ in range(KINDS[name].weight)]
            dice.shuffle(more)
            bag += more
        held = set().union(*(resources for until, resources in busy if until > at))
        step = next(filter(None, (_draw(dice, at, name, held, seconds) for name in list(bag))), None)
        if step is None:
            at += 1.0
            continue
        bag.remove(step.name)
        steps.append(step)
        busy.append((at + step.seconds + KINDS[step.name].after, step.resources))
        at += dice.uniform(0.5, 5.0)
    return steps


def _draw(dice, at, name, held, seconds):
    """The fault at this time, if it fits."""
    kind = KINDS[name]
    free = [node for node in STORAGE if node not in held]
    dice.shuffle(free)
    step = Step(
        at=at,
        name=name,
        storage=tuple(sorted(free[: dice.choice(kind.storage)])),
        ingest=dice.choice(INGEST),
        seconds=round(dice.uniform(*kind.seconds), 1),
        chance=dice.random(),
        others=tuple(dice.sample(STORAGE, len(STORAGE))),
    )
    ends = at + step.seconds + (kind.after if kind.after > 10 else 0)
    return step if step.fits(held) and ends <= seconds + 10.0 else None


