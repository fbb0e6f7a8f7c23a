# SPDX-License-Identifier: Apache-2.0
"""A C-STORE SCU that sends a data set from an iterator, so that it need not fit in memory or on disk (PS3.7, PS3.8)."""

import socket
import struct

IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"


def _item(kind, body):
    return struct.pack(">BBH", kind, 0, len(body)) + body


def _command(sop_class, sop_instance):
    def element(number, value):
        return struct.pack("<HHI", 0, number, len(value)) + value

    def text(value):
        return value.encode() + b"\0" * (len(value) % 2)

    elements = (
        element(0x0002, text(sop_class)) + element(0x0100, struct.pack("<H", 1))
        + element(0x0110, struct.pack("<H", 1)) + element(0x0700, struct.pack("<H", 0))
        + element(0x0800, struct.pack("<H", 1)) + element(0x1000, text(sop_instance))
    )  # fmt: skip
    return element(0, struct.pack("<I", len(elements))) + elements


class StoreSCU:
    """One association with one presentation context."""

    def __init__(self, port, called, sop_class, syntax, calling="BENCH"):
        self.sop_class = sop_class
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=1800)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = _item(0x30, sop_class.encode()) + _item(0x40, syntax.encode())
        user = _item(0x51, struct.pack(">I", 0)) + _item(0x52, b"2.25.1")
        body = (
            struct.pack(">HH16s16s32x", 1, 0, called.ljust(16).encode(), calling.ljust(16).encode())
            + _item(0x10, b"1.2.840.10008.3.1.1.1")
            + _item(0x20, b"\x01\0\0\0" + context)
            + _item(0x50, user)
        )
        self._send_pdu(1, body)
        kind, answer = self._receive_pdu()
        position = 68
        if kind != 2:
            raise RuntimeError("the association was not accepted (PDU type %d)" % kind)
        self.maximum = 16384
        while position < len(answer):
            item, _, length = struct.unpack_from(">BBH", answer, position)
            if item == 0x21 and answer[position + 6] != 0:
                raise RuntimeError("the presentation context was rejected")
            if item == 0x50:
                self.maximum = struct.unpack_from(">I", answer, position + 8)[0] or 1 << 20
            position += 4 + length

    def store(self, sop_instance, pieces):
        """Sends the data set made of `pieces`; the status of the answer."""
        self._send_fragment(_command(self.sop_class, sop_instance), 3)
        limit, held = self.maximum - 6, b""
        for piece in pieces:
            view = memoryview(held + piece) if held else memoryview(piece)
            # The last fragment is known only at the end: something is always held back for it.
            while len(view) > limit:
                self._send_fragment(view[:limit], 0)
                view = view[limit:]
            held = bytes(view)
        self._send_fragment(held, 2)
        kind, body = self._receive_pdu()
        if kind != 4:
            raise RuntimeError("no answer to C-STORE (PDU type %d)" % kind)
        position = 6
        while position < len(body):
            group, number, length = struct.unpack_from("<HHI", body, position)
            if (group, number) == (0, 0x0900):
                return struct.unpack_from("<H", body, position + 8)[0]
            position += 8 + length
        raise RuntimeError("an answer without status")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self._send_pdu(5, b"\0\0\0\0")
            self._receive_pdu()
        except OSError:
            pass
        self.socket.close()

    def _send_pdu(self, kind, body):
        self.socket.sendall(struct.pack(">BBI", kind, 0, len(body)) + body)

    def _send_fragment(self, fragment, control):
        header = struct.pack(">BBIIBB", 4, 0, len(fragment) + 6, len(fragment) + 2, 1, control)
        self.socket.sendall(header + fragment)

    def _receive(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise ConnectionError("the server closed the connection")
            data += piece
        return data

    def _receive_pdu(self):
        kind, _, length = struct.unpack(">BBI", self._receive(6))
        return kind, self._receive(length)
