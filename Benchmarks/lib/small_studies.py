# SPDX-License-Identifier: Apache-2.0
"""Makes many studies of tiny CT instances for the query benchmark, and knows what each query must find.

Two studies a patient, ten patients a family name, five studies a day, each with two series of two instances; and series of
many instances in studies of their own. No study is like another in what is asked for.
"""

import datetime
import glob
import os
import struct

from dimse_requests import CT_IMAGE_STORAGE
from instances import part10, uid  # the former is elsewhere, it knows where

SIDE = 8
SERIES, INSTANCES = 2, 2
PER_PATIENT, PER_FAMILY, PER_DAY = 2, 20, 5
DAYS = 3
FIRST_DAY = datetime.date(2020, 1, 1)


def study_uid(number):
    return uid("query", "study", number)


def series_uid(study, series):
    return uid("query", "series", study, series)


def patient_id(number):
    return "QUERY%06d" % (number // PER_PATIENT)


def family(number):
    return "Family%05d" % (number // PER_FAMILY)


def accession(number):
    return "ACC%08d" % number


def day(number):
    return (FIRST_DAY + datetime.timedelta(number // PER_DAY)).strftime("%Y%m%d")


def _data_set(study, series, index, is_large):
    element = part10.element

    def us(number, value):
        return element(0x0028, number, "US", struct.pack("<H", value))

    patient = study // PER_PATIENT
    kind = "L" if is_large else ""
    sop_instance = uid("query", "instance", kind, study, series, index)
    pixels = struct.pack("<H", (study * 31 + series * 7 + index) % 4096) * (SIDE * SIDE)
    return sop_instance, b"".join((
        element(0x0008, 0x0008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        element(0x0008, 0x0016, "UI", CT_IMAGE_STORAGE),
        element(0x0008, 0x0018, "UI", sop_instance),
        element(0x0008, 0x0020, "DA", "2015%02d%02d" % (1 + study % 12, 1 + study % 28) if is_large else day(study)),
        element(0x0008, 0x0021, "DA", day(study)),
        element(0x0008, 0x0030, "TM", "%02d%02d00" % (7 + study % 12, study % 60)),
        element(0x0008, 0x0050, "SH", kind + accession(study)),
        element(0x0008, 0x0060, "CS", "CT"),
        element(0x0008, 0x0090, "PN", "Referrer%03d^Anna" % (study % 40)),
        element(0x0008, 0x1030, "LO", ("Thorax", "Abdomen", "Head", "Spine")[study % 4]),
        element(0x0008, 0x103E, "LO", "Series %d" % (1 + series)),
        element(0x0010, 0x0010, "PN", kind + "%s^Given%06d" % (family(study), patient)),
        element(0x0010, 0x0020, "LO", kind + patient_id(study)),
        element(0x0010, 0x0030, "DA", "19%02d%02d%02d" % (30 + patient % 70, 1 + patient % 12, 1 + patient % 28)),
        element(0x0010, 0x0040, "CS", "FM"[patient % 2]),
        element(0x0018, 0x0015, "CS", "CHEST"),
        element(0x0020, 0x000D, "UI", uid("query", "large", study) if is_large else study_uid(study)),
        element(0x0020, 0x000E, "UI", uid("query", "large series", study) if is_large else series_uid(study, series)),
        element(0x0020, 0x0010, "SH", "%d" % study),
        element(0x0020, 0x0011, "IS", "%d" % (1 + series)),
        element(0x0020, 0x0013, "IS", "%d" % (1 + index)),
        us(0x0002, 1),
        element(0x0028, 0x0004, "CS", "MONOCHROME2"),
        us(0x0010, SIDE), us(0x0011, SIDE), us(0x0100, 16), us(0x0101, 12), us(0x0102, 11), us(0x0103, 0),
        element(0x7FE0, 0x0010, "OW", pixels),
    ))  # fmt: skip


def make(directory, studies, large, large_count):
    """Fills `directory`, unless it is filled: `studies` small studies, `large` of `large_count` instances. The files."""
    marker = os.path.join(directory, "complete")
    if not os.path.exists(marker):
        os.makedirs(directory, exist_ok=True)
        wanted = [(study, series, index, False) for study in range(studies)
                  for series in range(SERIES) for index in range(INSTANCES)]  # fmt: skip
        wanted += [(study, 0, index, True) for study in range(large) for index in range(large_count)]
        for number, one in enumerate(wanted):
            sop_instance, data_set = _data_set(*one)
            with open(os.path.join(directory, "%07d.dcm" % number), "wb") as out:
                out.write(part10.file_bytes(CT_IMAGE_STORAGE, sop_instance, part10.EXPLICIT_LITTLE_ENDIAN, data_set))
        open(marker, "w").close()
    return sorted(glob.glob(os.path.join(directory, "*.dcm")))
