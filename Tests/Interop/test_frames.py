# SPDX-License-Identifier: Apache-2.0
"""WADO-RS frames: every frame of the corpus' images, as pydicom's decoders and the sent bytes have it."""

import warnings

import part10
import pydicom
import pytest
from dicomweb_client import DICOMwebClient
from support import odd, wado
from support.phantom import PIXEL_DATA
from test_large import FRAME_BYTE_COUNT, multi_frame

OCTETS = 'multipart/related; type="application/octet-stream"'
SOME = (
    "SC_rgb_2frame.dcm", "SC_rgb_expb_16bit_2frame.dcm", "emri_small.dcm", "emri_small_big_endian.dcm",
    "emri_small_jpeg_ls_lossless.dcm", "emri_small_jpeg_2k_lossless.dcm", "emri_small_RLE.dcm", "liver.dcm",
    "liver_nonbyte_aligned.dcm", "color-pl.dcm", "OBXXXX1A_rle_2frame.dcm", "OBXXXX1A_expb_2frame.dcm",
)  # fmt: skip


def frames(cluster, path, numbers, accept=OCTETS):
    return wado.retrieve(cluster, "%s/frames/%s" % (path, ",".join(map(str, numbers))), accept)


def test_frames_of_a_large_instance(cluster, tmp_path):
    one = multi_frame("frames", 60)
    (tmp_path / "one.dcm").write_bytes(one.file_bytes())
    done = cluster.run("store", "--port", str(cluster.port), str(tmp_path))
    assert done.returncode == 0, done.stderr
    pixels = next(
        one.data_set[value:end] for tag, _, _, value, end in part10.elements(one.data_set) if tag == PIXEL_DATA
    )
    found = frames(cluster, one.path, (60, 1, 31))
    for number, (headers, contents) in zip((60, 1, 31), found, strict=True):
        assert contents == pixels[(number - 1) * FRAME_BYTE_COUNT : number * FRAME_BYTE_COUNT]
        assert part10.EXPLICIT_LITTLE_ENDIAN in headers["content-type"]
        assert headers["content-location"].endswith("%s/frames/%d" % (one.path, number))
    # More than the node would hold at once: they are sent one after another.
    numbers = list(range(1, 61)) * 4
    for number, (_, contents) in zip(numbers, frames(cluster, one.path, numbers), strict=True):
        assert contents == pixels[(number - 1) * FRAME_BYTE_COUNT : number * FRAME_BYTE_COUNT]
    with pytest.raises(wado.WadoError) as caught:
        frames(cluster, one.path, (61,))
    assert caught.value.status == 404
    for wrong in ("0", "x", "1,,2", ""):
        status, _, _ = cluster.get("/dicom-web/%s/frames/%s" % (one.path, wrong), accept=OCTETS)
        assert status in (400, 404), wrong
    ((headers, contents),) = frames(cluster, one.path, (2,), OCTETS + "; transfer-syntax=*")
    assert "1.2.840.10008.1.2.4.80" in headers["content-type"]
    assert contents[:2] == b"\xff\xd8"
    client = DICOMwebClient(url=cluster.dicomweb)
    got = client.retrieve_instance_frames(one.study, one.series, one.sop_instance, frame_numbers=[3, 4])
    assert got == [pixels[index * FRAME_BYTE_COUNT : (index + 1) * FRAME_BYTE_COUNT] for index in (2, 3)]


@pytest.mark.parametrize("name", SOME)
def test_frames_as_pydicom_has_them(cluster, corpus, name):
    path, data, _ = odd.store(cluster, corpus, name, "frames")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        count = int(data.get("NumberOfFrames", 1))
        numbers = sorted({1, 2, count} & set(range(1, count + 1)))
        found = frames(cluster, path, numbers)
        for number, (_, contents) in zip(numbers, found, strict=True):
            expected = pydicom.pixels.pixel_array(data, index=number - 1, raw=True)
            if data.BitsAllocated == 1:
                assert contents == pydicom.pixels.pack_bits(expected, pad=False), number
                continue
            if data.get("PlanarConfiguration", 0) == 1 and data.SamplesPerPixel > 1:
                expected = expected.transpose(2, 0, 1)
            assert contents == expected.astype(expected.dtype.newbyteorder("<")).tobytes(), number
