# SPDX-License-Identifier: Apache-2.0
"""C-FIND as DCMTK and pynetdicom ask it, and QIDO-RS beside it."""

import json
import re
import time
from dataclasses import replace
from io import BytesIO

import part10
import pydicom
import pytest
from conftest import send_all
from pydicom.filebase import DicomBytesIO
from pynetdicom.dimse_primitives import C_CANCEL, C_FIND
from pynetdicom.dsutils import encode
from support.phantom import PIXEL_DATA, instance
from support.query import FIND, associate, find, identifier, matches_of, statuses_of
from test_dimse_tools import dcmtk

ROWS, COLUMNS = 0x00280010, 0x00280011
NAME, DATE, TIME, ACCESSION, MODALITY = 0x00100010, 0x00080020, 0x00080030, 0x00080050, 0x00080060


@pytest.fixture(scope="module")
def stored(cluster):
    """Three studies of three patients `find-N`; the first has two series, CT and MR."""
    values = [
        {NAME: b"Finder^Anna", DATE: b"20240110", TIME: b"233000", ACCESSION: b"F_1"},
        {NAME: b"Finder^Bert", DATE: b"20240111", TIME: b"003000", ACCESSION: b"F%2"},
        {NAME: b"Other^Carl", DATE: b"20240112", TIME: b"120000", ACCESSION: b"FX3"},
    ]
    made = [instance("find", index, study=0, series=0, values=values[0]) for index in range(3)]
    made.append(instance("find", 3, study=0, series=1, values={**values[0], MODALITY: b"MR"}))
    made += [instance("find", 0, study=number, values=values[number]) for number in (1, 2)]
    assert set(send_all(cluster.port, made).values()) == {0}
    return made


def accessions(cluster, **keys):
    keys = {"PatientID": "find-*", "AccessionNumber": "", **keys}
    options = keys.pop("options", None)
    return sorted(match.AccessionNumber for match in matches_of(find(cluster.port, "STUDY", options=options, **keys)))


@pytest.mark.parametrize(
    "keys, found",
    [
        ({}, ["F%2", "FX3", "F_1"]),
        ({"PatientName": "FINDER^ANNA"}, ["F_1"]),
        ({"PatientName": "finder*"}, ["F%2", "F_1"]),
        ({"PatientName": "Finder^?er*"}, ["F%2"]),
        ({"PatientName": "*"}, ["F%2", "FX3", "F_1"]),
        ({"AccessionNumber": "F_1"}, ["F_1"]),
        ({"AccessionNumber": "F%*"}, ["F%2"]),
        ({"AccessionNumber": "F?3"}, ["FX3"]),
        ({"PatientID": "find-1"}, ["F%2"]),
        ({"StudyDate": "20240111"}, ["F%2"]),
        ({"StudyDate": "-20240111"}, ["F%2", "F_1"]),
        ({"StudyDate": "20240111-20240112"}, ["F%2", "FX3"]),
        ({"StudyDate": "20240110-20240112", "StudyTime": "1100-1300"}, ["FX3"]),
        ({"StudyTime": "00-0100"}, ["F%2"]),
        ({"ModalitiesInStudy": "MR"}, ["F_1"]),
        ({"ModalitiesInStudy": ["MR", "CT"]}, ["F%2", "FX3", "F_1"]),
        ({"ModalitiesInStudy": "U?"}, []),
        ({"PatientName": "Nobody"}, []),
        # A range over midnight, of one point in time (PS3.4 C.2.2.2.5.4).
        ({"StudyDate": "20240110-20240111", "StudyTime": "2300-0100", "options": [0, 1]}, ["F%2", "F_1"]),
        # Words that sound alike.
        ({"PatientName": "Fynder Ana", "options": [0, 0, 1]}, ["F_1"]),
    ],
)
def test_matching(cluster, stored, keys, found):
    assert accessions(cluster, **keys) == found


def test_a_list_of_uids(cluster, stored):
    uids = [stored[0].study, stored[5].study] + ["1.2.%d" % number for number in range(500)]
    answers = matches_of(find(cluster.port, "STUDY", StudyInstanceUID=uids))
    assert {match.StudyInstanceUID for match in answers} == {stored[0].study, stored[5].study}


def test_each_level_of_both_models(cluster, stored):
    one = stored[0]
    (patient,) = matches_of(
        find(cluster.port, "PATIENT", "patient", PatientID="find-0", PatientName="", NumberOfPatientRelatedStudies="",
             NumberOfPatientRelatedSeries="", NumberOfPatientRelatedInstances="")
    )  # fmt: skip
    assert patient.PatientName == "Finder^Anna"
    numbers = [patient.NumberOfPatientRelatedStudies, patient.NumberOfPatientRelatedSeries]
    assert [int(number) for number in numbers + [patient.NumberOfPatientRelatedInstances]] == [1, 2, 4]
    for model, above in (("patient", {"PatientID": "find-0"}), ("study", {})):
        (study,) = matches_of(
            find(cluster.port, "STUDY", model, **{"PatientID": "find-0", **above}, StudyInstanceUID="",
                 ModalitiesInStudy="", NumberOfStudyRelatedSeries="", NumberOfStudyRelatedInstances="")
        )  # fmt: skip
        assert study.StudyInstanceUID == one.study
        assert sorted(study.ModalitiesInStudy) == ["CT", "MR"]
        assert (int(study.NumberOfStudyRelatedSeries), int(study.NumberOfStudyRelatedInstances)) == (2, 4)
        series = matches_of(
            find(cluster.port, "SERIES", model, **above, StudyInstanceUID=one.study, SeriesInstanceUID="",
                 Modality="", NumberOfSeriesRelatedInstances="")
        )  # fmt: skip
        counts = {match.Modality: int(match.NumberOfSeriesRelatedInstances) for match in series}
        assert counts == {"CT": 3, "MR": 1}
        images = matches_of(
            find(cluster.port, "IMAGE", model, **above, StudyInstanceUID=one.study, SeriesInstanceUID=one.series,
                 SOPInstanceUID="", SOPClassUID="", InstanceNumber="", Rows=None)
        )  # fmt: skip
        assert {match.SOPInstanceUID for match in images} == {made.sop_instance for made in stored[:3]}
        assert {match.SOPClassUID for match in images} == {one.sop_class}
        assert all(match.Rows > 0 for match in images)
        for match, level in ((study, "STUDY"), (series[0], "SERIES"), (images[0], "IMAGE")):
            assert match.QueryRetrieveLevel == level
            assert match.RetrieveAETitle == "VARVE"
            assert match.InstanceAvailability == "ONLINE"


def test_an_empty_archive_of_matches_is_success_without_identifier(cluster, stored):
    answers = find(cluster.port, "STUDY", PatientID="nobody at all")
    assert statuses_of(answers) == [0x0000]
    assert answers[0][1] is None


def test_unsupported_keys_come_back_empty_and_the_status_says_so(cluster, stored):
    keys = {"PatientID": "find-1", "ProtocolName": "", "Modality": "XA", "OtherPatientNames": ""}
    answers = find(cluster.port, "STUDY", **keys)
    assert statuses_of(answers) == [0xFF01, 0x0000]
    match = answers[0][1]
    assert (match.ProtocolName, match.Modality, match.OtherPatientNames) == ("", "", "")
    assert statuses_of(find(cluster.port, "STUDY", PatientID="find-1")) == [0xFF00, 0x0000]


@pytest.fixture(scope="module")
def requested(cluster):
    """Three studies with sequences; the first has two requests in its first series, and a second series without."""

    def stored(number, series, **values):
        one = instance("find-sq", number, study=number, series=series)
        made = pydicom.dcmread(DicomBytesIO(one.file_bytes()))
        for keyword, value in values.items():
            setattr(made, keyword, value)
        file = DicomBytesIO()
        pydicom.dcmwrite(file, made, enforce_file_format=True)
        _, data = part10.split(file.getvalue())
        return type(one)(one.sop_class, one.sop_instance, one.series, one.study, data)

    def code(value, meaning):
        return identifier(None, CodeValue=value, CodingSchemeDesignator="99TEST", CodeMeaning=meaning)

    def request(step, description):
        return identifier(None, ScheduledProcedureStepID=step, ScheduledProcedureStepDescription=description)

    made = [
        stored(0, 0, ProtocolName="HEAD NECK", RequestAttributesSequence=[request("S1", "head"), request("S2", "neck")],
               ProcedureCodeSequence=[code("P1", "Head")]),
        stored(0, 1, ProcedureCodeSequence=[code("P1", "Head")]),
        stored(1, 0, ProtocolName="THORAX", RequestAttributesSequence=[request("S3", "head")],
               ProcedureCodeSequence=[code("P2", "Thorax")],
               ReferencedStudySequence=[identifier(None, ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",
                                                   ReferencedSOPInstanceUID="1.2.3.4")]),
        stored(2, 0, EchoTime="4.5"),
    ]  # fmt: skip
    assert set(send_all(cluster.port, made).values()) == {0}
    return made


def test_sequences_are_matched_by_one_of_their_items(cluster, requested):
    """PS3.4 C.2.2.2.6, on instances of what the catalog has narrowed down."""

    def studies(**keys):
        answers = find(cluster.port, "STUDY", PatientID="find-sq-*", **keys)
        return sorted(match.PatientID for match in matches_of(answers))

    def request(**keys):
        return studies(RequestAttributesSequence=[identifier(None, **keys)])

    first, second, third = ("find-sq-%d" % number for number in range(3))
    assert request(ScheduledProcedureStepID="S2") == [first]
    assert request(ScheduledProcedureStepDescription="head") == [first, second]
    assert request(ScheduledProcedureStepID="S?", ScheduledProcedureStepDescription="h*") == [first, second]
    # Both in one item.
    assert request(ScheduledProcedureStepID="S2", ScheduledProcedureStepDescription="head") == []
    assert request(ScheduledProcedureStepID="") == [first, second, third]
    assert studies(ProcedureCodeSequence=[identifier(None, CodeValue="P2", CodingSchemeDesignator="99TEST")]) == [second]
    assert studies(ReferencedStudySequence=[identifier(None, ReferencedSOPInstanceUID="1.2.3.4")]) == [second]
    assert studies(ProtocolName="HEAD*") == [first]
    assert studies(EchoTime="4.50") == [third]
    assert studies(ProtocolName="KNEE") == []


def test_what_was_matched_on_instances_comes_back(cluster, requested):
    wanted = identifier(None, ScheduledProcedureStepID="S1", CodeValue="")
    answers = find(
        cluster.port, "SERIES", StudyInstanceUID=requested[0].study, SeriesInstanceUID="", BodyPartExamined="",
        RequestAttributesSequence=[wanted], ProtocolName="",
    )  # fmt: skip
    assert statuses_of(answers) == [0xFF00, 0x0000]
    (match,) = matches_of(answers)
    assert match.SeriesInstanceUID == requested[0].series
    assert match.ProtocolName == "HEAD NECK"
    # The items of the instance, with the keys that were asked for.
    assert [item.ScheduledProcedureStepID for item in match.RequestAttributesSequence] == ["S1", "S2"]
    assert all("ScheduledProcedureStepDescription" not in item for item in match.RequestAttributesSequence)
    ((status, _),) = find(cluster.port, "STUDY", RequestAttributesSequence=[wanted, wanted])
    assert (status.Status, status.OffendingElement) == (0xA900, 0x00400275)


def test_more_instances_than_a_query_may_read(cluster):
    """1,001 instances in one series: refused before anything is sent."""
    made = [instance("find-crowd", index, values={PIXEL_DATA: b"\0\0", ROWS: b"\1\0", COLUMNS: b"\1\0"}) for index in range(1001)]
    assert set(send_all(cluster.port, made).values()) == {0}
    above = {"StudyInstanceUID": made[0].study, "SeriesInstanceUID": made[0].series}
    ((status, _),) = find(cluster.port, "IMAGE", **above, ProtocolName="NONE")
    assert status.Status == 0xA700
    assert "1000 objects" in status.ErrorComment
    few = find(cluster.port, "IMAGE", **above, InstanceNumber="7", ProtocolName="NONE")
    assert statuses_of(few) == [0x0000]
    # One series is one instance to read.
    assert statuses_of(find(cluster.port, "SERIES", StudyInstanceUID=made[0].study, ProtocolName="NONE")) == [0x0000]


@pytest.mark.parametrize(
    "level, model, keys, offending",
    [
        (None, "study", {"PatientID": "find-1"}, 0x00080052),
        ("PATIENT", "study", {"PatientID": "find-1"}, 0x00080052),
        ("FRAME", "patient", {}, 0x00080052),
        ("SERIES", "study", {"SeriesInstanceUID": ""}, 0x0020000D),
        ("IMAGE", "study", {"StudyInstanceUID": "1.2"}, 0x0020000E),
        ("STUDY", "patient", {"StudyInstanceUID": "1.2"}, 0x00100020),
        ("STUDY", "study", {"StudyDate": "last week"}, 0x00080020),
        ("STUDY", "study", {"StudyInstanceUID": "1.2*"}, 0x0020000D),
    ],
)
def test_an_identifier_that_is_none(cluster, level, model, keys, offending):
    answers = find(cluster.port, level, model, **keys)
    assert statuses_of(answers) == [0xA900]
    assert answers[0][0].ErrorComment
    assert answers[0][0].OffendingElement == offending


def test_a_relational_query(cluster, stored):
    answers = matches_of(
        find(cluster.port, "IMAGE", options=[1], PatientID="find-0", Modality="MR", SOPInstanceUID="", StudyInstanceUID="")
    )
    assert [(match.SOPInstanceUID, match.StudyInstanceUID) for match in answers] == [
        (stored[3].sop_instance, stored[3].study)
    ]


def test_what_is_not_supported_is_not_granted(cluster):
    sop_class = FIND["study"]
    association, granted = associate(cluster.port, [sop_class], {sop_class: [1, 1, 1, 1, 1]})
    association.release()
    assert granted == {sop_class: [1, 1, 1, 0, 0]}


def test_text_beyond_ascii(cluster):
    one = instance("find-umlaut", 0, values={NAME: "Größe^Jörg".encode("latin-1")})
    one = replace(one, data_set=part10.element(0x0008, 0x0005, "CS", "ISO_IR 100") + one.data_set)
    assert set(send_all(cluster.port, [one]).values()) == {0}
    for name in ("Größe*", "GROSSE^JORG"):
        (match,) = matches_of(find(cluster.port, "STUDY", PatientID="find-umlaut-0", PatientName=name))
        assert match.SpecificCharacterSet == "ISO_IR 192"
        assert match.PatientName == "Größe^Jörg"
    (plain,) = matches_of(find(cluster.port, "STUDY", PatientID="find-umlaut-0"))
    assert "SpecificCharacterSet" not in plain


def test_qido_finds_the_same(cluster, stored):
    for keys in ({"PatientName": "finder*"}, {"StudyDate": "20240111-"}, {"AccessionNumber": "F_1"}):
        found = {match.StudyInstanceUID for match in matches_of(find(cluster.port, "STUDY", PatientID="find-*", **keys))}
        query = "&".join("%s=%s" % (key, value.replace("*", "%2A")) for key, value in keys.items())
        web = cluster.json("/dicom-web/studies?PatientID=find-%2A&" + query)
        assert found == {entry["0020000D"]["Value"][0] for entry in web} != set()


def test_a_query_that_is_cancelled(cluster):
    """Request and cancellation come in one breath; whatever was sent by then, the end is FE00H, and once."""
    many = [instance("find-many", index) for index in range(450)]
    assert set(send_all(cluster.port, many).values()) == {0}
    sop_class = FIND["study"]
    association, _ = associate(cluster.port, [sop_class])
    keys = identifier("IMAGE", StudyInstanceUID=many[0].study, SeriesInstanceUID=many[0].series, SOPInstanceUID="")
    assert len(list(association.send_c_find(keys, sop_class))) == 451
    (context,) = association.accepted_contexts
    request = C_FIND()
    request.MessageID, request.AffectedSOPClassUID, request.Priority = 7, sop_class, 0
    request.Identifier = BytesIO(encode(keys, context.transfer_syntax[0].is_implicit_VR, True))
    cancel = C_CANCEL()
    cancel.MessageIDBeingRespondedTo = 7
    association._reactor_checkpoint.clear()
    time.sleep(0.1)
    association.dimse.send_msg(request, context.context_id)
    association.dimse.send_msg(cancel, context.context_id)
    statuses = []
    while not statuses or statuses[-1] in (0xFF00, 0xFF01):
        _, answer = association.dimse.get_msg(block=True)
        statuses.append(answer.Status)
    association._reactor_checkpoint.set()
    assert statuses[-1] == 0xFE00
    assert len(statuses) < 451
    assert len(list(association.send_c_find(keys, sop_class))) == 451
    association.release()


def test_findscu(cluster, stored):
    for model, level, keys in (
        ("-P", "PATIENT", ["PatientID=find-0", "PatientName"]),
        ("-S", "STUDY", ["PatientID=find-0", "StudyInstanceUID", "AccessionNumber"]),
        ("-S", "SERIES", ["StudyInstanceUID=" + stored[1].study, "SeriesInstanceUID"]),
    ):
        arguments = [part for key in ["QueryRetrieveLevel=" + level] + keys for part in ("-k", key)]
        done = dcmtk("findscu", "-v", model, "-aec", "VARVE", *arguments, "127.0.0.1", cluster.port)
        assert done.returncode == 0, done.stderr
        assert len(re.findall(r"Find Response: \d+ \(Pending\)", done.stderr)) == (2 if level == "SERIES" else 1)
        assert "VARVE" in done.stderr + done.stdout


def test_varve_find(cluster, stored):
    port = str(cluster.port)
    done = cluster.run("find", "--port", port, "PatientID=find-*", "PatientName=finder*", "AccessionNumber")
    assert done.returncode == 0, done.stderr
    heading, *rows = done.stdout.splitlines()
    assert heading.split() == ["PatientID", "PatientName", "AccessionNumber"]
    assert sorted(row.split() for row in rows) == [["find-0", "Finder^Anna", "F_1"], ["find-1", "Finder^Bert", "F%2"]]
    done = cluster.run("find", "--port", port, "--json", "--level", "series", "StudyInstanceUID=" + stored[0].study)
    assert {entry["0020000E"]["Value"][0] for entry in json.loads(done.stdout)} == {stored[0].series, stored[3].series}
    done = cluster.run("find", "--port", port, "--level", "patient", "PatientID=find-2")
    assert done.returncode == 0 and "find-2" in done.stdout
    done = cluster.run("find", "--port", port, "PatientID=nobody at all")
    assert (done.returncode, done.stdout) == (0, "nothing found\n")


def test_varve_find_says_what_the_peer_said(cluster):
    done = cluster.run("find", "--port", str(cluster.port), "--level", "series", "Modality=CT")
    assert done.returncode == 1
    assert "A900H" in done.stderr and "(0020,000D)" in done.stderr
    assert cluster.run("find", "NoSuchKeyword=1").returncode == 2
    assert cluster.run("find", "--level", "frame").returncode == 2


def test_varve_find_stops_at_its_limit(cluster, stored):
    done = cluster.run("find", "--port", str(cluster.port), "--limit", "2", "--json", "PatientID=find-*")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 2
