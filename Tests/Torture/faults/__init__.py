# SPDX-License-Identifier: Apache-2.0
"""The ways to hurt a cluster, and the choice among them."""

from .disk_errors import DiskErrors, LyingDisk
from .indexes import EveryIndexGone, IndexGone
from .moments import KillAtMoment
from .rot import Rot
from .signals import Kill, KillEverything, Pause
from .small_disk import DiskFull
from .sockets import CutSockets

# How often each is chosen, relative to the others.
WEIGHTS = (
    (Kill, 5), (Pause, 4), (KillEverything, 1), (KillAtMoment, 3), (Rot, 3), (IndexGone, 2), (EveryIndexGone, 1),
    (DiskErrors, 5), (DiskFull, 2), (CutSockets, 2),
)  # fmt: skip
NAMES = [kind.__name__ for kind, _ in WEIGHTS]
# Only when asked for by name: what no archive survives.
BEYOND = ((LyingDisk, 1),)


def unavailable(scene):
    """{name: why} of the faults that this machine does not permit."""
    reasons = {kind.__name__: kind.unavailable(scene) for kind, _ in WEIGHTS + BEYOND}
    return {name: reason for name, reason in reasons.items() if reason}


def plan(scene, dice, names):
    """One to three faults that together stay within what is promised.

    What is promised is that the loss of one node costs nothing that was acknowledged. Processes may die as many as
    there are: what is synced stays. Disks fail at one node at a time.
    """
    missing = unavailable(scene)
    possible = set(names) - set(missing)
    kinds = [(kind, weight) for kind, weight in WEIGHTS + BEYOND if kind.__name__ in possible]
    wanted = min(dice.choice((1, 1, 2, 2, 3)), len(kinds))
    chosen = []
    # What goes with nothing that was chosen before leaves its place to another throw.
    for _ in range(50):
        if len(chosen) == wanted:
            break
        (kind,) = dice.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])
        fault = kind(scene, dice)
        if all(_go_together(fault, other) for other in chosen):
            chosen.append(fault)
    return chosen


def _go_together(one, other):
    if one.is_alone or other.is_alone or (type(one) is type(other) and not isinstance(one, Kill)):
        return False
    if (one.blinds and other.looks) or (one.looks and other.blinds):
        return False
    if (one.needs_stores and other.stops_stores) or (one.stops_stores and other.needs_stores):
        return False
    if one.disks and other.disks and (one.disks != other.disks or (one.looks and other.looks)):
        return False
    return not (one.disks & other.uses or one.uses & other.disks)
