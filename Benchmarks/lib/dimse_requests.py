# SPDX-License-Identifier: Apache-2.0
"""Encodes associations and C-FIND, C-GET and C-MOVE requests for dimse_load.c (PS3.7, PS3.8)."""

import struct

from instances import part10  # it knows where that is

IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
JPEG_LS = "1.2.840.10008.1.2.4.80"
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
CALLING = "BENCH"
MAXIMUM_PDU = 131072
_COMMANDS = {STUDY_ROOT_FIND: 0x0020, STUDY_ROOT_MOVE: 0x0021, STUDY_ROOT_GET: 0x0010}


def _item(kind, body):
    return struct.pack(">BBH", kind, 0, len(body)) + body


def _element(tag, value):
    """Implicit VR little endian; text is padded with a space, UIDs and commands come as bytes of even length."""
    if isinstance(value, str):
        value = value.encode()
        value += b" " * (len(value) % 2)
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


def uid_bytes(uid):
    return uid.encode() + b"\0" * (len(uid) % 2)


def association(called, sop_class, storage=()):
    """An A-ASSOCIATE-RQ PDU for `sop_class`, and for storage, as (SOP class, transfer syntax), with the role of the SCP.

    Relational queries are asked for (PS3.4 C.5.1.1), since series are searched without naming their study.
    """
    contexts = [(sop_class, IMPLICIT_LITTLE_ENDIAN), *storage]
    items = b"".join(
        _item(0x20, bytes((2 * index + 1, 0, 0, 0)) + _item(0x30, name.encode()) + _item(0x40, syntax.encode()))
        for index, (name, syntax) in enumerate(contexts)
    )
    user = _item(0x51, struct.pack(">I", MAXIMUM_PDU)) + _item(0x52, b"2.25.1")
    for name, _ in storage:
        user += _item(0x54, struct.pack(">H", len(name)) + name.encode() + b"\0\1")
    if sop_class == STUDY_ROOT_FIND:
        user += _item(0x56, struct.pack(">H", len(sop_class)) + sop_class.encode() + b"\1")
    body = (
        struct.pack(">HH16s16s32x", 1, 0, called.ljust(16).encode(), CALLING.ljust(16).encode())
        + _item(0x10, b"1.2.840.10008.3.1.1.1")
        + items
        + _item(0x50, user)
    )
    return struct.pack(">BBI", 1, 0, len(body)) + body


def request(sop_class, keys, destination=None):
    """The PDUs of one request in presentation context 1; `keys` is {tag: text, or bytes for UIDs}."""
    elements = _element(0x0002, uid_bytes(sop_class)) + _element(0x0100, struct.pack("<H", _COMMANDS[sop_class]))
    elements += _element(0x0110, b"\1\0")
    if destination:
        elements += _element(0x0600, destination)
    elements += _element(0x0700, b"\0\0") + _element(0x0800, b"\0\0")
    command = _element(0, struct.pack("<I", len(elements))) + elements
    identifier = b"".join(_element(tag, value) for tag, value in sorted(keys.items()))
    pieces = struct.pack(">IBB", len(command) + 2, 1, 3) + command
    pieces += struct.pack(">IBB", len(identifier) + 2, 1, 2) + identifier
    return struct.pack(">BBI", 4, 0, len(pieces)) + pieces


def blocks(head, requests):
    """The contents of dimse_load's FILE."""
    return b"".join(struct.pack("<I", len(block)) + block for block in (head, *requests))


def retrievals(called, sop_class, studies, syntax, destination=None):
    """FILE for whole studies by C-GET, to be sent in `syntax`, or by C-MOVE to `destination`."""
    storage = [] if destination else [(CT_IMAGE_STORAGE, syntax)]
    return blocks(
        association(called, sop_class, storage),
        [request(sop_class, {0x00080052: "STUDY", 0x0020000D: uid_bytes(study)}, destination) for study in studies],
    )


NATIVE = part10.EXPLICIT_LITTLE_ENDIAN
