# SPDX-License-Identifier: Apache-2.0
"""Nodes get groups by their capacity, and by the weight that their operator gives them."""

import os

import pytest
from conftest import send_all
from support.cluster import Cluster
from support.phantom import instance
from support.repair import assert_redundant, assert_sound, node, records, repair, settings, wait_whole
from test_node_commands import end
from test_outage import wait_until

STUDIES = 60


@pytest.fixture
def four():
    cluster = Cluster(storage_nodes=4, options=settings(weights_settle_seconds=6))
    try:
        yield cluster.start()
    finally:
        end(cluster)


def weights(cluster):
    return {row["node"]["name"]: row["node"]["weight"] for row in cluster.json("/api/v1/nodes")}


def say(cluster, name, weight):
    """Has a node say another weight: its operator edits its file and starts it anew."""
    path = os.path.join(cluster.data, "config", name + ".yaml")
    with open(path) as file:
        lines = [line for line in file if not line.startswith("weight:")]
    with open(path, "w") as file:
        file.writelines([*lines, "weight: %d\n" % weight])
    cluster.kill(name)
    wait_until("%s says %d" % (name, weight), lambda: node(cluster, name)["node"].get("saysWeight") == weight, 60)


def test_a_node_of_more_weight_takes_its_share_and_one_of_none_is_emptied(four):
    cluster = four
    made = [instance("weights", index, study=index // 2) for index in range(2 * STUDIES)]
    assert set(send_all(cluster.port, made).values()) == {0}
    wait_whole(cluster)
    rows = {row["node"]["name"]: row["node"] for row in cluster.json("/api/v1/nodes")}
    space = os.statvfs(cluster.data)
    gib = max(1, space.f_blocks * space.f_frsize >> 30)
    for row in rows.values():
        assert row["capacityBytes"] == space.f_blocks * space.f_frsize
        assert row["weight"] == row["saysWeight"] == gib
    epoch = cluster.json("/api/v1/status")["mapEpoch"]

    say(cluster, "storage-4", 3 * gib)
    shown = cluster.run("node", "show", "storage-4").stdout
    assert "weight" in shown
    wait_until("the weight in force", lambda: weights(cluster)["storage-4"] == 3 * gib, 60)
    assert weights(cluster) == {"storage-1": gib, "storage-2": gib, "storage-3": gib, "storage-4": 3 * gib}
    wait_whole(cluster)
    wait_until("no surplus", lambda: repair(cluster)["surplus"]["instances"] == 0, 120)
    # Of weights 1, 1, 1 and 3, the last has a copy of four studies in five; of equal ones, of every second.
    assert 0.64 <= records(cluster, "storage-4") / len(made) <= 0.96
    assert_redundant(cluster, made, 2)
    assert cluster.json("/api/v1/status")["mapEpoch"] > epoch

    say(cluster, "storage-3", 0)
    wait_until("no weight", lambda: weights(cluster)["storage-3"] == 0, 60)
    wait_whole(cluster)
    wait_until("storage-3 empty", lambda: records(cluster, "storage-3") == 0, 120)
    assert node(cluster, "storage-3")["node"]["state"] == "up"
    assert_redundant(cluster, made, 2, besides=["storage-3"])
    assert_sound(cluster)
