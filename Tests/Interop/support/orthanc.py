# SPDX-License-Identifier: Apache-2.0
"""An Orthanc of the test's own, in a directory, on ports that were free."""

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request

from .cluster import free_ports

#: The program; None where it is not installed.
ORTHANC = shutil.which("Orthanc", path="/usr/sbin:/usr/bin")


class Orthanc:
    """Runs while the `with` lasts; `configuration` is added to what Orthanc is told."""

    def __init__(self, directory, port=None, plugins=(), **configuration):
        self.directory = str(directory)
        self.http, free = free_ports(2)
        self.port = port or free
        self.url = "http://127.0.0.1:%d" % self.http
        self.configuration = {
            "Name": "peer",
            "StorageDirectory": os.path.join(self.directory, "db"),
            "IndexDirectory": os.path.join(self.directory, "db"),
            "Plugins": list(plugins),
            "HttpPort": self.http,
            "DicomPort": self.port,
            "DicomAet": "ORTHANC",
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowMove": True,
            "AuthenticationEnabled": False,
            "RemoteAccessAllowed": False,
            **configuration,
        }

    def __enter__(self):
        os.makedirs(self.directory, exist_ok=True)
        path = os.path.join(self.directory, "orthanc.json")
        with open(path, "w") as file:
            json.dump(self.configuration, file)
        self.log = os.path.join(self.directory, "orthanc.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([ORTHANC, path], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.ask("system")
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.__exit__()
                    with open(self.log, errors="replace") as log:
                        raise RuntimeError("Orthanc does not serve:\n" + log.read()[-4000:])
                time.sleep(0.1)

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    def ask(self, path, body=None, timeout=60):
        """A GET, or a POST of bytes or of JSON; the JSON that comes back."""
        request = urllib.request.Request("%s/%s" % (self.url, path))
        if body is not None:
            request.data = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise RuntimeError("Orthanc answers %s: %s %s" % (path, error.code, error.read()[:2000]))
