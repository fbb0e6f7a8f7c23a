# SPDX-License-Identifier: Apache-2.0
"""WADO-RS bulk data: every URI that metadata name, pixel data included, whole and by ranges."""

import os

import numpy
import part10
import pydicom
import pytest
import requests
from dicomweb_client import DICOMwebClient
from support import compare, odd, wado
from support.phantom import PIXEL_DATA, uid
from support.sender import store_one
from test_large import multi_frame

OCTETS = "application/octet-stream"


def fetch(url, accept=OCTETS, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.get(url, headers={"Accept": accept, **headers}, timeout=60)


def uris(model):
    """Every BulkDataURI of a JSON model, those in sequences included."""
    for entry in model.values():
        if "BulkDataURI" in entry:
            yield entry["BulkDataURI"]
        for item in entry.get("Value", []) if entry["vr"] == "SQ" else []:
            yield from uris(item)


@pytest.fixture(scope="module")
def large(cluster, tmp_path_factory):
    """An instance of sixty frames, compressed by the archive, its pixel data, and their URI."""
    one = multi_frame("bulkdata", 60)
    directory = tmp_path_factory.mktemp("bulkdata")
    (directory / "one.dcm").write_bytes(one.file_bytes())
    done = cluster.run("store", "--port", str(cluster.port), str(directory))
    assert done.returncode == 0, done.stderr
    pixels = next(
        one.data_set[value:end] for tag, _, _, value, end in part10.elements(one.data_set) if tag == PIXEL_DATA
    )
    (model,) = cluster.json("/dicom-web/%s/metadata" % one.path)
    assert model["7FE00010"]["vr"] == "OW"
    return one, pixels, model["7FE00010"]["BulkDataURI"]


def test_pixel_data_whole(cluster, large):
    one, pixels, uri = large
    assert uri.endswith("/%s/bulkdata/7FE00010" % one.path)
    single = fetch(uri)
    assert (single.status_code, single.headers["Content-Type"]) == (200, OCTETS)
    assert single.headers["Accept-Ranges"] == "bytes"
    assert single.content == pixels
    ((headers, contents),) = wado.parts(*(lambda answer: (answer.content, answer.headers["Content-Type"]))(
        fetch(uri, 'multipart/related; type="application/octet-stream"')
    ))  # fmt: skip
    assert contents == pixels and headers["content-location"] == uri
    client = DICOMwebClient(url=cluster.dicomweb)
    assert client.retrieve_bulkdata(uri) == [pixels]
    stored = fetch(uri, 'multipart/related; type="application/octet-stream"; transfer-syntax=*')
    frames = wado.parts(stored.content, stored.headers["Content-Type"])
    assert len(frames) == 60 and all("1.2.840.10008.1.2.4.80" in head["content-type"] for head, _ in frames)


def test_pixel_data_by_ranges(large):
    _, pixels, uri = large
    count = len(pixels)
    frame = count // 60
    tag = fetch(uri).headers["ETag"]
    for first, last in ((0, 0), (0, frame - 1), (frame - 1, frame), (7, 3 * frame + 5), (count - 1, count - 1), (59 * frame, count)):
        answer = fetch(uri, Range="bytes=%d-%d" % (first, last))
        end = min(last + 1, count)
        assert answer.status_code == 206
        assert answer.headers["Content-Range"] == "bytes %d-%d/%d" % (first, end - 1, count)
        assert answer.content == pixels[first:end], (first, last)
        assert answer.headers["ETag"] == tag
    assert fetch(uri, Range="bytes=-100").content == pixels[-100:]
    assert fetch(uri, Range="bytes=%d-" % (count - 9)).content == pixels[-9:]
    beyond = fetch(uri, Range="bytes=%d-" % count)
    assert beyond.status_code == 416 and beyond.headers["Content-Range"] == "bytes */%d" % count
    for ignored in ("bytes=5-1", "bytes=0-1,5-6", "items=0-1"):
        assert fetch(uri, Range=ignored).status_code == 200, ignored
    # A client that has begun with other bytes gets all of them.
    assert fetch(uri, Range="bytes=0-9", If_Range=tag).status_code == 206
    assert fetch(uri, Range="bytes=0-9", If_Range='"other"').content == pixels
    assert fetch(uri, If_None_Match=tag).status_code == 304


@pytest.mark.parametrize("name", ["MR2_UNCR.dcm", "emri_small_big_endian.dcm", "SC_rgb_expb_16bit.dcm", "liver_nonbyte_aligned.dcm",
                                  "emri_small_RLE.dcm", "SC_rgb_dcmtk_ebcynp_dcmd.dcm", "parametric_map_float.dcm"])  # fmt: skip
def test_pixel_data_of_other_kinds(cluster, corpus, name):
    path, data, syntax = odd.store(cluster, corpus, name, "bulkdata")
    (model,) = cluster.json("/dicom-web/%s/metadata" % path)
    (uri,) = [uri for uri in uris(model) if uri.split("/")[-1].startswith("7FE0") and uri.split("/")[-2] == "bulkdata"]
    contents = fetch(uri).content
    keyword = next(word for word in compare.PIXEL_KEYWORDS if word in data)
    if pydicom.uid.UID(syntax).is_compressed:
        expected = pydicom.pixels.pixel_array(data, raw=True)
        assert contents == expected.astype(expected.dtype.newbyteorder("<")).tobytes()
    else:
        expected = bytes(data[keyword].value)
        if syntax == "1.2.840.10008.1.2.2" and data.BitsAllocated > 8:
            expected = numpy.frombuffer(expected, ">u%d" % (data.BitsAllocated // 8)).astype("<u%d" % (data.BitsAllocated // 8)).tobytes()
        assert contents == expected
    middle = len(contents) // 2
    assert fetch(uri, Range="bytes=%d-%d" % (middle - 3, middle + 2)).content == contents[middle - 3 : middle + 3]


def test_every_uri_that_metadata_name(cluster, corpus):
    found = 0
    for name in ("ct-ge-human/01.dcm", "mr-7t-structural/000.dcm", "odd/mlut_18.dcm", "odd/eCT_Supplemental.dcm"):
        meta, data_set = part10.split(open(os.path.join(corpus, name), "rb").read())
        data = compare.read(part10.transfer_syntax(meta), data_set)
        store_one(cluster.port, str(data.SOPClassUID), str(data.SOPInstanceUID), part10.transfer_syntax(meta), data_set)
        path = wado.instance_path(data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID)
        (model,) = cluster.json("/dicom-web/%s/metadata" % path)
        for uri in uris(model):
            steps = uri.split("/bulkdata/")[1].split("/")
            place = data
            for tag, item in zip(steps[:-1:2], steps[1::2]):
                place = place[int(tag, 16)].value[int(item)]
            value = place[int(steps[-1], 16)].value
            contents = fetch(uri).content
            assert contents == (value if isinstance(value, bytes) else bytes(value)), uri
            assert fetch(uri, Range="bytes=2-9").content == contents[2:10]
            found += 1
    assert found >= 4
    assert fetch(cluster.dicomweb + "/" + path + "/bulkdata/00100010").status_code in (200, 404)
    assert fetch(cluster.dicomweb + "/" + path + "/bulkdata/00990099").status_code == 404
    assert fetch(cluster.dicomweb + "/" + path + "/bulkdata/nonsense").status_code == 404
