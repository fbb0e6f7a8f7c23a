# SPDX-License-Identifier: Apache-2.0
"""Copies beyond those wanted are dropped, after all copying, and nothing that is wanted with them."""

import os
import shutil

import pytest
from conftest import send_all
from support.phantom import instance
from support.repair import (
    Load, assert_redundant, assert_sound, is_whole, node, records, repair, series, settings, state, wait_whole,
)  # fmt: skip
from test_outage import wait_until


@pytest.fixture
def make_cluster(new_cluster):
    def make(*options, nodes=3, **changed):
        return new_cluster(storage_nodes=nodes, options=["--no-restart", *settings(**changed), *options])

    return make


def copies_on_disks(cluster, names=("storage-1", "storage-2", "storage-3")):
    """Records that the nodes say they have."""
    return sum(records(cluster, name) for name in names)


def is_tidy(cluster):
    now = repair(cluster)
    return is_whole(cluster) and now["surplus"]["instances"] == 0 and not now["surplus"]["isCounting"] and not now["queue"]


def wait_tidy(cluster, seconds=180):
    """Until a survey that began after this call finds neither too few copies nor too many."""
    wait_whole(cluster, seconds)
    wait_until("no surplus", lambda: is_tidy(cluster), seconds)


def test_what_stood_in_for_a_node_that_came_back_is_dropped(make_cluster):
    cluster = make_cluster()
    made = [instance("surplus-back", index, study=index // 4) for index in range(120)]
    assert set(send_all(cluster.port, made).values()) == {0}
    wait_tidy(cluster)
    assert copies_on_disks(cluster) == 240 and repair(cluster)["droppedCopies"] == 0
    cluster.wait_gone(cluster.kill("storage-2"))
    wait_until("storage-2 down", lambda: state(cluster, "storage-2") in ("down", "out"))
    wait_whole(cluster)
    copied = repair(cluster)["madeCopies"]
    assert copied > 20
    assert_redundant(cluster, made, 2, besides=["storage-2"])
    cluster.stop()
    cluster.start()
    wait_until("storage-2 up", lambda: state(cluster, "storage-2") == "up")
    wait_tidy(cluster)
    wait_until("statuses", lambda: copies_on_disks(cluster) == 240)
    now = repair(cluster)
    assert now["droppedCopies"] == copied and now["droppedBytes"] > 0
    assert "more copies than wanted" not in cluster.run("status").stdout
    assert_redundant(cluster, made, 2)
    assert_sound(cluster)
    wait_until("metrics", lambda: series(cluster, "varve_dropped_instances_total").get("") == copied)
    assert series(cluster, "varve_surplus_instances")[""] == 0

    # What was dropped stays dropped, and may come back: the same again, with other processes.
    cluster.stop()
    cluster.start()
    wait_until("statuses", lambda: copies_on_disks(cluster) == 240)
    cluster.wait_gone(cluster.kill("storage-3"))
    wait_until("storage-3 down", lambda: state(cluster, "storage-3") in ("down", "out"))
    wait_whole(cluster)
    assert repair(cluster)["madeCopies"] > copied
    assert_redundant(cluster, made, 2, besides=["storage-3"])
    cluster.stop()
    # The index of a node that has dropped copies and taken others is lost as well.
    shutil.rmtree(os.path.join(cluster.data, "storage-1", "index"))
    cluster.start()
    wait_until("storage-3 up", lambda: state(cluster, "storage-3") == "up")
    wait_tidy(cluster)
    wait_until("statuses", lambda: copies_on_disks(cluster) == 240)
    assert_redundant(cluster, made, 2)
    assert_sound(cluster)


def test_a_drained_node_ends_up_empty(make_cluster):
    cluster = make_cluster("--coordinators", "2", nodes=4)
    with Load(cluster, "surplus-drain") as load:
        load.wait(90)
        done = cluster.run("node", "drain", "storage-4")
        assert done.returncode == 0, done.stderr
        load.wait(30)
        wait_until("something dropped", lambda: repair(cluster)["droppedCopies"] > 0, 120)
        # Whoever leads dies while copies are dropped.
        leader = cluster.json("/api/v1/status").get("coordinator", "").partition("#")[0]
        cluster.wait_gone(cluster.kill(leader))
        load.wait(30)
        load.stop()
    assert load.refused == []
    wait_tidy(cluster, 240)
    wait_until("storage-4 empty", lambda: records(cluster, "storage-4") == 0, 120)
    assert_redundant(cluster, load.acknowledged, 2, besides=["storage-4"])
    assert_sound(cluster)
    shown = cluster.run("node", "show", "storage-4")
    assert shown.returncode == 0, shown.stderr
    done = cluster.run("node", "remove", "storage-4")
    assert done.returncode == 0, done.stderr
    wait_until("storage-4 gone", lambda: node(cluster, "storage-4") is None)
    assert_redundant(cluster, load.acknowledged, 2)
    assert_sound(cluster)


def test_operators_may_keep_what_is_surplus(make_cluster):
    cluster = make_cluster(repair_drop_surplus="no")
    made = [instance("surplus-doubt", index, study=index // 4) for index in range(40)]
    assert set(send_all(cluster.port, made).values()) == {0}
    wait_whole(cluster)
    cluster.wait_gone(cluster.kill("storage-1"))
    wait_until("storage-1 down", lambda: state(cluster, "storage-1") in ("down", "out"))
    wait_whole(cluster)
    cluster.stop()
    cluster.start()
    wait_until("storage-1 up", lambda: state(cluster, "storage-1") == "up")
    wait_whole(cluster)
    # It is counted a while after all copies are made.
    wait_until("surplus copies", lambda: repair(cluster)["surplus"]["instances"] > 0)
    wait_whole(cluster)
    kept = repair(cluster)["surplus"]["instances"]
    assert kept > 0 and repair(cluster)["droppedCopies"] == 0, "it is switched off"
    assert "more copies than wanted" in cluster.run("status").stdout
    assert copies_on_disks(cluster) == 80 + kept
    assert_redundant(cluster, made, 2)
