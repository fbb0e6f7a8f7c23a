# SPDX-License-Identifier: Apache-2.0
"""Studies that are in packs only go on to another tier, by way of the storage nodes, and leave the packs that they had."""

import os

import pytest
from support import packs
from support.repair import settings
from test_outage import assert_reads_back, psql, wait_until
from test_recall import DROPPING, copies, recall, recalls
from test_rules_move_again import act
from test_tiering import counted, made_study, move, moves, path_of, stored

RULES = """version: 1
tiers:
  hot: {nodes: hot}
  cold: {packs: {directory: %s}}
  deep: {packs: {directory: %s}}
policies:
  active: {copies: {hot: 2}}
  old: {copies: {cold: 1}, soak: 1 day}
  older: {copies: {deep: 1}, soak: 1 day}
default: %s
rules: []
"""
PURGING = ("--coordinator-setting", "purge-packs=yes", "--coordinator-setting", "pack-grace-seconds=1")


@pytest.fixture
def stores(tmp_path):
    paths = []
    for name in ("cold", "deep"):
        path = tmp_path / name
        path.mkdir()
        done = packs.varve("init", str(path))
        assert done.returncode == 0, done.stderr
        paths.append(str(path))
    return paths


@pytest.fixture
def cluster(new_cluster, stores):
    place = "cold-stores=" + ",".join("file://" + path for path in stores)
    return new_cluster(
        options=[
            *settings(), "--storage-setting", place, "--ingest-setting", place, "--restart-delay-limit", "0.2",
            *DROPPING, *PURGING,
        ]
    )  # fmt: skip


def last_move(cluster, uid):
    try:
        return moves(cluster, uid)[0]
    except Exception:  # noqa: BLE001  # Postgres or an ingest node is on its way back.
        return {"tier": None, "state": None}


def wait_in(cluster, uid, tier, seconds=180):
    """Until a move to the tier has ended, and no node has a copy; packs need not stand for their day."""

    def is_there():
        last = last_move(cluster, uid)
        if last["state"] == "standing":
            psql(cluster, "UPDATE pack_moves SET soaks_until = now(), due_at = now() WHERE state = 1")
        return (last["tier"], last["state"]) == (tier, "done")

    wait_until("the move to " + tier, is_there, seconds)
    wait_until("no node to have a copy", lambda: set(copies(cluster, uid)) == {0}, 60)


def test_rules_have_a_study_go_from_one_tier_to_the_next(cluster, stores, tmp_path):
    made = made_study("onward", 6)
    stored(cluster, made)
    uid = made[0].study
    act(cluster, tmp_path, RULES % (*stores, "old"))
    wait_in(cluster, uid, "cold")
    (before,) = counted(cluster, uid)
    assert before["tier"] == "cold"

    act(cluster, tmp_path, RULES % (*stores, "older"))
    wait_until("the study to come back for it", lambda: recalls(cluster, uid), 90)
    assert recalls(cluster, uid)[0]["urgency"] == "policy" and "goes on to the tier deep" in recalls(cluster, uid)[0]["reason"]
    # Whoever leads, and a node that has what came back, die meanwhile.
    cluster.kill("coordinator-1")
    cluster.kill("storage-1")
    wait_in(cluster, uid, "deep")
    assert len(moves(cluster, uid)) == 2 and moves(cluster, uid)[0]["requestedBy"].startswith("the default of version")

    def is_left():
        psql(cluster, "UPDATE lifecycle_decisions SET look_at = 0 WHERE look_at IS NOT NULL")
        return [one["tier"] for one in counted(cluster, uid)] == ["deep"]

    wait_until("the pack before to be given up", is_left, 120)
    wait_until("its file to be gone", lambda: not os.path.exists(path_of(stores[0], before)), 60)
    (now,) = counted(cluster, uid)
    assert now["pack"] != before["pack"] and os.path.exists(path_of(stores[1], now))
    assert "it is in deep" in cluster.json("/api/v1/removals")[0]["reason"]
    assert_reads_back(cluster, made)
    wait_until(
        "the rules to be done with it", lambda: psql(cluster, "SELECT count(look_at) FROM lifecycle_decisions") == "0", 60
    )
    assert len(moves(cluster, uid)) == 2


def test_an_operator_has_a_study_go_on(cluster, stores, tmp_path):
    made = made_study("onward-order", 4)
    stored(cluster, made)
    uid = made[0].study
    path = tmp_path / "rules.yaml"
    path.write_text(RULES % (*stores, "active"))
    done = cluster.run("lifecycle", "load", str(path), "--reason", "a test")
    assert done.returncode == 0, done.stdout + done.stderr

    def give_up(tier):
        return cluster.run("study", "give-up", uid, "--tier", tier, "--reason", "a test")

    assert "has no packs in the tier 'cold'" in give_up("cold").stderr
    move(cluster, uid)
    wait_in(cluster, uid, "cold")
    refused = give_up("cold")
    assert refused.returncode == 1 and "in no pack of another tier" in refused.stdout

    # It is ended while the study comes back; what is back stays.
    os.rename(stores[0], stores[0] + " away")
    assert move(cluster, uid, tier="deep")["state"] == "coming back"
    assert "coming back" in cluster.run("tier", "moves").stdout
    assert "being moved or recalled" in give_up("cold").stderr
    ended = cluster.run("study", "move", uid, "--cancel", "--reason", "a test")
    assert ended.returncode == 0, ended.stderr
    assert {one["state"] for one in recalls(cluster, uid)} == {"done"}
    # Somebody wants it back: it stays there.
    assert move(cluster, uid, tier="deep")["state"] == "coming back"
    recall(cluster, uid)
    assert last_move(cluster, uid)["state"] == "done" and recalls(cluster, uid)[0]["urgency"] == "person"
    os.rename(stores[0] + " away", stores[0])
    recall_again = cluster.run("study", "recall", uid, "--reason", "the store is there")
    assert recall_again.returncode == 0 or "nothing of the study is in packs only" in recall_again.stderr
    wait_until("it to be back", lambda: min(copies(cluster, uid)) >= 2, 120)

    move(cluster, uid, tier="deep")
    wait_in(cluster, uid, "deep")
    wait_until("the pack before to be given up", lambda: give_up("cold").returncode == 0, 120)
    assert [one["tier"] for one in counted(cluster, uid)] == ["deep"]
    assert_reads_back(cluster, made)
