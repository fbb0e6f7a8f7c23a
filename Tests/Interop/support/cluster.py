# SPDX-License-Identifier: Apache-2.0
"""A Varve cluster of the test's own: `varve up` in a directory, on ports that were free."""

import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from . import ROOT

# Longer than `varve up` itself waits, so that it gets to say why.
START_SECONDS = 150
STOP_SECONDS = 60
# A byte of this file for each port: whoever has locked it has been given the port, and may listen on it or not yet. Locks go with
# the process.
_LOCKS = os.path.join(tempfile.gettempdir(), "varve-test-ports-%d" % os.getuid())
_lock_file = None
# A process is not kept out by its own locks.
_given = set()


def binary():
    return os.environ.get("VARVE_BINARY") or os.path.join(ROOT, ".build", "release", "varve")


def free_ports(count):
    """Ports that nobody listens on, below those that the kernel gives to outgoing connections.

    One of these could take the port before the process that it is for listens on it. None is given out twice, nor to two
    processes that test at the same time.
    """
    global _lock_file
    if _lock_file is None:
        _lock_file = os.open(_LOCKS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        first = int(file.read().split()[0])
    found = []
    for port in random.sample(range(10000, first if 10100 < first < 20000 else 20000), 2000):
        if port in _given:
            continue
        try:
            fcntl.lockf(_lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            continue
        _given.add(port)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise ClusterError("fewer than %d free ports on 127.0.0.1" % count)


def lives(pid):
    """Whether the process is there and not a zombie that nobody has waited for."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class ClusterError(RuntimeError):
    pass


class Cluster:
    """Start, stop and hurt a cluster. Its directory stays until the caller removes it."""

    def __init__(self, directory=None, storage_nodes=3, options=(), environment=None):
        self.directory = directory or tempfile.mkdtemp(prefix="varve-test-")
        # Where this runs as root, Postgres runs as another user, who has to get in.
        os.chmod(self.directory, 0o711)
        self.data = os.path.join(self.directory, "data")
        self.log = os.path.join(self.directory, "up.log")
        self.storage_nodes = storage_nodes
        self.options = list(options)
        # On top of what this process has: of `varve up` and so of all it starts.
        self.environment = environment or {}
        self.port, self.http = free_ports(2)
        self.url = "http://127.0.0.1:%d" % self.http
        self.dicomweb = self.url + "/dicom-web"
        self.process = None

    def start(self):
        with open(self.log, "ab") as out:
            begin = out.tell()
            self.process = subprocess.Popen(
                [binary(), "up", "--data", self.data, "--storage-nodes", str(self.storage_nodes)]
                + ["--copies", "2", "--ack", "2", "--dicom-port", str(self.port), "--http-port", str(self.http)]
                + self.options,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            said = self.said(begin)
            if any(line.startswith("varve: ready") for line in said.splitlines()):
                return self
            if self.process.poll() is not None:
                raise ClusterError("varve up ended with status %d:\n%s" % (self.process.returncode, said[-4000:]))
            if time.monotonic() > deadline:
                self.stop()
                raise ClusterError("varve up was not ready in %d s:\n%s" % (START_SECONDS, self.said(begin)[-4000:]))
            time.sleep(0.05)

    def said(self, begin=0):
        with open(self.log, errors="replace") as file:
            file.seek(begin)
            return file.read()

    def stop(self):
        """SIGTERM, as an operator does. Returns the exit status."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill_all(process)
            raise ClusterError("varve up did not stop in %d s:\n%s" % (STOP_SECONDS, self.said()[-2000:]))

    def _kill_all(self, process):
        process.kill()
        process.wait(10)
        for name in self.names():
            self.kill(name)

    def names(self):
        run = os.path.join(self.data, "run")
        return sorted(name[:-4] for name in os.listdir(run) if name.endswith(".pid")) if os.path.isdir(run) else []

    def pid(self, name):
        """The process id of `storage-1`, `ingest-1`, `coordinator-1` or `postgres`; None when not running."""
        try:
            with open(os.path.join(self.data, "run", name + ".pid")) as file:
                pid = int(file.read().split()[0])
            return pid if lives(pid) else None
        except (FileNotFoundError, ValueError, IndexError):
            return None

    def kill(self, name):
        """kill -9; returns the process id that was killed, or None when there was none."""
        pid = self.pid(name)
        if pid is None:
            return None
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return None
        return pid

    def wait_gone(self, pid, seconds=20):
        """Until no process has this id any more, or only an unreaped one."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not lives(pid):
                return
            time.sleep(0.02)
        raise ClusterError("process %d lives on" % pid)

    def wait_ready(self, seconds=90):
        """Until every process lives, the ingest node is ready and every storage node takes writes."""
        deadline = time.monotonic() + seconds
        names = ["postgres", "ingest-1"] + ["storage-%d" % (index + 1) for index in range(self.storage_nodes)]
        problem = "?"
        while time.monotonic() < deadline:
            missing = [name for name in names if self.pid(name) is None]
            if self.process is not None and self.process.poll() is not None:
                raise ClusterError("varve up ended with status %d" % self.process.returncode)
            if not missing:
                status, body, _ = self.get("/readyz", timeout=5)
                if status == 200:
                    waiting = self._waiting_nodes()
                    if not waiting:
                        return
                    problem = "nodes not serving: " + ", ".join(waiting)
                else:
                    problem = "readyz says %s: %s" % (status, body[:200])
            else:
                problem = "not running: " + ", ".join(missing)
            time.sleep(0.1)
        raise ClusterError("the cluster is not ready after %d s: %s" % (seconds, problem))

    def _waiting_nodes(self):
        status, body, _ = self.get("/api/v1/status", timeout=10)
        if status != 200:
            return ["status answers %s" % status]
        nodes = json.loads(body)["nodes"]
        waiting = ["%s is %s" % (node["name"], node["state"])
                   for node in nodes if not (node["acceptsWrites"] and node["state"] == "up")]  # fmt: skip
        return waiting if len(nodes) == self.storage_nodes else waiting + ["%d nodes are known" % len(nodes)]

    def get(self, path, accept=None, timeout=60):
        """(status, body, headers); status 0 when nothing answered."""
        request = urllib.request.Request(path if path.startswith("http") else self.url + path)
        if accept:
            request.add_header("Accept", accept)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), error.headers
        except (OSError, urllib.error.URLError) as error:
            return 0, str(error).encode(), {}

    def json(self, path):
        status, body, _ = self.get(path, accept="application/json")
        if status != 200:
            raise ClusterError("GET %s: %s %s" % (path, status, body[:300]))
        return json.loads(body)

    def run(self, *arguments, timeout=120):
        """Runs `varve ARGUMENTS --server URL`; returns the finished process."""
        return subprocess.run(
            [binary(), *arguments],
            env={**os.environ, "VARVE_SERVER": self.url},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def study(self, uid, verify=False):
        """What `varve study show UID --json` prints; status 1 only says that copies are missing."""
        done = self.run("study", "show", uid, "--json", *(["--verify"] if verify else []))
        if done.returncode not in (0, 1) or not done.stdout.strip():
            raise ClusterError("varve study show %s: %s" % (uid, done.stderr.strip()))
        return json.loads(done.stdout)
