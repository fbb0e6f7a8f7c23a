# SPDX-License-Identifier: Apache-2.0
"""Packs on media that are not at hand: a directory that was taken out, and an archive class of S3 (moto's server).

moto refuses to give objects of GLACIER that were not restored (InvalidObjectState), and restores at once.
"""

import hashlib
import json
import shutil

import pytest
import requests
from conftest import send_all
from support import packs
from support.phantom import instance
from support.repair import settings
from test_get import Getter
from test_get import counts as get_counts
from test_move import PORTS, Receiver
from test_move import counts as move_counts
from test_move import move as c_move
from test_outage import assert_reads_back, psql, wait_until
from test_recall import DROPPING, availability, recall, recalls, state_of, wait_back, wait_cold
from test_s3 import BUCKET, CREDENTIALS, bucket, server  # noqa: F401  # The fixtures.
from test_tiering import counted, made_study, move, moves, stored

RULES = """version: 1
tiers:
  hot: {nodes: hot}
  cold: {packs: %s, offline-media: {retry-after: 4 hours}}
policies:
  active: {copies: {hot: 2}}
default: active
rules: []
"""


def load(cluster, text):
    psql(
        cluster,
        "INSERT INTO rule_sets (version, loaded_by, reason, sha256, text) VALUES (1, 'test', 'test', '\\x%s', '%s')"
        % (hashlib.sha256(text.encode()).hexdigest(), text.replace("'", "''")),
    )


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "tape"
    path.mkdir()
    done = packs.varve("init", str(path))
    assert done.returncode == 0, done.stderr
    return str(path)


@pytest.fixture
def cluster(new_cluster, store):
    place = "cold-stores=file://" + store
    cluster = new_cluster(
        options=[
            *settings(), "--storage-setting", place, "--ingest-setting", place, *DROPPING,
            "--destination", "RECEIVER=127.0.0.1:%d" % PORTS["RECEIVER"],
        ]
    )  # fmt: skip
    load(cluster, RULES % ("{directory: %s}" % store))
    return cluster


def get(cluster, path, accept):
    return requests.get(cluster.url + "/dicom-web/" + path, headers={"Accept": accept}, timeout=30)


def assert_come_back(cluster, path, accept, seconds="14400"):
    answer = get(cluster, path, accept)
    assert answer.status_code == 503, (path, answer.status_code, answer.text)
    assert answer.headers["Retry-After"] == seconds, path
    assert "media that are not at hand" in answer.json()["message"]


def metric(cluster, line):
    text = requests.get(cluster.url + "/metrics", timeout=10).text
    found = [one for one in text.splitlines() if one.startswith(line)]
    return float(found[0].rsplit(" ", 1)[1]) if found else None


def test_readers_of_a_medium_that_was_taken_out_are_told_when_to_come_back(cluster, store):
    made = made_study("offline", 6)
    hot = made_study("offline-hot", 2)
    stored(cluster, made, hot)
    uid = made[0].study
    move(cluster, uid)
    wait_cold(cluster, uid)
    (pack,) = counted(cluster, uid)
    assert pack["place"] == "file://%s?offline-media=14400:7" % store
    assert_reads_back(cluster, made)
    assert recalls(cluster, uid) == []
    # As after a restart, when nothing is in memory any more.
    cluster.kill("ingest-1")
    cluster.wait_ready()
    shutil.move(store, store + " away")

    one = made[0]
    path = "studies/%s/series/%s/instances/%s" % (uid, one.series, one.sop_instance)
    for item, accept in (
        ("studies/" + uid, 'multipart/related; type="application/dicom"; transfer-syntax=*'),
        ("studies/" + uid, 'application/zip; transfer-syntax=*'),
        ("studies/%s/series/%s" % (uid, one.series), 'multipart/related; type="application/dicom"; transfer-syntax=*'),
        (path, "application/dicom; transfer-syntax=*"),
        (path + "/frames/1", 'multipart/related; type="application/octet-stream"; transfer-syntax=*'),
        (path + "/rendered", "image/jpeg"),
    ):
        assert_come_back(cluster, item, accept)
    wait_until("a recall", lambda: state_of(cluster, uid) == "waits for medium", 60)
    (report,) = recalls(cluster, uid)
    assert report["urgency"] == "person" and report["requestedBy"] == "a reader" and "a reader waits" in report["reason"]
    assert report["attempts"] == 0 and report["wantedPacks"] == [{"place": pack["place"], "key": pack["key"]}]
    # Other readers find the order there.
    assert_come_back(cluster, path, "application/dicom; transfer-syntax=*")

    with Receiver() as receiver:
        answers = c_move(cluster, "RECEIVER", "STUDY", StudyInstanceUID=[uid, hot[0].study])
    assert {name for name in receiver.received} == {one.sop_instance for one in hot}
    final, identifier = answers[-1]
    assert final.Status == 0xB000 and move_counts(final) == (2, 6, 0)
    assert final.ErrorComment == "6 on offline media, recalled: again in 4 hours"
    assert set(identifier.FailedSOPInstanceUIDList) == {one.sop_instance for one in made}
    with Getter(cluster) as getter:
        final, _ = getter.get("STUDY", StudyInstanceUID=uid)[-1]
    assert final.Status == 0xA702 and get_counts(final) == (0, 6, 0)
    assert final.ErrorComment == "6 on offline media, recalled: again in 4 hours"

    listed = cluster.run("tier", "recalls").stdout
    assert "waits for medium: %s in %s" % (pack["key"], pack["place"]) in listed
    assert "cold: offline: 1 packs" in cluster.run("tier", "list").stdout
    assert availability(cluster, uid) == [{"NEARLINE"}] * 3
    # What can't be read is not proven, and neither damaged nor in doubt.
    deep = json.loads(cluster.run("verify", "--deep", "--json", timeout=300).stdout)
    assert {finding["kind"] for finding in deep["findings"]} == {"offline-pack"} and len(deep["findings"]) == 6
    assert counted(cluster, uid)[0]["verifiedAt"]
    psql(cluster, "UPDATE pack_recalls SET due_at = now()")
    later = "SELECT count(*) FROM pack_recalls WHERE due_at > now()"
    wait_until("it to be looked for the medium again", lambda: psql(cluster, later) == "1", 60)
    (report,) = recalls(cluster, uid)
    assert report["state"] == "waits for medium" and report["attempts"] == 0
    wait_until("the metric", lambda: metric(cluster, 'varve_recalls{state="waits_for_media"}') == 1, 90)

    shutil.move(store + " away", store)
    wait_back(cluster, uid)
    assert len(recalls(cluster, uid)) == 1 and availability(cluster, uid) == [{"ONLINE"}] * 3
    assert "offline: " not in cluster.run("tier", "list").stdout
    shutil.move(store, store + " away")
    assert_reads_back(cluster, made)


def test_a_pack_that_is_not_on_the_medium_that_is_in_is_waited_for(cluster, store):
    made = made_study("offline-other", 3)
    stored(cluster, made)
    uid = made[0].study
    move(cluster, uid)
    wait_cold(cluster, uid)
    (pack,) = counted(cluster, uid)
    path = "%s/%s" % (store, pack["key"])
    shutil.move(path, path + " away")
    cluster.kill("ingest-1")
    cluster.wait_ready()
    assert_come_back(cluster, "studies/" + uid, 'multipart/related; type="application/dicom"; transfer-syntax=*')
    wait_until("a recall", lambda: state_of(cluster, uid) == "waits for medium", 60)
    # The reading of every pack from time to time is put off, and nothing is given up for it.
    ended = cluster.run("study", "recall", uid, "--cancel", "--reason", "a test")
    assert ended.returncode == 0, ended.stderr
    psql(cluster, "UPDATE pack_moves SET state = 1, due_at = now(), soaks_until = now()")
    wait_until("the move to wait", lambda: moves(cluster, uid)[0]["note"].startswith("waits for medium"), 60)
    assert moves(cluster, uid)[0]["attempts"] == 0 and counted(cluster, uid)[0]["pack"] == pack["pack"]
    recall(cluster, uid)
    shutil.move(path + " away", path)
    wait_back(cluster, uid)
    assert_reads_back(cluster, made)


def test_what_rules_say_of_media_holds_for_packs_that_are_there(cluster, store):
    made = made_study("offline-later", 2)
    stored(cluster, made)
    uid = made[0].study
    move(cluster, uid)
    wait_cold(cluster, uid)
    assert "?offline-media=14400:7" in counted(cluster, uid)[0]["place"]
    for wait, place in (("", "file://" + store), (", offline-media: {retry-after: 1 day}", "file://%s?offline-media=86400:7" % store)):
        text = (RULES % ("{directory: %s}" % store)).replace(", offline-media: {retry-after: 4 hours}", wait)
        with open(store + ".yaml", "w") as file:
            file.write(text)
        done = cluster.run("lifecycle", "load", store + ".yaml", "--reason", "a test")
        assert done.returncode == 0, done.stdout + done.stderr
        assert counted(cluster, uid)[0]["place"] == place
    shutil.move(store, store + " away")
    cluster.kill("ingest-1")
    cluster.wait_ready()
    assert_come_back(cluster, "studies/" + uid, 'multipart/related; type="application/dicom"; transfer-syntax=*', "86400")
    shutil.move(store + " away", store)
    wait_back(cluster, uid)
    assert_reads_back(cluster, made)


def test_an_archive_class_is_restored_for_a_reader(new_cluster, server, bucket):  # noqa: F811
    place = "cold-stores=s3+%s/%s" % (server, BUCKET)
    cluster = new_cluster(
        options=[*settings(), "--storage-setting", place, "--ingest-setting", place, *DROPPING], environment=CREDENTIALS
    )
    store = "{s3: {endpoint: '%s', bucket: %s, region: us-east-1, path-style: yes, storage-class: %s}}"
    load(cluster, (RULES % (store % (server, BUCKET, "GLACIER"))).replace("4 hours", "12 hours, restore-for: 3 days"))
    made = [instance("offline-s3", index) for index in range(4)]
    assert set(send_all(cluster.port, made).values()) == {0}
    uid = made[0].study
    move(cluster, uid)
    # It is read back before it counts, so it is restored for that; later readings find it.
    wait_until("the pack to be restored", lambda: moves(cluster, uid)[0]["note"].startswith("waits for medium"), 60)
    psql(cluster, "UPDATE pack_moves SET due_at = now()")
    wait_cold(cluster, uid)
    (pack,) = counted(cluster, uid)
    head = bucket.head_object(Bucket=BUCKET, Key=pack["key"])
    assert head["StorageClass"] == "GLACIER" and 'ongoing-request="false"' in head["Restore"]
    # The days are over, when nobody is still reading the manifest: that has the pack restored as any reading does.
    unplaced = "SELECT count(*) FROM cold_packs WHERE places IS NULL"
    wait_until("places of records to be written down", lambda: psql(cluster, unplaced) == "0", 60)
    whole = bucket.get_object(Bucket=BUCKET, Key=pack["key"])["Body"].read()
    bucket.put_object(Bucket=BUCKET, Key=pack["key"], Body=whole, StorageClass="GLACIER")
    cluster.kill("ingest-1")
    cluster.wait_ready()
    assert_come_back(cluster, "studies/" + uid, 'multipart/related; type="application/dicom"; transfer-syntax=*', "43200")
    assert "Restore" not in bucket.head_object(Bucket=BUCKET, Key=pack["key"])
    wait_back(cluster, uid)
    assert 'ongoing-request="false"' in bucket.head_object(Bucket=BUCKET, Key=pack["key"])["Restore"]
    assert_reads_back(cluster, made)
