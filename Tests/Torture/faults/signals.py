# SPDX-License-Identifier: Apache-2.0
"""Processes that die, and processes that stop for a while and go on as if nothing had been."""

import contextlib
import os
import signal
import time

from .base import Fault

# Longer than: the ping timeout (5 s), a node's being called down (20 s) and a request's deadline (30 s); the lease
# (10 s); the catalog's deadline (4 s). The supervisor has none.
PAUSES = {
    "storage": (2, 7, 7, 7, 22, 35),
    "ingest-1": (2, 8, 25),
    "coordinator-1": (7, 12),
    "postgres": (2, 6, 12),
    "up": (3,),
}


class Kill(Fault):
    def __init__(self, scene, dice):
        super().__init__(scene, dice)
        self.name = dice.choice(scene.nodes + ["ingest-1", "ingest-1", "coordinator-1", "postgres", "postgres", "up"])
        self.uses = self.away = frozenset([self.name]) & frozenset(scene.nodes)
        self.halts = self.name in ("ingest-1", "up")
        self.looks = self.name == "up"

    def __str__(self):
        return "kill %s" % self.name

    def strike(self):
        # Where another fault has just ended it, it is killed as it is born.
        self.scene.wait("%s to kill" % self.name, lambda: self.name == "up" or self.scene.cluster.pid(self.name))
        pid = self.scene.kill(self.name)
        if self.name == "up":
            self.scene.start()
        elif pid:
            self.scene.cluster.wait_gone(pid)


class KillEverything(Fault):
    """All processes at once, the supervisor first; then the cluster is started again."""

    halts = is_alone = True

    def __str__(self):
        return "kill everything"

    def strike(self):
        self.scene.kill_everything()
        self.scene.start()


class Pause(Fault):
    def __init__(self, scene, dice):
        super().__init__(scene, dice)
        self.name = dice.choice(scene.nodes + ["ingest-1", "coordinator-1", "postgres", "postgres", "up"])
        is_node = self.name in scene.nodes
        self.seconds = dice.choice(PAUSES["storage" if is_node else self.name])
        self.uses = self.away = frozenset([self.name] if is_node else [])
        self.stops_stores = is_node
        # Nobody starts what dies meanwhile.
        self.halts = self.name in ("ingest-1", "up")
        self.blinds = self.name in ("ingest-1", "up", "postgres")
        self.stopped = []

    def __str__(self):
        return "stop %s for %d s" % (self.name, self.seconds)

    def strike(self):
        self.begin = time.monotonic()
        self.stopped = self.scene.processes_of(self.name)
        for pid in self.stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def relieve(self):
        if self.stopped:
            time.sleep(max(0, self.begin + self.seconds - time.monotonic()))
        for pid in self.stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
