# SPDX-License-Identifier: Apache-2.0
"""Deleting to the trash, over DICOMweb and by command: gone everywhere, not taken again, and back byte for byte."""

import contextlib
import json
import os
import shutil
import signal
import time

import pytest
import requests
from conftest import _run_cluster, send_all
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pynetdicom import AE
from support.cluster import Cluster
from support.phantom import instance
from support.query import find, matches_of
from test_commitment import Reports, ask, associate, pairs, request
from test_get import Getter
from test_large import multi_frame
from test_move import counts, move
from test_outage import assert_reads_back, check, hanging_postgres, metric, wait_until
from test_stow import post, reasons

NOT_AUTHORIZED = 0x0124
VIEWER = "https://viewer.example.org"
# C-MOVE to it says how many instances it would have sent.
NOWHERE = ["--destination", "NOWHERE=127.0.0.1:1"]


@pytest.fixture(scope="module")
def archive():
    yield from _run_cluster(
        options=NOWHERE
        + ["--http-delete", "trash", "--cors-origin", VIEWER, "--commitment-patience-seconds", "3"]
    )


def delete(cluster, path, **headers):
    return requests.delete(
        cluster.dicomweb + "/" + path, headers={name.replace("_", "-"): value for name, value in headers.items()}, timeout=60
    )


def stored(cluster, label, *places):
    """Instances at (study, series, index)."""
    made = [instance(label, index, study=study, series=series) for study, series, index in places]
    assert set(send_all(cluster.port, made).values()) == {0}
    return made


def trash(cluster, study=None, everything=False):
    rows = cluster.json("/api/v1/trash?limit=1000" + ("&all=true" if everything else ""))
    return [row for row in rows if study is None or row["studyInstanceUID"] == study]


def wait_told(cluster, study, seconds=60):
    """Until all storage nodes know of the deletions of a study."""
    wait_until("tombstones everywhere", lambda: all("doneAt" in row["deletion"] for row in trash(cluster, study)), seconds)


def seen(cluster, study):
    """Instances of a study as QIDO, C-FIND, WADO, C-GET and C-MOVE have them, and as the counts say."""
    listed = cluster.get("/dicom-web/studies/%s/instances" % study)
    answers = [len(json.loads(listed[1])) if listed[0] == 200 else 0]
    answers.append(len(matches_of(find(cluster.port, "IMAGE", options=b"\x01", StudyInstanceUID=study, SOPInstanceUID=""))))
    status, body, _ = cluster.get("/dicom-web/studies/%s/metadata" % study)
    assert status in (200, 404)
    answers.append(len(json.loads(body)) if status == 200 else 0)
    with Getter(cluster) as getter:
        getter.get("STUDY", StudyInstanceUID=study)
        answers.append(len(getter.received))
    answers.append(counts(move(cluster, "NOWHERE", "STUDY", StudyInstanceUID=study)[-1][0])[1] or 0)
    studies = cluster.get("/dicom-web/studies?StudyInstanceUID=%s&includefield=all" % study)
    found = json.loads(studies[1]) if studies[0] == 200 else []
    answers.append(found[0]["00201208"]["Value"][0] if found else 0)
    if found:
        series = cluster.json("/dicom-web/studies/%s/series?includefield=all" % study)
        assert len(series) == found[0]["00201206"]["Value"][0]
        assert sum(one["00201209"]["Value"][0] for one in series) == answers[0]
    assert len(set(answers)) == 1, answers
    return answers[0]


@contextlib.contextmanager
def stopped(cluster, name):
    pid = cluster.pid(name)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def store_with_comment(cluster, one):
    """(status, Error Comment) of a C-STORE."""
    data = read_dataset(DicomBytesIO(one.data_set), False, True)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = one.syntax
    entity = AE(ae_title="SENDER")
    entity.add_requested_context(one.sop_class, one.syntax)
    association = entity.associate("127.0.0.1", cluster.port, ae_title="VARVE")
    assert association.is_established
    try:
        status = association.send_c_store(data)
        return status.Status, status.get("ErrorComment", "")
    finally:
        association.release()


def test_each_level(archive):
    made = stored(archive, "delete-levels", *[(0, series, index) for series in range(3) for index in range(3)])
    other = stored(archive, "delete-levels", (1, 0, 0))
    study = made[0].study
    assert seen(archive, study) == 9

    assert delete(archive, made[4].path).status_code == 204
    assert archive.get("/dicom-web/" + made[4].path)[0] == 404
    assert seen(archive, study) == 8
    assert delete(archive, made[4].path).status_code == 404, "there is none any more"

    assert delete(archive, "studies/%s/series/%s" % (study, made[0].series)).status_code == 204
    assert archive.get("/dicom-web/studies/%s/series/%s" % (study, made[0].series))[0] == 404
    assert seen(archive, study) == 5
    assert_reads_back(archive, [made[3], *made[5:]])

    assert delete(archive, "studies/" + study).status_code == 204
    assert seen(archive, study) == 0
    assert archive.run("study", "show", study).returncode == 1
    assert delete(archive, "studies/" + study).status_code == 404
    assert seen(archive, other[0].study) == 1
    # The audit has who, and what.
    rows = trash(archive, study)
    assert [row["instances"] for row in rows] == [5, 3, 1]
    assert rows[2]["sopInstanceUID"] == made[4].sop_instance and rows[1]["seriesInstanceUID"] == made[0].series
    assert all(row["deletion"]["requestedBy"] == "DICOMweb DELETE from 127.0.0.1" for row in rows)
    wait_told(archive, study)
    assert seen(archive, other[0].study) == 1


def test_what_cannot_be_deleted(archive):
    for path in ("studies/1.2.3", "studies/1.2.3/series/1.2.4", "studies/1.2.3/series/1.2.4/instances/1.2.5"):
        answer = delete(archive, path)
        assert answer.status_code == 404 and "there is no such" in answer.json()["message"]
    for path in ("studies", "studies/1.2.3/series", "studies/1.2.3/metadata"):
        answer = delete(archive, path)
        assert answer.status_code == 405 and "DELETE" in answer.headers["Allow"]
    (one,) = stored(archive, "delete-wrong", (0, 0, 0))
    (other,) = stored(archive, "delete-wrong", (1, 0, 0))
    wrong = "studies/%s/series/%s/instances/%s" % (one.study, one.series, other.sop_instance)
    assert delete(archive, wrong).status_code == 404
    assert delete(archive, "studies/%s/series/%s" % (one.study, other.series)).status_code == 404
    assert_reads_back(archive, [one, other])


def test_the_service_says_whether_it_deletes(archive, cluster):
    for one, deletes in ((archive, True), (cluster, False)):
        preflight = requests.options(
            one.dicomweb + "/studies", headers={"Origin": VIEWER, "Access-Control-Request-Method": "DELETE"}, timeout=30
        )
        assert ("DELETE" in preflight.headers["Access-Control-Allow-Methods"]) == deletes
        capabilities = requests.options(one.dicomweb + "/", timeout=30)
        assert ("DELETE" in capabilities.headers["Allow"]) == deletes
        assert capabilities.text.count('name="DELETE"') == (3 if deletes else 0)


def test_off_unless_set(cluster):
    made = stored(cluster, "delete-off", (0, 0, 0))
    answer = delete(cluster, made[0].path)
    assert answer.status_code == 405 and "http.delete: trash" in answer.json()["message"]
    assert answer.headers["Allow"] == "GET, HEAD, POST, OPTIONS"
    assert_reads_back(cluster, made)
    # The operator's command does not depend on it.
    study = made[0].study
    assert cluster.run("study", "delete", study).returncode != 0, "without a reason"
    assert cluster.run("study", "delete", study, "--reason", " ").returncode != 0
    done = cluster.run("study", "delete", study, "--reason", "of the wrong patient")
    assert done.returncode == 0 and "moved 1 instances" in done.stdout, done.stderr
    assert cluster.get("/dicom-web/studies/" + study)[0] == 404
    assert cluster.run("study", "delete", study, "--reason", "again").returncode == 1
    (row,) = trash(cluster, study)
    assert row["deletion"]["reason"] == "of the wrong patient"
    listed = cluster.run("study", "trash")
    assert study in listed.stdout and "of the wrong patient" in listed.stdout
    done = cluster.run("study", "undelete", study)
    assert done.returncode == 0 and "took back 1" in done.stdout, done.stderr
    assert_reads_back(cluster, made)


@pytest.mark.parametrize("kind", ["text/plain", None])
def test_pages_cannot_have_it_deleted(archive, kind):
    """What a browser sends to another origin without asking is refused."""
    made = stored(archive, "delete-forged", (0, 0, 0))
    headers = {"Content-Type": kind} if kind else {}
    for path in ("/undelete", ""):
        answer = requests.request(
            "POST" if path else "DELETE",
            archive.url + "/api/v1/studies/" + made[0].study + path,
            data='{"reason": "because"}',
            headers=headers,
            timeout=30,
        )
        assert answer.status_code == 415
    assert_reads_back(archive, made)


def test_it_is_not_taken_again_and_comes_back_as_it_was(archive):
    made = stored(archive, "delete-again", *[(0, index // 2, index) for index in range(4)])
    study = made[0].study
    before = archive.study(study)
    assert delete(archive, "studies/" + study).status_code == 204
    # Before and after the storage nodes know of it.
    for _ in range(2):
        assert set(send_all(archive.port, made).values()) == {NOT_AUTHORIZED}
        status, comment = store_with_comment(archive, made[0])
        assert status == NOT_AUTHORIZED and "deleted" in comment
        status, model = post(archive, [[one.file_bytes()] for one in made])
        assert status == 409 and reasons(model, "00081198", "00081197") == [NOT_AUTHORIZED] * 4
        # Other content of the same UID neither.
        other = instance("delete-again", 0, values={0x00080070: b"OTHER MAKER "})
        assert other.sop_instance == made[0].sop_instance
        assert list(send_all(archive.port, [other]).values()) == [NOT_AUTHORIZED]
        assert archive.get("/dicom-web/studies/" + study)[0] == 404
        wait_told(archive, study)
    reports = Reports()
    association = associate(archive, reports)
    assert ask(association, request("2.25.40", pairs(made))) == 0
    _, _, committed, failed = reports.next()
    assert committed == [] and set(failed.values()) == {0x0112}
    association.release()

    done = archive.run("study", "undelete", study, "--reason", "it was the right patient")
    assert done.returncode == 0, done.stderr
    assert seen(archive, study) == 4
    assert_reads_back(archive, made)
    after = archive.study(study, verify=True)
    assert [one["recordID"] for one in after["instances"]] == [one["recordID"] for one in before["instances"]]
    assert {copy["state"] for one in after["instances"] for copy in one["copies"]} == {"good"}
    assert set(send_all(archive.port, made).values()) == {0}, "it is there"
    assert archive.run("study", "undelete", study).returncode == 1
    (row,) = trash(archive, study, everything=True)
    assert row["undeletion"]["reason"] == "it was the right patient" and row["restoredAt"]
    # And again: the later word counts.
    assert delete(archive, "studies/" + study).status_code == 204
    wait_told(archive, study)
    assert seen(archive, study) == 0
    assert archive.run("study", "undelete", study).returncode == 0
    assert_reads_back(archive, made)


def test_a_large_instance_is_not_taken_again(archive):
    """One that goes through the spool, by both ways."""
    large = multi_frame("delete-large", 160)
    assert len(large.data_set) > 16 << 20
    assert list(send_all(archive.port, [large]).values()) == [0]
    assert delete(archive, "studies/" + large.study).status_code == 204
    wait_told(archive, large.study)
    assert list(send_all(archive.port, [large]).values()) == [NOT_AUTHORIZED]
    status, model = post(archive, [[large.file_bytes()]])
    assert status == 409 and reasons(model, "00081198", "00081197") == [NOT_AUTHORIZED]
    assert archive.run("study", "undelete", large.study).returncode == 0
    assert_reads_back(archive, [large])


def test_one_deletion_can_be_taken_back_alone(archive):
    made = stored(archive, "delete-some", *[(0, index // 2, index) for index in range(4)])
    study = made[0].study
    assert delete(archive, made[0].path).status_code == 204
    assert delete(archive, "studies/" + study).status_code == 204
    number = str(trash(archive, study)[0]["id"])
    done = archive.run("study", "undelete", study, "--deletion", number)
    assert done.returncode == 0, done.stderr
    assert seen(archive, study) == 3
    assert archive.get("/dicom-web/" + made[0].path)[0] == 404


def test_nothing_is_adopted_before_the_nodes_know(archive):
    made = stored(archive, "delete-sweep", *[(0, 0, index) for index in range(3)])
    study = made[0].study
    with stopped(archive, "coordinator-1"):
        assert delete(archive, "studies/" + study).status_code == 204
        status, report = check(archive, "--adopt")
        assert report["adopted"] == 0 and report["trashed"] == 3
        assert seen(archive, study) == 0
    wait_told(archive, study)
    status, report = check(archive, "--adopt")
    assert report["adopted"] == 0 and report["trashed"] == 0
    assert seen(archive, study) == 0


def test_a_coordinator_that_is_killed(archive):
    made = stored(archive, "delete-kill", *[(0, 0, index) for index in range(40)])
    study = made[0].study
    with stopped(archive, "coordinator-1") as pid:
        assert delete(archive, "studies/" + study).status_code == 204
        os.kill(pid, signal.SIGKILL)
        assert seen(archive, study) == 0
    # At moments of its work.
    for pause in (0.3, 1.2):
        archive.wait_gone(pid)
        wait_until("another coordinator", lambda: archive.pid("coordinator-1"))
        time.sleep(pause)
        pid = archive.kill("coordinator-1") or pid
    wait_told(archive, study, 90)
    assert seen(archive, study) == 0
    pid = archive.kill("coordinator-1")
    assert archive.run("study", "undelete", study, "--wait", "90").returncode == 0
    assert_reads_back(archive, made)


def test_a_node_that_was_away_and_a_catalog_that_is():
    cluster = Cluster(options=NOWHERE + ["--no-restart", "--http-delete", "trash"])
    try:
        cluster.start()
        made = stored(cluster, "delete-away", *[(0, 0, index) for index in range(12)])
        study = made[0].study
        holders = {copy["node"] for one in cluster.study(study)["instances"] for copy in one["copies"]}
        away = sorted(holders)[0]
        cluster.wait_gone(cluster.kill(away))
        assert delete(cluster, "studies/" + study).status_code == 204
        assert seen(cluster, study) == 0
        wait_until("the others", lambda: "note" in trash(cluster, study)[0]["deletion"])
        (row,) = trash(cluster, study)
        assert "doneAt" not in row["deletion"] and row["deletion"]["note"].startswith((away, "1 storage nodes are away"))

        # It comes back, with all that it had.
        cluster.stop()
        cluster.start()
        wait_told(cluster, study, 90)
        assert seen(cluster, study) == 0
        assert check(cluster, "--adopt")[1]["adopted"] == 0

        # Without the catalog the nodes know.
        cluster.wait_gone(cluster.kill("postgres"))
        for path in (made[0].path, "studies/" + study, "studies/%s/metadata" % study):
            assert cluster.get("/dicom-web/" + path)[0] == 404
        assert set(send_all(cluster.port, made[:3]).values()) == {NOT_AUTHORIZED}
        other = instance("delete-away", 0, values={0x00080070: b"OTHER MAKER "})
        assert list(send_all(cluster.port, [other]).values()) == [NOT_AUTHORIZED]
        assert cluster.get("/dicom-web/" + made[0].path)[0] == 404
        kept = stored(cluster, "delete-kept", (0, 0, 0))
        assert delete(cluster, "studies/" + kept[0].study).status_code == 503
        assert cluster.run("study", "delete", study, "--reason", "x").returncode == 1
        assert cluster.run("study", "undelete", study).returncode == 1

        cluster.stop()
        cluster.start()
        wait_until("an empty journal", lambda: metric(cluster, "varve_journal_entries") == 0)
        assert metric(cluster, "varve_journal_refused") == 0
        assert seen(cluster, study) == 0 and seen(cluster, kept[0].study) == 1
        assert cluster.run("study", "undelete", study).returncode == 0
        assert seen(cluster, study) == 12
        assert_reads_back(cluster, made)
    finally:
        cluster.stop()
        shutil.rmtree(cluster.directory, ignore_errors=True)


def test_a_catalog_that_hangs_deletes_nothing_in_part(archive):
    made = stored(archive, "delete-hang", *[(0, 0, index) for index in range(3)])
    study = made[0].study
    with hanging_postgres(archive):
        assert delete(archive, "studies/" + study).status_code == 503
    # Whether it was done is not known then; it is all or nothing.
    wait_until("the catalog", lambda: archive.get("/dicom-web/studies?limit=1")[0] == 200)
    time.sleep(1)
    assert seen(archive, study) in (0, 3)
