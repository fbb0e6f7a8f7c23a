# SPDX-License-Identifier: Apache-2.0
"""Connections that end in the middle of whatever they carry: reset (`ss -K`), and those by Unix sockets shut down."""

import os
import re
import socket
import time

from .base import Fault


class CutSockets(Fault):
    def __init__(self, scene, dice):
        super().__init__(scene, dice)
        self.name = dice.choice(scene.nodes + ["DICOM"])
        self.times = dice.randint(1, 8)
        self.gap = dice.uniform(0.05, 0.8)
        self.uses = frozenset([self.name]) & frozenset(scene.nodes)
        self.count = 0

    def __str__(self):
        return "cut %s %d times" % (self.name, self.times) + (" (%d sockets)" % self.count if self.count else "")

    @classmethod
    def unavailable(cls, scene):
        """Tries it: the kernel must have CONFIG_INET_DIAG_DESTROY, and we must be root."""
        if os.geteuid() != 0:
            return "needs root"
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)) as client:
                try:
                    scene.established_sockets_end(port)
                    client.settimeout(2)
                    client.recv(1)
                except (ConnectionError, TimeoutError) as error:
                    return None if isinstance(error, ConnectionError) else "ss -K ends no socket here"
                except OSError as error:
                    return "ss -K: %s" % error
        return "ss -K ends no socket here"

    def _port(self):
        if self.name == "DICOM":
            return self.scene.cluster.port
        with open("%s/config/%s.yaml" % (self.scene.cluster.data, self.name)) as file:
            return int(re.search(r"^  port: (\d+)$", file.read(), re.MULTILINE).group(1))

    def strike(self):
        for _ in range(self.times):
            self.count += self.scene.established_sockets_end(self._port())
            if self.name != "DICOM":
                self.count += self.scene.local_sockets_end(self.name)
            time.sleep(self.gap)

    def check(self, outcome):
        return self.problems + ([] if self.count else ["no socket was cut"])
