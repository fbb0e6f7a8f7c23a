# SPDX-License-Identifier: Apache-2.0
"""The cluster under torture, and the ledger of what was done to it."""

import collections
import contextlib
import ctypes
import glob
import json
import os
import re
import signal
import socket
import subprocess
import time

from support.cluster import Cluster, ClusterError, lives

NODES = 3
# Small segments, so that they are sealed and new ones begun in every round.
SEGMENT_BYTE_COUNT = 16 << 20
SETTLE_SECONDS = 240
# So that what no read looks at is found within the rounds.
SCRUB_SECONDS = 60
OPTIONS = (
    "--tls", "--scrub-seconds", str(SCRUB_SECONDS), "--loss-settling-seconds", "20",
    # So that a node on a small disk is given as much as the others: it is to become full.
    "--storage-setting", "weight=100",
)  # fmt: skip
# System calls (Linux 5.6; the same numbers on every architecture).
PIDFD_OPEN, PIDFD_GETFD = 434, 438
# In every child's environment (Sources/Supervisor/RunDirectory.swift).
MARKER = b"VARVE_SUPERVISED_DIRECTORY="

CRASH = re.compile(r"Fatal error|Program crashed|Illegal instruction|Segmentation fault|PANIC:| critical ")
HEALED = re.compile(r" heal.* fetched=(\d+)")
ENDED = re.compile(r"process ended .*name=(\S+) .*status=\"?([^\"]*?)\"?$")


class Scene:
    def __init__(self, directory, dice, disk_shim, disks=1, options=OPTIONS, segment_byte_count=SEGMENT_BYTE_COUNT):
        self.directory = directory
        self.disks = disks  # of each node
        self.segment_byte_count = segment_byte_count
        self.nodes = ["storage-%d" % (index + 1) for index in range(NODES)]
        # Damage that lasts is done to the disk of one node only: its copies may be lost, and no others.
        self.rotten = dice.choice(self.nodes)
        self.is_rotten = False
        # Those whose disk was hurt in a way that may cost copies, which they fetch again.
        self.hurt = set()
        self.rotten_up_to = {}  # of each file, so that no bit is flipped back
        # The node whose disk is small, if such a disk can be mounted.
        self.small = dice.choice(self.nodes)
        self.small_disk, self.no_small_disk = None, ""
        self.disk_shim = disk_shim
        self.rules = os.path.join(directory, "faulty-disk")
        self.rules_log = os.path.join(directory, "faulty-disk.log")
        options = [*options, "--disks", str(disks)]
        self.cluster = Cluster(directory, storage_nodes=NODES, options=options, environment=self._environment())
        self.killed = collections.Counter()
        self.load = None
        self._ended, self._healed = collections.Counter(), collections.Counter()
        self._log_offsets = {}

    def _environment(self):
        if not self.disk_shim:
            return {}
        return {
            "LD_PRELOAD": self.disk_shim,
            "FAULTY_DISK_CONTROL": self.rules,
            "FAULTY_DISK_LOG": self.rules_log,
        }

    # MARK: Processes

    def start(self):
        self.cluster.start()
        for node in self.nodes:
            path = os.path.join(self.cluster.data, "config", node + ".yaml")
            with open(path, "a") as file:
                file.write("segment-bytes: %d\n" % self.segment_byte_count)

    def begin(self):
        """The first start; the nodes are started once more, to take the size of their segments over."""
        self.start()
        for node in self.nodes:
            self.cluster.wait_gone(self.kill(node))
        self.wait_settled()

    def healed_count(self, node):
        """How many records the node was made to fetch again."""
        count = 0
        for path in glob.glob(os.path.join(self.cluster.data, "log", "coordinator-*.log")):
            with open(path, errors="replace") as file:
                for line in file:
                    found = HEALED.search(line)
                    if found and "node=%s" % node in line:
                        count += int(found.group(1))
        return count

    def directory_of(self, node):
        return os.path.join(self.cluster.data, node)

    def disks_of(self, node):
        """The directories of its disks, its own first (Sources/varve/Up/ClusterLayout.swift)."""
        home = self.directory_of(node)
        return [home] + ["%s-disk-%d" % (home, number) for number in range(2, self.disks + 1)]

    def kill(self, name):
        """SIGKILL; returns the process id, or None when it did not run."""
        if name == "up":
            return self._kill_up()
        pid = self.cluster.kill(name)
        if pid is not None:
            self.killed[name] += 1
        return pid

    def _kill_up(self):
        """Its children are told by the kernel to end in order."""
        process, self.cluster.process = self.cluster.process, None
        process.kill()
        process.wait(20)
        return process.pid

    def kill_everything(self):
        """As if the machine had stopped, but for what its page cache still writes."""
        # Those of Postgres, too: a new one does not start beside them, and no machine that stops leaves any.
        pids = [pid for name in self.cluster.names() for pid in self.processes_of(name)]
        self._kill_up()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in pids:
            self.cluster.wait_gone(pid)
        # Until its parent has noticed, a new Postgres takes the dead one for alive, and is started again.
        self.killed["postgres"] += 1

    def processes_of(self, name):
        """The process ids of a part of the cluster; Postgres has several."""
        if name == "up":
            return [self.cluster.process.pid]
        pid = self.cluster.pid(name)
        if pid is None:
            return []
        if name != "postgres":
            return [pid]
        children = []
        for path in glob.glob("/proc/[0-9]*/stat"):
            with contextlib.suppress(OSError), open(path) as file:
                if int(file.read().rpartition(")")[2].split()[1]) == pid:
                    children.append(int(path.split("/")[2]))
        return [pid] + children

    @contextlib.contextmanager
    def ended(self, node):
        """The node ends (with SIGKILL), and is started again only when the block is left."""
        supervisor = self.cluster.process.pid
        os.kill(supervisor, signal.SIGSTOP)
        try:
            pid = self.kill(node)
            if pid:
                self.cluster.wait_gone(pid)
            yield
        finally:
            os.kill(supervisor, signal.SIGCONT)

    # MARK: What the cluster says

    def node_status(self, node):
        """The node's part of `/api/v1/status`; None when the status cannot be had."""
        status, body, _ = self.cluster.get("/api/v1/status", timeout=30)
        if status != 200:
            return None
        return next((one for one in json.loads(body)["nodes"] if one["name"] == node), None)

    def has_lost_a_disk(self, node, reason):
        """Whether the node says that a disk takes nothing, for this reason; another, if it has one, takes all."""
        status = self.node_status(node)
        said = (status and status.get("reason")) or ""
        return reason in said and status["acceptsWrites"] == (self.disks > 1)

    def journal_entries(self):
        status, body, _ = self.cluster.get("/metrics", timeout=30)
        found = re.search(r"^varve_journal_entries (\S+)$", body.decode(errors="replace"), re.MULTILINE)
        return float(found.group(1)) if status == 200 and found else None

    def wait(self, what, condition, seconds=SETTLE_SECONDS, pause=0.2):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise ClusterError("waited %d s for: %s" % (seconds, what))
            time.sleep(pause)

    def wait_settled(self):
        """Every process lives, every node takes writes, and the catalog knows all that was acknowledged."""
        self.cluster.wait_ready(SETTLE_SECONDS)
        self.wait("an empty journal", lambda: self.journal_entries() == 0)

    # MARK: What nobody did to it

    def strangers(self):
        """Problems: processes that should be there and are not, or the other way round."""
        problems = []
        wanted = set(self.nodes) | {"postgres", "ingest-1", "coordinator-1"}
        running = {name for name in self.cluster.names() if self.cluster.pid(name)}
        if running != wanted:
            problems.append("processes are %s" % ", ".join(sorted(running)))
        marker = MARKER + os.path.realpath(self.cluster.data).encode()
        counts = collections.Counter()
        for path in glob.glob("/proc/[0-9]*/environ"):
            pid = int(path.split("/")[2])
            with contextlib.suppress(OSError):
                with open(path, "rb") as file:
                    is_ours = marker in file.read().split(b"\0")
                with open("/proc/%d/cmdline" % pid, "rb") as file:
                    words = file.read().split(b"\0")
                if is_ours and lives(pid) and b"--config" in words:
                    counts[os.path.basename(words[words.index(b"--config") + 1]).decode()[: -len(".yaml")]] += 1
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            problems.append("running twice: " + ", ".join(sorted(twice)))
        return problems

    def crashes(self):
        """Problems: processes that ended although nobody killed them, and what their logs cry about."""
        problems = []
        for path in [self.cluster.log] + sorted(glob.glob(os.path.join(self.cluster.data, "log", "*.log"))):
            for line in self._new_lines(path):
                if CRASH.search(line):
                    problems.append("%s: %s" % (os.path.basename(path), line.strip()[:300]))
                ended = ENDED.search(line.strip())
                if ended and path == self.cluster.log:
                    name = ended.group(1)
                    self._ended[name] += 1
                    # A new postmaster gives up while processes of the killed one hold its memory, and is started again.
                    if name == "postgres" and self.killed[name] and ended.group(2).startswith("exit status"):
                        self._ended[name] -= 1
                    elif ended.group(2) != "signal 9":
                        problems.append("%s ended: %s" % ended.groups())
        for name, count in self._ended.items():
            if count > self.killed[name]:
                problems.append("%s ended %d times and was killed %d times" % (name, count, self.killed[name]))
        return problems

    def losses(self):
        """Problems: records that a node was made to fetch again although nobody had hurt its disk."""
        problems = []
        for node in sorted(set(self.nodes) - self.hurt):
            count = self.healed_count(node)
            if count > self._healed[node]:
                said = "the cluster has lost the copy on %s of %d records, which were fetched again"
                problems.append(said % (node, count - self._healed[node]))
            self._healed[node] = count
        return problems

    def _new_lines(self, path):
        with open(path, errors="replace") as file:
            file.seek(self._log_offsets.get(path, 0))
            lines = file.read()
            self._log_offsets[path] = file.tell()
        return lines.splitlines()

    def stop(self):
        """Ends the cluster, whatever state it is in."""
        process = self.cluster.process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
        self.cluster.stop()

    def established_sockets_end(self, port):
        """Resets every connection to a port; returns how many. Raises OSError where the kernel cannot."""
        done = subprocess.run(
            ["ss", "-K", "-H", "-t", "state", "established", "( dport = :%d or sport = :%d )" % (port, port)],
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode != 0:
            raise OSError(done.stderr.strip())
        return len(done.stdout.splitlines())

    def local_sockets_end(self, name):
        """Shuts down every connection by a process's Unix socket; returns how many."""
        pid = self.cluster.pid(name)
        if pid is None:
            return 0
        with open("/proc/net/unix") as file:
            rows = [line.split() for line in file]
        # Connected (state 03), at the end that has the path.
        inodes = {row[6] for row in rows if len(row) > 7 and row[5] == "03" and row[7].endswith(".sock")}
        libc = ctypes.CDLL(None, use_errno=True)
        process = libc.syscall(PIDFD_OPEN, pid, 0)
        if process < 0:
            return 0
        count = 0
        try:
            for entry in os.listdir("/proc/%d/fd" % pid):
                with contextlib.suppress(OSError):
                    found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink("/proc/%d/fd/%s" % (pid, entry)))
                    if not found or found.group(1) not in inodes:
                        continue
                    descriptor = libc.syscall(PIDFD_GETFD, process, int(entry), 0)
                    if descriptor >= 0:
                        with socket.socket(fileno=descriptor) as connection:
                            connection.shutdown(socket.SHUT_RDWR)
                        count += 1
        finally:
            os.close(process)
        return count
