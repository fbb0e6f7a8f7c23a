# SPDX-License-Identifier: Apache-2.0
"""Instances and frames in the compressed transfer syntax that a client asks for, judged by pydicom's decoders."""

import io

import numpy
import pydicom
import pytest
import requests
from dicomweb_client import DICOMwebClient
from support import odd, wado

SYNTAXES = {"JPEG-LS": "1.2.840.10008.1.2.4.80", "JPEG 2000": "1.2.840.10008.1.2.4.90", "RLE": "1.2.840.10008.1.2.5"}


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize("name", ["MR2_UNCR.dcm", "color-pl.dcm", "emri_small_RLE.dcm", "emri_small_big_endian.dcm", "JPEG-LL.dcm"])
def test_pixels_stay_what_they_were(cluster, corpus, name, syntax):
    path, data, _ = odd.store(cluster, corpus, name, "transcoding")
    expected = pydicom.pixels.pixel_array(data, raw=True)
    answer = requests.get(
        "%s/%s" % (cluster.dicomweb, path), headers={"Accept": "application/dicom; transfer-syntax=" + syntax}, timeout=60
    )
    assert answer.status_code == 200, answer.content[:300]
    found = pydicom.dcmread(io.BytesIO(answer.content))
    assert found.file_meta.TransferSyntaxUID == syntax
    assert numpy.array_equal(pydicom.pixels.pixel_array(found, raw=True), expected)
    assert found.PatientName == data.PatientName
    accept = 'multipart/related; type="application/octet-stream"; transfer-syntax=' + syntax
    ((headers, frame),) = wado.retrieve(cluster, path + "/frames/1", accept)
    assert syntax in headers["content-type"]
    if "NumberOfFrames" not in data:
        fragments = pydicom.encaps.generate_frames(found.PixelData, number_of_frames=1)
        assert frame.rstrip(b"\0") == next(fragments).rstrip(b"\0")


def test_a_study_for_a_client_of_one_syntax(cluster, study):
    client = DICOMwebClient(url=cluster.dicomweb)
    found = client.retrieve_study(study[0].study, media_types=(("application/dicom", SYNTAXES["RLE"]),))
    assert len(found) == 8
    by_uid = {one.sop_instance: one for one in study}
    for data in found:
        assert data.file_meta.TransferSyntaxUID == SYNTAXES["RLE"]
        sent = pydicom.dcmread(io.BytesIO(by_uid[data.SOPInstanceUID].file_bytes()))
        assert numpy.array_equal(data.pixel_array, sent.pixel_array)
