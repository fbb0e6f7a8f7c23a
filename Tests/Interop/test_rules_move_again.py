# SPDX-License-Identifier: Apache-2.0
"""Rules have a study leave the storage nodes that is in packs already: kept beside them by an earlier policy, or come back."""

import json

from test_lifecycle_acts import said, wait_judged
from test_outage import assert_reads_back, psql, wait_until
from test_recall import DROPPING, copies, recall, wait_back
from test_tiering import counted, made_study, make_cluster, moves, store, stored

__all__ = ["make_cluster", "store"]
RULES = """version: 1
tiers:
  hot: {nodes: hot}
  cold: {packs: {directory: %s}}
policies:
  beside: {copies: {hot: 2, cold: 1}, soak: 1 day}
  deep: {copies: {cold: 1}, soak: 1 day, stay: 2 weeks}
default: %s
rules: []
"""


def act(cluster, tmp_path, text):
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    version = said(cluster.run("lifecycle", "load", str(path), "--reason", "a test", "--json"))["version"]
    wait_judged(cluster, version)
    said(cluster.run("lifecycle", "enable", "--reason", "a test", "--json"))


def wait_moved(cluster, uid, count):
    """Until there were so many moves, the last of which has ended; packs need not stand for their day."""

    def is_done():
        found = moves(cluster, uid)
        if len(found) >= count and found[0]["state"] == "standing":
            psql(cluster, "UPDATE pack_moves SET soaks_until = now(), due_at = now() WHERE state = 1")
        return len(found) >= count and found[0]["state"] == "done"

    wait_until("move %d" % count, is_done, 120)
    assert len(moves(cluster, uid)) == count


def looks(cluster):
    """Days from now at which it is looked again at the study; nothing: never."""
    return psql(cluster, "SELECT round((look_at / 1000.0 - extract(epoch FROM now())) / 86400) FROM lifecycle_decisions")


def test_a_study_leaves_the_nodes_by_the_packs_that_it_has(make_cluster, store, tmp_path):
    cluster = make_cluster(*DROPPING)
    made = made_study("leaving", 6)
    stored(cluster, made)
    uid = made[0].study
    act(cluster, tmp_path, RULES % (store, "beside"))
    wait_moved(cluster, uid, 1)
    packs = [one["pack"] for one in counted(cluster, uid)]
    assert min(copies(cluster, uid)) == 2 and len(packs) == 1

    # Another policy wants none on nodes.
    act(cluster, tmp_path, RULES % (store, "deep"))
    wait_moved(cluster, uid, 2)
    wait_until("the study to be in packs only", lambda: set(copies(cluster, uid)) == {0}, 60)
    assert [one["pack"] for one in counted(cluster, uid)] == packs
    assert moves(cluster, uid)[0]["requestedBy"].startswith("the default of version")

    # It comes back, and stays for two weeks.
    recall(cluster, uid)
    wait_back(cluster, uid)
    wait_until("the rules to look at it", lambda: looks(cluster) == "14", 60)
    # What came lately counts as read.
    for table in ("instances", "studies"):
        psql(cluster, "UPDATE %s SET received_at = received_at - 40 * 86400000::int8" % table)
    psql(cluster, "INSERT INTO lifecycle_changes (study, patient) SELECT id, patient FROM studies")
    psql(cluster, "UPDATE pack_recalls SET done_at = done_at - interval '13 days'")
    psql(cluster, "INSERT INTO study_access SELECT id, received_at FROM studies")
    wait_until("the rules to look at it again", lambda: looks(cluster) == "1", 60)
    # As somebody reads it, it stays for longer.
    assert_reads_back(cluster, made)
    psql(cluster, "UPDATE pack_recalls SET done_at = done_at - interval '2 days'")
    wait_until("the reading to be seen", lambda: looks(cluster) in ("13", "14"), 120)
    assert len(moves(cluster, uid)) == 2
    psql(cluster, "UPDATE study_access SET accessed_at = accessed_at - 15 * 86400000::int8")
    wait_moved(cluster, uid, 3)
    wait_until("the study to be in packs only", lambda: set(copies(cluster, uid)) == {0}, 60)
    assert [one["pack"] for one in counted(cluster, uid)] == packs
    assert_reads_back(cluster, made)


def test_nothing_is_ordered_again_and_again_where_no_copies_are_dropped(make_cluster, store, tmp_path):
    cluster = make_cluster()
    made = made_study("staying", 2)
    stored(cluster, made)
    uid = made[0].study
    act(cluster, tmp_path, RULES % (store, "deep"))
    wait_moved(cluster, uid, 1)
    psql(cluster, "UPDATE lifecycle_decisions SET look_at = 0")
    wait_until("the rules to look at it", lambda: looks(cluster) == "", 60)
    assert len(moves(cluster, uid)) == 1 and min(copies(cluster, uid)) == 2
    assert json.loads(cluster.run("lifecycle", "status", "--json").stdout)["isActing"]
