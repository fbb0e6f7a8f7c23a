# SPDX-License-Identifier: Apache-2.0
"""Bits that flip on one node's disk, and stay flipped."""

import contextlib
import os
import random

from .base import Fault

BLOCK = 64 << 10
SEGMENTS_AT_ONCE = 3


def data_ranges(file, byte_count):
    """The ranges of an open file that were ever written."""
    end = 0
    while end < byte_count:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
        except OSError:
            return
        end = os.lseek(file, start, os.SEEK_HOLE)
        yield start, end


def flip(path, dice, begin):
    """Flips one bit in each 64 KiB block that was written of a file from `begin` on, on the disk.

    Returns how many, and where what was written ended.
    """
    count, end = 0, begin
    file = os.open(path, os.O_RDWR)
    try:
        for start, end in data_ranges(file, os.fstat(file).st_size):
            start = max(start, begin)
            if start >= end:
                continue
            for block in range(start - start % BLOCK, end, BLOCK):
                target = dice.randrange(max(start, block), min(end, block + BLOCK))
                (byte,) = os.pread(file, 1, target)
                os.pwrite(file, bytes([byte ^ 1 << dice.randrange(8)]), target)
                count += 1
        os.fsync(file)
        # So that the next read comes from the disk.
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)
    return count, max(begin, end)


class Rot(Fault):
    """One bit in each 64 KiB block of what is new in the newest segments, with the node running.

    Always at the same node: what is acknowledged has a copy elsewhere, no read may see the damage, and the node is given
    good copies again.
    """

    def __init__(self, scene, dice):
        super().__init__(scene, dice)
        self.node = scene.rotten
        self.disks = frozenset([self.node])
        self.bits = random.Random(dice.getrandbits(64))
        self.flipped = 0
        self.healed_before = 0

    def __str__(self):
        return "rot on %s" % self.node + (" (%d bits)" % self.flipped if self.flipped else "")

    def strike(self):
        self.scene.hurt.add(self.node)
        self.scene.is_rotten = True  # from now on: what this flips is healed some time later
        self.healed_before = self.scene.healed_count(self.node)

    def relieve(self):
        # At the end of the load, so that this round's images are hit.
        paths = []
        for disk in self.scene.disks_of(self.node):
            directory = os.path.join(disk, "segments")
            paths += [os.path.join(directory, name) for name in sorted(os.listdir(directory))[-SEGMENTS_AT_ONCE:]]
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                count, self.scene.rotten_up_to[path] = flip(path, self.bits, self.scene.rotten_up_to.get(path, 0))
                self.flipped += count

    def check(self, outcome):
        if not self.flipped:
            self.problems.append("no bit was flipped on %s" % self.node)
        elif not outcome.reported and self.scene.healed_count(self.node) == self.healed_before:
            said = "%d bits were flipped on %s, and neither is a copy called damaged nor was one fetched again"
            self.problems.append(said % (self.flipped, self.node))
        return self.problems
