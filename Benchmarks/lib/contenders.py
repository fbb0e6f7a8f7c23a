# SPDX-License-Identifier: Apache-2.0
"""The servers under load. Each starts on an empty directory, says how many instances it holds,
which processes to count, and which folders are data and which are catalog.
"""

import glob
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request

import machine

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def _environment(nodelay):
    """DCMTK, and Orthanc through it, switch Nagle's algorithm off only when told by TCP_NODELAY."""
    environment = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    if nodelay:
        environment["TCP_NODELAY"] = "1"
    return environment


class Contender:
    ae_title = "ANY-SCP"

    def __init__(self, directory, nodelay):
        self.directory = directory
        # Where this runs as root, Postgres runs as another user, who has to get in.
        os.chmod(directory, 0o711)
        self.environment = _environment(nodelay)
        self.port = machine.free_port()
        self.processes = []

    def spawn(self, arguments, log, **options):
        out = open(os.path.join(self.directory, log), "wb")
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=self.environment,
            **options
        )
        self.processes.append(process)
        return process

    def roots(self):
        return [process.pid for process in self.processes]

    def stop(self):
        for process in reversed(self.processes):
            machine.stop(process)


class Storescp(Contender):
    """DCMTK's storescp: writes files, syncs nothing, indexes nothing. The floor."""

    def start(self):
        self.data = os.path.join(self.directory, "data")
        os.mkdir(self.data)
        process = self.spawn(["storescp", "--fork", "-od", self.data, str(self.port)], "storescp.log")
        machine.wait_for_port(self.port, 20, process)

    def held(self):
        return len(os.listdir(self.data))

    def folders(self):
        return [self.data], []

    @staticmethod
    def version():
        return subprocess.run(["storescp", "--version"], capture_output=True, text=True).stdout.split()[2]


class Orthanc(Contender):
    transcode = None
    postgres = True
    plugins = ()
    index_connections = 1
    settings = {}

    def start(self):
        self.http = machine.free_port()
        self.data = os.path.join(self.directory, "storage")
        self.index = os.path.join(self.directory, "index")
        os.mkdir(self.data)
        os.mkdir(self.index)
        configuration = {
            "Name": "benchmark",
            "StorageDirectory": self.data,
            "IndexDirectory": self.index,
            "DicomPort": self.port,
            "HttpPort": self.http,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomCheckCalledAet": False,
            "OverwriteInstances": False,
            "StorageCompression": False,
            "Plugins": list(self.plugins),
        }
        if self.postgres:
            self._start_postgres()
            configuration["Plugins"] += ["/usr/share/orthanc/plugins/libOrthancPostgreSQLIndex.so"]
            configuration["PostgreSQL"] = {
                "EnableIndex": True,
                "EnableStorage": False,
                "Host": self.directory,
                "Port": 5432,
                "Database": "postgres",
                "Username": "postgres",
                "Password": "",
                "Lock": True,
                "EnableSsl": False,
                "IndexConnectionsCount": self.index_connections,
            }
        if self.transcode:
            configuration["IngestTranscoding"] = self.transcode
        configuration.update(self.settings)
        path = os.path.join(self.directory, "orthanc.json")
        with open(path, "w") as file:
            json.dump(configuration, file)
        process = self.spawn(["Orthanc", path], "orthanc.log")
        machine.wait_for_port(self.http, 60, process)
        machine.wait_for_port(self.port, 60, process)

    def _start_postgres(self):
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        # PostgreSQL refuses to run as root; everyone else may run it as themselves.
        become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
        self.cluster = os.path.join(self.directory, "postgres")
        os.mkdir(self.cluster, 0o700)
        if become:
            shutil.chown(self.cluster, "postgres", "postgres")
            shutil.chown(self.directory, "postgres", None)
        subprocess.run(
            become + [programs + "/initdb", "-D", self.cluster, "-U", "postgres", "-A", "trust", "-E", "UTF8"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )
        process = self.spawn(
            become
            + [programs + "/postgres", "-D", self.cluster, "-k", self.directory, "-c", "listen_addresses=", "-p", "5432"],
            "postgres.log",
            cwd="/",
        )
        deadline = time.monotonic() + 30
        while subprocess.run([programs + "/pg_isready", "-q", "-h", self.directory]).returncode:
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError("Postgres did not start: see %s/postgres.log" % self.directory)
            time.sleep(0.1)

    def stop(self):
        machine.stop(self.processes[-1])
        if self.postgres and self.processes[0].poll() is None:
            self.processes[0].send_signal(signal.SIGINT)  # Postgres' fast shutdown
        super().stop()

    def held(self):
        with urllib.request.urlopen("http://127.0.0.1:%d/statistics" % self.http, timeout=30) as answer:
            return json.load(answer)["CountInstances"]

    def folders(self):
        return [self.data], [self.cluster] if self.postgres else [self.index]

    @staticmethod
    def version():
        output = subprocess.run(["Orthanc", "--version"], capture_output=True, text=True).stdout
        return output.split("\n")[0].split()[-1]


class OrthancJPEGLS(Orthanc):
    transcode = "1.2.840.10008.1.2.4.80"


class OrthancSQLite(Orthanc):
    postgres = False


class Varve(Contender):
    """A whole cluster: three storage nodes, two synced copies, private Postgres."""

    ae_title = "VARVE"
    codec = "balanced"
    options = []

    def start(self):
        self.http = machine.free_port()
        self.data = os.path.join(self.directory, "data")
        program = os.environ.get("VARVE_BINARY", os.path.join(ROOT, ".build/release/varve"))
        log = os.path.join(self.directory, "varve.log")
        process = self.spawn(
            [program, "up", "--data", self.data, "--storage-nodes", "3", "--copies", "2", "--ack", "2"]
            + ["--dicom-port", str(self.port), "--http-port", str(self.http), "--no-restart", "--codec", self.codec]
            + self.options,
            "varve.log",
        )
        deadline = time.monotonic() + 120
        while "varve: ready" not in open(log, errors="replace").read():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("varve did not get ready:\n" + open(log, errors="replace").read()[-2000:])
            time.sleep(0.05)

    def held(self):
        with urllib.request.urlopen("http://127.0.0.1:%d/api/v1/status" % self.http, timeout=60) as answer:
            return json.load(answer)["instances"]

    def folders(self):
        everything = [os.path.join(self.data, name) for name in os.listdir(self.data)]
        catalog = [path for path in everything if os.path.basename(path).startswith("postgres")]
        return [path for path in everything if path not in catalog], catalog

    @staticmethod
    def version():
        program = os.environ.get("VARVE_BINARY", os.path.join(ROOT, ".build/release/varve"))
        return subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip()


class VarveAsReceived(Varve):
    codec = "as-received"


class VarveFast(Varve):
    codec = "fast"


CONTENDERS = {
    "varve-jpegls": (Varve, "Varve, 2 synced copies, JPEG-LS, proof"),
    "varve-fast": (VarveFast, "Varve, 2 synced copies, HTJ2K, proof"),
    "varve-asreceived": (VarveAsReceived, "Varve, 2 synced copies, as received"),
    "orthanc-jpegls": (OrthancJPEGLS, "Orthanc + PostgreSQL, JPEG-LS at ingest"),
    "orthanc": (Orthanc, "Orthanc + PostgreSQL, as received"),
    "orthanc-sqlite": (OrthancSQLite, "Orthanc + SQLite, as received"),
    "storescp": (Storescp, "DCMTK storescp: no sync, no index"),
}
