# SPDX-License-Identifier: Apache-2.0
"""What an order about a node would move is said before it is given, and is what then moves."""

import json

import pytest
import requests
from conftest import send_all
from support.cluster import Cluster
from support.phantom import instance
from support.repair import assert_redundant, records, repair, settings, state, wait_whole
from test_node_commands import end
from test_outage import wait_until


@pytest.fixture
def four():
    cluster = Cluster(storage_nodes=4, options=settings())
    try:
        yield cluster.start()
    finally:
        end(cluster)


def preview(cluster, name, order):
    done = cluster.run("node", order, name, "--preview", "--json")
    return json.loads(done.stdout)


def all_records(cluster):
    return {row["node"]["name"]: records(cluster, row["node"]["name"]) for row in cluster.json("/api/v1/nodes")}


def test_a_preview_says_what_then_moves(four):
    cluster = four
    made = [instance("preview", index, study=index // 4) for index in range(120)]
    assert set(send_all(cluster.port, made).values()) == {0}
    wait_whole(cluster)
    before, held = repair(cluster), all_records(cluster)
    epoch = cluster.json("/api/v1/status")["mapEpoch"]

    said = preview(cluster, "storage-2", "drain")
    assert "refusal" not in said and not said["isEstimate"] and said["countedSets"] == said["sets"]
    assert said["moves"]["copies"] == held["storage-2"] > 0
    assert said["isSpreadAfterwards"] and said["copies"] == 2 and said["waitingGroups"] == 0
    rows = {row["name"]: row for row in said["nodes"]}
    assert rows["storage-2"]["givesUp"] == said["moves"] and rows["storage-2"]["receives"]["copies"] == 0
    assert sum(row["receives"]["bytes"] for row in rows.values()) == said["moves"]["bytes"] > 0
    text = cluster.run("node", "drain", "storage-2", "--preview").stdout
    assert "nothing is changed" in text and "in %d groups" % said["groups"] in text
    assert "every study has its 2 copies on distinct hosts" in text

    # Nothing was changed by it.
    assert state(cluster, "storage-2") == "up" and cluster.json("/api/v1/status")["mapEpoch"] == epoch
    assert json.loads(cluster.run("node", "show", "storage-2", "--json").stdout)["orders"] == []
    again = preview(cluster, "storage-2", "drain")
    assert again["moves"] == said["moves"] and again["groups"] == said["groups"]

    # The order says the same.
    done = cluster.run("node", "drain", "storage-2")
    assert done.returncode == 0 and done.stdout.startswith("storage-2: draining\nmoves "), done.stdout
    wait_until("draining", lambda: state(cluster, "storage-2") == "draining")
    wait_whole(cluster)
    wait_until("storage-2 empty", lambda: records(cluster, "storage-2") == 0, 120)
    after = repair(cluster)
    assert after["madeCopies"] - before["madeCopies"] == said["moves"]["copies"]
    assert after["madeBytes"] - before["madeBytes"] == said["moves"]["bytes"]
    now = all_records(cluster)
    for name, row in rows.items():
        assert now[name] - held[name] == row["receives"]["copies"] - row["givesUp"]["copies"], name

    # And back: what it has no more is copied to it.
    back = preview(cluster, "storage-2", "undrain")
    assert back["moves"] == said["moves"]
    nothing = preview(cluster, "storage-2", "remove")
    assert nothing["moves"]["copies"] == 0 and nothing["isSpreadAfterwards"] and "refusal" not in nothing
    assert cluster.run("node", "undrain", "storage-2").returncode == 0
    wait_until("up", lambda: state(cluster, "storage-2") == "up")
    wait_whole(cluster)
    assert repair(cluster)["madeCopies"] - after["madeCopies"] == back["moves"]["copies"]
    assert_redundant(cluster, made, 2)

    # What would be refused is said, too.
    refused = cluster.run("node", "remove", "storage-2", "--preview")
    assert refused.returncode == 1 and "would be refused: the node is in service" in refused.stderr
    refused = cluster.run("node", "undrain", "storage-2", "--preview")
    assert refused.returncode == 1 and "is not draining" in refused.stderr
    url = cluster.url + "/api/v1/nodes/storage-2/preview"
    assert requests.get(url, timeout=30).status_code == 400
    assert requests.get(url + "?order=burn", timeout=30).status_code == 400
    nobody = requests.get(cluster.url + "/api/v1/nodes/nobody/preview?order=drain", timeout=30)
    assert nobody.status_code == 404
