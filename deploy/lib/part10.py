# SPDX-License-Identifier: Apache-2.0
"""Enough of DICOM Part 10 to take a file apart and to make one, with the standard library only.

The scripts that a newcomer runs first must work on a machine that has Python and nothing else,
so this does not use pydicom. It reads Explicit VR little endian at the top level; it never
interprets pixels.
"""

import struct

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_LONG_LENGTH_VRS = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
_UNDEFINED = 0xFFFFFFFF


class Part10Error(ValueError):
    pass


def element(group, number, vr, value):
    """One encoded element in Explicit VR little endian, padded to an even length."""
    vr = vr.encode()
    if isinstance(value, str):
        value = value.encode()
    if len(value) % 2:
        value += b"\0" if vr in (b"UI", b"OB") else b" "
    head = struct.pack("<HH", group, number) + vr
    if vr in _LONG_LENGTH_VRS:
        return head + struct.pack("<HI", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def file_bytes(sop_class, sop_instance, transfer_syntax, data_set):
    """A whole Part 10 file: preamble, file meta information and the data set."""
    meta = element(0x0002, 0x0001, "OB", b"\0\1")
    meta += element(0x0002, 0x0002, "UI", sop_class)
    meta += element(0x0002, 0x0003, "UI", sop_instance)
    meta += element(0x0002, 0x0010, "UI", transfer_syntax)
    meta += element(0x0002, 0x0012, "UI", "2.25.329800735698586629295641978511506172918")
    length = element(0x0002, 0x0000, "UL", struct.pack("<I", len(meta)))
    return b"\0" * 128 + b"DICM" + length + meta + data_set


def elements(data, offset=0):
    """Yields (tag, vr, element offset, value offset, end offset) of each top-level element."""
    while offset + 8 <= len(data):
        group, number = struct.unpack_from("<HH", data, offset)
        vr = bytes(data[offset + 4 : offset + 6])
        if vr in _LONG_LENGTH_VRS:
            (count,) = struct.unpack_from("<I", data, offset + 8)
            value = offset + 12
        else:
            (count,) = struct.unpack_from("<H", data, offset + 6)
            value = offset + 8
        end = _end_of_undefined(data, value, vr) if count == _UNDEFINED else value + count
        if end > len(data):
            raise Part10Error("element (%04X,%04X) runs past the end" % (group, number))
        yield (group << 16) | number, vr, offset, value, end
        offset = end


def _end_of_undefined(data, offset, vr):
    """The end of a value of undefined length, its sequence delimiter included."""
    while True:
        if offset == len(data):  # some writers leave the last delimiter out
            return offset
        group, number, count = struct.unpack_from("<HHI", data, offset)
        offset += 8
        if (group, number) == (0xFFFE, 0xE0DD):
            return offset
        if (group, number) != (0xFFFE, 0xE000):
            raise Part10Error("expected an item, found (%04X,%04X)" % (group, number))
        if count != _UNDEFINED:
            offset += count
            continue
        if vr not in (b"SQ", b"UN"):
            raise Part10Error("a fragment of undefined length")
        offset = _end_of_item(data, offset)


def _end_of_item(data, offset):
    while True:
        group, number = struct.unpack_from("<HH", data, offset)
        if (group, number) == (0xFFFE, 0xE00D):
            return offset + 8
        for _, _, _, _, end in elements(data, offset):
            offset = end
            break


def split(data):
    """(file meta as {tag: bytes}, the data set's bytes) of a Part 10 file."""
    if data[128:132] != b"DICM":
        raise Part10Error("no DICM at byte 128: not a Part 10 file")
    meta = {}
    offset = 132
    while offset + 8 <= len(data) and data[offset : offset + 2] == b"\2\0":
        for tag, _, _, value, end in elements(data, offset):
            meta[tag] = bytes(data[value:end])
            offset = end
            break
    return meta, bytes(data[offset:])


def text(value):
    return value.rstrip(b"\0 ").decode("ascii", "replace")


def transfer_syntax(meta):
    return text(meta.get(0x00020010, b""))


def identity(data_set):
    """(SOP class, SOP instance, series, study) UIDs of an Explicit VR little endian data set."""
    wanted = {0x00080016: "", 0x00080018: "", 0x0020000E: "", 0x0020000D: ""}
    for tag, _, _, value, end in elements(data_set):
        if tag in wanted:
            wanted[tag] = text(data_set[value:end])
        if tag > 0x0020000E:
            break
    return tuple(wanted.values())


def replacing(data_set, values):
    """The data set with some top-level values replaced: {tag: bytes of even length}."""
    parts = []
    for tag, vr, start, value, end in elements(data_set):
        if tag in values:
            parts.append(element(tag >> 16, tag & 0xFFFF, vr.decode(), values[tag]))
        else:
            parts.append(data_set[start:end])
    return b"".join(parts)
