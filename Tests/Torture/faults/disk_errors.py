# SPDX-License-Identifier: Apache-2.0
"""A disk whose calls fail: through lib/faulty_disk.c, which stands between a node and the C library."""

import os

from .base import Fault

# call, how, how many times, the part of the node's first disk, what must follow: `failed`, the disk takes no more
# records until the node is restarted; `serves`, it goes on; `either`.
ERRORS = (
    ("sync", "EIO", 1, "segments/", "failed"),
    ("sync", "lose", 1, "segments/", "failed"),
    ("sync", "lose", 1, "segments/", "failed"),
    ("sync", "ENOSPC", 1, "segments/", "failed"),
    ("sync", "EIO", 1, "MANIFEST", "failed"),
    ("sync", "lose", 1, "MANIFEST", "failed"),
    ("sync", "EIO", 1, "", "failed"),
    ("write", "EIO", 1, "segments/", "failed"),
    ("write", "EIO", -1, "", "failed"),
    ("write", "ENOSPC", 1, "segments/", "serves"),
    ("write", "ENOSPC", 1, "MANIFEST", "serves"),
    ("write", "short", 3, "segments/", "either"),
    ("write", "EIO", 1, "index/", "either"),
    ("write", "ENOSPC", 1, "index/", "either"),
    ("allocate", "ENOSPC", 1, "segments/", "serves"),
    ("allocate", "EIO", 1, "segments/", "serves"),
    ("open", "EIO", 1, "segments/", "either"),
    ("read", "EIO", -1, "segments/", "serves"),
    ("read", "EIO", 20, "segments/", "serves"),
    ("read", "short", 20, "segments/", "serves"),
)

# Sources/SegmentStore/Recovery/SegmentRecovery.swift, Sources/SegmentStore/Engine: of a start, and of a store that runs.
SYNC_FAILED, STOPPED = "segment can't be synced", "segment store takes no more records"


class DiskErrors(Fault):
    looks = True
    needs_stores = True
    errors = ERRORS
    # Whether copies may be lost by it, to be fetched again.
    may_lose = True

    def __init__(self, scene, dice):
        super().__init__(scene, dice)
        self.node = dice.choice(scene.nodes)
        self.call, self.how, self.times, self.part, self.follows = dice.choice(self.errors)
        # Calls on the manifest and of segments being made are few.
        self.after = dice.randint(0, 30) if self.part == "segments/" and self.call in ("write", "sync") else 0
        self.disks = self.away = frozenset([self.node])
        self.noted = 0

    def __str__(self):
        times = {1: "once", -1: "for ever"}.get(self.times, "%d times" % self.times)
        said = "%s of %s/%s fails %s (%s) after %d" % (self.call, self.node, self.part, times, self.how, self.after)
        return said + (", seen %d times" % self.noted if self.noted else "")

    @classmethod
    def unavailable(cls, scene):
        return None if scene.disk_shim else "lib/faulty_disk.c is not built: run Tests/Torture/run.sh"

    def _faults(self):
        try:
            with open(self.scene.rules_log) as file:
                return len(file.readlines())
        except FileNotFoundError:
            return 0

    def strike(self):
        if self.may_lose:
            self.scene.hurt.add(self.node)
        self.before = self._faults()
        self.log_begin = os.path.getsize(self._log())
        prefix = os.path.join(self.scene.directory_of(self.node), self.part)
        with open(self.scene.rules + ".new", "w") as file:
            file.write("%s %s %d %d %s\n" % (prefix, self.call, self.after, self.times, self.how))
        os.rename(self.scene.rules + ".new", self.scene.rules)

    def _log(self):
        return os.path.join(self.scene.cluster.data, "log", self.node + ".log")

    def _fell_into_a_start(self):
        """Whether the last such call was one of a start, which another fault had brought about.

        That start takes no further records into the segment, and has the node compared with the catalog; it goes on.
        """
        with open(self._log(), errors="replace") as file:
            file.seek(self.log_begin)
            said = [line for line in file if SYNC_FAILED in line or STOPPED in line]
        return self.call == "sync" and bool(said) and SYNC_FAILED in said[-1]

    def _fails(self):
        return self.scene.has_lost_a_disk(self.node, "no more records")

    def during(self):
        if self.call == "read":
            return  # reads come after this
        # A segment is begun every few seconds.
        self.scene.wait(str(self), lambda: self._faults() > self.before or not self.scene.load.is_running())
        if self.follows != "failed":
            return
        self.scene.wait(
            "a disk of %s to take no more records (%s)" % (self.node, self),
            lambda: self._fails() or not self.scene.load.is_running(),
        )
        if not self._fails():
            return  # the load ended before such a call was made
        # It stays so, however sound the disk is again, and nothing is acknowledged from it.
        before = self.scene.node_status(self.node)
        count = len(self.scene.load.acknowledged())
        self.scene.wait(
            "stores beside %s" % self.node,
            lambda: len(self.scene.load.acknowledged()) > count + 20 or not self.scene.load.is_running(),
        )
        after = self.scene.node_status(self.node)
        # Of a load that ended before that, the node's other disk may have got nothing.
        is_telling = self.scene.disks == 1 or len(self.scene.load.acknowledged()) > count + 20
        if before and after and is_telling and (before["records"] < after["records"]) != (self.scene.disks > 1):
            said = "%s, of which one disk had failed, had %d records and then %d"
            self.problems.append(said % (self.node, before["records"], after["records"]))
        self.demand_reads(self.node)
        if not self._fails():
            self.problems.append("%s takes records again without a restart" % self.node)

    def relieve(self):
        self.noted = self._faults() - self.before
        os.remove(self.scene.rules)
        status = self.scene.node_status(self.node)
        has_failed = self._fails()
        if self.follows == "serves" and has_failed:
            self.problems.append("%s takes no more records: %s" % (self.node, status["reason"]))
        if self.follows == "failed" and self.noted and not has_failed and not self._fell_into_a_start():
            self.problems.append("%s goes on after a failed %s" % (self.node, self.call))
        if has_failed:
            self._restart()

    def settled(self):
        # Where another fault had taken the cluster away, nobody could tell before.
        if self.noted and self._fails():
            self._restart()
            self.scene.wait_settled()

    def _restart(self):
        pid = self.scene.kill(self.node)
        if pid:
            self.scene.cluster.wait_gone(pid)


class LyingDisk(DiskErrors):
    """Syncs that succeed and lose what was written: beyond what is promised, to see that the torture notices."""

    errors = (("sync", "lie", 3, "segments/", "serves"),)
    may_lose = False

    def __init__(self, scene, dice):
        super().__init__(scene, dice)
        # Where nothing may be lost.
        self.node = next(node for node in scene.nodes if node != scene.rotten)
        self.disks = self.away = frozenset([self.node])
