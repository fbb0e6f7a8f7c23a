# SPDX-License-Identifier: Apache-2.0
"""Death of a storage node at a moment that is hard to hit by chance."""

import os
import time

from .base import Fault

MOMENTS = (
    "as the manifest grows", "as a segment appears", "as the index grows", "as it starts", "as it opens its store",
)  # fmt: skip
WATCH_SECONDS = 15


class KillAtMoment(Fault):
    """Kills a storage node two to four times in a row, each time at its moment."""

    looks = True

    def __init__(self, scene, dice):
        super().__init__(scene, dice)
        self.node = dice.choice(scene.nodes)
        self.moments = [dice.choice(MOMENTS) for _ in range(dice.randint(2, 4))]
        self.uses = self.away = frozenset([self.node])
        self.missed = 0

    def __str__(self):
        said = "kill %s %s" % (self.node, ", then ".join(self.moments))
        return said + (" (%d not seen)" % self.missed if self.missed else "")

    def strike(self):
        for moment in self.moments:
            self.scene.wait("%s to run" % self.node, lambda: self.scene.cluster.pid(self.node))
            if not self._await(moment):
                self.missed += 1
            pid = self.scene.kill(self.node)
            if pid:
                self.scene.cluster.wait_gone(pid)

    def _await(self, moment):
        directory = self.scene.directory_of(self.node)
        if moment == "as it starts":
            return True
        log = os.path.join(self.scene.cluster.data, "log", self.node + ".log")
        look = {
            "as the manifest grows": lambda: _byte_count(os.path.join(directory, "MANIFEST")),
            "as a segment appears": lambda: _last(os.path.join(directory, "segments")),
            "as the index grows": lambda: _byte_count(os.path.join(directory, "index", "data.mdb")),
            "as it opens its store": lambda: _byte_count(log),
        }[moment]
        before, deadline = look(), time.monotonic() + WATCH_SECONDS
        while look() == before:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.0005)
        return True


def _byte_count(path):
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def _last(directory):
    try:
        return max(os.listdir(directory), default=None)
    except OSError:
        return None
