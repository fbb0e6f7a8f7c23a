# SPDX-License-Identifier: Apache-2.0
"""Studies that are in packs only come back to the storage nodes, whatever is killed meanwhile, and may go again."""

import hashlib
import json
import shutil
import time
import urllib.request

import pytest
from support.query import check_pending, find, matches_of
from test_get import Getter
from test_get import counts as get_counts
from test_move import PORTS, Receiver
from test_move import counts as move_counts
from test_move import move as c_move
from test_outage import assert_reads_back, psql, wait_until
from test_tiering import RULES, counted, damage, make_cluster, made_study, move, moves, path_of, store, stored, wait_done

__all__ = ["make_cluster", "store"]
DROPPING = ("--coordinator-setting", "drop-packed-copies=yes")


def recalls(cluster, uid):
    return cluster.json("/api/v1/studies/" + uid)["recalls"]


def copies(cluster, uid):
    return [len(one["copies"]) for one in cluster.json("/api/v1/studies/" + uid)["instances"]]


def recall(cluster, uid, status=0):
    done = cluster.run("study", "recall", uid, "--reason", "a test")
    assert done.returncode == status, done.stdout + done.stderr
    return done


def order(cluster, uid):
    """As `recall`, at once."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(
        cluster.url + "/api/v1/studies/%s/recall" % uid, data=b'{"reason": "a test"}', headers=headers, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def wait_cold(cluster, uid, seconds=120):
    wait_until("the study to be in packs only", lambda: set(copies(cluster, uid)) == {0}, seconds)
    wait_done(cluster, uid)


def state_of(cluster, uid):
    try:
        return recalls(cluster, uid)[0]["state"]
    except Exception:  # noqa: BLE001  # Postgres or an ingest node is on its way back.
        return None


def wait_back(cluster, uid, seconds=180):
    wait_until("the recall to be done", lambda: state_of(cluster, uid) == "done", seconds)
    wanted = cluster.json("/api/v1/studies/" + uid)["wantedCopies"]
    wait_until("all copies", lambda: set(copies(cluster, uid)) == {wanted}, seconds)


def assert_deeply_sound(cluster):
    """A node that was killed a moment ago may not answer yet."""

    def is_sound():
        done = cluster.run("verify", "--deep", "--json", timeout=300)
        assert json.loads(done.stdout)["findings"] == [], done.stdout
        return done.returncode == 0

    wait_until("all nodes to be looked at", is_sound, 120)
    status = json.loads(cluster.run("status", "--json").stdout)
    assert "0" == str(status.get("underReplicatedInstances", 0))


def availability(cluster, uid):
    """As QIDO-RS has it, of the study, its series, and its instances."""
    found = []
    for path in ("studies?StudyInstanceUID=" + uid, "studies/%s/series" % uid, "studies/%s/instances" % uid):
        results = cluster.json("/dicom-web/" + path)
        found.append({one["00080056"]["Value"][0] for one in results})
    return found


def test_a_study_comes_back_and_goes_again(make_cluster, store):
    cluster = make_cluster(*DROPPING)
    made = made_study("recall", 12)
    stored(cluster, made)
    uid = made[0].study
    assert "nothing of the study is in packs only" in recall(cluster, uid, 1).stderr
    assert "no such study" in recall(cluster, "1.2.3", 1).stderr
    assert cluster.run("study", "recall", uid, "--cancel").returncode == 1
    move(cluster, uid)
    wait_cold(cluster, uid)
    assert "in packs only" in cluster.run("study", "show", uid).stdout
    assert availability(cluster, uid) == [{"NEARLINE"}] * 3
    assert_reads_back(cluster, made)

    recall(cluster, uid)
    wait_back(cluster, uid)
    report = recalls(cluster, uid)[0]
    assert report["instances"] == report["wantedInstances"] == 12 and report["bytes"] == report["wantedBytes"] > 0
    assert report["urgency"] == "person" and report["reason"] == "a test"
    assert availability(cluster, uid) == [{"ONLINE"}] * 3
    assert "no study is being recalled" in cluster.run("tier", "recalls").stdout
    assert len(counted(cluster, uid)) == 1
    # The packs are away: all is read from the nodes, byte for byte.
    shutil.move(store, store + " away")
    assert_reads_back(cluster, made)
    shown = cluster.run("study", "show", uid, "--verify")
    assert shown.returncode == 0, shown.stdout
    assert_deeply_sound(cluster)
    shutil.move(store + " away", store)

    # It goes again by the pack that it has.
    before = counted(cluster, uid)
    move(cluster, uid)
    wait_cold(cluster, uid)
    after = counted(cluster, uid)
    assert [one["pack"] for one in before] == [one["pack"] for one in after]
    assert after[0]["verifiedAt"] > before[0]["verifiedAt"]
    assert availability(cluster, uid) == [{"NEARLINE"}] * 3
    assert_reads_back(cluster, made)


def test_dimse_serves_a_study_from_packs_and_says_nearline(make_cluster):
    cluster = make_cluster(*DROPPING, "--destination", "RECEIVER=127.0.0.1:%d" % PORTS["RECEIVER"])
    made = made_study("recall-dimse", 10)
    hot = made_study("recall-dimse-hot", 2)
    stored(cluster, made, hot)
    uid = made[0].study
    move(cluster, uid)
    wait_cold(cluster, uid)
    for level, keys in (
        ("STUDY", {}),
        ("SERIES", {"StudyInstanceUID": uid, "SeriesInstanceUID": ""}),
        ("IMAGE", {"StudyInstanceUID": uid, "SeriesInstanceUID": made[0].series, "SOPInstanceUID": ""}),
    ):
        matches = matches_of(find(cluster.port, level, InstanceAvailability="", **{"StudyInstanceUID": uid, **keys}))
        assert matches and {match.InstanceAvailability for match in matches} == {"NEARLINE"}, level
    (match,) = matches_of(find(cluster.port, "STUDY", InstanceAvailability="", StudyInstanceUID=hot[0].study))
    assert match.InstanceAvailability == "ONLINE"

    expected = {one.sop_instance: one.data_set for one in made}
    with Getter(cluster) as getter:
        answers = getter.get("STUDY", StudyInstanceUID=uid)
        assert {name: data for name, (_, data) in getter.received.items()} == expected
    check_pending([status for status, _ in answers[:-1]], 10)
    assert answers[-1][0].Status == 0x0000 and get_counts(answers[-1][0]) == (10, 0, 0)
    with Receiver() as receiver:
        answers = c_move(cluster, "RECEIVER", "STUDY", StudyInstanceUID=uid)
    assert {name: data for name, (_, data) in receiver.received.items()} == expected
    check_pending([status for status, _ in answers[:-1]], 10)
    assert answers[-1][0].Status == 0x0000 and move_counts(answers[-1][0]) == (10, 0, 0)


def test_a_recall_ends_a_move_and_a_move_waits_for_a_recall(make_cluster, store):
    cluster = make_cluster(*DROPPING)
    made = made_study("recall-excludes", 4)
    stored(cluster, made)
    uid = made[0].study
    move(cluster, uid)
    wait_cold(cluster, uid)
    # The store is away: the recall waits, and says why.
    shutil.move(store, store + " away")
    recall(cluster, uid)
    wait_until("the reason", lambda: recalls(cluster, uid)[0]["note"], 60)
    assert recalls(cluster, uid)[0]["state"] == "under way"
    assert "recalling" in cluster.run("study", "show", uid).stdout
    assert uid in cluster.run("tier", "recalls").stdout
    assert "is being recalled" in move(cluster, uid, status=1)
    ended = cluster.run("study", "recall", uid, "--cancel", "--reason", "a mistake")
    assert ended.returncode == 0, ended.stderr
    assert recalls(cluster, uid)[0]["state"] == "done" and "a mistake" in recalls(cluster, uid)[0]["note"]
    recall(cluster, uid)
    # Asked for twice it is one recall still; once the store is there it may be over before a third could be asked for.
    recall(cluster, uid)
    shutil.move(store + " away", store)
    wait_back(cluster, uid)
    assert_reads_back(cluster, made)


def test_what_is_damaged_in_a_pack_does_not_come_back(make_cluster, store):
    cluster = make_cluster(*DROPPING)
    made = made_study("recall-damage", 8)
    stored(cluster, made)
    uid = made[0].study
    move(cluster, uid)
    wait_cold(cluster, uid)
    (pack,) = counted(cluster, uid)
    path = path_of(store, pack)
    shutil.copy(path, path + ".backup")
    damage(path, made[3].sop_instance)
    recall(cluster, uid)
    wait_until("a person to be needed", lambda: state_of(cluster, uid) == "needs a person", 60)
    report = recalls(cluster, uid)[0]
    assert "restore its file from a backup" in report["note"] and report["instances"] == 7
    numbers = {one["sopInstanceUID"]: len(one["copies"]) for one in cluster.json("/api/v1/studies/" + uid)["instances"]}
    assert numbers[made[3].sop_instance] == 0 and sorted(numbers.values())[1] >= 2
    assert_reads_back(cluster, made[:3] + made[4:])
    listed = cluster.run("tier", "recalls").stdout
    assert "needs a person" in listed and uid in listed
    shutil.move(path + ".backup", path)
    recall(cluster, uid)
    wait_back(cluster, uid)
    assert_reads_back(cluster, made)


def test_a_study_comes_back_behind_a_read_where_its_policy_says_so(make_cluster, store):
    cluster = make_cluster(*DROPPING)
    text = (RULES % store).replace("active: {copies: {hot: 2}}", "active: {copies: {hot: 2}, recall-to: hot}")
    psql(
        cluster,
        "INSERT INTO rule_sets (version, loaded_by, reason, sha256, text) VALUES (2, 'test', 'test', '\\x%s', '%s')"
        % (hashlib.sha256(text.encode()).hexdigest(), text),
    )
    made = made_study("recall-behind", 5)
    stored(cluster, made)
    uid = made[0].study
    move(cluster, uid)
    wait_cold(cluster, uid)
    # Nothing acts before somebody says so.
    assert_reads_back(cluster, made[:1])
    wait_until("the rules to be enabled", lambda: cluster.run("lifecycle", "enable", "--reason", "a test").returncode == 0, 90)
    wait_until("the study to be judged", lambda: cluster.json("/api/v1/studies/" + uid).get("policy"), 90)
    assert recalls(cluster, uid) == []
    cluster.kill("ingest-1")
    cluster.wait_ready()
    # The process that noted the first reading is gone; the next one is noted anew.
    assert_reads_back(cluster, made)
    wait_until("a recall", lambda: state_of(cluster, uid), 60)
    wait_back(cluster, uid)
    report = recalls(cluster, uid)[0]
    assert report["urgency"] == "policy" and report["requestedBy"].startswith("policy active")
    assert_reads_back(cluster, made)


@pytest.mark.parametrize("victims", [["coordinator-1", "coordinator-2"], ["storage-1", "storage-2"], ["storage-3", "postgres"]])
def test_whatever_is_killed_the_studies_come_back(make_cluster, store, victims):
    cluster = make_cluster("--coordinators", "2", *DROPPING)
    # Two are worked on at a time, and it is looked for others twice a second: this takes some seconds.
    studies = [made_study("recall-kill", 300 if number < 2 else 40, study=number) for number in range(12)]
    stored(cluster, *studies)
    for made in studies:
        move(cluster, made[0].study)
    for made in studies:
        wait_cold(cluster, made[0].study, 240)
    for made in studies:
        order(cluster, made[0].study)
    time.sleep(0.3)
    for number, victim in enumerate(victims * 2):
        if number < 2 and "postgres" not in victims:
            assert "under way" in [state_of(cluster, made[0].study) for made in studies]
        cluster.kill(victim)
        time.sleep(0.3 + 0.2 * number)
    cluster.wait_ready()
    for made in studies:
        wait_back(cluster, made[0].study, 240)
        assert_reads_back(cluster, made)
    assert_deeply_sound(cluster)
