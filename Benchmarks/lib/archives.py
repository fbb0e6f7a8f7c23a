# SPDX-License-Identifier: Apache-2.0
"""The servers that are asked: contenders as in ingest.py, set up to be queried and to send, and nginx with plain files."""

import http.client
import json
import os
import subprocess
import tempfile
import urllib.request

import machine
from contenders import ROOT, Contender, Orthanc, Varve
from dimse_requests import CALLING, MAXIMUM_PDU


class VarveArchive(Varve):
    """As in ingest.py, JPEG-LS with proof, and a destination for C-MOVE."""

    title = "Varve"
    root = "/dicom-web"

    def __init__(self, directory, nodelay):
        super().__init__(directory, nodelay)
        self.destination = machine.free_port()
        self.options = ["--destination", "%s=127.0.0.1:%d" % (CALLING, self.destination)]

    def analyze(self):
        """Gathers the database's statistics now, which autovacuum would do within a minute."""
        _analyze(_socket_directory(self), "varve")


class OrthancArchive(Orthanc):
    """With DICOMweb and PostgreSQL, set up as its book advises for large archives ("Scalability"), results unlimited."""

    title = "Orthanc"
    root = "/dicom-web"
    plugins = ("/usr/share/orthanc/plugins/libOrthancDicomWeb.so",)
    index_connections = 5

    def __init__(self, directory, nodelay):
        super().__init__(directory, nodelay)
        self.destination = machine.free_port()
        self.settings = {
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            "DicomModalities": {CALLING: [CALLING, "127.0.0.1", self.destination]},
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "MaximumPduLength": MAXIMUM_PDU,
            "KeepAlive": True,
            "TcpNoDelay": True,
            "SaveJobs": False,
            "StorageAccessOnFind": "Never",
        }

    def analyze(self):
        _analyze(_socket_directory(self), "postgres")

    def upload(self, paths):
        """Stores files byte for byte, which C-STORE would write anew."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=120)
        for path in paths:
            with open(path, "rb") as file:
                connection.request("POST", "/instances", file.read(), {"Content-Type": "application/dicom"})
            answer = connection.getresponse()
            told = json.loads(answer.read())
            if answer.status != 200 or told.get("Status") != "Success":
                raise RuntimeError("Orthanc did not take %s: %s" % (path, told))
        connection.close()


class Nginx(Contender):
    """Files below `files`, with sendfile."""

    title = "nginx"
    root = ""

    def start(self):
        self.http = self.port
        self.files = os.path.join(self.directory, "files")
        os.makedirs(self.files, exist_ok=True)
        os.chmod(self.directory, 0o755)  # its workers run as somebody else
        path = os.path.join(self.directory, "nginx.conf")
        with open(path, "w") as file:
            file.write(_NGINX.replace("WORKERS", str(os.cpu_count())).replace("PORT", str(self.http))
                       .replace("DIRECTORY", self.directory))  # fmt: skip
        process = self.spawn(["nginx", "-c", path, "-p", self.directory], "nginx.log")
        machine.wait_for_port(self.http, 20, process)

    @staticmethod
    def version():
        return subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr.strip().split("/")[-1]


class Relay(Contender):
    """The least that sending a study from another node can cost: bare_relay.c, with the files that nginx serves."""

    title = "relay"
    root = ""

    def start(self):
        self.http = self.port

    def serve(self, files, studies, instances):
        """Begins, once the files are there."""
        program = os.path.join(self.directory, "bare_relay")
        source = os.path.join(ROOT, "Benchmarks", "lib", "bare_relay.c")
        subprocess.run(["gcc", "-O2", "-o", program, source, "-lpthread", "-lisal"], check=True)
        process = self.spawn([program, str(self.http), files, str(studies), str(instances)], "relay.log")
        machine.wait_for_port(self.http, 20, process)

    @staticmethod
    def version():
        return "bare_relay.c"


_NGINX = """
worker_processes WORKERS;
pid DIRECTORY/nginx.pid;
daemon off;
error_log DIRECTORY/error.log;
events { worker_connections 1024; }
http {
    sendfile on;
    tcp_nopush on;
    keepalive_requests 10000000;
    access_log off;
    client_body_temp_path DIRECTORY/1; proxy_temp_path DIRECTORY/2; fastcgi_temp_path DIRECTORY/3;
    uwsgi_temp_path DIRECTORY/4; scgi_temp_path DIRECTORY/5;
    server { listen 127.0.0.1:PORT; root DIRECTORY/files; open_file_cache max=100000; }
}
"""


def started(kind, work):
    server = kind(tempfile.mkdtemp(prefix="varve-bench-", dir=work), True)
    try:
        server.start()
    except BaseException:
        server.stop()
        raise
    return server


def get(server, path, accept, timeout=300):
    """(headers, body) of a GET below the server's root."""
    request = urllib.request.Request("http://127.0.0.1:%d%s%s" % (server.http, server.root, path))
    request.add_header("Accept", accept)
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return answer.headers, answer.read()


def parts(headers, body):
    """The contents of the parts of a multipart/related body."""
    boundary = headers.get_param("boundary").encode()
    found = []
    for piece in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:]:
        if piece.startswith(b"--"):
            break
        found.append(piece[piece.index(b"\r\n\r\n") + 4 :])
    return found


def _socket_directory(server):
    """Where the Postgres among the server's processes has its socket."""
    for pid in machine.tree(server.roots()):
        try:
            words = open("/proc/%d/cmdline" % pid, "rb").read().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        for index, word in enumerate(words):
            if word.startswith("unix_socket_directories="):
                return word.partition("=")[2]
            if word == "-k":
                return words[index + 1]
    raise RuntimeError("no Postgres among the processes of %s" % server.title)


def _analyze(sockets, database):
    become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    subprocess.run(become + ["psql", "-q", "-h", sockets, "-d", database, "-c", "VACUUM ANALYZE"]
                   + (["-U", database] if database != "postgres" else []), check=True, cwd="/")  # fmt: skip
