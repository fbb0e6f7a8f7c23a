# SPDX-License-Identifier: Apache-2.0
"""What operators do with storage nodes: drain, undrain, remove, maintenance; refused where copies would be lost."""

import glob
import json
import os
import shutil

import pytest
import requests
from conftest import send_all
from support.cluster import Cluster
from support.phantom import instance
from support.repair import Load, assert_redundant, assert_sound, node, records, repair, settings, state, wait_whole
from test_delete import wait_told
from test_outage import wait_until

NAMES = ["storage-%d" % number for number in range(1, 5)]


def make(*options, nodes, **changed):
    return Cluster(storage_nodes=nodes, options=[*settings(**changed), *options])


def end(cluster):
    try:
        cluster.stop()
    finally:
        if not os.environ.get("VARVE_KEEP_TEST_DATA"):
            shutil.rmtree(cluster.directory, ignore_errors=True)


@pytest.fixture
def five():
    # Slow enough that something is left to be done when the tests look.
    cluster = make("--copies", "3", nodes=5, repair_bytes_per_second=100_000)
    try:
        yield cluster.start()
    finally:
        end(cluster)


@pytest.fixture
def four():
    cluster = make(nodes=4)
    try:
        yield cluster.start()
    finally:
        end(cluster)


@pytest.fixture(scope="module")
def three():
    cluster = make(nodes=3)
    try:
        yield cluster.start()
    finally:
        end(cluster)


def test_a_node_is_drained_under_load_and_removed(five):
    cluster = five
    with Load(cluster, "drain") as load:
        load.wait(90)
        done = cluster.run("node", "drain", "storage-4", "--reason", "old disks")
        assert done.returncode == 0 and done.stdout.startswith("storage-4: draining\nmoves "), done.stderr
        refused = cluster.run("node", "remove", "storage-4")
        assert refused.returncode == 1 and "fewer than 3 copies" in refused.stderr, refused.stdout
        # Both sides of the work die in the middle of it, and are started again.
        cluster.kill("coordinator-1")
        load.wait(20)
        cluster.kill("storage-5")
        load.wait(20)
        load.stop()
    assert load.refused == []
    wait_whole(cluster)
    row = node(cluster, "storage-4")
    assert row["node"]["state"] == "draining" and row["leaving"]["instances"] == 0
    wait_until("storage-4 empty", lambda: records(cluster, "storage-4") == 0, 180)
    assert_redundant(cluster, load.acknowledged, 3, besides=["storage-4"])

    shown = cluster.run("node", "show", "storage-4")
    assert "draining" in shown.stdout and "old disks" in shown.stdout and "refused: " in shown.stdout
    detail = json.loads(cluster.run("node", "show", "storage-4", "--json").stdout)
    assert [order["order"] for order in detail["orders"]] == ["remove", "drain"]
    done = cluster.run("node", "remove", row["node"]["id"])
    assert done.returncode == 0, done.stderr
    wait_until("storage-4 removed", lambda: node(cluster, "storage-4") is None)
    assert "storage-4" not in cluster.run("status").stdout
    assert "storage-4" not in cluster.run("node", "list").stdout
    assert "storage-4" in cluster.run("node", "list", "--all").stdout
    assert_sound(cluster)

    # It answers still, also after a start: it is recognised, and left out.
    def refusals():
        text = "".join(open(path).read() for path in glob.glob(os.path.join(cluster.data, "log", "coordinator-1.log")))
        return text.count("a node that was removed answers")

    wait_until("a refusal", lambda: refusals() > 0)
    before = refusals()
    cluster.stop()
    cluster.start()
    wait_until("a refusal", lambda: refusals() > before)
    assert node(cluster, "storage-4") is None
    for order in ("drain", "undrain"):
        assert "has been removed" in cluster.run("node", order, row["node"]["id"]).stderr
    again = cluster.run("node", "remove", row["node"]["id"])
    assert again.returncode == 0 and "removed already" in again.stdout, again.stderr
    assert_redundant(cluster, load.acknowledged, 3, besides=["storage-4"])


def test_undrain_takes_back_what_is_there(five):
    cluster = five
    made = [instance("undrain", index, study=index // 4) for index in range(60)]
    assert set(send_all(cluster.port, made).values()) == {0}
    wait_whole(cluster)
    assert cluster.run("node", "drain", "storage-1").returncode == 0
    assert cluster.run("node", "drain", "storage-1").stdout.strip() == "storage-1: draining already"
    wait_until("draining", lambda: state(cluster, "storage-1") == "draining")
    done = cluster.run("node", "undrain", "storage-1")
    assert done.returncode == 0 and "in service again" in done.stdout, done.stderr
    wait_until("up", lambda: state(cluster, "storage-1") == "up")
    wait_whole(cluster)
    assert_redundant(cluster, made, 3)
    again = cluster.run("node", "undrain", "storage-1")
    assert again.returncode == 1 and "is not draining" in again.stderr
    in_service = cluster.run("node", "remove", "storage-1")
    assert in_service.returncode == 1 and "drain it first" in in_service.stderr


def test_no_more_nodes_are_drained_than_copies_allow(three):
    cluster = three
    made = [instance("drain-last", index, study=index // 4) for index in range(20)]
    assert set(send_all(cluster.port, made).values()) == {0}
    assert cluster.run("node", "drain", "storage-1").returncode == 0
    wait_until("draining", lambda: state(cluster, "storage-1") == "draining")
    refused = cluster.run("node", "drain", "storage-2")
    assert refused.returncode == 1 and "1 hosts would be left in service for 2 copies" in refused.stderr
    wait_whole(cluster)
    assert_redundant(cluster, made, 2, besides=["storage-1"])
    assert cluster.run("node", "undrain", "storage-1").returncode == 0
    wait_until("up", lambda: state(cluster, "storage-1") == "up")
    wait_whole(cluster)


def test_the_last_copy_of_what_may_be_undeleted_keeps_its_node(four):
    cluster = four
    made = [instance("trash-last", index) for index in range(6)]
    assert set(send_all(cluster.port, made).values()) == {0}
    study = made[0].study
    wait_until("two copies", lambda: sum(records(cluster, name) for name in NAMES) == 12)
    first, second = [name for name in NAMES if records(cluster, name)]
    done = cluster.run("study", "delete", study, "--reason", "wrong patient")
    assert done.returncode == 0, done.stderr
    wait_told(cluster, study)
    for name in (first, second):
        done = cluster.run("node", "drain", name)
        assert done.returncode == 0, done.stderr
        if name == first:
            done = cluster.run("node", "remove", name)
            assert done.returncode == 0, done.stderr
            wait_until("%s gone" % name, lambda: node(cluster, first) is None)
    refused = cluster.run("node", "remove", second)
    assert refused.returncode == 1 and "6 instances in the trash have their last copy" in refused.stderr, refused.stdout
    done = cluster.run("study", "undelete", study, "--reason", "it was right")
    assert done.returncode == 0, done.stderr
    wait_until("study back", lambda: cluster.get("/dicom-web/studies/" + study)[0] == 200)
    wait_whole(cluster)
    wait_until("%s empty" % second, lambda: node(cluster, second)["leaving"]["instances"] == 0)
    done = cluster.run("node", "remove", second)
    assert done.returncode == 0, done.stderr
    wait_until("%s gone" % second, lambda: node(cluster, second) is None)
    assert_redundant(cluster, made, 2, besides=[first, second])


def test_maintenance_holds_repair_back(three):
    cluster = three
    made = [instance("maintenance", index, study=index // 4) for index in range(20)]
    assert set(send_all(cluster.port, made).values()) == {0}
    wait_whole(cluster)
    before = repair(cluster)["madeCopies"]
    done = cluster.run("node", "maintenance", "storage-2", "--minutes", "5", "--reason", "new kernel")
    assert done.returncode == 0 and "5 minutes" in done.stdout, done.stderr
    wait_until("maintenance", lambda: "maintenanceUntil" in node(cluster, "storage-2"))
    assert "(maintenance)" in cluster.run("node", "list").stdout
    pid = cluster.pid("storage-2")
    os.kill(pid, 19)
    try:
        wait_until("storage-2 down", lambda: state(cluster, "storage-2") == "down")
        wait_whole(cluster)
        wait_whole(cluster)
        # Longer than it takes to be declared out.
        assert state(cluster, "storage-2") == "down"
        assert repair(cluster)["madeCopies"] == before
        assert cluster.run("node", "maintenance", "storage-2", "--off").returncode == 0
        wait_until("copies", lambda: repair(cluster)["madeCopies"] > before)
        wait_until("storage-2 out", lambda: state(cluster, "storage-2") == "out")
    finally:
        os.kill(pid, 18)
    wait_until("storage-2 up", lambda: state(cluster, "storage-2") == "up")
    wait_whole(cluster)
    assert_redundant(cluster, made, 2)


@pytest.mark.parametrize("order", ["drain", "undrain", "remove", "maintenance"])
def test_orders_are_given_on_purpose(three, order):
    """No page of another origin can give them through somebody's browser, and each says why."""
    url = three.url + "/api/v1/nodes/storage-1/" + order
    assert requests.post(url, data='{"reason": "x"}', headers={"Content-Type": "text/plain"}, timeout=30).status_code == 415
    assert requests.post(url, json={}, timeout=30).status_code == 400
    assert requests.post(url, json={"reason": " "}, timeout=30).status_code == 400
    unknown = requests.post(three.url + "/api/v1/nodes/nobody/" + order, json={"reason": "x", "minutes": 1}, timeout=30)
    assert unknown.status_code == 404
    assert requests.post(three.url + "/api/v1/nodes/storage-1/burn", json={"reason": "x"}, timeout=30).status_code == 404


def test_usage(three):
    for command in ("list", "show", "drain", "undrain", "remove", "maintenance"):
        assert "Example: varve node " + command in three.run("node", command, "--help").stdout
    for command in ("status", "stuck", "retry"):
        assert "Example: varve repair" in three.run("repair", command, "--help").stdout
    assert three.run("node", "show", "nobody").returncode == 1
    assert three.run("node", "drain").returncode == 2
    assert three.run("node", "maintenance", "storage-1").returncode == 2
    assert three.run("node", "maintenance", "storage-1", "--minutes", "0").returncode == 2
    assert three.run("node", "maintenance", "storage-1", "--minutes", "5", "--off").returncode == 2
    assert three.run("node", "drain", "storage-1", "--reason", " ").returncode == 2
    assert three.run("repair", "stuck").stdout.strip() == "nothing needs a person"
    assert three.run("repair", "retry").stdout.strip() == "0 copies are tried again"
    assert json.loads(three.run("repair", "--json").stdout)["copies"] == 2
    assert len(json.loads(three.run("node", "list", "--json").stdout)) == 3
