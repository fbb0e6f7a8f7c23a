# SPDX-License-Identifier: Apache-2.0
"""Storage nodes are lost: what they had is copied to others, the most urgent first, and counted when it is there."""

import os
import shutil

import pytest
from conftest import send_all
from support.phantom import instance
from support.repair import (
    Load, assert_redundant, assert_sound, is_whole, node, records, repair, series, settings, state, wait_whole,
)  # fmt: skip
from test_delete import delete, wait_told
from test_outage import check, wait_until


@pytest.fixture
def make_cluster(new_cluster):
    def make(*options, nodes=4, **changed):
        return new_cluster(storage_nodes=nodes, options=["--no-restart", *settings(**changed), *options])

    return make


def lose(cluster, name):
    """The node is gone, and all it had."""
    cluster.wait_gone(cluster.kill(name))
    shutil.rmtree(os.path.join(cluster.data, name))


def leader(cluster):
    return cluster.json("/api/v1/status").get("coordinator", "").partition("#")[0]


def test_a_node_is_lost_under_load_and_the_coordinator_in_the_middle(make_cluster):
    cluster = make_cluster("--copies", "3", "--coordinators", "2", nodes=5)
    with Load(cluster, "repair-lost") as load:
        load.wait(120)
        lost = node(cluster, "storage-2")["node"]["id"]
        lose(cluster, "storage-2")
        load.wait(30)
        wait_until("storage-2 out", lambda: state(cluster, "storage-2") == "out")
        wait_until("repair", lambda: repair(cluster)["madeCopies"] > 0)
        first = leader(cluster)
        cluster.wait_gone(cluster.kill(first))
        load.wait(60)
        wait_until("another leader", lambda: leader(cluster) not in ("", first))
        load.wait(30)
        load.stop()
    # copies 3, ack 2: one node less keeps nobody from storing.
    assert load.refused == []
    wait_whole(cluster)
    assert_redundant(cluster, load.acknowledged, 3, besides=["storage-2"])
    assert node(cluster, "storage-2")["node"]["id"] == lost, "what it had counts again if it comes back"

    wait_until("metrics", lambda: series(cluster, "varve_repaired_instances_total").get("", 0) > 0)
    assert set(series(cluster, "varve_under_replicated_instances").values()) == {0}
    states = series(cluster, "varve_node_state")
    assert {value for labels, value in states.items() if lost in labels and 'state="out"' in labels} == {1}
    assert set(series(cluster, "varve_repair_queue_items").values()) == {0}
    # Two coordinators have led, and the map has followed who is there.
    assert series(cluster, "varve_lease_term")[""] >= 2
    wait_until("a lease", lambda: series(cluster, "varve_lease_remaining_seconds")[""] > 0)
    wait_until("the map", lambda: len(set(series(cluster, "varve_map_epoch").values())) == 1)
    assert series(cluster, "varve_map_epoch")['seen="ingest"'] > 1
    wait_until("four nodes that answer", lambda: len(series(cluster, "varve_node_accepts_writes")) == 4)
    for name in ("records", "used_bytes", "free_bytes", "oldest_unverified_seconds"):
        assert len(series(cluster, "varve_node_" + name)) == 4, name
    assert lost not in " ".join(series(cluster, "varve_node_records"))
    assert series(cluster, "varve_repaired_bytes_total")[""] == repair(cluster)["madeBytes"] > 0

    # It is not coming back. Another takes its place, under the same name, and gets its share.
    done = cluster.run("node", "remove", "storage-2")
    assert done.returncode == 0 and "removed" in done.stdout, done.stderr
    wait_until("storage-2 gone", lambda: node(cluster, "storage-2") is None)
    cluster.stop()
    cluster.start()
    wait_until("a new storage-2", lambda: state(cluster, "storage-2") == "up")
    assert node(cluster, "storage-2")["node"]["id"] != lost
    wait_whole(cluster)
    assert records(cluster, "storage-2") > 0
    on_the_new = sum(
        copy["node"] == "storage-2" and copy["state"] == "good"
        for study in {one.study for one in load.acknowledged}
        for entry in cluster.study(study)["instances"]
        for copy in entry["copies"]
    )
    # A fifth of three copies each, as near as some dozens of studies come to it.
    assert len(load.acknowledged) * 0.25 < on_the_new < len(load.acknowledged)
    assert_redundant(cluster, load.acknowledged, 3)
    assert_sound(cluster)


def test_what_has_one_copy_left_is_copied_before_its_node_is_out(make_cluster):
    cluster = make_cluster(out_seconds=3000, repair_drop_surplus="no")
    made = [instance("repair-alone", index, study=index // 4) for index in range(80)]
    assert set(send_all(cluster.port, made).values()) == {0}
    wait_whole(cluster)
    cluster.wait_gone(cluster.kill("storage-1"))
    wait_until("storage-1 down", lambda: state(cluster, "storage-1") == "down")
    wait_whole(cluster)
    assert state(cluster, "storage-1") == "down"
    assert repair(cluster)["madeCopies"] > 0
    assert_redundant(cluster, made, 2, besides=["storage-1"])

    # It comes back with all that it had: it counts, nothing is copied again, and what stood in is surplus.
    copied = repair(cluster)["madeCopies"]
    cluster.stop()
    cluster.start()
    wait_until("storage-1 up", lambda: state(cluster, "storage-1") == "up")
    wait_whole(cluster)
    wait_until("a count", lambda: repair(cluster)["surplus"]["instances"] == copied)
    assert repair(cluster)["madeCopies"] == copied
    assert "more copies than wanted" in cluster.run("status").stdout
    assert_redundant(cluster, made, 2)


def test_a_source_and_a_target_die_too(make_cluster):
    cluster = make_cluster("--copies", "3", nodes=6, repair_bytes_per_second=400_000)
    made = [instance("repair-twice", index, study=index // 4) for index in range(160)]
    assert set(send_all(cluster.port, made).values()) == {0}
    lose(cluster, "storage-1")
    wait_until("repair", lambda: repair(cluster)["madeCopies"] > 0, 90)
    # Two of six at once would be much of the cluster; one after the other is not.
    cluster.wait_gone(cluster.kill("storage-3"))
    wait_until("storage-3 down", lambda: state(cluster, "storage-3") in ("down", "out"))
    wait_until("storage-3 out", lambda: state(cluster, "storage-3") == "out")
    wait_whole(cluster, 240)
    assert not any(row["state"] == "stuck" for row in repair(cluster)["queue"])
    assert_redundant(cluster, made, 3, besides=["storage-1", "storage-3"])


def test_much_of_the_cluster_at_once_is_declared_out_by_nobody(make_cluster):
    cluster = make_cluster("--copies", "3", nodes=5)
    made = [instance("repair-mass", index, study=index // 4) for index in range(40)]
    assert set(send_all(cluster.port, made).values()) == {0}
    for name in ("storage-1", "storage-2"):
        cluster.wait_gone(cluster.kill(name))
    wait_until("an alarm", lambda: "alarm" in repair(cluster))
    assert {state(cluster, name) for name in ("storage-1", "storage-2")} == {"down"}
    assert "ALARM" in cluster.run("status").stdout
    wait_until("metric", lambda: series(cluster, "varve_mass_loss")[""] == 1)
    # What had one copy left has two again.
    wait_until("two copies", lambda: all(row["copiesLeft"] > 1 for row in repair(cluster)["underReplicated"]))
    # An operator knows better: they are gone.
    assert cluster.run("node", "drain", "storage-1", "--reason", "burnt").returncode == 0
    refused = cluster.run("node", "drain", "storage-2", "--reason", "burnt")
    assert refused.returncode == 0, refused.stderr
    wait_whole(cluster)
    assert_redundant(cluster, made, 3, besides=["storage-1", "storage-2"])


def test_what_was_deleted_is_not_brought_back(make_cluster):
    cluster = make_cluster("--http-delete", "trash")
    made = [instance("repair-deleted", index, study=index // 4) for index in range(40)]
    assert set(send_all(cluster.port, made).values()) == {0}
    gone = made[:20]
    studies = sorted({one.study for one in gone})
    # Half of them before the node is lost, half while the coordinator copies.
    for study in studies[:2]:
        assert delete(cluster, "studies/" + study).status_code == 204
        wait_told(cluster, study)
    lose(cluster, "storage-1")
    wait_until("storage-1 down", lambda: state(cluster, "storage-1") in ("down", "out"))
    for study in studies[2:]:
        assert delete(cluster, "studies/" + study).status_code == 204
    wait_whole(cluster)
    for study in studies:
        assert cluster.get("/dicom-web/studies/" + study)[0] == 404
    assert_redundant(cluster, made[20:], 2, besides=["storage-1"])
    wait_until("storage-1 out", lambda: state(cluster, "storage-1") == "out")
    wait_whole(cluster)
    done = cluster.run("node", "remove", "storage-1")
    assert done.returncode == 0, done.stderr
    wait_until("storage-1 gone", lambda: node(cluster, "storage-1") is None)
    for study in studies:
        wait_told(cluster, study)
    assert check(cluster, "--adopt")[1]["adopted"] == 0
    assert is_whole(cluster)
    for study in studies:
        assert cluster.get("/dicom-web/studies/" + study)[0] == 404


def test_repair_gives_way_to_those_who_wait_and_to_nobody_else(make_cluster):
    # A byte a second: whoever is held to that does not end.
    cluster = make_cluster("--copies", "2", repair_bytes_per_second=1)
    made = [instance("gives-way", index, study=index // 4) for index in range(120)]
    assert set(send_all(cluster.port, made).values()) == {0}
    wait_whole(cluster)
    with Load(cluster, "gives-way-load") as load:
        load.wait(30)
        lose(cluster, "storage-2")
        wait_until("something to be made again", lambda: repair(cluster)["underReplicated"])
        before = repair(cluster)["madeCopies"]
        load.wait(300)
        # Of each node that takes copies the first is made at once.
        assert repair(cluster)["madeCopies"] - before <= 2 * len(cluster.json("/api/v1/nodes"))
        assert not is_whole(cluster)
        load.stop()
    wait_whole(cluster)
    assert_redundant(cluster, made + load.acknowledged, 2)
