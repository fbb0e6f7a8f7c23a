# SPDX-License-Identifier: Apache-2.0
"""What is in packs only is proven by reading, committed to, and gone from its store when it was deleted for good."""

import json
import os
import zipfile

import pytest
import requests
from pydicom.uid import generate_uid
from test_commitment import Reports, ask, associate, pairs, request
from test_outage import assert_reads_back, psql, wait_until
from test_recall import copies, recalls, wait_cold
from test_tiering import counted, damage, made_study, make_cluster, move, path_of, store, stored, wait_done  # noqa: F401
from test_tiering_away import DROPPING, open_drops


def cold_study(cluster, label, count=6, **options):
    """A study in packs only, and its one pack."""
    made = made_study(label, count, **options)
    stored(cluster, made)
    move(cluster, made[0].study)
    wait_done(cluster, made[0].study)
    wait_until("all nodes to have dropped their copies", lambda: open_drops(cluster) == 0, 120)
    (pack,) = counted(cluster, made[0].study)
    return made, pack


def verify(cluster, *options):
    done = cluster.run("verify", "--json", *options)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_packs_are_read_whole_to_prove_the_archive(make_cluster, store):  # noqa: F811
    cluster = make_cluster(*DROPPING)
    sound, first = cold_study(cluster, "proof-sound")
    rotten, second = cold_study(cluster, "proof-rotten", 5, study=1)
    status, report = verify(cluster, "--deep")
    assert (status, report["findings"]) == (0, []), report
    assert report["packs"] == 2 and report["packedProven"] == 11 and report["packed"] == 11
    assert report["packBytes"] == first["bytes"] + second["bytes"]
    assert counted(cluster, sound[0].study)[0]["verifiedAt"] > first["verifiedAt"], "the reading is entered"

    damage(path_of(store, second), rotten[2].sop_instance)
    # A look does not find it.
    assert verify(cluster)[0] == 0
    status, report = verify(cluster, "--deep")
    assert status == 1
    found = [one for one in report["findings"] if one["kind"] == "damaged-pack"]
    assert sorted(one["sopInstanceUID"] for one in found) == sorted(one.sop_instance for one in rotten)
    assert {one["studyInstanceUID"] for one in found} == {rotten[0].study}
    assert all(second["pack"] in one["reason"] for one in found)
    # From now on it is known without reading, too: all of it is in a pack that is in doubt.
    status, report = verify(cluster)
    assert status == 1 and {one["kind"] for one in report["findings"]} == {"lost-instance"}
    shown = cluster.run("verify", "--deep")
    assert shown.returncode == 1 and "damaged-pack" in shown.stdout and rotten[0].study in shown.stdout
    assert "NOT SOUND" in shown.stdout.splitlines()[-1] and "2 packs" in shown.stdout.splitlines()[-1]

    # A store that is not there says nothing of its packs.
    os.rename(store, store + "-away")
    try:
        status, report = verify(cluster, "--deep")
    finally:
        os.rename(store + "-away", store)
    assert status == 1
    away = [one for one in report["findings"] if one["kind"] == "unreachable-pack"]
    assert {one["studyInstanceUID"] for one in away} == {sound[0].study, rotten[0].study}
    # Put back from a backup, it is sound.
    damage(path_of(store, second), rotten[2].sop_instance)
    status, report = verify(cluster, "--deep")
    assert (status, report["findings"]) == (0, []), report
    assert_reads_back(cluster, sound + rotten)


def committed(cluster, instances):
    """(event type, committed, {failed: reason}) of a request over an association that stays."""
    transaction = generate_uid()
    reports = Reports(of=transaction)
    association = associate(cluster, reports)
    try:
        assert ask(association, request(transaction, pairs(instances))) == 0x0000
        event, _, done, failed = reports.next()
    finally:
        association.release()
    return event, done, failed


def test_storage_is_committed_of_what_a_sound_pack_has(make_cluster, store):  # noqa: F811
    cluster = make_cluster(*DROPPING, "--commitment-patience-seconds", "4")
    made, pack = cold_study(cluster, "proof-committed")
    assert committed(cluster, made) == (1, sorted(one.sop_instance for one in made), {})
    # One of them rots: it is read before it is committed, and after that the pack is in doubt, and with it all of them.
    damage(path_of(store, pack), made[3].sop_instance)
    event, done, failed = committed(cluster, [made[3]])
    assert (event, done, failed) == (2, [], {made[3].sop_instance: 0x0110})
    event, done, failed = committed(cluster, made)
    assert event == 2 and done == [] and set(failed.values()) == {0x0110} and len(failed) == len(made)


PURGING = ("--coordinator-setting", "purge-packs=yes", "--coordinator-setting", "pack-grace-seconds=2")


def removals(cluster):
    return cluster.json("/api/v1/removals")


def run_out(cluster):
    """All nodes know of what was deleted, and the time in the trash passes."""
    wait_until("all nodes to know", lambda: psql(cluster, "SELECT count(*) FROM trash_orders WHERE done_at IS NULL").strip() == "0", 60)
    psql(cluster, "UPDATE trash_orders SET done_at = done_at - interval '31 days' WHERE kind = 1")


def test_what_was_deleted_for_good_leaves_its_store(make_cluster, store):  # noqa: F811
    cluster = make_cluster(*DROPPING, *PURGING)
    gone, first = cold_study(cluster, "purge-gone")
    kept, second = cold_study(cluster, "purge-kept", 4, study=1)
    back, third = cold_study(cluster, "purge-back", 3, study=2)
    for made in (gone, back):
        done = cluster.run("study", "delete", made[0].study, "--reason", "the wrong patient")
        assert done.returncode == 0, done.stdout + done.stderr
    done = cluster.run("study", "undelete", back[0].study)
    assert done.returncode == 0, done.stdout + done.stderr
    assert os.path.exists(path_of(store, first))
    run_out(cluster)
    wait_until("the pack to be removed", lambda: [one["state"] for one in removals(cluster)] == ["removed"], 90)
    (removal,) = removals(cluster)
    assert removal["study"] == gone[0].study and removal["kind"] == "deleted" and removal["instances"] == len(gone)
    assert "the wrong patient" in removal["reason"] and removal["requestedBy"] and removal["removedBy"].startswith("storage-")
    assert not os.path.exists(path_of(store, first))
    assert os.path.exists(path_of(store, second)) and os.path.exists(path_of(store, third))
    listed = cluster.run("tier", "removals")
    assert listed.returncode == 0 and first["pack"] in listed.stdout and "removed" in listed.stdout
    wait_until("the study to be back", lambda: psql(cluster, "SELECT count(*) FROM instances").strip() == "7", 60)
    assert_reads_back(cluster, kept + back)
    tiers = {tier["tier"]: tier for tier in cluster.json("/api/v1/tiers")}
    assert tiers["cold"]["packs"] == 2


def test_a_pack_that_was_deleted_in_part_is_made_anew_without_it(make_cluster, store):  # noqa: F811
    cluster = make_cluster(*PURGING, "--http-delete", "trash")
    made = made_study("purge-part", 8)
    stored(cluster, made)
    uid = made[0].study
    move(cluster, uid, "--keep-hot")
    wait_done(cluster, uid)
    (pack,) = counted(cluster, uid)
    deleted = requests.delete("%s/studies/%s/series/%s" % (cluster.dicomweb, uid, made[0].series), timeout=60)
    assert deleted.status_code == 204, deleted.text
    left = [one for one in made if one.series != made[0].series]
    assert left
    run_out(cluster)
    wait_until("another pack", lambda: [one["pack"] for one in counted(cluster, uid)] not in ([], [pack["pack"]]), 120)
    (new,) = counted(cluster, uid)
    assert new["instances"] == len(left)
    wait_until("the old one to be removed", lambda: not os.path.exists(path_of(store, pack)), 120)
    assert os.path.exists(path_of(store, new))
    (removal,) = removals(cluster)
    assert removal["kind"] == "given up" and "a part of it was deleted" in removal["reason"]
    assert_reads_back(cluster, left)


@pytest.mark.parametrize("victims", [[], ["coordinator-1", "storage-1"]])
def test_of_a_study_in_packs_only_what_was_deleted_leaves_them_too(make_cluster, store, victims):  # noqa: F811
    cluster = make_cluster(*DROPPING, *PURGING, "--http-delete", "trash")
    made, pack = cold_study(cluster, "purge-cold", 8)
    uid = made[0].study
    deleted = requests.delete("%s/studies/%s/series/%s" % (cluster.dicomweb, uid, made[0].series), timeout=60)
    assert deleted.status_code == 204, deleted.text
    left = [one for one in made if one.series != made[0].series]
    assert left
    run_out(cluster)
    wait_until("the rest to come back", lambda: recalls(cluster, uid), 120)
    assert recalls(cluster, uid)[0]["requestedBy"] == "the coordinator" and recalls(cluster, uid)[0]["urgency"] == "policy"
    # Whoever orders it, and whoever has what came back, die meanwhile.
    for victim in victims:
        cluster.kill(victim)
    wait_until("another pack", lambda: last_packs(cluster, uid) not in ([], [pack["pack"]]), 180)
    wait_cold(cluster, uid)
    (new,) = counted(cluster, uid)
    assert new["instances"] == len(left)
    wait_until("the old one to be removed", lambda: not os.path.exists(path_of(store, pack)), 120)
    assert "a part of it was deleted" in removals(cluster)[0]["reason"]
    names = "".join(zipfile.ZipFile(path_of(store, new)).namelist())
    assert all(one.sop_instance in names for one in left) and made[0].sop_instance not in names
    # Once, and with nothing on the nodes.
    assert len(recalls(cluster, uid)) == 1 and set(copies(cluster, uid)) == {0}
    assert_reads_back(cluster, left)
    wait_until("nothing deleted to be in packs", lambda: "deleted instances are still" not in cluster.run("tier", "list").stdout, 60)


def last_packs(cluster, uid):
    try:
        return [one["pack"] for one in counted(cluster, uid)]
    except Exception:  # noqa: BLE001  # Whoever was killed is on its way back.
        return []


def test_nothing_is_removed_unless_the_coordinators_are_told_to(make_cluster, store):  # noqa: F811
    cluster = make_cluster(*DROPPING)
    made, pack = cold_study(cluster, "purge-off", 3)
    done = cluster.run("study", "delete", made[0].study, "--reason", "a test")
    assert done.returncode == 0, done.stdout + done.stderr
    run_out(cluster)
    listed = cluster.run("tier", "list")
    assert "3 deleted instances are still in 1 packs" in listed.stdout
    assert removals(cluster) == [] and os.path.exists(path_of(store, pack))
