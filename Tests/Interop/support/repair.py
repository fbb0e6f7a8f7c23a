# SPDX-License-Identifier: Apache-2.0
"""Clusters whose nodes are lost and drained quickly, load on them, and what repair says of itself."""

import re
import threading

from conftest import send_all
from test_outage import assert_reads_back, wait_until

from .phantom import instance

# As the defaults are, but for the time.
QUICK = {
    "suspect-seconds": 1,
    "down-seconds": 3,
    "out-seconds": 8,
    "lease-milliseconds": 4000,
    "heartbeat-milliseconds": 500,
    "repair-bytes-per-second": 0,
    "repair-retry-seconds": 1,
    "survey-seconds": 5,
    "steady-seconds": 2,
}


def settings(**changed):
    """Options of `varve up` for coordinators that do not wait long."""
    values = {**QUICK, **{key.replace("_", "-"): value for key, value in changed.items()}}
    return [word for key, value in values.items() for word in ("--coordinator-setting", "%s=%s" % (key, value))]


class Load:
    """Stores small studies, one after another, until it is stopped; remembers what was acknowledged and what was not."""

    def __init__(self, cluster, label, size=6):
        self.cluster, self.label, self.size = cluster, label, size
        self.acknowledged, self.refused = [], []
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._ends.set()
        self._thread.join(120)
        assert not self._thread.is_alive()

    def _run(self):
        number = 0
        # Some dozens a second: everything that was acknowledged is read back several times in the end.
        while not self._ends.wait(0.15):
            made = [instance(self.label, index, study=number) for index in range(self.size)]
            number += 1
            try:
                statuses = send_all(self.cluster.port, made)
            except Exception as error:  # noqa: BLE001
                self.refused.append(repr(error))
                continue
            for one in made:
                status = statuses.get(one.sop_instance)
                if status == 0:
                    self.acknowledged.append(one)
                else:
                    self.refused.append(status)

    def wait(self, count, seconds=90):
        """Until so many more are acknowledged."""
        goal = len(self.acknowledged) + count
        wait_until("%d stored" % goal, lambda: len(self.acknowledged) >= goal, seconds)


def repair(cluster):
    return cluster.json("/api/v1/repair")


def node(cluster, name):
    """The row of a node that has not been removed; None when there is none."""
    rows = [row for row in cluster.json("/api/v1/nodes") if row["node"]["name"] == name]
    present = [row for row in rows if row["node"]["state"] != "removed"]
    # Of an old one that is lost and a new one of the same name, the new one.
    present.sort(key=lambda row: row["node"]["state"] in ("out", "down"))
    return present[0] if present else None


def state(cluster, name):
    row = node(cluster, name)
    return row and row["node"]["state"]


def records(cluster, name):
    """How many records a node says it has; waits for one that does not answer yet."""
    said = {}

    def answers():
        said.clear()
        said.update(node(cluster, name)["node"])
        return "records" in said

    wait_until(name + " to answer", answers)
    return said["records"]


def is_whole(cluster):
    """Whether the last survey found nothing to do, and nothing that waits."""
    now = repair(cluster)
    return (
        "surveyedAt" in now and not now["underReplicated"] and not now["waiting"]
        and now["remaining"]["instances"] == 0 and not now["remaining"]["isCounting"]
    )  # fmt: skip


def wait_whole(cluster, seconds=120):
    """Until a survey that began after this call finds nothing to do."""
    first = repair(cluster).get("surveyedAt")
    wait_until("a survey", lambda: repair(cluster).get("surveyedAt") != first, 60)
    wait_until("full redundancy", lambda: is_whole(cluster), seconds)


def assert_redundant(cluster, instances, copies, besides=()):
    """Every instance has so many copies that were read whole, none of them on nodes in `besides`, and comes back as sent."""
    for study in sorted({one.study for one in instances}):
        for entry in cluster.study(study, verify=True)["instances"]:
            good = {copy["node"] for copy in entry["copies"] if copy["state"] == "good"} - set(besides)
            assert len(good) >= copies, (study, entry["copies"])
    assert_reads_back(cluster, instances)


def assert_sound(cluster):
    """Every copy that the catalog names is where it says, and whole."""
    done = cluster.run("verify", "--deep", "--grace", "0", timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def series(cluster, name):
    """{labels: value} of a metric."""
    status, body, _ = cluster.get("/metrics")
    assert status == 200
    found = re.findall(r"^%s(?:\{(.*)\})? (\S+)$" % name, body.decode(), re.MULTILINE)
    return {labels: float(value) for labels, value in found}
