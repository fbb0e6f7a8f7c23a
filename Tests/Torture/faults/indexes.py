# SPDX-License-Identifier: Apache-2.0
"""Indexes that are gone when their node starts."""

import shutil

from .base import Fault


def remove_indexes(scene, node):
    for disk in scene.disks_of(node):
        shutil.rmtree(disk + "/index")


class IndexGone(Fault):
    def __init__(self, scene, dice):
        super().__init__(scene, dice)
        self.node = dice.choice(scene.nodes)
        self.uses = self.away = frozenset([self.node])

    def __str__(self):
        return "index of %s gone" % self.node

    def strike(self):
        with self.scene.ended(self.node):
            remove_indexes(self.scene, self.node)


class EveryIndexGone(Fault):
    """The cluster is stopped in order and started without any index."""

    halts = is_alone = True

    def __str__(self):
        return "every index gone"

    def strike(self):
        self.scene.stop()
        for node in self.scene.nodes:
            remove_indexes(self.scene, node)
        self.scene.start()
