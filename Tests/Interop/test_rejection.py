# SPDX-License-Identifier: Apache-2.0
"""Rejection notes (IHE IOCM): what they name is hidden, whenever it comes, by whoever may, once, and can be taken back."""

import json
import re

import pytest
from conftest import _run_cluster, send_all
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from support.phantom import Instance, instance, uid
from support.query import find, matches_of
from support.sender import Association
from test_delete import store_with_comment, trash, wait_told
from test_outage import assert_reads_back, check, metric, wait_until
from test_stow import post

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
NOT_AUTHORIZED = 0x0124
TITLES = {
    "113001": "Rejected for Quality Reasons",
    "113037": "Rejected for Patient Safety Reasons",
    "113038": "Incorrect Modality Worklist Entry",
    "113039": "Data Retention Policy Expired",
}
# C-MOVE to it says how many instances it would have sent.
NOWHERE = ["--destination", "NOWHERE=127.0.0.1:1"]


def settings(*pairs):
    return NOWHERE + [part for pair in pairs for part in ("--ingest-setting", pair)]


@pytest.fixture(scope="module")
def archive():
    """Notes of QA and VIEWER are acted on, and those over HTTP; all others wait."""
    yield from _run_cluster(options=settings("rejection-notes-from=QA, VIEWER", "rejection-notes-over-http=yes"))


def item(**values):
    made = Dataset()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def code(value, scheme="DCM", meaning="A meaning"):
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def note(label, named, title="113001", scheme="DCM", study=None, damage=None):
    """A Key Object Selection document as pydicom writes it, that names instances (or what looks like them)."""
    studies = {}
    for one in named:
        studies.setdefault(one.study, {}).setdefault(one.series, []).append(one)
    study = study or (named[0].study if named else uid(label, "study"))
    document = item(
        SOPClassUID=KEY_OBJECT_SELECTION,
        SOPInstanceUID=uid(label, "note"),
        StudyInstanceUID=study,
        SeriesInstanceUID=uid(label, "notes"),
        PatientID=label,
        PatientName="Note^Of",
        Modality="KO",
        SeriesNumber=99,
        InstanceNumber=1,
        ValueType="CONTAINER",
        ContinuityOfContent="SEPARATE",
        ConceptNameCodeSequence=[code(title, scheme)],
        CurrentRequestedProcedureEvidenceSequence=[
            item(
                StudyInstanceUID=of,
                ReferencedSeriesSequence=[
                    item(
                        SeriesInstanceUID=series,
                        ReferencedSOPSequence=[
                            item(ReferencedSOPClassUID=one.sop_class, ReferencedSOPInstanceUID=one.sop_instance)
                            for one in ones
                        ],
                    )
                    for series, ones in all_series.items()
                ],
            )
            for of, all_series in studies.items()
        ],
    )
    if damage:
        damage(document)
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_dataset(out, document)
    return Instance(KEY_OBJECT_SELECTION, document.SOPInstanceUID, document.SeriesInstanceUID, study, out.getvalue())


def send(cluster, one, calling="QA"):
    with Association(cluster.port, [(one.sop_class, one.syntax)], calling=calling) as association:
        assert association.store(one.sop_class, one.sop_instance, one.syntax, one.data_set) == 0


def stow(cluster, one):
    status, model = post(cluster, [[one.file_bytes()]])
    assert status == 200, model


def notes(cluster, one=None, everything=True):
    rows = cluster.json("/api/v1/rejections?limit=1000&all=" + str(everything).lower())
    return [row for row in rows if one is None or row["sopInstanceUID"] == one.sop_instance]


def wait_state(cluster, one, state, retired=None, seconds=60):
    def reached():
        found = notes(cluster, one)
        return found and found[0]["state"] == state and retired in (None, found[0]["retired"])

    try:
        wait_until("the note is %s" % state, reached, seconds)
    except AssertionError:
        pytest.fail("the note is not %s: %s" % (state, notes(cluster, one) or "not there, or unread"))
    return notes(cluster, one)[0]


def stored(cluster, label, count, study=0, series=0):
    made = [instance(label, index, study=study, series=series) for index in range(count)]
    assert set(send_all(cluster.port, made).values()) == {0}
    return made


def seen(cluster, study):
    """Instances of a study, notes among them, as QIDO, C-FIND, WADO and the counts have them."""
    listed = cluster.get("/dicom-web/studies/%s/instances" % study)
    answers = [len(json.loads(listed[1])) if listed[0] == 200 else 0]
    answers.append(len(matches_of(find(cluster.port, "IMAGE", options=b"\x01", StudyInstanceUID=study, SOPInstanceUID=""))))
    status, body, _ = cluster.get("/dicom-web/studies/%s/metadata" % study)
    answers.append(len(json.loads(body)) if status == 200 else 0)
    studies = cluster.get("/dicom-web/studies?StudyInstanceUID=%s&includefield=all" % study)
    found = json.loads(studies[1]) if studies[0] == 200 else []
    answers.append(found[0]["00201208"]["Value"][0] if found else 0)
    assert len(set(answers)) == 1, answers
    return answers[0]


def undelete(cluster, study):
    done = cluster.run("study", "undelete", study)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("way", [send, stow])
@pytest.mark.parametrize("title", TITLES)
def test_each_title_hides_what_it_names(archive, title, way):
    label = "reject-%s-%s" % (title, way.__name__)
    made = stored(archive, label, 3)
    rejecting = note(label, made[:2], title)
    way(archive, rejecting)
    row = wait_state(archive, rejecting, "in force", retired=2)
    assert row["meaning"] == TITLES[title] and row["instances"] == 2 and row["awaited"] == 0
    assert row.get("sender") == ("QA" if way is send else None)
    # One image is left, and the note itself, which stays as a document.
    assert seen(archive, made[0].study) == 2
    assert_reads_back(archive, [made[2], rejecting])
    (deletion,) = trash(archive, made[0].study)
    assert deletion["instances"] == 2
    assert deletion["deletion"]["requestedBy"] == (
        "rejection note from QA" if way is send else "rejection note over HTTP"
    )
    assert TITLES[title] in deletion["deletion"]["reason"] and rejecting.sop_instance in deletion["deletion"]["reason"]
    assert store_with_comment(archive, made[0])[0] == NOT_AUTHORIZED
    wait_told(archive, made[0].study)

    undelete(archive, made[0].study)
    assert_reads_back(archive, made)
    # The note does not strike again: not when it is sent again, nor when others are acted on.
    send(archive, rejecting)
    other = note(label + "-other", [made[2]], title)
    send(archive, other)
    wait_state(archive, other, "in force", retired=1)
    assert seen(archive, made[0].study) == 4
    assert_reads_back(archive, made[:2])


def test_what_comes_after_the_note(archive):
    made = [instance("reject-early", index) for index in range(4)]
    rejecting = note("reject-early", made[:2], "113037")
    send(archive, rejecting)
    assert wait_state(archive, rejecting, "in force")["awaited"] == 2
    assert set(send_all(archive.port, made).values()) == {0}
    wait_state(archive, rejecting, "in force", retired=2)
    assert seen(archive, made[0].study) == 3
    undelete(archive, made[0].study)
    assert_reads_back(archive, made)


def test_expired_retention_waits_for_nothing(archive):
    made = [instance("reject-expired", index) for index in range(2)]
    rejecting = note("reject-expired", made, "113039")
    send(archive, rejecting)
    assert wait_state(archive, rejecting, "in force")["awaited"] == 0
    assert set(send_all(archive.port, made).values()) == {0}
    other = note("reject-expired-other", [instance("reject-expired", 7)])
    send(archive, other)
    wait_state(archive, other, "in force")
    assert_reads_back(archive, made)


def test_a_note_of_several_studies(archive):
    made = stored(archive, "reject-studies", 2) + stored(archive, "reject-studies", 2, study=1)
    rejecting = note("reject-studies", made)
    send(archive, rejecting)
    wait_state(archive, rejecting, "in force", retired=4)
    assert seen(archive, made[0].study) == 1, "the note itself"
    assert seen(archive, made[2].study) == 0
    assert [row["instances"] for row in trash(archive, made[2].study)] == [2]


def test_a_held_study(archive):
    made = stored(archive, "reject-held", 2)
    done = archive.run("study", "hold", made[0].study, "--name", "case", "--reason", "court", "--json")
    hold = json.loads(done.stdout)["number"]
    rejecting = note("reject-held", made)
    send(archive, rejecting)
    row = wait_state(archive, rejecting, "held")
    assert "legal hold %d" % hold in row["note"]
    assert "held" in archive.run("rejection", "list").stdout
    assert seen(archive, made[0].study) == 3
    assert archive.run("study", "release", str(hold), "--reason", "closed").returncode == 0
    wait_state(archive, rejecting, "in force", retired=2)
    assert seen(archive, made[0].study) == 1


def test_others_need_an_approval(archive):
    made = stored(archive, "reject-other", 3)
    first, second = note("reject-other-1", made[:1]), note("reject-other-2", made[1:2])
    for one in (first, second):
        send(archive, one, calling="ANYBODY")
        assert "rejection-notes-from" in wait_state(archive, one, "waiting for approval")["note"]
    assert seen(archive, made[0].study) == 5
    number = str(notes(archive, first)[0]["id"])
    assert archive.run("rejection", "approve", number, "--reason", " ").returncode == 2
    done = archive.run("rejection", "approve", number, "--reason", "asked the ward")
    assert done.returncode == 0, done.stderr
    row = wait_state(archive, first, "in force", retired=1)
    assert row["decisionReason"] == "asked the ward"
    assert archive.run("rejection", "approve", number, "--reason", "again").returncode == 1
    number = str(notes(archive, second)[0]["id"])
    assert archive.run("rejection", "dismiss", number, "--reason", "a mistake").returncode == 0
    wait_state(archive, second, "dismissed", retired=0)
    assert seen(archive, made[0].study) == 4
    assert second.sop_instance in json.dumps(notes(archive)) and not notes(archive, second, everything=False)
    # A page cannot have a note approved through somebody's browser.
    assert archive.get("/api/v1/rejections/%s/approve" % number)[0] in (404, 405)


def test_nobody_may_unless_set(cluster):
    made = stored(cluster, "reject-unset", 1)
    rejecting = note("reject-unset", made)
    for way in (send, stow):
        way(cluster, rejecting)
    wait_state(cluster, rejecting, "waiting for approval")
    assert_reads_back(cluster, [*made, rejecting])


def test_quality_can_stay_in_use(new_cluster):
    archive = new_cluster(options=settings("rejection-notes-from=QA", "rejection-notes-quality=keep"))
    made = stored(archive, "reject-keep", 2)
    quality, safety = note("reject-keep-1", made[:1]), note("reject-keep-2", made[1:], "113037")
    send(archive, quality)
    send(archive, safety)
    wait_state(archive, safety, "in force", retired=1)
    assert "rejection-notes-quality" in wait_state(archive, quality, "waiting for approval")["note"]
    assert_reads_back(archive, made[:1])


@pytest.mark.parametrize("title,scheme", [("113000", "DCM"), ("113001", "99MINE")])
def test_other_documents_are_documents(archive, title, scheme):
    label = "reject-none-%s-%s" % (title, scheme)
    made = stored(archive, label, 1)
    document = note(label, made, title, scheme)
    send(archive, document)
    # Another note behind it has been acted on: this one has been read by then.
    behind = note(label + "-behind", [instance(label, 5)])
    send(archive, behind)
    wait_state(archive, behind, "in force")
    wait_until("it is forgotten", lambda: not notes(archive, document))
    assert_reads_back(archive, [*made, document])


@pytest.mark.parametrize(
    "damage,reason",
    [
        (lambda one: one.__delattr__("ConceptNameCodeSequence"), "title"),
        (lambda one: one.__delattr__("CurrentRequestedProcedureEvidenceSequence"), "names no instance"),
        (
            lambda one: one.CurrentRequestedProcedureEvidenceSequence[0].__delattr__("StudyInstanceUID"),
            "no Study Instance UID",
        ),
    ],
)
def test_what_cannot_be_understood_is_listed(archive, damage, reason):
    label = "reject-bad-" + re.sub("[^a-z]", "", reason.lower())
    made = stored(archive, label, 1)
    document = note(label, made, damage=damage)
    send(archive, document)
    assert reason in wait_state(archive, document, "unreadable")["note"]
    assert_reads_back(archive, [*made, document])


def test_a_huge_note(archive):
    made = stored(archive, "reject-huge", 3)
    absent = [
        Instance(made[0].sop_class, uid("reject-huge", "absent", index), made[0].series, made[0].study, b"")
        for index in range(20_000)
    ]
    rejecting = note("reject-huge", made[:2] + absent)
    send(archive, rejecting)
    row = wait_state(archive, rejecting, "in force", retired=2, seconds=120)
    assert row["instances"] == 20_002 and row["awaited"] == 20_000
    assert seen(archive, made[0].study) == 2


def test_deaths_between_acknowledgement_and_acting(new_cluster):
    archive = new_cluster(options=settings("rejection-notes-from=QA"))
    for turn, victim in enumerate(["ingest-1", "coordinator-1", "ingest-1"]):
        label = "reject-death-%d" % turn
        made = stored(archive, label, 3)
        rejecting = note(label, made[:2])
        send(archive, rejecting)
        pid = archive.kill(victim)
        archive.wait_gone(pid)
        archive.wait_ready()
        wait_state(archive, rejecting, "in force", retired=2)
        assert seen(archive, made[0].study) == 2
        assert [row["instances"] for row in trash(archive, made[0].study)] == [2], "done once"
        wait_told(archive, made[0].study)
        undelete(archive, made[0].study)
        assert_reads_back(archive, made)
    assert check(archive)[0] == 0


def test_metrics_count_them(archive):
    wait_until("the metrics", lambda: (metric(archive, 'varve_rejection_notes{state="in_force"}') or 0) > 0, 90)
