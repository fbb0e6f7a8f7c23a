# SPDX-License-Identifier: Apache-2.0
"""The processes of the cluster's hosts: started, killed, stopped and started again by this test alone."""

import contextlib
import glob
import os
import signal
import subprocess
import threading

KILL_SECONDS = 20


def descendants(pid):
    """The process and all below it; those that a postmaster starts have sessions of their own."""
    parents = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError), open(path) as file:
            parents[int(path.split("/")[2])] = int(file.read().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


class HostProcess:
    """The one process that a host is there for."""

    def __init__(self, network, host, words, log):
        self.network, self.host, self.words, self.log = network, host, words, log
        self.process = None
        # How it ended although nobody had it killed.
        self.surprises = []
        self._lock = threading.Lock()

    def start(self):
        with self._lock:
            self._look()
            if self.process is not None:
                return
            with open(self.log, "ab") as out:
                self.process = subprocess.Popen(
                    self.network.command(self.host, *self.words),
                    stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip

    def _look(self):
        if self.process is not None and self.process.poll() is not None:
            self.surprises.append("%s ended with status %d" % (self.host, self.process.returncode))
            self.process = None

    def runs(self):
        """Also notes when it ended by itself."""
        with self._lock:
            self._look()
            return self.process is not None

    def send(self, number):
        with self._lock:
            self._look()
            if self.process is not None:
                for pid in descendants(self.process.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)

    def kill(self):
        """SIGKILL, to it and all below it."""
        self.end(signal.SIGKILL)

    def end(self, number, seconds=KILL_SECONDS):
        with self._lock:
            self._look()
            process, self.process = self.process, None
        if process is None:
            return
        everyone = descendants(process.pid)
        for pid in everyone if number == signal.SIGKILL else everyone[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(KILL_SECONDS)
