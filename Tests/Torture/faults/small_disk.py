# SPDX-License-Identifier: Apache-2.0
"""A node on a disk of its own, which somebody else fills."""

import os
import subprocess

from .base import Fault

# Sparse: it takes what is written to it.
DISK_BYTE_COUNT = 16 << 30
TMPFS_BYTE_COUNT = 4 << 30
MEBIBYTE = 1 << 20
# `varve up` gives its nodes 256 MiB of reserve (Sources/varve/Up/LocalCluster.swift).
RESERVE = 256 * MEBIBYTE
ABOVE_RESERVE, WITHIN_RESERVE = RESERVE + 4 * MEBIBYTE, RESERVE // 2


class SmallDisk:
    """A file system in a file, mounted where a node keeps its data; or one in memory where that cannot be."""

    def __init__(self, directory, target):
        self.target = target
        self.filler = os.path.join(target, "filler")
        os.makedirs(target, exist_ok=True)
        image = os.path.join(directory, "disk.ext4")
        with open(image, "wb") as file:
            file.truncate(DISK_BYTE_COUNT)
        said = []
        for name, commands in (
            ("ext4", (["mkfs.ext4", "-q", "-m", "0", image], ["mount", "-o", "loop", image, target])),
            ("tmpfs", (["mount", "-t", "tmpfs", "-o", "size=%d" % TMPFS_BYTE_COUNT, "tmpfs", target],)),
        ):
            self.kind = name
            for command in commands:
                try:
                    done = subprocess.run(command, capture_output=True, text=True)
                except OSError as error:
                    said.append("%s: %s" % (command[0], error))
                    break
                if done.returncode != 0:
                    said.append("%s: %s" % (command[0], done.stderr.strip()))
                    break
            else:
                return
        os.remove(image)
        raise OSError("; ".join(said))

    def free(self):
        status = os.statvfs(self.target)
        return status.f_bavail * status.f_frsize

    def fill(self, left):
        """Takes all but `left` bytes."""
        with open(self.filler, "ab") as file:
            count = 1 << 30
            while count >= 4096 and self.free() > left:
                count = min(count, max(4096, self.free() - left))
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), count)
                except OSError:
                    # The file system needs some for itself.
                    count //= 2

    def empty(self):
        if os.path.exists(self.filler):
            os.remove(self.filler)

    def unmount(self):
        subprocess.run(["umount", "-l", self.target], capture_output=True)


class DiskFull(Fault):
    """Slowly, so that the node reaches its reserve by what it writes; or at once and to the last block."""

    looks = True
    needs_stores = True

    def __init__(self, scene, dice):
        super().__init__(scene, dice)
        self.node = scene.small
        self.disks = self.away = frozenset([self.node])
        self.left = dice.choice((ABOVE_RESERVE, ABOVE_RESERVE, WITHIN_RESERVE, 0))
        if scene.disks > 1:
            # Of several disks, one that is so much smaller gets too few records to reach the reserve by them.
            self.left = min(self.left, WITHIN_RESERVE)
        self.kind = ""

    def __str__(self):
        return "disk of %s full to %d MiB%s" % (self.node, self.left // MEBIBYTE, self.kind)

    @classmethod
    def unavailable(cls, scene):
        return None if scene.small_disk else "no small disk could be mounted: " + scene.no_small_disk

    def strike(self):
        self.kind = " (%s)" % self.scene.small_disk.kind
        self.segments = set(self._segments())
        self.scene.small_disk.fill(self.left)

    def _segments(self):
        return os.listdir(os.path.join(self.scene.directory_of(self.node), "segments"))

    def _refuses(self):
        return self.scene.has_lost_a_disk(self.node, "free space")

    def during(self):
        self.scene.wait("%s to say that its disk is full" % self.node, self._refuses, 120)
        self.demand_reads(self.node)
        if self.left == WITHIN_RESERVE:
            # The reserve is there to start with.
            pid = self.scene.kill(self.node)
            if pid:
                self.scene.cluster.wait_gone(pid)
            self.scene.wait("%s to start on a full disk" % self.node, self._refuses)
            self.demand_reads(self.node)
        gone = self.segments - set(self._segments())
        if gone:
            names = ", ".join(sorted(gone))
            self.problems.append("%s removed segments when its disk was full: %s" % (self.node, names))

    def relieve(self):
        # That it takes writes again by itself is what the end of the round waits for.
        self.scene.small_disk.empty()
