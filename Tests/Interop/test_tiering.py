# SPDX-License-Identifier: Apache-2.0
"""Studies go into packs by order, whatever is killed meanwhile, and are read from there when no storage node can give them."""

import glob
import hashlib
import io
import json
import os
import subprocess
import time
import urllib.request
import zipfile

import pydicom
import pytest
from conftest import send_all
from support import packs, wado
from support.phantom import instance
from support.repair import settings
from test_outage import assert_reads_back, psql, wait_until

RULES = """version: 1
tiers:
  hot: {nodes: hot}
  cold: {packs: {directory: %s}}
  elsewhere: {packs: {directory: /nowhere/at/all}}
policies:
  active: {copies: {hot: 2}}
default: active
rules: []
"""


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "cold store"
    path.mkdir()
    done = packs.varve("init", str(path))
    assert done.returncode == 0, done.stderr
    return str(path)


@pytest.fixture
def make_cluster(new_cluster, store):
    def make(*options):
        place = "cold-stores=file://" + store.replace(" ", "%20")
        cluster = new_cluster(
            options=[*settings(), "--storage-setting", place, "--ingest-setting", place, "--restart-delay-limit", "0.2", *options]
        )
        text = RULES % store
        psql(
            cluster,
            "INSERT INTO rule_sets (version, loaded_by, reason, sha256, text) VALUES (1, 'test', 'test', '\\x%s', '%s')"
            % (hashlib.sha256(text.encode()).hexdigest(), text),
        )
        return cluster

    return make


def made_study(label, count=12, **options):
    return [instance(label, index, series=index // 5, **options) for index in range(count)]


def stored(cluster, *studies):
    for made in studies:
        assert set(send_all(cluster.port, made).values()) == {0}


def move(cluster, uid, *options, tier="cold", status=0):
    done = cluster.run("study", "move", uid, "--tier", tier, "--soak-seconds", "1", "--reason", "a test", "--json", *options)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout) if status == 0 else done.stderr


def moves(cluster, uid):
    return cluster.json("/api/v1/studies/" + uid)["moves"]


def counted(cluster, uid):
    return [pack for pack in cluster.json("/api/v1/studies/" + uid)["packs"] if pack["state"] == "counted"]


def wait_done(cluster, uid, seconds=90):
    wait_until("the move to be done", lambda: [one["state"] for one in moves(cluster, uid)][:1] == ["done"], seconds)


def path_of(store, pack):
    return os.path.join(store, pack["key"])


def assert_sound(store, pack, made):
    """By others' programs: the ZIP, its digest, and every file as DICOM."""
    path = path_of(store, pack)
    with open(path, "rb") as file:
        whole = file.read()
    assert hashlib.sha256(whole).hexdigest() == pack["sha256"] and len(whole) == pack["bytes"]
    tested = subprocess.run(["unzip", "-t", path], capture_output=True, text=True, timeout=60)
    assert tested.returncode == 0 and "No errors detected" in tested.stdout, tested.stdout
    expected = {"%s/%s/%s.dcm" % (one.study, one.series, one.sop_instance): one for one in made}
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".dcm")]
        for name in names:
            data_set = pydicom.dcmread(io.BytesIO(archive.read(name)))
            assert data_set.SOPInstanceUID == expected[name].sop_instance
    done = packs.varve("check", path)
    assert done.returncode == 0, done.stdout
    return names


def assert_packed(cluster, store, made):
    """Every instance is in one pack that is read from, which is sound."""
    names = [name for pack in counted(cluster, made[0].study) for name in assert_sound(store, pack, made)]
    assert sorted(names) == sorted("%s/%s/%s.dcm" % (one.study, one.series, one.sop_instance) for one in made)


def kill_nodes(cluster):
    for number in range(1, cluster.storage_nodes + 1):
        cluster.wait_gone(cluster.kill("storage-%d" % number))


def damage(path, sop_instance):
    """Flips a bit in the middle of an instance."""
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    entry = next(one for one in manifest["instances"] if one["instance"] == sop_instance)
    with open(path, "r+b") as file:
        offset = entry["offset"] + entry["byteCount"] // 2
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 4]))


def damage_manifest(path):
    """Flips a bit of the manifest that is in no instance's line."""
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("manifest.json").header_offset
    with open(path, "r+b") as file:
        file.seek(start)
        place = start + file.read(4096).index(b'"created":') + 12
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))


def test_the_first_image_is_read_without_the_manifest(make_cluster, store):
    cluster = make_cluster("--no-restart")
    made = made_study("tiering-placed", 6)
    stored(cluster, made)
    uid = made[0].study
    move(cluster, uid)
    wait_done(cluster, uid)
    (pack,) = counted(cluster, uid)
    places = "SELECT octet_length(places) FROM cold_packs"
    wait_until("the places to be written down", lambda: psql(cluster, places) == str(32 * len(made)), 30)
    kill_nodes(cluster)
    damage_manifest(path_of(store, pack))
    first = made[3]
    assert wado.data_set(cluster, uid, first.series, first.sop_instance)[1] == first.data_set
    # Behind it the manifest is read for those who come next, and its damage is seen.
    wait_until("the pack to be in doubt", lambda: not counted(cluster, uid)[0].get("verifiedAt"), 30)
    assert wado.data_set(cluster, uid, first.series, first.sop_instance)[1] == first.data_set


def test_a_study_goes_into_a_pack_and_is_read_from_there(make_cluster, store):
    cluster = make_cluster("--no-restart")
    made = made_study("tiering-read")
    stored(cluster, made)
    uid = made[0].study
    report = move(cluster, uid)
    assert report["tier"] == "cold" and report["state"] == "under way"
    wait_done(cluster, uid)
    assert_packed(cluster, store, made)
    assert os.listdir(os.path.join(store, ".varve-uploads")) == []

    shown = cluster.run("study", "show", uid)
    assert shown.returncode == 0, shown.stderr
    assert "counted" in shown.stdout and "done" in shown.stdout and "the copies on storage nodes are kept" in shown.stdout
    tiers = {tier["tier"]: tier for tier in cluster.json("/api/v1/tiers")}
    assert tiers["cold"]["packs"] == 1 and tiers["cold"]["studies"] == 1 and tiers["cold"]["oldestVerifiedAt"]
    assert tiers["hot"]["kind"] == "nodes" and tiers["elsewhere"]["packs"] == 0
    listed = cluster.run("tier", "list")
    assert listed.returncode == 0 and "file://" in listed.stdout

    # The same order again finds nothing to do; what comes later goes into a pack of its own.
    move(cluster, uid)
    wait_until("the second move", lambda: [one["state"] for one in moves(cluster, uid)] == ["done", "done"])
    assert "nothing to be packed" in moves(cluster, uid)[0]["note"]
    late = [instance("tiering-read", index, series=index // 5) for index in range(12, 15)]
    stored(cluster, late)
    move(cluster, uid)
    wait_until("the third move", lambda: [one["state"] for one in moves(cluster, uid)] == ["done"] * 3)
    assert len(counted(cluster, uid)) == 2
    assert_packed(cluster, store, made + late)

    # No storage node is left: all come from the packs, byte for byte.
    kill_nodes(cluster)
    assert_reads_back(cluster, made + late)
    status, body, _ = cluster.get(
        "%s/studies/%s/series/%s/instances/%s/frames/1" % (cluster.dicomweb, uid, made[0].series, made[0].sop_instance)
    )
    assert status == 200 and body
    metrics = cluster.get("/metrics")[1].decode()
    reads = next(line for line in metrics.splitlines() if line.startswith("varve_pack_reads "))
    assert float(reads.split()[1]) >= 15


def test_orders_that_make_no_sense_are_refused(make_cluster, store):
    cluster = make_cluster()
    made = made_study("tiering-refused", 2)
    stored(cluster, made)
    uid = made[0].study
    assert "there is no tier 'warm'; of packs there are: cold, elsewhere" in move(cluster, uid, tier="warm", status=1)
    assert "tier of nodes" in move(cluster, uid, tier="hot", status=1)
    assert "no such study" in move(cluster, "1.2.3", status=1)
    assert cluster.run("study", "move", "../x", "--tier", "cold").returncode == 2
    request = urllib.request.Request(cluster.url + "/api/v1/studies/%s/move" % uid, data=b"{}", method="POST")
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request, timeout=10)
    assert refusal.value.code == 415
    # A place that the nodes were not told to use: it waits, and says why.
    move(cluster, uid, tier="elsewhere")
    wait_until("the reason", lambda: "cold-stores" in moves(cluster, uid)[0]["note"])
    assert moves(cluster, uid)[0]["state"] == "under way"
    assert [(one["study"], one["tier"]) for one in cluster.json("/api/v1/moves")] == [(uid, "elsewhere")]
    listed = cluster.run("tier", "moves")
    assert listed.returncode == 0 and uid in listed.stdout and "cold-stores" in listed.stdout
    refused = move(cluster, uid, status=1)
    assert "being moved elsewhere" in refused
    assert not os.path.exists("/nowhere")
    ended = cluster.run("study", "move", uid, "--cancel", "--reason", "a mistake")
    assert ended.returncode == 0, ended.stderr
    assert moves(cluster, uid)[0]["state"] == "done" and "a mistake" in moves(cluster, uid)[0]["note"]
    assert "no study is being moved" in cluster.run("tier", "moves").stdout
    assert cluster.run("study", "move", uid, "--cancel").returncode == 1
    assert cluster.run("study", "move", uid).returncode == 2
    move(cluster, uid)
    wait_done(cluster, uid)
    assert_packed(cluster, store, made)


def test_a_damaged_pack_is_never_given_out_and_is_made_anew(make_cluster, store):
    cluster = make_cluster("--no-restart")
    made = made_study("tiering-damage")
    stored(cluster, made)
    uid = made[0].study
    move(cluster, uid)
    wait_done(cluster, uid)
    (pack,) = counted(cluster, uid)
    damage(path_of(store, pack), made[3].sop_instance)
    # Nothing was read before: the ingest node may still have the files of nodes on its host open.
    kill_nodes(cluster)
    status, _, _ = cluster.get(
        "%s/studies/%s/series/%s/instances/%s" % (cluster.dicomweb, uid, made[3].series, made[3].sop_instance),
        accept=wado.AS_STORED,
    )
    assert status in (500, 503)
    assert_reads_back(cluster, made[:3] + made[4:])
    (doubted,) = counted(cluster, uid)
    assert doubted.get("verifiedAt") is None and "digest" in doubted["note"]
    assert "-" == [line for line in cluster.run("tier", "list").stdout.splitlines() if line.startswith("cold")][0].split()[-3]
    cluster.stop()
    cluster.start()
    wait_until(
        "another pack",
        lambda: [one["pack"] for one in counted(cluster, uid)] not in ([], [pack["pack"]]) and moves(cluster, uid)[0]["state"] == "done",
        120,
    )
    assert_packed(cluster, store, made)
    states = {one["pack"]: one["state"] for one in cluster.json("/api/v1/studies/" + uid)["packs"]}
    assert states[pack["pack"]] == "givenUp"
    kill_nodes(cluster)
    assert_reads_back(cluster, made)


def test_a_pack_that_rots_before_it_is_counted_is_made_anew(make_cluster, store):
    """The first reading back finds it; here the second one, as nothing can come between otherwise."""
    cluster = make_cluster()
    made = made_study("tiering-soak", 6)
    stored(cluster, made)
    uid = made[0].study
    done = cluster.run("study", "move", uid, "--tier", "cold", "--soak-seconds", "8", "--reason", "a test")
    assert done.returncode == 0, done.stderr
    wait_until("a pack", lambda: counted(cluster, uid))
    assert moves(cluster, uid)[0]["state"] == "standing"
    (pack,) = counted(cluster, uid)
    damage(path_of(store, pack), made[2].sop_instance)
    wait_until("another pack", lambda: [one["pack"] for one in counted(cluster, uid)] not in ([], [pack["pack"]]), 120)
    wait_done(cluster, uid, 120)
    assert_packed(cluster, store, made)


def test_packs_are_read_again_on_a_schedule(make_cluster, store):
    cluster = make_cluster("--coordinator-setting", "pack-verify-seconds=5")
    made = made_study("tiering-scrub", 5)
    stored(cluster, made)
    uid = made[0].study
    move(cluster, uid)
    wait_done(cluster, uid)
    (pack,) = counted(cluster, uid)
    wait_until("another reading", lambda: counted(cluster, uid)[0]["verifiedAt"] > pack["verifiedAt"], 60)
    damage(path_of(store, pack), made[1].sop_instance)
    wait_until("another pack", lambda: [one["pack"] for one in counted(cluster, uid)] not in ([], [pack["pack"]]), 90)
    assert_packed(cluster, store, made)


def test_whatever_is_killed_the_studies_get_into_packs(make_cluster, store):
    cluster = make_cluster("--coordinators", "2")
    studies = [made_study("tiering-kill", 10, study=number) for number in range(10)]
    stored(cluster, *studies)
    victims = ["coordinator-1", "storage-1", "coordinator-2", "storage-2", "postgres", "storage-3"] * 2
    for number, made in enumerate(studies):
        done = None
        while done is None or done.returncode != 0:
            # Postgres may be the one that is killed just now.
            done = cluster.run("study", "move", made[0].study, "--tier", "cold", "--soak-seconds", "1", "--reason", "a test")
        # At another moment of a move each time: some tens of milliseconds are between its steps.
        time.sleep(0.1 + 0.15 * number)
        cluster.kill(victims[number])
    for name in victims[len(studies) :]:
        time.sleep(1)
        cluster.kill(name)

    def is_done(made):
        try:
            return moves(cluster, made[0].study)[0]["state"] == "done"
        except Exception:  # noqa: BLE001  # Postgres is on its way back.
            return False

    for made in studies:
        wait_until("a move to be done", lambda: is_done(made), 180)
    cluster.wait_ready()
    for made in studies:
        assert_packed(cluster, store, made)
        assert_reads_back(cluster, made)
    # What was under way when something died has left no pack that nobody knows.
    known = {pack["key"] for made in studies for pack in cluster.json("/api/v1/studies/" + made[0].study)["packs"]}
    there = {os.path.relpath(path, store) for path in glob.glob(os.path.join(glob.escape(store), "*", "*", "*.zip"))}
    assert there <= known
