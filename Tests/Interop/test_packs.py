# SPDX-License-Identifier: Apache-2.0
"""Cold packs by `varve pack`, judged by Info-ZIP, libarchive, Python's zipfile and pydicom."""

import hashlib
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import zipfile

import pydicom
import pytest
from support import packs
from support.cluster import binary
from support.phantom import instance

CLUSTER = "6f1e0000-0000-4000-8000-000000000001"


@pytest.fixture
def study(tmp_path):
    """Eleven files of one study in two series, in a folder with a file that is none of it."""
    return packs.write_study(tmp_path / "study", [instance("packs", index, series=index // 6) for index in range(11)])


@pytest.fixture
def pack(study, tmp_path):
    path = str(tmp_path / "study.zip")
    done = packs.varve("create", "--output", path, "--json", str(study.folder))
    assert done.returncode == 0, done.stderr
    assert "left out: 1 file" in done.stderr
    report = json.loads(done.stdout)
    assert report["instances"] == 11 and report["study"] == study.uid
    assert report["sha256"] == hashlib.sha256(open(path, "rb").read()).hexdigest()
    return path


def test_others_read_it(study, pack):
    tested = subprocess.run(["unzip", "-t", pack], capture_output=True, text=True, timeout=60)
    assert tested.returncode == 0 and "No errors detected" in tested.stdout, tested.stdout
    with zipfile.ZipFile(pack) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names[-1] == "manifest.json"
        assert sorted(names[:-1]) == sorted(study.files)
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        for name, contents in study.files.items():
            assert archive.read(name) == contents
            data_set = pydicom.dcmread(io.BytesIO(archive.read(name)))
            assert name == "%s/%s/%s.dcm" % (data_set.StudyInstanceUID, data_set.SeriesInstanceUID, data_set.SOPInstanceUID)
            assert data_set.pixel_array.size > 0
        manifest = json.loads(archive.read("manifest.json"))
        comment = archive.comment.decode().split(" ")
    assert (manifest["format"], manifest["version"], manifest["study"]) == ("varve-pack", 1, study.uid)
    whole = open(pack, "rb").read()
    assert hashlib.sha256(whole[: manifest["byteCount"]]).hexdigest() == manifest["sha256"]
    for entry in manifest["instances"]:
        contents = whole[entry["offset"] : entry["offset"] + entry["byteCount"]]
        assert contents == study.files[entry["path"]]
        assert hashlib.sha256(contents).hexdigest() == entry["sha256"]
    start, count = int(comment[2], 16), int(comment[3], 16)
    assert json.loads(whole[start : start + count]) == manifest
    assert hashlib.sha256(whole[start : start + count]).hexdigest() == comment[4]


@pytest.mark.parametrize("command", [["bsdtar", "-xf"], ["7z", "x", "-y"], ["unzip", "-q"]], ids=lambda words: words[0])
def test_other_programs_unpack_it(study, pack, tmp_path, command):
    if not shutil.which(command[0]):
        pytest.skip("no %s here" % command[0])
    (tmp_path / "out").mkdir()
    done = subprocess.run([*command, pack], cwd=tmp_path / "out", capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, contents in study.files.items():
        assert (tmp_path / "out" / name).read_bytes() == contents
    # And back: what was unpacked makes a pack again.
    again = packs.varve("create", "--output", str(tmp_path / "again.zip"), str(tmp_path / "out"))
    assert again.returncode == 0, again.stderr


def test_list_and_check(study, pack, tmp_path):
    listed = packs.varve("list", pack, "--json")
    assert listed.returncode == 0, listed.stderr
    report = json.loads(listed.stdout)
    assert {one["path"]: one["sha256"] for one in report["instances"]} == {
        name: hashlib.sha256(contents).hexdigest() for name, contents in study.files.items()
    }
    assert study.uid in packs.varve("list", "file://" + pack).stdout
    checked = packs.varve("check", pack)
    assert checked.returncode == 0 and "sound, 11 instances" in checked.stdout, checked.stdout + checked.stderr
    whole = bytearray(open(pack, "rb").read())
    hit = report["instances"][4]
    whole[hit["offset"] + 300] ^= 4
    (tmp_path / "rotten.zip").write_bytes(whole)
    (tmp_path / "short.zip").write_bytes(whole[:-1])
    broken = packs.varve("check", "--json", pack, *(str(tmp_path / name) for name in ("rotten.zip", "short.zip", "none.zip")))
    assert broken.returncode == 1
    sound, rotten, short, missing = json.loads(broken.stdout)
    assert sound["findings"] == []
    assert [finding["path"] for finding in rotten["findings"]] == [hit["path"]]
    assert "end" in short["findings"][0]["message"]
    assert "none.zip" in missing["findings"][0]["message"]


def test_wrong_input_leaves_nothing(study, pack, tmp_path):
    again = packs.varve("create", "--output", pack, str(study.folder))
    assert again.returncode == 1 and "already" in again.stderr
    other = packs.write_study(tmp_path / "other", [instance("packs", 0, study=1)])
    mixed = packs.varve("create", "--output", str(tmp_path / "mixed.zip"), str(study.folder), str(other.folder))
    assert mixed.returncode == 1 and "several studies" in mixed.stderr
    (other.folder / "broken.dcm").write_bytes(next(iter(other.files.values()))[:200])
    broken = packs.varve("create", "--output", str(tmp_path / "broken.zip"), str(other.folder))
    assert broken.returncode == 1 and "broken.dcm" in broken.stderr
    twice = packs.varve("create", "--output", str(tmp_path / "twice.zip"), str(study.folder), str(study.folder))
    assert twice.returncode == 1 and "twice" in twice.stderr
    assert packs.varve("create", str(study.folder)).returncode == 2
    assert sorted(name for name in os.listdir(tmp_path) if name.endswith(".zip") or name.startswith(".")) == ["study.zip"]


def test_a_directory_store(study, tmp_path):
    place = tmp_path / "nas"
    place.mkdir()
    url = "file://%s/" % place
    unmounted = packs.varve("create", "--store", url, str(study.folder))
    assert unmounted.returncode == 1 and "mounted" in unmounted.stderr
    assert packs.varve("init", str(place), "--cluster", CLUSTER).returncode == 0
    stored = packs.varve("create", "--store", url, "--json", str(study.folder))
    assert stored.returncode == 0, stored.stderr
    report = json.loads(stored.stdout)
    key = "%s/%s/%s.zip" % (hashlib.sha256(study.uid.encode()).hexdigest()[:3], study.uid, report["pack"])
    assert report["place"] == url + key
    assert hashlib.sha256((place / key).read_bytes()).hexdigest() == report["sha256"]
    listed = packs.varve("list", url, "--json")
    assert [json.loads(line) for line in listed.stdout.splitlines()] == [{"byteCount": report["byteCount"], "key": key}]
    assert packs.varve("check", url + key).returncode == 0
    shown = json.loads(packs.varve("list", url + key, "--json").stdout)
    assert shown["cluster"] == CLUSTER
    foreign = packs.varve("create", "--store", url, "--cluster", CLUSTER.replace("6f1e", "7f1e"), str(study.folder))
    assert foreign.returncode == 1 and CLUSTER in foreign.stderr


def test_it_is_durable_before_it_is_seen(study, tmp_path):
    """From the system calls alone: content, then folders, then the name, then the folder that has the name."""
    if not shutil.which("strace"):
        pytest.skip("no strace here")
    place = tmp_path / "nas"
    place.mkdir()
    assert packs.varve("init", str(place)).returncode == 0
    # `.varve-uploads` was there; the two folders of the key are made, each with a sync of the one above.
    assert steps_of_create(study, place, tmp_path) == ["write", "data", "make", "folder", "make", "folder", "name", "folder"]
    # They are there now, and synced all the same: whoever made them may have died before that.
    assert steps_of_create(study, place, tmp_path) == ["write", "data", "folder", "name", "folder"]


def steps_of_create(study, place, tmp_path):
    """What the making of a pack did to a store, one word for calls of a kind that follow one another."""
    log = str(tmp_path / "trace")
    command = [binary(), "pack", "create", "--store", "file://%s" % place, str(study.folder)]
    calls = "trace=fdatasync,fsync,link,linkat,mkdir,mkdirat,pwrite64,pwritev"
    traced = subprocess.run(
        ["strace", "-f", "-y", "-s", "0", "-e", calls, "-o", log, *command], capture_output=True, text=True, timeout=120
    )
    if "PTRACE" in traced.stderr:
        pytest.skip("tracing is not permitted here")
    assert traced.returncode == 0, traced.stderr
    words = {
        "fdatasync": "data", "fsync": "folder", "link": "name", "linkat": "name", "mkdir": "make", "mkdirat": "make",
        "pwrite64": "write", "pwritev": "write",
    }  # fmt: skip
    steps = []
    for line in open(log):
        # Another thread's call may come between a call's begin and its end; ours follow one another.
        match = re.match(r"\d+ +(\w+)\((.*?)(\) += \d+| <unfinished \.\.\.>)$", line)
        if match and str(place) in match[2] and not match[2].startswith('"%s/.varve-uploads"' % place):
            steps.append(words[match[1]])
    return [step for step, _ in itertools.groupby(steps)]


def test_a_full_disk_keeps_what_it_has(study, tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system is not permitted here")
    try:
        assert packs.varve("init", str(place)).returncode == 0
        many = packs.write_study(tmp_path / "many", [instance("full", index) for index in range(80)])
        assert sum(map(len, many.files.values())) > 2 << 20
        full = packs.varve("create", "--store", "file://%s" % place, str(many.folder))
        assert full.returncode == 1 and "No space left" in full.stderr, full.stderr
        # What could not be finished takes no room.
        assert not [name for _, _, names in os.walk(place) for name in names if name != "varve-cold-store.json"]
        few = packs.write_study(tmp_path / "few", [instance("full", 0)])
        assert packs.varve("create", "--store", "file://%s" % place, str(few.folder)).returncode == 0
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_memory_does_not_grow_with_the_study(study, tmp_path):
    """An instance of 1 GiB, most of it a hole in the file, is packed and checked in the memory of a small one."""
    large = packs.write_study(tmp_path / "large", [instance("large", 0)])
    (path,) = [large.folder / name for name in os.listdir(large.folder) if name.endswith(".dcm")]
    with open(path, "r+b") as file:
        file.truncate(1 << 30)
    target = str(tmp_path / "large.zip")
    created, most = packs.measured("create", "--output", target, str(large.folder))
    assert created.returncode == 0, created.stderr
    assert most < 200 << 20, most
    checked, most = packs.measured("check", target)
    assert checked.returncode == 0, checked.stdout
    assert most < 200 << 20, most
    os.remove(target)


@pytest.mark.skipif(not os.environ.get("VARVE_TEST_HUGE"), reason="VARVE_TEST_HUGE is not set: 9 GiB are written")
def test_more_than_four_gigabytes(tmp_path):
    large = packs.write_study(tmp_path / "large", [instance("large", index) for index in range(3)])
    paths = sorted(large.folder.glob("*.dcm"))
    for path in paths[:2]:
        with open(path, "r+b") as file:
            file.truncate((4 << 30) + 10)
    target = str(tmp_path / "large.zip")
    created = packs.varve("create", "--output", target, str(large.folder), timeout=900)
    assert created.returncode == 0, created.stderr
    assert packs.varve("check", target, timeout=900).returncode == 0
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
    tested = subprocess.run(["unzip", "-tq", target], capture_output=True, text=True, timeout=900)
    assert tested.returncode == 0, tested.stdout
