# SPDX-License-Identifier: Apache-2.0
"""WADO-RS rendered images and thumbnails, judged by pydicom's transformations and Pillow's decoders and scaling."""

import io
import warnings

import numpy
import PIL.Image
import pydicom
import pydicom.pixels.processing as processing
import pytest
import requests
from dicomweb_client import DICOMwebClient
from support import odd, wado

GREY = (
    "MR2_UNCR.dcm", "MR2_J2KR.dcm", "JPEG-LL.dcm", "JLSL_16_15_1_1F.dcm", "emri_small.dcm", "emri_small_RLE.dcm",
    "RG3_J2KR.dcm", "mlut_18.dcm", "vlut_04.dcm", "MR-SIEMENS-DICOM-WithOverlays.dcm", "liver.dcm", "JLSL_08_07_0_1F.dcm",
)  # fmt: skip
COLOUR = (
    "SC_rgb.dcm", "SC_rgb_16bit.dcm", "SC_rgb_32bit.dcm", "color-pl.dcm", "color-px.dcm", "SC_ybr_full_uncompressed.dcm",
    "SC_rgb_dcmtk_ebcr_dcmd.dcm", "OT-PAL-8-face.dcm", "gdcm-US-ALOKA-16.dcm", "gdcm-US-ALOKA-16_big.dcm",
    "SC_rgb_gdcm2k_uncompressed.dcm", "US1_J2KR.dcm", "SC_rgb_expb.dcm",
)  # fmt: skip


def store(cluster, corpus, name):
    """Stores a file of the corpus under UIDs of the test's own; (its path, its data set)."""
    return odd.store(cluster, corpus, name, "rendered")[:2]


def get(cluster, path, accept="image/png"):
    return requests.get(cluster.dicomweb + "/" + path, headers={"Accept": accept}, timeout=60)


def picture(cluster, path, accept="image/png"):
    answer = get(cluster, path, accept)
    assert answer.status_code == 200, answer.content[:300]
    assert answer.headers["Content-Type"] == accept
    return numpy.asarray(PIL.Image.open(io.BytesIO(answer.content)))


def levels(data, pixels):
    """Grey levels of the first frame, by pydicom's Modality and VOI transformations."""
    values = processing.apply_modality_lut(pixels, data)
    if "WindowCenter" in data:
        shown = processing.apply_windowing(values, data, index=0).astype(float)
        # pydicom's range is that of the stored bits, or of what rescaling makes of them.
        low, high = _range(data)
    elif "VOILUTSequence" in data:
        shown = processing.apply_voi(values, data, index=0).astype(float)
        low, high = 0, 2 ** data.VOILUTSequence[0].LUTDescriptor[2] - 1
    else:
        shown = values.astype(float)
        low, high = shown.min(), shown.max()
    grey = (shown - low) / (high - low) * 255 if high > low else shown * 0 + 127.5
    return 255 - grey if data.PhotometricInterpretation == "MONOCHROME1" else grey


def _range(data):
    if "ModalityLUTSequence" in data:
        return 0, 2 ** data.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    low = -(2 ** (data.BitsStored - 1)) if data.PixelRepresentation else 0
    high = low + 2**data.BitsStored - 1
    slope, intercept = float(data.get("RescaleSlope", 1)), float(data.get("RescaleIntercept", 0))
    return low * slope + intercept, high * slope + intercept


@pytest.mark.parametrize("name", GREY)
def test_grey_levels_as_pydicom_has_them(cluster, corpus, name):
    path, data = store(cluster, corpus, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pixels = pydicom.pixels.pixel_array(data, index=0)
        expected = levels(data, pixels)
    found = picture(cluster, path + "/frames/1/rendered")
    assert found.shape == expected.shape
    assert numpy.abs(found - expected).max() <= 1
    assert len(numpy.unique(found)) > 1


@pytest.mark.parametrize("name", COLOUR)
def test_colours_as_pydicom_has_them(cluster, corpus, name):
    path, data = store(cluster, corpus, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if data.PhotometricInterpretation == "PALETTE COLOR":
            expected = processing.apply_color_lut(pydicom.pixels.pixel_array(data, index=0), data)
            if expected.dtype == numpy.uint16:
                expected = expected >> 8
        else:
            expected = pydicom.pixels.pixel_array(data, index=0, raw=False).astype(float)
            if data.BitsStored > 8:
                expected = expected // 2 ** (data.BitsStored - 8)
        if "PixelAspectRatio" in data:
            vertical, horizontal = data.PixelAspectRatio
            assert vertical > horizontal
            size = (data.Columns, round(data.Rows * vertical / horizontal))
            expected = PIL.Image.fromarray(expected.astype(numpy.uint8)).resize(size, PIL.Image.Resampling.BILINEAR)
    found = picture(cluster, path + "/rendered")
    assert found.shape == numpy.shape(expected)
    assert numpy.abs(found.astype(float) - expected).max() <= 1


@pytest.mark.parametrize("function", ["linear", "linear-exact", "sigmoid"])
def test_the_window_of_the_request(cluster, corpus, function):
    path, data = store(cluster, corpus, "MR2_UNCR.dcm")
    data.WindowCenter, data.WindowWidth = 700, 1100
    data.VOILUTFunction = function.upper().replace("-", "_")
    expected = levels(data, pydicom.pixels.pixel_array(data))
    found = picture(cluster, path + "/rendered?window=700,1100," + function)
    assert numpy.abs(found - expected).max() <= 1
    other = picture(cluster, path + "/rendered?window=300,200," + function)
    assert numpy.abs(other.astype(int) - found).max() > 50


def test_sizes_and_regions_as_pillow_has_them(cluster, corpus):
    for name in ("MR2_UNCR.dcm", "US1_J2KR.dcm"):
        path, data = store(cluster, corpus, name)
        whole = PIL.Image.fromarray(picture(cluster, path + "/rendered"))
        width, height = whole.size
        for size in (64, 300, 1500):
            found = picture(cluster, path + "/rendered?viewport=%d,%d" % (size, size))
            scale = size / max(width, height)
            expected = whole.resize((round(width * scale), round(height * scale)), PIL.Image.Resampling.BILINEAR)
            assert found.shape[:2] == (expected.height, expected.width)
            assert numpy.abs(found.astype(int) - numpy.asarray(expected)).max() <= 1
        region = picture(cluster, path + "/rendered?viewport=100,80,20,30,100,80")
        assert (region == numpy.asarray(whole)[30:110, 20:120]).all()
        mirrored = picture(cluster, path + "/rendered?viewport=100,80,20,30,-100,80")
        assert (mirrored == region[:, ::-1]).all()
        assert get(cluster, path + "/rendered?viewport=10,10,0,0,9999,1").status_code == 400


def test_jpeg_and_its_quality(cluster, corpus):
    path, _ = store(cluster, corpus, "MR2_UNCR.dcm")
    exact = picture(cluster, path + "/rendered").astype(int)
    sizes = []
    for quality in (100, 90, 20):
        answer = get(cluster, path + "/rendered?quality=%d" % quality, "image/jpeg")
        assert answer.content[:3] == b"\xff\xd8\xff"
        sizes.append(len(answer.content))
        found = numpy.asarray(PIL.Image.open(io.BytesIO(answer.content)))
        assert numpy.abs(exact - found).mean() < (1 if quality == 100 else 12)
    assert sizes == sorted(sizes, reverse=True)
    assert get(cluster, path + "/rendered", "*/*").headers["Content-Type"] == "image/jpeg"
    assert len(get(cluster, path + "/rendered", "*/*").content) == sizes[1]
    for wrong in ("quality=0", "window=1,2", "viewport=0,1"):
        assert get(cluster, path + "/rendered?" + wrong).status_code == 400
    assert get(cluster, path + "/rendered", "image/gif").status_code == 406
    warned = get(cluster, path + "/rendered?annotation=patient")
    assert warned.status_code == 200 and "annotation" in warned.headers["Warning"]


def test_frames_series_and_studies(cluster, corpus, study):
    path, data = store(cluster, corpus, "emri_small.dcm")
    count = int(data.NumberOfFrames)
    answer = get(cluster, path + "/rendered", 'multipart/related; type="image/png"')
    frames = wado.parts(answer.content, answer.headers["Content-Type"])
    assert len(frames) == count
    for number, (headers, contents) in enumerate(frames, 1):
        assert headers["content-type"] == "image/png"
        assert headers["content-location"].endswith("%s/frames/%d/rendered" % (path, number))
        assert contents == get(cluster, "%s/frames/%d/rendered" % (path, number)).content
    assert len({contents for _, contents in frames}) == count
    first = get(cluster, path + "/rendered")
    assert first.content == frames[0][1] and str(count) in first.headers["Warning"]
    some = get(cluster, path + "/frames/2,4/rendered", 'multipart/related; type="image/png"')
    assert [body for _, body in wado.parts(some.content, some.headers["Content-Type"])] == [frames[1][1], frames[3][1]]
    assert get(cluster, path + "/frames/%d/rendered" % (count + 1)).status_code == 404
    for place, expected in (("studies/" + study[0].study, 8), ("studies/%s/series/%s" % (study[0].study, study[0].series), 4)):
        whole = get(cluster, place + "/rendered", "*/*")
        pictures = wado.parts(whole.content, whole.headers["Content-Type"])
        assert len(pictures) == expected
        assert all(PIL.Image.open(io.BytesIO(body)).size == (256, 256) for _, body in pictures)
        assert get(cluster, place + "/rendered", "image/jpeg").status_code == 406
        again = requests.get(cluster.dicomweb + "/" + place + "/rendered", headers={"If-None-Match": whole.headers["ETag"]}, timeout=60)
        assert again.status_code == 304


def test_thumbnails(cluster, corpus, study):
    one = study[0]
    series = "studies/%s/series/%s" % (one.study, one.series)
    for path in ("studies/" + one.study, series, one.path, one.path + "/frames/1"):
        found = picture(cluster, path + "/thumbnail", "image/jpeg")
        assert found.shape == (128, 128)
        assert picture(cluster, path + "/thumbnail?viewport=40,90").shape == (40, 40)
    assert get(cluster, one.path + "/thumbnail?viewport=4,4,0,0,2,2").status_code == 400
    client = DICOMwebClient(url=cluster.dicomweb)
    rendered = client.retrieve_instance_rendered(one.study, one.series, one.sop_instance, media_types=("image/png",))
    assert PIL.Image.open(io.BytesIO(rendered)).size == (256, 256)


def test_what_is_no_image(cluster, corpus):
    path, _ = store(cluster, corpus, "parametric_map_float.dcm")
    refused = get(cluster, path + "/rendered")
    assert refused.status_code == 406 and refused.json()["message"]
