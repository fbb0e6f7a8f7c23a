# SPDX-License-Identifier: Apache-2.0
"""Orthanc's DICOMweb plugin as the peer: it stores to Varve, searches it and retrieves from it (STOW-RS, QIDO-RS, WADO-RS)."""

import http.client
import json
import os
import urllib.request

import part10
import pydicom
import pytest
from conftest import send_all
from pydicom.filebase import DicomBytesIO
from support import wado
from support.orthanc import ORTHANC, Orthanc
from support.phantom import instance
from test_dimse_tools import JPEG_LS
from test_stow import post

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
pytestmark = pytest.mark.skipif(
    ORTHANC is None or not os.path.exists(PLUGIN), reason="Orthanc's DICOMweb plugin (orthanc-dicomweb) is not installed"
)


@pytest.fixture(scope="module")
def peer(cluster, tmp_path_factory):
    """An Orthanc that knows the cluster as `varve`."""
    servers = {"varve": [cluster.dicomweb + "/"]}
    with Orthanc(
        tmp_path_factory.mktemp("orthanc"), plugins=[PLUGIN], DicomWeb={"Enable": True, "Root": "/dicom-web/", "Servers": servers}
    ) as orthanc:
        yield orthanc


def upload(peer, made):
    return [peer.ask("instances", one.file_bytes())["ID"] for one in made]


def held(peer, study):
    """{SOP instance UID: Part 10 bytes} of what Orthanc has of a study."""
    found = {}
    for one in peer.ask("tools/find", {"Level": "Instance", "Query": {"StudyInstanceUID": study}}):
        with urllib.request.urlopen("%s/instances/%s/file" % (peer.url, one), timeout=60) as answer:
            content = answer.read()
        found[str(pydicom.dcmread(DicomBytesIO(content), stop_before_pixels=True).SOPInstanceUID)] = content
    return found


def elements(content):
    """A data set's elements as pydicom reads them, with native pixels, so that lengths, padding and syntax do not count."""
    read = pydicom.dcmread(DicomBytesIO(content))
    found = {element.tag: element.value for element in read if element.tag.element != 0}
    found[read["PixelData"].tag] = read.pixel_array.tobytes()
    return found


def test_orthanc_stores_to_varve(cluster, peer):
    made = [instance("orthanc-stow", index, series=index // 3) for index in range(5)]
    ids = upload(peer, made)
    answer = peer.ask("dicom-web/servers/varve/stow", {"Resources": ids, "Synchronous": True})
    assert answer.get("State", "Success") == "Success", answer
    for one in made:
        syntax, data = wado.data_set(cluster, one.study, one.series, one.sop_instance)
        assert (syntax, data) == (one.syntax, one.data_set)
    # A second time it is there already, which is success.
    peer.ask("dicom-web/servers/varve/stow", {"Resources": ids[:1], "Synchronous": True})
    assert len(wado.retrieve(cluster, "studies/" + made[0].study, wado.AS_STORED)) == 5


def test_orthanc_searches_varve(cluster, peer):
    made = [instance("orthanc-qido", index, series=index // 2) for index in range(3)]
    assert set(send_all(cluster.port, made).values()) == {0}

    def search(uri, **arguments):
        return peer.ask("dicom-web/servers/varve/qido", {"Uri": uri, "Arguments": arguments})

    def value(match, tag):
        found = {key.lower(): element for key, element in match.items()}[tag]["Value"]
        return found if isinstance(found, str) else found[0]

    (study,) = search("/studies", PatientID="orthanc-qido-0")
    assert value(study, "0020000d") == made[0].study
    # Nothing is found with status 204 and no body (PS3.18 table 10.6.3-1), which this version of Orthanc's client does not know.
    with pytest.raises(RuntimeError, match="Bad file format"):
        search("/studies", PatientID="orthanc-qido-nobody")
    assert {value(one, "0020000e") for one in search("/studies/%s/series" % made[0].study)} == {
        one.series for one in made
    }
    instances = search("/studies/%s/series/%s/instances" % (made[0].study, made[0].series))
    assert {value(one, "00080018") for one in instances} == {one.sop_instance for one in made[:2]}


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_orthanc_retrieves_from_varve(cluster, peer, level):
    """What came to Varve by STOW-RS, and is compressed on its disks, is what Orthanc gets (as it is stored) and gives."""
    made = [instance("orthanc-wado-" + level, index, series=index // 3) for index in range(5)]
    status, _ = post(cluster, [[one.file_bytes()] for one in made])
    assert status == 200
    resource = {"Study": made[0].study}
    wanted = made
    if level != "study":
        resource["Series"] = made[0].series
        wanted = made[:3]
    if level == "instance":
        resource["Instance"] = made[1].sop_instance
        wanted = made[1:2]
    answer = peer.ask("dicom-web/servers/varve/retrieve", {"Resources": [resource], "Synchronous": True})
    assert int(answer.get("ReceivedInstancesCount", len(wanted))) == len(wanted), answer
    found = held(peer, made[0].study)
    assert set(found) == {one.sop_instance for one in wanted}
    for one in wanted:
        meta, _ = part10.split(found[one.sop_instance])
        assert part10.transfer_syntax(meta) == JPEG_LS
        assert elements(found[one.sop_instance]) == elements(one.file_bytes())
    # And by Orthanc's own DICOMweb server, as Varve gives it.
    one = wanted[0]
    path = "dicom-web/studies/%s/series/%s/instances/%s" % (one.study, one.series, one.sop_instance)
    connection = http.client.HTTPConnection("127.0.0.1", peer.http, timeout=60)

    def read(path, accept):
        connection.request("GET", "/" + path, headers={"Accept": accept})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body[:300]
        return body, answer.headers["Content-Type"]

    ((_, content),) = wado.parts(*read(path, 'multipart/related; type="application/dicom"'))
    assert elements(content) == elements(one.file_bytes())
    ((_, frame),) = wado.parts(*read(path + "/frames/1", 'multipart/related; type="application/octet-stream"'))
    status, body, headers = cluster.get(
        "/" + path + "/frames/1", accept='multipart/related; type="application/octet-stream"'
    )
    assert status == 200
    assert frame == wado.parts(body, headers["Content-Type"])[0][1]
    (theirs,) = json.loads(read(path + "/metadata", "application/dicom+json")[0])
    (ours,) = json.loads(cluster.get("/" + path + "/metadata", accept="application/dicom+json")[1])
    for tag in ("00080016", "00080018", "00080060", "00100010", "00100020", "0020000D", "0020000E", "00200013", "00280010"):
        assert theirs[tag] == ours[tag], tag
