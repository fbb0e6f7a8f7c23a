# SPDX-License-Identifier: Apache-2.0
"""What a fault is."""

from verifier import Verifier

# Of whose studies a node has to give every copy while it takes no writes.
SERVED = 6


class Fault:
    """One way to hurt a cluster, with everything about it chosen when it is made: the same dice, the same fault.

    `strike` hurts, under load; `relieve` ends what does not end by itself; `check` says, with the cluster whole again,
    what the fault was to show and did not. All may raise ClusterError.
    """

    # Storage nodes whose disk fails while it lasts.
    disks = frozenset()
    # Storage nodes that it stops or looks at, where a failing disk would be in the way.
    uses = frozenset()
    # Storage nodes that are out of service while it lasts.
    away = frozenset()
    # Whether stores and reads may wait for its end: the ingest node, or all, are gone.
    halts = False
    # Whether nothing can be asked or started anew while it lasts; whether it has to ask or needs a new start.
    blinds = False
    looks = False
    # Whether it waits for stores beside a node that takes none; whether it keeps another node from taking any meanwhile.
    needs_stores = False
    stops_stores = False
    # Whether it goes with no other.
    is_alone = False

    def __init__(self, scene, dice):
        self.scene = scene
        self.problems = []

    @classmethod
    def unavailable(cls, scene):
        """Why this machine does not permit it; None where it does."""
        return None

    def strike(self):
        raise NotImplementedError

    def during(self):
        """Looks at the cluster while it lasts and the load goes on."""

    def relieve(self):
        """Ends it."""

    def settled(self):
        """All faults have ended and the cluster serves; called before anything is checked."""

    def demand_reads(self, node):
        """That a node which takes no more writes gives what it has."""
        if node != self.scene.rotten:
            load = self.scene.load
            self.problems += Verifier(self.scene).not_served(node, load.label, load.acknowledged()[:SERVED])

    def check(self, outcome):
        """Problems in words, of a Round whose images were checked."""
        return self.problems
