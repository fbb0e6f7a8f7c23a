# SPDX-License-Identifier: Apache-2.0
"""Reads a storage node's system calls and judges them: no record is acknowledged that is not synced.

Knows two formats, from their documents: the replication protocol's messages (docs/replication-protocol.md), to see
which record a PUT-ACK on a socket is about, and the segments' records (docs/formats/segment.md), to see where in which
file that record was written. Everything else is what strace says.
"""

import bisect
import re
import struct
from dataclasses import dataclass, field

CALLS = "read,recvfrom,recvmsg,pwrite64,pwritev,pwritev2,fdatasync,fsync,sendmsg,sendto,writev,write"
# More than any batch of the test, so that every record's header is in the trace.
STRING_BYTE_COUNT = 1 << 20

PUT_BEGIN, PUT_ACK = 0x10, 0x14
MESSAGE_HEADER = 32
RECORD_HEADER, RECORD_TRAILER, BLOCK, ALIGNMENT = 160, 16, 65536, 512
INSTANCE, LARGE = 1, 2

# NAME(FD<PATH>, ...) = RESULT: whole, begun, or resumed. With -xx all in quotes and brackets is hexadecimal.
LINE = re.compile(r"^(\d+) +(.*)$")
BEGUN = re.compile(r"^(.*) <unfinished \.\.\.>$")
RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$")
# What the descriptor is may have an arrow in it: the two ends of a connection.
CALL = re.compile(r"^(\w+)\((\d+)<((?:[^>]|(?<=-)>)*)>(.*)\) += (-?\d+|\?)")
OFFSET = {
    "pwrite64": re.compile(r", (\d+)$"),
    "pwritev": re.compile(r", (\d+)$"),
    "pwritev2": re.compile(r", (\d+), \S+$"),
}
STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


def _bytes(text):
    return bytes.fromhex(text.replace("\\x", ""))


def _is_peer(path):
    """Whether that is a connection to a peer: by a port, or on the same host by a socket in the file system."""
    return "TCP" in path or "UNIX-STREAM" in path


@dataclass
class Call:
    name: str
    path: str
    begin: int  # number of the line in which it was entered
    end: int  # ... and left
    data: bytes
    offset: int
    result: int


def calls(lines):
    """The finished calls on files and sockets, in the order in which they ended."""
    pending = {}
    for number, line in enumerate(lines):
        found = LINE.match(line)
        if not found:
            continue
        process, text = found.groups()
        begin = number
        begun = BEGUN.match(text)
        if begun:
            pending[process] = (number, begun.group(1))
            continue
        resumed = RESUMED.match(text)
        if resumed:
            if process not in pending:
                continue
            begin, head = pending.pop(process)
            text = head + resumed.group(2)
        call = CALL.match(text)
        if not call or call.group(5) == "?":
            continue
        name, _, path, arguments, result = call.groups()
        if path.startswith("\\x"):
            path = _bytes("".join(re.findall(r"\\x[0-9a-f]{2}", path))).decode(errors="replace")
        data = b"".join(_bytes(string) for string, _ in STRING.findall(arguments))
        # The last argument; flags follow it in pwritev2.
        offset = OFFSET[name].search(arguments).group(1) if name in OFFSET else -1
        yield Call(name, path, begin, number, data, int(offset), int(result))


class Messages:
    """The messages of one direction of one connection."""

    def __init__(self):
        self.rest = b""

    def feed(self, data):
        """[(type, stream, payload)]; what precedes the first header (the trace began in between) is passed over."""
        self.rest += data
        found = []
        while True:
            start = self.rest.find(b"VR\1")
            self.rest = self.rest[start:] if start >= 0 else self.rest[-2:]
            if start < 0 or len(self.rest) < MESSAGE_HEADER:
                return found
            length, stream = struct.unpack_from("<II", self.rest, 8)
            if len(self.rest) < MESSAGE_HEADER + length:
                return found
            found.append((self.rest[3], stream, self.rest[MESSAGE_HEADER : MESSAGE_HEADER + length]))
            self.rest = self.rest[MESSAGE_HEADER + length :]


@dataclass
class Written:
    """A record in a segment, and when the writes ended that its bytes are made of."""

    path: str
    start: int
    end: int
    parts: list = field(default_factory=list)

    def settled(self):
        """The line in which the last of it had been written; None while bytes are missing."""
        at, line = self.start, -1
        for start, end, number in sorted(self.parts):
            if start > at:
                return None
            at, line = max(at, end), max(line, number)
        return line if at >= self.end else None


@dataclass
class Acknowledgement:
    record: bytes
    line: int
    path: str
    # The lines in which the syncs ended that it rests upon: one of each list has to be there.
    syncs: list


def _records(call):
    """[(id, file offset, byte count)] of the instances whose headers are in what a call wrote."""
    for start in range(-call.offset % ALIGNMENT, len(call.data) - RECORD_HEADER + 1, ALIGNMENT):
        header = call.data[start : start + RECORD_HEADER]
        if header[:6] != b"VREC\1\1" or struct.unpack_from("<Q", header, 40)[0] != call.offset + start:
            continue
        payload, metadata = struct.unpack_from("<QI", header, 72)
        yield (
            header[56:72],
            call.offset + start,
            RECORD_HEADER + metadata + payload + 4 * -(-payload // BLOCK) + RECORD_TRAILER,
        )


def judge(traced):
    """(acknowledgements that rest upon syncs, problems in words) of the calls of a trace."""
    inbound, outbound, puts = {}, {}, {}
    records, by_path, firsts = {}, {}, {}
    syncs = {}  # path: [(line entered, line left)] of the successful ones, ascending
    directories, manifests = {}, {}
    acknowledged, problems = [], []

    def synced(path, after, before):
        """The lines in which successful syncs of `path` ended that were entered behind one line, before another."""
        known = syncs.get(path, [])
        first = bisect.bisect_right(known, (after, float("inf")))
        return [end for _, end in known[first:] if end < before]

    every = sorted(traced, key=lambda call: call.end)
    # What leaves a socket counts from when it was given to the kernel.
    sends = [call for call in every if _is_peer(call.path) and call.name in ("sendmsg", "sendto", "writev", "write")]
    for call in every:
        if _is_peer(call.path):
            if call.name in ("read", "recvfrom", "recvmsg") and call.result > 0:
                for kind, stream, payload in inbound.setdefault(call.path, Messages()).feed(call.data[: call.result]):
                    if kind == PUT_BEGIN:
                        puts[call.path, stream] = payload[:16]
        elif call.name in ("fdatasync", "fsync"):
            if call.result == 0:
                syncs.setdefault(call.path, []).append((call.begin, call.end))
        elif call.name.startswith("pwrite") and call.path.endswith(".seg") and call.result > 0:
            if call.offset == 0:
                firsts[call.path] = (call.begin, call.data[5] if len(call.data) > 5 else 0)
            for identity, start, count in _records(call):
                written = Written(call.path, start, start + count)
                records.setdefault(identity, []).append(written)
                by_path.setdefault(call.path, []).append(written)
            for written in by_path.get(call.path, []):
                start, end = max(written.start, call.offset), min(written.end, call.offset + call.result)
                if start < end:
                    written.parts.append((start, end, call.end))
    for known in syncs.values():
        known.sort()
    for path in firsts:
        directories[path] = path.rpartition("/")[0]
        manifests[path] = directories[path].rpartition("/")[0] + "/MANIFEST"

    for call in sorted(sends, key=lambda call: call.begin):
        for kind, stream, payload in outbound.setdefault(call.path, Messages()).feed(call.data[: max(0, call.result)]):
            if kind != PUT_ACK or payload != b"\1":
                continue
            identity = puts.get((call.path, stream))
            if identity is None:
                problems.append("line %d: PUT-ACK of stream %d without a PUT-BEGIN" % (call.begin, stream))
                continue
            problem = "was not written"
            for written in records.get(identity, []):
                line = written.settled()
                if line is None or line > call.begin:
                    problem = "is not written whole"
                    continue
                wanted = {"its segment": (written.path, line)}
                if written.path in firsts:
                    begin, kind_of_segment = firsts[written.path]
                    wanted["its segment's directory"] = (directories[written.path], begin)
                    after = line if kind_of_segment == LARGE else begin
                    wanted["the manifest"] = (manifests[written.path], after)
                found = {what: synced(path, after, call.begin) for what, (path, after) in wanted.items()}
                missing = [what for what, ends in found.items() if not ends]
                if not missing:
                    acknowledged.append(Acknowledgement(identity, call.begin, written.path, list(found.values())))
                    break
                problem = "is not synced: " + ", ".join(missing)
            else:
                problems.append("line %d: record %s is acknowledged and %s" % (call.begin, identity.hex(), problem))
    return acknowledged, problems
