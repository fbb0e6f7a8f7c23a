# SPDX-License-Identifier: Apache-2.0
"""Instances of the tests' own: the quickstart's phantom under other UIDs, made in memory."""

import functools
import hashlib
from dataclasses import dataclass

import make_study
import part10

PIXEL_DATA = 0x7FE00010


@dataclass(frozen=True)
class Instance:
    sop_class: str
    sop_instance: str
    series: str
    study: str
    data_set: bytes
    syntax: str = part10.EXPLICIT_LITTLE_ENDIAN

    @property
    def path(self):
        return "studies/%s/series/%s/instances/%s" % (self.study, self.series, self.sop_instance)

    @property
    def digest(self):
        return hashlib.sha256(self.data_set).hexdigest()

    def file_bytes(self):
        return part10.file_bytes(self.sop_class, self.sop_instance, self.syntax, self.data_set)


def uid(*words):
    digest = hashlib.sha256("/".join(str(word) for word in words).encode()).digest()
    return "2.25.%d" % int.from_bytes(digest[:16], "big")


@functools.cache
def _slice(index):
    data_set = make_study.data_set(index)
    for tag, _, _, value, end in part10.elements(data_set):
        if tag == PIXEL_DATA:
            return data_set, data_set[value:end]


def instance(label, index, study=0, series=0, values=None):
    """One instance; the same arguments give the same bytes. `values` replaces top-level elements."""
    data_set, pixels = _slice(index % make_study.SLICE_COUNT)
    shift = index // make_study.SLICE_COUNT % make_study.SIDE * make_study.SIDE * 2
    study_uid = uid(label, "study", study)
    series_uid = uid(label, "series", study, series)
    sop_instance = uid(label, "instance", study, series, index)
    replaced = {
        0x00080018: sop_instance.encode(),
        0x00100020: ("%s-%d" % (label, study)).encode()[:64],
        0x0020000D: study_uid.encode(),
        0x0020000E: series_uid.encode(),
        0x00200013: b"%d" % (index + 1),
        PIXEL_DATA: pixels[shift:] + pixels[:shift],
    }
    replaced.update(values or {})
    data_set = part10.replacing(data_set, replaced)
    return Instance(make_study.CT_IMAGE_STORAGE, sop_instance, series_uid, study_uid, data_set)
