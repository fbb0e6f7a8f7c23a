# SPDX-License-Identifier: Apache-2.0
"""Compares data sets as pydicom reads them. Returns differences in words; none means equal."""

from array import array
from io import BytesIO

import part10
import pydicom

PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
# What a lossless change of the pixel data's coding has to change beside the pixels (PS3.5 section 8.2).
CODING_KEYWORDS = frozenset(("PhotometricInterpretation", "PlanarConfiguration", "ExtendedOffsetTable",
                             "ExtendedOffsetTableLengths"))  # fmt: skip


def read(syntax, data, **options):
    """A pydicom data set, with file meta, of data set bytes in a transfer syntax."""
    return pydicom.dcmread(BytesIO(part10.file_bytes("1.2", "1.2", syntax, data)), force=True, **options)


def elements(sent, got, ignored=frozenset(), path="", is_big_endian=False):
    """Differences of every element but pixel data, group lengths and data set trailing padding.

    `is_big_endian` says that `sent` is, and `got` is not.
    """
    differences = []

    def wanted(data_set):
        return {
            int(tag): data_set[tag]
            for tag in data_set.keys()
            if tag.element != 0 and int(tag) not in (0x7FE00008, 0x7FE00009, 0x7FE00010, 0xFFFCFFFC)
        }

    left, right = wanted(sent), wanted(got)
    for tag in sorted(left.keys() | right.keys()):
        name = "%s(%04X,%04X)" % (path, tag >> 16, tag & 0xFFFF)
        if tag not in right:
            differences.append(name + " is gone")
        elif tag not in left:
            if right[tag].keyword not in ignored:
                differences.append(name + " is new")
        elif left[tag].keyword in ignored:
            continue
        else:
            differences += _values(left[tag], right[tag], name, is_big_endian)
    return differences


def _swapped(value):
    words = array("H", value)
    words.byteswap()
    return words


def _values(left, right, name, is_big_endian):
    if left.VR == "SQ" and right.VR == "SQ":
        if len(left.value) != len(right.value):
            return ["%s has %d items, had %d" % (name, len(right.value), len(left.value))]
        found = []
        for number, (one, other) in enumerate(zip(left.value, right.value)):
            found += elements(one, other, path="%s[%d]" % (name, number), is_big_endian=is_big_endian)
        return found
    if left.value == right.value or (left.is_empty and right.is_empty):
        return []
    if is_big_endian and left.VR == "OW" and right.VR == "OW":
        # pydicom leaves the words of OW in the order of the transfer syntax.
        if array("H", left.value) == _swapped(right.value):
            return []
    if str(left.value) == str(right.value):  # NaN, and numbers kept as text
        return []
    return ["%s is %.40r, was %.40r" % (name, right.value, left.value)]


def pixels(data_set):
    """The decoded pixels as stored values, no colour conversion: an array, or None without pixel data."""
    for keyword in PIXEL_KEYWORDS[1:]:
        if keyword in data_set:
            return data_set[keyword].value
    if "PixelData" not in data_set:
        return None
    return pydicom.pixels.pixel_array(data_set, raw=True)


def decoded_bytes(data_set):
    """The bytes of all frames as the codec gives them, nothing masked or sign-extended."""
    decoder = pydicom.pixels.get_decoder(data_set.file_meta.TransferSyntaxUID)
    return bytes(decoder.as_buffer(data_set, raw=True)[0])
