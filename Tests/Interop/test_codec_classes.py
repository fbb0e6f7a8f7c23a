# SPDX-License-Identifier: Apache-2.0
"""The codec classes: what each stores real images as, read by pydicom and given back byte for byte."""

import glob
import os
import warnings

import numpy
import part10
import pytest
from conftest import _run_cluster
from support import compare, wado
from support.phantom import uid
from support.sender import store_one

JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
HTJ2K = "1.2.840.10008.1.2.4.201"
# One grey series and images of each kind of colour; two of the ultrasound series, so that the second finds a choice.
FILES = (
    "ct-ge-human/*", "mr-7t-structural/*", "odd/SC_rgb.dcm", "odd/SC_rgb_16bit_2frame.dcm", "odd/US1_UNCR.dcm",
    "odd/SC_ybr_full_uncompressed.dcm", "odd/US1_UNCI.dcm", "odd/color-pl.dcm", "odd/MR2_UNCR.dcm",
)  # fmt: skip


def _paths(corpus):
    for pattern in FILES:
        yield from sorted(glob.glob(os.path.join(corpus, pattern)))[:3]


def _sent(corpus, label):
    """[(name, study, series, instance, syntax, data set)], each file in a series of its folder or its own."""
    for path in _paths(corpus):
        meta, data_set = part10.split(open(path, "rb").read())
        syntax = part10.transfer_syntax(meta)
        if syntax != part10.EXPLICIT_LITTLE_ENDIAN:
            continue
        name = os.path.basename(path)
        folder = os.path.basename(os.path.dirname(path))
        series = uid(label, folder if folder != "odd" else name, "series")
        one = (uid(label, "study"), series, uid(label, folder, name, "instance"))
        changed = part10.replacing(data_set, {
            0x00080018: one[2].encode(), 0x0020000D: one[0].encode(), 0x0020000E: series.encode()})  # fmt: skip
        yield (name, *one, syntax, changed)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("codec_class", ["fast", "dense"])
def test_images_of_all_kinds(corpus, codec_class):
    for cluster in _run_cluster(options=["--codec", codec_class]):
        seen = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, study, series, instance, syntax, data_set in _sent(corpus, codec_class):
                sent = compare.read(syntax, data_set)
                assert store_one(cluster.port, str(sent.SOPClassUID), instance, syntax, data_set) == 0, name
                stored_syntax, stored = wado.data_set(cluster, study, series, instance, wado.AS_STORED)
                seen.setdefault(series, set()).add(stored_syntax)
                got = compare.read(stored_syntax, stored)
                assert not compare.elements(sent, got, ignored=compare.CODING_KEYWORDS), name
                assert numpy.array_equal(compare.pixels(sent), compare.pixels(got)), name
                if sent.PhotometricInterpretation == "RGB" and stored_syntax in (JPEG_2000, HTJ2K):
                    assert got.PhotometricInterpretation in ("RGB", "YBR_RCT"), name
                assert wado.data_set(cluster, study, series, instance) == (syntax, data_set), name
        syntaxes = set().union(*seen.values())
        assert all(len(kinds) == 1 for kinds in seen.values()), "a series was stored in several ways"
        detail = cluster.study(study)
        if codec_class == "fast":
            assert syntaxes == {HTJ2K}
            assert detail["codecs"] == []
        else:
            assert syntaxes == {JPEG_LS, JPEG_2000}
            assert {choice["seriesInstanceUID"] for choice in detail["codecs"]} == set(seen)
            print([(choice["codec"], choice["trial"]) for choice in detail["codecs"]])
            shown = cluster.run("study", "show", study)
            assert "codec       " in shown.stdout, shown.stdout
