# SPDX-License-Identifier: Apache-2.0
"""Makes a small CT study to try Varve with: a head phantom in 8 slices, 256x256, 16 bits.

usage: make_study.py DIRECTORY

The same files every time: the noise comes from a fixed seed and the UIDs are fixed, under 2.25.
"""

import array
import os
import random
import struct
import sys

import part10

SLICE_COUNT = 8
SIDE = 256
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
STUDY = "2.25.95801230496271360541871029431207746801"
SERIES = "2.25.95801230496271360541871029431207746802"
INSTANCE = "2.25.9580123049627136054187102943120774681%d"


def pixels(index):
    """Air, a ring of bone, brain with two ventricles, and the noise that a scanner adds."""
    noise = random.Random(4711 + index)
    values = array.array("H")
    middle = (SIDE - 1) / 2
    radius = 95 - 2 * abs(index - SLICE_COUNT / 2)
    for row in range(SIDE):
        for column in range(SIDE):
            x, y = column - middle, (row - middle) * 0.85
            distance = x * x + y * y
            if distance > radius * radius:
                hounsfield = -1000
            elif distance > (radius - 9) ** 2:
                hounsfield = 900
            elif (abs(x) - 18) ** 2 / 90 + y * y / 700 < 1:
                hounsfield = 8
            else:
                hounsfield = 35
            values.append(max(0, hounsfield + 1024 + round(noise.gauss(0, 6))))
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def data_set(index):
    def us(number, value):
        return part10.element(0x0028, number, "US", struct.pack("<H", value))

    element = part10.element
    return b"".join((
        element(0x0008, 0x0008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        element(0x0008, 0x0016, "UI", CT_IMAGE_STORAGE),
        element(0x0008, 0x0018, "UI", INSTANCE % index),
        element(0x0008, 0x0020, "DA", "20240102"),
        element(0x0008, 0x0021, "DA", "20240102"),
        element(0x0008, 0x0030, "TM", "101500"),
        element(0x0008, 0x0050, "SH", "VARVE0001"),
        element(0x0008, 0x0060, "CS", "CT"),
        element(0x0008, 0x0070, "LO", "Varve"),
        element(0x0008, 0x0090, "PN", "Example^Referrer"),
        element(0x0008, 0x1030, "LO", "Head phantom"),
        element(0x0008, 0x103E, "LO", "Axial 5 mm"),
        element(0x0010, 0x0010, "PN", "Phantom^Quickstart"),
        element(0x0010, 0x0020, "LO", "QUICKSTART"),
        element(0x0010, 0x0030, "DA", "19700101"),
        element(0x0010, 0x0040, "CS", "O"),
        element(0x0018, 0x0015, "CS", "HEAD"),
        element(0x0018, 0x0050, "DS", "5"),
        element(0x0020, 0x000D, "UI", STUDY),
        element(0x0020, 0x000E, "UI", SERIES),
        element(0x0020, 0x0010, "SH", "1"),
        element(0x0020, 0x0011, "IS", "1"),
        element(0x0020, 0x0013, "IS", str(index + 1)),
        element(0x0020, 0x0032, "DS", "-127.5\\-127.5\\%d" % (5 * index)),
        element(0x0020, 0x0037, "DS", "1\\0\\0\\0\\1\\0"),
        us(0x0002, 1),
        element(0x0028, 0x0004, "CS", "MONOCHROME2"),
        us(0x0010, SIDE),
        us(0x0011, SIDE),
        element(0x0028, 0x0030, "DS", "1\\1"),
        us(0x0100, 16),
        us(0x0101, 12),
        us(0x0102, 11),
        us(0x0103, 0),
        element(0x0028, 0x1050, "DS", "40"),
        element(0x0028, 0x1051, "DS", "80"),
        element(0x0028, 0x1052, "DS", "-1024"),
        element(0x0028, 0x1053, "DS", "1"),
        element(0x7FE0, 0x0010, "OW", pixels(index)),
    ))  # fmt: skip


def main(directory):
    os.makedirs(directory, exist_ok=True)
    for index in range(SLICE_COUNT):
        contents = part10.file_bytes(
            CT_IMAGE_STORAGE, INSTANCE % index, part10.EXPLICIT_LITTLE_ENDIAN, data_set(index)
        )
        with open(os.path.join(directory, "slice-%d.dcm" % (index + 1)), "wb") as file:
            file.write(contents)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: make_study.py DIRECTORY")
    main(sys.argv[1])
