# SPDX-License-Identifier: Apache-2.0
"""Legal holds as storage nodes know them: told, told when they are back, told of what comes later, and of the end."""

import json
import os
import signal

import pytest
from conftest import _run_cluster, send_all
from support.phantom import instance
from test_delete import stored
from test_outage import wait_until


@pytest.fixture(scope="module")
def archive():
    yield from _run_cluster()


def holds(cluster, number):
    (row,) = [row for row in cluster.json("/api/v1/holds?all=true") if row["number"] == number]
    return row


def place(cluster, *what):
    done = cluster.run("study", "hold", *what, "--name", "case", "--reason", "court", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["number"]


def wait_told(cluster, number, seconds=60):
    """Until all storage nodes know of the hold, or of its end, for all of its studies."""
    wait_until("the nodes know", lambda: holds(cluster, number)["untold"] == 0, seconds)


def test_held_and_released(archive):
    made = stored(archive, "node-hold", *[(0, 0, index) for index in range(4)])
    number = place(archive, made[0].study)
    wait_told(archive, number)
    assert archive.run("study", "delete", made[0].study, "--reason", "r").returncode == 1
    done = archive.run("study", "release", str(number), "--reason", "closed")
    assert done.returncode == 0, done.stderr
    # At once: where a node still refuses, it is told of the release and then again of the deletion.
    assert archive.run("study", "delete", made[0].study, "--reason", "r").returncode == 0
    wait_told(archive, number)
    wait_until("tombstones", lambda: all("doneAt" in row["deletion"] for row in archive.json("/api/v1/trash")), 60)


def test_what_comes_later_and_a_node_that_was_away(archive):
    made = stored(archive, "node-hold-later", (0, 0, 0))
    pid = archive.pid("storage-2")
    os.kill(pid, signal.SIGSTOP)
    try:
        number = place(archive, "--patient", "node-hold-later-0")
        wait_until("it is noticed", lambda: holds(archive, number)["untold"] == 1)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_told(archive, number, 120)
    later = [instance("node-hold-later", index) for index in range(1, 4)]
    assert set(send_all(archive.port, later).values()) == {0}
    wait_told(archive, number)
    assert archive.run("study", "delete", made[0].study, "--reason", "r").returncode == 1
    assert archive.run("study", "release", str(number), "--reason", "closed").returncode == 0
    wait_told(archive, number)


def test_the_coordinator_dies(archive):
    made = stored(archive, "node-hold-death", *[(0, 0, index) for index in range(20)])
    number = place(archive, made[0].study)
    pid = archive.kill("coordinator-1")
    archive.wait_gone(pid)
    archive.wait_ready()
    wait_told(archive, number, 120)
