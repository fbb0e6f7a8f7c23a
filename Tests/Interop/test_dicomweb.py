# SPDX-License-Identifier: Apache-2.0
"""DICOMweb as clients use it: searching, metadata, retrieval, and the errors PS3.18 asks for."""

import json
import socket

import part10
import pydicom
import pytest
import requests
from conftest import send_all
from dicomweb_client import DICOMwebClient
from support import compare, wado
from support.phantom import instance

JSON = "application/dicom+json"


def query(cluster, path):
    status, body, headers = cluster.get("/dicom-web/" + path, accept=JSON)
    assert status in (200, 204), (status, body[:300])
    if status == 204 or not body:
        return []
    assert JSON in headers["Content-Type"]
    return json.loads(body)


def values(found, tag):
    return [entry.get(tag, {}).get("Value", [None])[0] for entry in found]


@pytest.fixture(scope="module")
def people(cluster):
    """Twelve studies of patients whose names and dates the searches look for."""
    made = []
    for number in range(12):
        made.append(instance("people", 0, study=number, values={
            0x00100010: b"Query^Person%02d" % number,
            0x00100020: b"QUERY%02d" % number,
            0x00080020: b"202001%02d" % (number + 1),
            0x00080050: b"ACC_%02d" % number if number % 2 else b"ACCX%02d" % number,
            0x00080060: b"MR" if number % 3 == 0 else b"CT",
        }))  # fmt: skip
    assert set(send_all(cluster.port, made).values()) == {0}
    return made


def test_studies_by_patient_id(cluster, people):
    found = query(cluster, "studies?PatientID=QUERY03")
    assert values(found, "0020000D") == [people[3].study]
    entry = found[0]
    assert entry["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Query^Person03"}]}
    assert entry["00201206"]["Value"] == [1] and entry["00201208"]["Value"] == [1]
    assert entry["00080061"]["Value"] == ["MR"]


@pytest.mark.parametrize("key", ["PatientID=QUERY03", "00100020=QUERY03", "PatientID=QUERY%303"])
def test_keyword_tag_and_percent_encoding_are_the_same(cluster, people, key):
    assert values(query(cluster, "studies?" + key), "0020000D") == [people[3].study]


@pytest.mark.parametrize(
    "key, count",
    [
        ("PatientID=QUERY*", 12),
        ("PatientID=QUERY%2A", 12),
        ("PatientID=QUERY0%3F", 10),
        ("PatientID=QUERY0?", 10),
        ("PatientName=Query%5EPerson*", 12),
        ("PatientName=query^person*", 12),
        ("PatientID=QUERY*&StudyDate=20200103-20200105", 3),
        ("PatientID=QUERY*&StudyDate=-20200105", 5),
        ("PatientID=QUERY*&StudyDate=20200110-", 3),
        ("PatientID=QUERY*&StudyDate=20200104", 1),
        ("PatientID=QUERY*&ModalitiesInStudy=MR", 4),
        ("PatientID=QUERY*&ModalitiesInStudy=CT", 8),
        ("PatientID=QUERY*&AccessionNumber=ACC_*", 6),
        ("PatientID=QUERY_0", 0),
        ("PatientID=QUERY%25", 0),
        ("PatientID=NOBODY", 0),
    ],
)
def test_matching(cluster, people, key, count):
    assert len(query(cluster, "studies?" + key)) == count


def test_study_uid_list(cluster, people):
    wanted = [people[index].study for index in (1, 4, 7)]
    for separator in (",", "%5C"):
        found = query(cluster, "studies?StudyInstanceUID=" + separator.join(wanted))
        assert sorted(values(found, "0020000D")) == sorted(wanted)


def test_paging_covers_everything_once(cluster, people):
    seen = []
    for offset in range(0, 15, 5):
        page = query(cluster, "studies?PatientID=QUERY*&limit=5&offset=%d" % offset)
        assert len(page) == min(5, 12 - offset)
        seen += values(page, "0020000D")
    assert sorted(seen) == sorted(one.study for one in people)


def test_paging_together_with_modalities(cluster, people):
    first = query(cluster, "studies?PatientID=QUERY*&ModalitiesInStudy=CT&limit=6")
    rest = query(cluster, "studies?PatientID=QUERY*&ModalitiesInStudy=CT&limit=6&offset=6")
    assert (len(first), len(rest)) == (6, 2)


def test_series_and_instances(cluster, study):
    uid = study[0].study
    series = query(cluster, "studies/%s/series" % uid)
    assert sorted(values(series, "0020000E")) == sorted({one.series for one in study})
    assert values(series, "00201209") == [4, 4]
    instances = query(cluster, "studies/%s/instances" % uid)
    assert sorted(values(instances, "00080018")) == sorted(one.sop_instance for one in study)
    of_one = query(cluster, "studies/%s/series/%s/instances" % (uid, study[0].series))
    assert len(of_one) == 4
    assert values(of_one, "00280010") == [256] * 4
    (one,) = query(cluster, "studies/%s/instances?InstanceNumber=3" % uid)
    assert one["00200013"]["Value"] == [3]


def test_unknown_attribute_is_400(cluster):
    assert cluster.get("/dicom-web/studies?NoSuchAttribute=1")[0] == 400


def test_fuzzy_matching_is_done_without_a_warning(cluster, people):
    status, body, headers = cluster.get("/dicom-web/studies?PatientName=Bersn03&fuzzymatching=true", accept=JSON)
    assert status == 204 and "Warning" not in headers
    status, body, headers = cluster.get("/dicom-web/studies?PatientName=person03^Kwery*&fuzzymatching=true", accept=JSON)
    assert status == 204 and "Warning" not in headers
    status, body, headers = cluster.get("/dicom-web/studies?PatientName=person03^Querry&fuzzymatching=true", accept=JSON)
    assert status == 200 and "Warning" not in headers
    assert values(json.loads(body), "0020000D") == [people[3].study]
    assert cluster.get("/dicom-web/studies?PatientName=person03^Querry", accept=JSON)[0] == 204
    assert cluster.get("/dicom-web/studies?PatientName=person03&fuzzymatching=perhaps", accept=JSON)[0] == 400


@pytest.mark.parametrize("path", ["studies/{study}", "studies/{study}/metadata", "studies?PatientID=QUERY03"])
def test_unacceptable_accept_is_406(cluster, study, path):
    path = path.format(study=study[0].study)
    assert cluster.get("/dicom-web/" + path, accept="video/mp4")[0] == 406


@pytest.mark.parametrize("suffix", ["", "/metadata"])
def test_what_is_not_there_is_404(cluster, suffix):
    assert cluster.get("/dicom-web/studies/1.2.3.4.5" + suffix)[0] == 404


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_retrieve_each_level(cluster, study, level):
    path = {
        "study": "studies/%s" % study[0].study,
        "series": "studies/%s/series/%s" % (study[0].study, study[0].series),
        "instance": study[0].path,
    }[level]
    count = {"study": 8, "series": 4, "instance": 1}[level]
    by_uid = {one.sop_instance: one for one in study}
    found = wado.retrieve(cluster, path)
    assert len(found) == count
    for headers, contents in found:
        assert headers["content-type"].startswith("application/dicom")
        meta, data = part10.split(contents)
        assert part10.transfer_syntax(meta) == part10.EXPLICIT_LITTLE_ENDIAN
        assert data == by_uid.pop(part10.text(meta[0x00020003])).data_set
    assert len(by_uid) == 8 - count


@pytest.mark.parametrize(
    "accept, native",
    [
        ('multipart/related; type="application/dicom"', True),
        ("multipart/related;type=application/dicom;transfer-syntax=1.2.840.10008.1.2.1", True),
        ("*/*", True),
        ('multipart/related; type="application/dicom"; transfer-syntax=*', False),
        ('multipart/related; type="application/dicom"; transfer-syntax="1.2.840.10008.1.2.4.80"', False),
        ("application/dicom+json;q=0.1, multipart/related; type=application/dicom; transfer-syntax=*;q=0.9", False),
    ],
)
def test_accept_decides_the_syntax(cluster, study, accept, native):
    syntax, data = wado.data_set(cluster, study[0].study, study[0].series, study[0].sop_instance, accept)
    assert syntax == (part10.EXPLICIT_LITTLE_ENDIAN if native else "1.2.840.10008.1.2.4.80")
    if native:
        assert data == study[0].data_set
    else:
        sent, got = compare.read(study[0].syntax, study[0].data_set), compare.read(syntax, data)
        assert (compare.pixels(sent) == compare.pixels(got)).all()
        assert len(data) < len(study[0].data_set) * 0.7


def _comparable(model):
    """A DICOM JSON model without what may differ: bulk data, and how numbers are written."""
    result = {}
    for tag, entry in model.items():
        # JSON is in UTF-8, whatever the instance is in (PS3.18 section F.2).
        if tag == "00080005" or entry.get("vr") in ("OB", "OW", "OF", "OD", "UN", "OL", "OV") or tag.endswith("0000") or tag[:4] == "0002":
            continue
        value = entry.get("Value", [])
        if entry["vr"] == "SQ":
            value = [_comparable(item) for item in value]
        elif entry["vr"] in ("DS", "IS", "FL", "FD"):
            value = [None if number is None else float(number) for number in value]
        elif entry["vr"] == "PN":
            value = [{key: text for key, text in (name or {}).items() if text} for name in value]
        result[tag] = (entry["vr"], [item for item in value if item not in (None, "", {})])
    return result


def test_metadata_is_what_pydicom_makes_of_it(cluster, study):
    found = query(cluster, "studies/%s/metadata" % study[0].study)
    assert len(found) == 8
    by_uid = {one.sop_instance: one for one in study}
    for model in found:
        sent = by_uid[model["00080018"]["Value"][0]]
        data = compare.read(sent.syntax, sent.data_set)
        del data.PixelData
        assert _comparable(model) == _comparable(data.to_json_dict())


@pytest.mark.parametrize(
    "name", ["ct-ge-human/01.dcm", "ct-philips-phantom/000.dcm", "mr-7t-structural/000.dcm", "odd/vlut_04.dcm"]
)
def test_metadata_of_real_images(cluster, corpus, name, monkeypatch):
    from support.sender import store_one

    contents = open("%s/%s" % (corpus, name), "rb").read()
    meta, data_set = part10.split(contents)
    data = compare.read(part10.transfer_syntax(meta), data_set)
    store_one(cluster.port, str(data.SOPClassUID), str(data.SOPInstanceUID), part10.transfer_syntax(meta), data_set)
    path = wado.instance_path(data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID)
    (model,) = query(cluster, path + "/metadata")
    for keyword in compare.PIXEL_KEYWORDS:
        if keyword in data:
            delattr(data, keyword)
    # Some decimal strings are longer than the 16 characters that the standard allows.
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.IGNORE)
    assert _comparable(model) == _comparable(data.to_json_dict())


def test_dicomweb_client(cluster, study):
    client = DICOMwebClient(url=cluster.dicomweb)
    found = client.search_for_studies(search_filters={"StudyInstanceUID": study[0].study})
    assert len(found) == 1
    assert len(client.search_for_series(study[0].study)) == 2
    assert len(client.search_for_instances(study[0].study)) == 8
    assert len(client.retrieve_study_metadata(study[0].study)) == 8
    one = client.retrieve_instance(study[0].study, study[0].series, study[0].sop_instance)
    assert one.pixel_array.shape == (256, 256)
    # This client asks for the syntax that is stored, whichever it is.
    assert (one.pixel_array == pydicom.dcmread(_stream(study[0])).pixel_array).all()
    assert len(client.retrieve_study(study[0].study)) == 8


def _stream(one):
    from io import BytesIO

    return BytesIO(one.file_bytes())


def test_health(cluster):
    assert cluster.get("/healthz")[0] == 200
    assert cluster.get("/readyz")[0] == 200


def test_head_and_unknown_paths_are_harmless(cluster):
    assert requests.get(cluster.url + "/dicom-web/nothing/here", timeout=20).status_code in (400, 404)
    assert requests.delete(cluster.url + "/dicom-web/studies/1.2.3", timeout=20).status_code in (404, 405, 501)
    assert requests.get(cluster.url + "/dicom-web/studies/../../etc/passwd", timeout=20).status_code in (400, 404)


def test_garbage_on_the_http_port(cluster):
    for noise in (b"\0" * 1000, b"GET /" + b"A" * 200_000 + b" HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + b"\xaa" * 100):
        with socket.create_connection(("127.0.0.1", cluster.http), 10) as peer:
            peer.settimeout(10)
            try:
                peer.sendall(noise)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(65536):
                    pass
            except OSError:
                pass
    assert cluster.get("/healthz")[0] == 200
