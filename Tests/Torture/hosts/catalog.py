# SPDX-License-Identifier: Apache-2.0
"""Postgres on two hosts: a primary and a synchronous standby, and what an operator's failover does."""

import os
import shutil
import subprocess
import time

from .network import NetworkError, run
from .processes import HostProcess

HOSTS = ("postgres-1", "postgres-2")
AS_POSTGRES = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--")
SETTINGS = """listen_addresses = '*'
port = 5432
unix_socket_directories = ''
max_connections = 100
shared_buffers = 64MB
wal_level = replica
hot_standby = on
max_wal_senders = 8
wal_sender_timeout = 5s
wal_receiver_timeout = 5s
synchronous_commit = on
logging_collector = off
synchronous_standby_names = '%s'
"""


class CatalogPair:
    def __init__(self, network, directory):
        self.network = network
        self.directory = os.path.join(directory, "postgres")
        os.makedirs(self.directory)
        shutil.chown(self.directory, "postgres", "postgres")
        self.programs = run("pg_config", "--bindir").stdout.strip()
        self.primary, self.standby = HOSTS
        self.addresses = {host: network.add(host) for host in HOSTS}
        self.processes = {
            host: HostProcess(network, host, [*AS_POSTGRES, self._program("postgres"), "-D", self._data(host)],
                              os.path.join(directory, "log", host + ".log"))
            for host in HOSTS
        }  # fmt: skip

    @property
    def connection_string(self):
        return "host=%s port=5432 user=postgres dbname=varve connect_timeout=2" % ",".join(self.addresses.values())

    def _program(self, name):
        return os.path.join(self.programs, name)

    def _data(self, host):
        return os.path.join(self.directory, host)

    def _as_postgres(self, *words):
        done = subprocess.run([*AS_POSTGRES, *words], capture_output=True, text=True, cwd="/")
        if done.returncode:
            raise NetworkError("%s: %s" % (" ".join(words[:2]), done.stderr.strip()[-500:]))
        return done.stdout

    def _configure(self, host, standbys):
        path = os.path.join(self._data(host), "varve.conf")
        with open(path, "w") as file:
            file.write(SETTINGS % standbys)
        shutil.chown(path, "postgres", "postgres")

    def ask(self, host, statement, database="postgres"):
        """Rows of one statement, as psql prints them; NetworkError when it cannot be had."""
        return run(
            "timeout", "10", self._program("psql"), "-X", "-A", "-t", "-h", self.addresses[host], "-U", "postgres",
            "-d", database, "-v", "ON_ERROR_STOP=1", "-c", statement,
        ).stdout.strip()  # fmt: skip

    def wait(self, what, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return
            except NetworkError:
                pass
            if time.monotonic() > deadline:
                raise NetworkError("waited %d s for: %s" % (seconds, what))
            time.sleep(0.1)

    def create(self):
        data = self._data(self.primary)
        self._as_postgres(self._program("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
        with open(os.path.join(data, "pg_hba.conf"), "a") as file:
            file.write("host all all 10.231.0.0/24 trust\nhost replication all 10.231.0.0/24 trust\n")
        with open(os.path.join(data, "postgresql.conf"), "a") as file:
            file.write("include 'varve.conf'\n")
        self._configure(self.primary, "")
        self.processes[self.primary].start()
        self.wait("Postgres", lambda: self.ask(self.primary, "SELECT 1") == "1")
        self.ask(self.primary, "CREATE DATABASE varve")
        self.join()

    def join(self):
        """A new standby, from a copy of the primary; from then on no commit is told before it has it."""
        host = self.standby
        self.processes[host].kill()
        shutil.rmtree(self._data(host), ignore_errors=True)
        self._as_postgres(
            self._program("pg_basebackup"), "-D", self._data(host), "-R", "-c", "fast", "-X", "stream",
            "-d", "host=%s user=postgres application_name=%s" % (self.addresses[self.primary], host),
        )  # fmt: skip
        self._configure(host, "")
        self.processes[host].start()
        self.wait("a standby", lambda: "streaming" in self.ask(self.primary, "SELECT state FROM pg_stat_replication"))
        self._configure(self.primary, "*")
        self._reload(self.primary)
        self.wait("a synchronous standby", self.is_synchronous)

    def is_synchronous(self):
        return self.ask(self.primary, "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'") == "sync"

    def _reload(self, host):
        self.ask(host, "SELECT pg_reload_conf()")

    def fail_over(self):
        """The primary is killed, and the standby is what there is."""
        self.processes[self.primary].kill()
        self.primary, self.standby = self.standby, self.primary
        self.wait("a promotion", lambda: self.ask(self.primary, "SELECT pg_promote(true, 30)") == "t")
