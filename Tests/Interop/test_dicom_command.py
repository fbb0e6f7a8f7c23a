# SPDX-License-Identifier: Apache-2.0
"""`varve dicom dump|check|convert` over real files, judged by pydicom."""

import glob
import json
import os
import subprocess
import warnings

import numpy
import pydicom
import pytest
from support import compare
from support.cluster import binary

SYNTAXES = {
    "explicit": "1.2.840.10008.1.2.1",
    "implicit": "1.2.840.10008.1.2",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "HTJ2K": "1.2.840.10008.1.2.4.201",
    "RLE": "1.2.840.10008.1.2.5",
}
FILES = (
    "ct-ge-human/*", "odd/SC_rgb_2frame.dcm", "odd/emri_small.dcm", "odd/emri_small_RLE.dcm", "odd/US1_J2KR.dcm",
    "odd/JPEG-LL.dcm", "odd/emri_small_jpeg_ls_lossless.dcm", "odd/color-pl.dcm", "odd/SC_rgb_expb_16bit.dcm",
    "odd/HTJ2KLossless_08_RGB.dcm", "odd/MR2_UNCR.dcm",
)  # fmt: skip


def varve(*arguments):
    return subprocess.run([binary(), "dicom", *arguments], capture_output=True, text=True, timeout=120)


def files(corpus):
    for pattern in FILES:
        yield sorted(glob.glob(os.path.join(corpus, pattern)))[0]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SYNTAXES)
def test_convert(corpus, tmp_path, name):
    for number, path in enumerate(files(corpus)):
        out = str(tmp_path / ("%d.dcm" % number))
        done = varve("convert", path, out, "--transfer-syntax", SYNTAXES[name])
        assert done.returncode == 0, (path, done.stderr)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sent, got = pydicom.dcmread(path, force=True), pydicom.dcmread(out)
            assert got.file_meta.TransferSyntaxUID == SYNTAXES[name]
            assert numpy.array_equal(compare.pixels(sent), compare.pixels(got)), path
            differences = compare.elements(
                sent, got, compare.CODING_KEYWORDS, is_big_endian=sent.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.2"
            )
            if name == "implicit":  # which has no VRs for private elements
                differences = [text for text in differences if int(text[1:5], 16) % 2 == 0]
            assert not differences, (path, differences)
        again = varve("convert", path, out, "--transfer-syntax", SYNTAXES[name])
        assert again.returncode != 0 and "exists" in again.stderr


def test_dump_check_and_json(corpus, tmp_path):
    path = next(files(corpus))
    dump = varve("dump", path)
    assert dump.returncode == 0 and "(0010,0010)" in dump.stdout and "PatientName" in dump.stdout.replace(" ", "")
    assert varve("check", path).returncode == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(path)
        data[0x00080020]._value = "1 May 26"
        data.save_as(tmp_path / "faulty.dcm")
    faulty = varve("check", str(tmp_path / "faulty.dcm"))
    assert faulty.returncode == 1
    assert "(0008,0020)" in faulty.stdout and "PS3.5" in faulty.stdout
    out = tmp_path / "out.json"
    done = varve("convert", path, str(out), "--json")
    assert done.returncode == 0, done.stderr
    model = json.loads(out.read_text())
    assert (model if isinstance(model, dict) else model[0])["00080018"]["Value"] == [str(data.SOPInstanceUID)]
    missing = varve("dump", str(tmp_path / "nothing.dcm"))
    assert missing.returncode != 0 and "nothing.dcm" in missing.stderr
    (tmp_path / "text.dcm").write_text("no DICOM at all")
    assert varve("check", str(tmp_path / "text.dcm")).returncode != 0
