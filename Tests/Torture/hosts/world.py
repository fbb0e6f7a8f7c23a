# SPDX-License-Identifier: Apache-2.0
"""The whole cluster, host by host: five storage nodes, two ingest nodes, two coordinators, Postgres twice."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import time
import uuid

from support.cluster import ClusterError, binary

from .catalog import CatalogPair
from .processes import HostProcess

STORAGE = ["storage-%d" % (index + 1) for index in range(5)]
INGEST = ["ingest-1", "ingest-2"]
COORDINATORS = ["coordinator-1", "coordinator-2"]
COPIES, ACK = 3, 2
VRP, DICOM, HTTP = 7042, 11112, 8042
# As the defaults are, but for the time; a node is out before most faults end.
COORDINATOR_SETTINGS = {
    "suspect-seconds": 1, "down-seconds": 3, "out-seconds": 10, "lease-milliseconds": 4000, "heartbeat-milliseconds": 500,
    "repair-bytes-per-second": 0, "repair-retry-seconds": 1, "survey-seconds": 5, "steady-seconds": 2,
    "loss-settling-seconds": 20,
}  # fmt: skip
CRASH = re.compile(r"Fatal error|Program crashed|Illegal instruction|Segmentation fault|PANIC:")


class World:
    def __init__(self, directory, network):
        self.directory, self.network = directory, network
        for folder in ("log", "config", "data", "tls"):
            os.mkdir(os.path.join(directory, folder))
        self.catalog = CatalogPair(network, directory)
        self.hosts = STORAGE + INGEST + COORDINATORS
        for host in self.hosts:
            network.add(host)
        self.processes = dict(self.catalog.processes)
        self.cluster = str(uuid.uuid4())
        self.crashes = []

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    # MARK: Start and end

    def start(self):
        self.catalog.create()
        self._varve("certificate", "ca", "--out", self.path("ca"), "--cluster", self.cluster)
        self._varve("catalog", "migrate", "--catalog", self.catalog.connection_string)
        for host in self.hosts:
            role = host.rpartition("-")[0]
            config = self.path("config", host + ".yaml")
            with open(config, "w") as file:
                file.write(self._settings(role, host))
            words = [binary(), role, "--config", config]
            self.processes[host] = HostProcess(self.network, host, words, self.path("log", host + ".log"))
            self.processes[host].start()
        self.wait("all storage nodes in service", lambda: self.up_count() == len(STORAGE), 90)

    def _varve(self, *words):
        done = subprocess.run([binary(), *words], capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise ClusterError("varve %s: %s" % (" ".join(words[:2]), done.stderr.strip()))
        return done.stdout

    def _settings(self, role, host):
        tls = self._varve("certificate", "issue", "--ca", self.path("ca"), "--role", role, "--name", host,
                          "--out", self.path("tls", host))  # fmt: skip
        lines = ["name: " + host, "cluster: " + self.cluster]
        address, data = self.network.addresses[host], self.path("data", host)
        if role == "storage":
            lines += ["data: " + data, "listen:", "  host: " + address, "  port: %d" % VRP]
            lines += ["domain:", "  host: " + host, "segment-bytes: %d" % (16 << 20), "minimum-free-bytes: 67108864"]
        else:
            lines += ["catalog: " + self.catalog.connection_string, "copies: %d" % COPIES]
        if role == "coordinator":
            lines += ["storage-nodes:"]
            lines += ["  - %s=%s:%d" % (name, self.network.addresses[name], VRP) for name in STORAGE]
            lines += ["%s: %s" % one for one in COORDINATOR_SETTINGS.items()]
        if role == "ingest":
            os.makedirs(data)
            lines += ["spool: %s/spool" % data, "journal: %s/journal" % data, "metadata-cache: %s/metadata" % data]
            lines += ["ack: %d" % ACK, "dicom:", "  host: " + address, "  port: %d" % DICOM]
            lines += ["http:", "  host: " + address, "  port: %d" % HTTP]
            lines += ["acknowledgement-spread-seconds: 15"]
        return "\n".join(lines) + "\n" + tls

    def stop(self):
        for process in self.processes.values():
            process.send(signal.SIGCONT)
        for host in INGEST + COORDINATORS + STORAGE + list(self.catalog.processes):
            if host in self.processes:
                self.processes[host].end(signal.SIGTERM if host in self.hosts else signal.SIGINT)

    # MARK: What it says

    def get(self, host, path, timeout=20):
        """(status, body, headers) of an ingest node; status 0 when it does not answer."""
        connection = http.client.HTTPConnection(self.network.addresses[host], HTTP, timeout=timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        except (OSError, http.client.HTTPException) as error:
            return 0, repr(error).encode(), {}
        finally:
            connection.close()

    def json(self, path, timeout=20):
        """Of whichever ingest node can say it; ClusterError when none can."""
        said = []
        for host in INGEST:
            status, body, _ = self.get(host, path, timeout)
            if status == 200:
                return json.loads(body)
            said.append("%s: %d %s" % (host, status, body[:200]))
        raise ClusterError("GET %s: %s" % (path, "; ".join(said)))

    def run(self, *words, timeout=60):
        """`varve WORDS` at one ingest node after the other, until one is reached."""
        for host in INGEST:
            url = "http://%s:%d" % (self.network.addresses[host], HTTP)
            with contextlib.suppress(subprocess.TimeoutExpired):
                done = subprocess.run(
                    [binary(), *words], env={**os.environ, "VARVE_SERVER": url},
                    stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
                )  # fmt: skip
                if done.returncode == 0 or self.is_ready(host):
                    return done
        raise ClusterError("varve %s: no ingest node takes it" % " ".join(words))

    def nodes(self, name):
        """The rows of a storage node that have not been removed, the newest first."""
        rows = [row for row in self.json("/api/v1/nodes") if row["node"]["name"] == name]
        present = [row for row in rows if row["node"]["state"] != "removed"]
        return sorted(present, key=lambda row: row["node"]["state"] in ("out", "down"))

    def state(self, name):
        rows = self.nodes(name)
        return rows[0]["node"]["state"] if rows else None

    def up_count(self):
        rows = self.json("/api/v1/nodes")
        return sum(row["node"]["state"] == "up" for row in rows)

    def leader(self):
        return self.json("/api/v1/status").get("coordinator", "").partition("#")[0]

    def sees_leader(self, besides):
        """Whether an ingest node that answers at once knows another leader than this."""
        for host in INGEST:
            status, body, _ = self.get(host, "/api/v1/status", 1)
            if status == 200 and json.loads(body).get("coordinator", "").partition("#")[0] not in ("", besides):
                return True
        return False

    def is_ready(self, host):
        return self.get(host, "/readyz", 5)[0] == 200

    def journal_entries(self, host):
        status, body, _ = self.get(host, "/metrics")
        found = re.search(r"^varve_journal_entries (\S+)$", body.decode(errors="replace"), re.MULTILINE)
        return float(found.group(1)) if status == 200 and found else None

    def repair(self):
        return self.json("/api/v1/repair")

    def is_whole(self):
        """Whether the last survey found nothing to do, and nothing that waits."""
        now = self.repair()
        return (
            "surveyedAt" in now and not now["underReplicated"] and not now["waiting"] and not now["queue"]
            and now["remaining"]["instances"] == 0 and not now["remaining"]["isCounting"]
        )  # fmt: skip

    # MARK: Waiting

    def wait(self, what, condition, seconds=60, gives_up=lambda: False):
        """Until it is so; ClusterError when that takes too long. What cannot be asked is not so."""
        deadline = time.monotonic() + seconds
        problem = ""
        while True:
            try:
                if condition():
                    return
                problem = ""
            except ClusterError as error:
                problem = " (%s)" % error
            if gives_up() or time.monotonic() > deadline:
                raise ClusterError("waited %d s for: %s%s" % (seconds, what, problem))
            time.sleep(0.2)

    def wait_whole(self, seconds=120, gives_up=lambda: False):
        """Until a survey that began after this call finds nothing to do."""
        def surveyed():
            return self.repair().get("surveyedAt")

        deadline = time.monotonic() + seconds
        for _ in range(2):
            # A survey that ends may have begun before this call.
            seen = {}
            with contextlib.suppress(ClusterError):
                seen["first"] = surveyed()
            self.wait("a survey", lambda: surveyed() != seen.get("first"), deadline - time.monotonic(), gives_up)
        self.wait("full redundancy", self.is_whole, deadline - time.monotonic(), gives_up)

    def wait_ready(self, host, seconds=60):
        self.wait("%s ready" % host, lambda: self.is_ready(host), seconds)

    def wait_journals(self, seconds=90):
        self.wait("empty journals", lambda: all(self.journal_entries(host) == 0 for host in INGEST), seconds)

    # MARK: What nobody did to it

    def surprises(self):
        """Problems: processes that ended by themselves, and crashes in the logs."""
        problems = []
        for host, process in self.processes.items():
            process.runs()
            problems += process.surprises
            with open(process.log, errors="replace") as file:
                problems += ["%s: %s" % (host, line.strip()[:300]) for line in file if CRASH.search(line)]
        return problems

    def wipe(self, node):
        shutil.rmtree(self.path("data", node))
