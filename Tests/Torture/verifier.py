# SPDX-License-Identifier: Apache-2.0
"""Checks acknowledged instances: the bytes over HTTP, the copies by `varve study show`."""

import hashlib
import http.client

from load import made
from support import wado
from support.cluster import ClusterError


class Verifier:
    def __init__(self, scene, made=made):
        self.scene = scene
        self.made = made
        self.cluster = scene.cluster
        self.reads = 0
        # Copies that `varve study show` called anything but good, and said so of.
        self.reported = 0

    def read(self, label, acknowledged, is_promised=True):
        """Problems with the bytes. Where reading is not promised only wrong answers are a problem."""
        return [said for _, is_wrong, said in self.failures(label, acknowledged) if is_wrong or is_promised]

    def failures(self, label, acknowledged):
        """[(which, whether the answer was wrong, what is wrong)] of what could not be read, or not rightly."""
        failures = []
        connection = http.client.HTTPConnection("127.0.0.1", self.cluster.http, timeout=60)
        for sender, index in acknowledged:
            one = self.made(label, sender, index)
            is_wrong, said = self._read(connection, one)
            if said:
                said = "%s/%d/%d (%s): %s" % (label, sender, index, one.sop_instance, said)
                failures.append(((sender, index), is_wrong, said))
        connection.close()
        return failures

    def _read(self, connection, one):
        """(whether the answer was wrong, what is wrong or None)"""
        self.reads += 1
        try:
            connection.request("GET", "/dicom-web/" + one.path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return False, "not readable: %r" % error
        if answer.status != 200:
            # Nobody may deny what was acknowledged.
            return answer.status in (404, 410), "not readable: HTTP %d %s" % (answer.status, body[:200])
        found = wado.parts(body, answer.headers["Content-Type"])
        if len(found) != 1:
            return True, "%d parts" % len(found)
        _, data = wado.part10.split(found[0][1])
        if data != one.data_set:
            return True, "differs: SHA-256 %s, sent %s" % (hashlib.sha256(data).hexdigest()[:16], one.digest[:16])
        return False, None

    def copies(self, label, acknowledged, verify=False):
        """Problems with the copies: a copy that a node acknowledged is good, unless that node's disk was hurt."""
        wanted = {}
        for sender, index in acknowledged:
            one = self.made(label, sender, index)
            wanted.setdefault(one.study, set()).add(one.sop_instance)
        problems = []
        for study, instances in wanted.items():
            try:
                shown = self.cluster.study(study, verify)["instances"]
            except ClusterError as error:
                problems.append(str(error))
                continue
            copies = {entry["sopInstanceUID"]: entry["copies"] for entry in shown}
            for uid in sorted(instances):
                problem = self._judge(uid, copies.get(uid))
                if problem:
                    problems.append("%s of study %s %s" % (uid, study, problem))
        return problems

    def not_served(self, node, label, acknowledged):
        """Problems: copies that the catalog knows at a node and that it does not read, every byte, now."""
        problems = []
        for study in sorted({self.made(label, sender, index).study for sender, index in acknowledged}):
            for entry in self.cluster.study(study, verify=True)["instances"]:
                for copy in entry["copies"]:
                    if copy["node"] == node and copy["state"] != "good":
                        said = (node, entry["sopInstanceUID"], copy["state"], copy.get("reason"))
                        problems.append("%s does not serve %s: %s (%s)" % said)
        return problems

    def _judge(self, uid, copies):
        if not copies:
            return "is not in `varve study show`"
        good = {copy["node"] for copy in copies if copy["state"] == "good"}
        others = [copy for copy in copies if copy["state"] != "good"]
        self.reported += len(others)
        said = ", ".join("%s %s (%s)" % (copy["node"], copy["state"], copy.get("reason")) for copy in others)
        if not good:
            return "has no good copy: " + said
        if len({copy["node"] for copy in copies}) < 2:
            return "was acknowledged with fewer than two copies"
        lost = [copy["node"] for copy in others if copy["node"] != self.scene.rotten]
        if lost:
            return "has lost the copy on %s: %s" % (", ".join(lost), said)
        return None
