# SPDX-License-Identifier: Apache-2.0
"""Studies that are in packs leave the storage nodes, where a cluster says so, and are read from their packs."""

import json
import time

from test_outage import assert_reads_back, psql, wait_until
from test_tiering import made_study, make_cluster, move, moves, store, stored, wait_done  # noqa: F401

DROPPING = ("--coordinator-setting", "drop-packed-copies=yes")


def on_nodes(cluster):
    return int(psql(cluster, "SELECT count(*) FROM instances i JOIN placements p ON p.id = i.placement WHERE cardinality(p.nodes) > 0"))


def open_drops(cluster):
    return int(psql(cluster, "SELECT count(*) FROM surplus_drops"))


def assert_cold(cluster, made):
    wait_until("all nodes to have dropped their copies", lambda: open_drops(cluster) == 0, 120)
    assert on_nodes(cluster) == 0
    shown = cluster.run("study", "show", made[0].study)
    assert shown.returncode == 0 and "in packs only" in shown.stdout, shown.stdout

    def is_verified():
        verified = cluster.run("verify", "--deep", "--json")
        assert json.loads(verified.stdout)["findings"] == [], verified.stdout
        # A node that was killed a moment ago may not answer yet.
        return verified.returncode == 0

    wait_until("all nodes to be looked at", is_verified, 60)
    assert_reads_back(cluster, made)


def test_copies_are_dropped_and_read_from_the_pack(make_cluster):  # noqa: F811
    cluster = make_cluster(*DROPPING)
    made = made_study("away-read")
    stored(cluster, made)
    uid = made[0].study
    move(cluster, uid)
    wait_done(cluster, uid)
    assert_cold(cluster, made)
    status = json.loads(cluster.run("status", "--json").stdout)
    assert "0" == str(status.get("underReplicatedInstances", 0))
    # Deleted and undeleted, though no node has it.
    done = cluster.run("study", "delete", uid, "--reason", "a test")
    assert done.returncode == 0, done.stdout + done.stderr
    done = cluster.run("study", "undelete", uid)
    assert done.returncode == 0, done.stdout + done.stderr

    def is_back():
        return psql(cluster, "SELECT count(*) FROM instances").strip() == str(len(made))

    wait_until("the study to be back", is_back, 60)
    assert_cold(cluster, made)


def test_a_hold_keeps_the_copies(make_cluster):  # noqa: F811
    cluster = make_cluster(*DROPPING)
    made = made_study("away-hold", 4)
    stored(cluster, made)
    psql(
        cluster,
        "WITH h AS (INSERT INTO holds (name, reason, placed_by, patient_id, issuer, query) VALUES ('a', '', '', '', '', '') RETURNING id)"
        " INSERT INTO held_studies (study_uid, hold) SELECT '%s', id FROM h" % made[0].study,
    )
    move(cluster, made[0].study)
    wait_until("the hold to be in the way", lambda: "hold" in moves(cluster, made[0].study)[0]["note"], 90)
    assert on_nodes(cluster) == 4
    assert_reads_back(cluster, made)


def test_copies_are_dropped_whatever_is_killed(make_cluster):  # noqa: F811
    cluster = make_cluster(*DROPPING, "--coordinators", "2")
    made = made_study("away-kill", 10)
    stored(cluster, made)
    move(cluster, made[0].study)
    for name in ("coordinator-1", "storage-2", "coordinator-2", "storage-1"):
        time.sleep(1)
        cluster.kill(name)
    wait_done(cluster, made[0].study, 180)
    assert_cold(cluster, made)
