# SPDX-License-Identifier: Apache-2.0
"""STOW-RS with metadata as JSON and bulk data in parts (PS3.18 section 10.5.1.1), made and read with pydicom."""

import copy
import glob
import io
import json
import os
import warnings

import part10
import pydicom
import pytest
import requests
from support import wado
from support.phantom import PIXEL_DATA, instance, uid
from test_large import FRAME_BYTE_COUNT, MEBIBYTE, multi_frame, peak_bytes

BOUNDARY = "varve-test"
NATIVE = [
    "MR2_UNCR.dcm", "color-pl.dcm", "SC_rgb_16bit_2frame.dcm", "OBXXXX1A.dcm", "emri_small.dcm", "emri_small_big_endian.dcm",
    "liver_nonbyte_aligned.dcm", "parametric_map_float.dcm", "mlut_18.dcm", "gdcm-US-ALOKA-16.dcm",
]  # fmt: skip
COMPRESSED = {
    "emri_small_jpeg_ls_lossless.dcm": "image/jls",
    "JLSN_RGB_ILV0.dcm": "image/jls",
    "JPEG-LL.dcm": "image/jpeg",
    "MR2_J2KI.dcm": "image/jp2",
    "emri_small_jpeg_2k_lossless.dcm": "image/jp2",
    "HTJ2K_08_RGB.dcm": "image/jphc",
    "HTJ2KLossless_08_RGB.dcm": "image/jphc",
    "OBXXXX1A_rle_2frame.dcm": "image/dicom-rle",
}


def post(cluster, metadata, parts, path="/studies", kind="application/dicom+json", timeout=60):
    """`parts`: [(Content-Location, Content-Type, bytes)], None for no such header; (status, model or message)."""
    pieces = [(None, kind, metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode())] + parts
    body = bytearray()
    for location, content_type, content in pieces:
        body += b"\r\n--" + BOUNDARY.encode() + b"\r\n"
        if content_type:
            body += b"Content-Type: " + content_type.encode() + b"\r\n"
        if location:
            body += b"Content-Location: " + location.encode() + b"\r\n"
        body += b"\r\n" + content
    body += b"\r\n--" + BOUNDARY.encode() + b"--\r\n"
    answer = requests.post(
        cluster.dicomweb + path,
        data=bytes(body),
        headers={
            "Content-Type": 'multipart/related; type="%s"; boundary=%s' % (kind, BOUNDARY),
            "Accept": "application/dicom+json",
        },
        timeout=timeout,
    )
    return answer.status_code, answer.json()


def reasons(model, sequence, tag):
    return [item.get(tag, {}).get("Value", [None])[0] for item in model.get(sequence, {}).get("Value", [])]


def swapped(value, width):
    return b"".join(value[start : start + width][::-1] for start in range(0, len(value), width))


def described(data, base, media=None):
    """(metadata, parts) of a data set: every value of more than 256 bytes is in a part."""
    parts = []
    is_big = data.original_encoding[1] is False

    def uri(element):
        location = "%s/%d" % (base, len(parts))
        if element.tag == PIXEL_DATA and media:
            frames = pydicom.encaps.generate_frames(element.value, number_of_frames=int(data.get("NumberOfFrames", 1)))
            parts.extend((location, media, frame) for frame in frames)
        else:
            width = {"OW": 2, "OF": 4, "OL": 4, "OD": 8}.get(element.VR, 1) if is_big else 1
            parts.append((location, "application/octet-stream", swapped(element.value, width)))
        return location

    metadata = data.to_json_dict(bulk_data_threshold=256, bulk_data_element_handler=uri)
    # As for a client whose value of Pixel Data is short.
    if "7FE00010" in metadata and "InlineBinary" in metadata["7FE00010"]:
        metadata["7FE00010"] = {"vr": metadata["7FE00010"]["vr"], "BulkDataURI": uri(data["PixelData"])}
    return metadata, parts


def read(corpus, name, test):
    """A file of the corpus under UIDs of the test's own."""
    (path,) = glob.glob(os.path.join(corpus, "odd", name))
    data = pydicom.dcmread(path, force=True)
    data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID = [uid(test, name, level) for level in "123"]
    return data


def stored(cluster, data):
    """The instance as it is stored."""
    path = wado.instance_path(data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID)
    ((_, contents),) = wado.retrieve(cluster, path, wado.AS_STORED)
    return pydicom.dcmread(io.BytesIO(contents))


def elements(data):
    """All but what JSON or the archive's compression may change: character set, pixel data, and lengths of groups."""
    data = copy.deepcopy(data)
    for tag in [tag for tag in data.keys() if tag in (PIXEL_DATA, 0x00080005) or tag.group == 0x7FE0 or tag.element == 0]:
        del data[tag]
    return json.loads(json.dumps(data.to_json_dict()))


@pytest.mark.parametrize("name", NATIVE)
def test_native_bulk_data(cluster, corpus, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = read(corpus, name, "described")
        metadata, parts = described(data, "bulk/" + name)
        status, model = post(cluster, [metadata], parts)
        assert status == 200, model
        assert reasons(model, "00081199", "00081155") == [data.SOPInstanceUID]
        url = "%s/%s" % (cluster.dicomweb, wado.instance_path(data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID))
        assert reasons(model, "00081199", "00081190") == [url]
        answer = requests.get(url, headers={"Accept": "application/dicom"}, timeout=60)
        found = pydicom.dcmread(io.BytesIO(answer.content))
        assert found.file_meta.TransferSyntaxUID == part10.EXPLICIT_LITTLE_ENDIAN
        assert elements(found) == elements(data)
        keyword = next(word for word in ("PixelData", "FloatPixelData") if word in data)
        expected = next(content for location, _, content in parts if location == metadata[data[keyword].tag.json_key]["BulkDataURI"])
        assert found[keyword].value == expected


@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed_frames(cluster, corpus, name):
    """Without a transfer-syntax parameter: the stream tells the syntax, whatever the media type's default is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = read(corpus, name, "compressed")
        metadata, parts = described(data, "https://elsewhere.example/bulk", COMPRESSED[name])
        status, model = post(cluster, [metadata], parts)
        assert status == 200, model
        found = stored(cluster, data)
        assert found.file_meta.TransferSyntaxUID == data.file_meta.TransferSyntaxUID
        assert elements(found) == elements(data)
        count = int(data.get("NumberOfFrames", 1))
        frames, expected = ([frame.rstrip(b"\0") for frame in pydicom.encaps.generate_frames(one.PixelData, number_of_frames=count)] for one in (found, data))
        assert frames == expected
        offsets = pydicom.encaps.parse_basic_offsets(found.PixelData)
        assert len(offsets) == count
    # And a frame can be had by its number.
    path = wado.instance_path(data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID)
    accept = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
    ((_, frame),) = wado.retrieve(cluster, "%s/frames/%d" % (path, count), accept)
    assert frame.rstrip(b"\0") == expected[-1]


def test_the_syntax_named_has_to_be_that_of_the_stream(cluster, corpus):
    data = read(corpus, "JLSN_RGB_ILV0.dcm", "misnamed")
    metadata, parts = described(data, "b", "image/jls; transfer-syntax=1.2.840.10008.1.2.4.80")
    status, model = post(cluster, [metadata], parts)
    assert status == 409 and reasons(model, "00081198", "00081197") == [0xC000]
    metadata, parts = described(data, "b", "image/jls; transfer-syntax=1.2.840.10008.1.2.4.81")
    assert post(cluster, [metadata], parts)[0] == 200


def phantoms(label, count):
    return [pydicom.dcmread(io.BytesIO(instance(label, index).file_bytes())) for index in range(count)]


def test_a_series_in_one_request_with_parts_in_any_order(cluster):
    made = phantoms("described-series", 4)
    metadata, parts = [], []
    for index, data in enumerate(made):
        one, more = described(data, "/series/%d" % index)
        metadata.append(one)
        parts += more
    status, model = post(cluster, metadata, parts[::-1], path="/studies/" + made[0].StudyInstanceUID)
    assert status == 200, model
    assert model["00081190"]["Value"] == ["%s/studies/%s" % (cluster.dicomweb, made[0].StudyInstanceUID)]
    for index, data in enumerate(made):
        path = wado.instance_path(data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID)
        found = wado.data_set(cluster, data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID)[1]
        sent = instance("described-series", index).data_set
        assert pydicom.dcmread(io.BytesIO(part10.file_bytes(data.SOPClassUID, data.SOPInstanceUID, part10.EXPLICIT_LITTLE_ENDIAN, found))).PixelData == data.PixelData
        # Sent again, whole: the same content but for the form of the text is another content, or the very same.
        assert len(found) >= len(sent) - 64, path


def test_what_this_archive_says_of_an_instance_can_be_stored(cluster, study):
    """Its own metadata, whose BulkDataURIs are absolute, and its own bulk data, under another SOP Instance UID."""
    one = study[2]
    (metadata,) = requests.get("%s/%s/metadata" % (cluster.dicomweb, one.path), timeout=60).json()
    url = metadata["7FE00010"]["BulkDataURI"]
    answer = requests.get(url, headers={"Accept": "application/octet-stream"}, timeout=60)
    assert answer.status_code == 200
    metadata["00080018"]["Value"] = [uid("described", "again")]
    metadata["0020000D"]["Value"] = [uid("described", "again", "study")]
    metadata["0020000E"]["Value"] = [uid("described", "again", "series")]
    status, model = post(cluster, [metadata], [(url, "application/octet-stream", answer.content)])
    assert status == 200, model
    found = requests.get(reasons(model, "00081199", "00081190")[0], headers={"Accept": "application/dicom"}, timeout=60)
    sent = pydicom.dcmread(io.BytesIO(one.file_bytes()))
    assert pydicom.dcmread(io.BytesIO(found.content)).PixelData == sent.PixelData


def missing(cluster, data):
    path = wado.instance_path(data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID)
    return requests.get("%s/%s/metadata" % (cluster.dicomweb, path), timeout=60).status_code == 404


def test_each_instance_fails_for_itself(cluster):
    made = phantoms("described-failures", 6)
    metadata, parts = [], []
    for index, data in enumerate(made):
        one, more = described(data, "f%d" % index)
        metadata.append(one)
        parts.append(more)
    parts[1] = []
    metadata[2]["00280010"]["Value"] = [1]
    metadata[3]["00200013"]["Value"] = [{"no": "number"}]
    metadata[4]["7FE00010"] = {"vr": "OW", "InlineBinary": "no base64!"}
    parts[4] = []
    metadata[5]["00020010"] = {"vr": "UI", "Value": ["1.2.840.10008.1.2.4.80"]}
    status, model = post(cluster, metadata, [part for some in parts for part in some] + [("nobody", None, b"12")])
    assert status == 202
    assert reasons(model, "00081199", "00081155") == [made[0].SOPInstanceUID]
    assert reasons(model, "00081198", "00081197") == [0xC000] * 6
    failed = reasons(model, "00081198", "00081155")
    assert failed == [made[1].SOPInstanceUID, made[2].SOPInstanceUID, None, None, made[5].SOPInstanceUID, None]
    assert not missing(cluster, made[0])
    assert all(missing(cluster, data) for data in made[1:])
    # Put right, they are stored: nothing of them was.
    metadata, parts = described(made[2], "again")
    assert post(cluster, [metadata], parts)[0] == 200


def test_of_another_study_than_the_url(cluster):
    (data,) = phantoms("described-elsewhere", 1)
    metadata, parts = described(data, "x")
    status, model = post(cluster, [metadata], parts, path="/studies/1.2.3")
    assert status == 409 and reasons(model, "00081198", "00081197") == [0xA900]
    assert missing(cluster, data)


def test_requests_that_are_refused(cluster):
    (data,) = phantoms("described-refused", 1)
    metadata, parts = described(data, "x")
    status, answer = post(cluster, b"<NativeDicomModel/>", parts, kind="application/dicom+xml")
    assert status == 415 and "XML" in answer["message"]
    for broken in (b"", b"[", b"nothing", json.dumps([metadata]).encode()[:-20]):
        status, answer = post(cluster, broken, parts)
        assert status == 400 and answer["message"], broken
    assert post(cluster, [], [])[0] == 400
    status, answer = post(cluster, b" " * (65 * MEBIBYTE) + b"[]", parts)
    assert status == 413 and str(64 * MEBIBYTE) in answer["message"]
    assert missing(cluster, data)


@pytest.mark.timeout(600)
def test_memory_stays_bounded(frail_cluster):
    """256 MiB of bulk data: the ingest node grows by at most 128 MiB."""
    pid = frail_cluster.pid("ingest-1")
    (small,) = phantoms("described-warm", 1)
    metadata, parts = described(small, "w")
    assert post(frail_cluster, [metadata], parts)[0] == 200
    one = multi_frame("described-large", 256 * MEBIBYTE // FRAME_BYTE_COUNT)
    data = pydicom.dcmread(io.BytesIO(one.file_bytes()))
    pixels = data.PixelData
    # pydicom would make text of it first.
    del data.PixelData
    metadata, parts = described(data, "large")
    metadata["7FE00010"] = {"vr": "OW", "BulkDataURI": "large/pixels"}
    parts.append(("large/pixels", "application/octet-stream", pixels))
    before = peak_bytes(pid)
    status, model = post(frail_cluster, [metadata], parts, timeout=500)
    assert status == 200, model
    growth = peak_bytes(pid) - before
    print("ingest node: %d MiB at first, 256 MiB by metadata grew it by %d MiB" % (before / MEBIBYTE, growth / MEBIBYTE))
    assert growth <= 128 * MEBIBYTE
    found = wado.data_set(frail_cluster, one.study, one.series, one.sop_instance)[1]
    assert found[-len(pixels) :] == pixels
