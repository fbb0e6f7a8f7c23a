# SPDX-License-Identifier: Apache-2.0
"""Reads VRP messages: a second decoder, written from docs/replication-protocol.md alone.

Standard library only. `decode(data, after_handshake)` returns the messages in `data`, each with its header and its
fields as text in the notation of the golden vectors (section 7), or raises `Refused` with the name of the error code.
"""

import struct

MAXIMUM_PAYLOAD = 256 * 1024
MAXIMUM_METADATA = 4 << 20
ROLES = {1: "ingest", 2: "storage", 3: "coordinator", 4: "tool"}
CODES = (
    "INTERNAL PROTOCOL VERSION WRONG_CLUSTER WRONG_NODE NOT_FOUND UNKNOWN CONFLICT CHECKSUM CORRUPT RANGE STALE_EPOCH"
    " STALE_TERM READ_ONLY DISK_FULL DISK_FAILED OVERLOADED DEADLINE TOO_LARGE CANCELLED INVALID_REQUEST UNSUPPORTED"
    " SHUTTING_DOWN OUTCOME_UNKNOWN CONNECTION_LOST NOT_CONNECTED HELD UNAUTHENTICATED FORBIDDEN OFFLINE"
).split()
RETRIES = {1: "same node", 2: "other node", 3: "later", 4: "never"}


class Refused(Exception):
    """The bytes end the connection; `code` is the name of the error."""

    def __init__(self, code, why):
        super().__init__("%s: %s" % (code, why))
        self.code = code


def wrong(why):
    raise Refused("PROTOCOL", why)


def _crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = _crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def hexadecimal(data):
    return data.hex() or "none"


class Payload:
    """Takes fields off the front of a payload and keeps them, by name, in the notation of the golden vectors."""

    def __init__(self, data):
        self.data = data
        self.fields = {}

    def take(self, count):
        if count > len(self.data):
            wrong("too short")
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def number(self, count):
        return int.from_bytes(self.take(count), "little")

    def integer(self, name, count):
        value = self.number(count)
        self.fields[name] = str(value)
        return value

    def claim(self, name):
        value = self.number(1)
        if value > 1:
            wrong("a claim of %d" % value)
        self.fields[name] = ("no", "yes")[value]
        return value == 1

    def choice(self, name, count, names):
        value = self.number(count)
        if value not in names:
            wrong("%s %d" % (name, value))
        self.fields[name] = names[value]

    def code(self, name):
        value = self.number(2)
        self.fields[name] = CODES[value - 1] if 1 <= value <= len(CODES) else "CODE_%d" % value

    def text(self, name, length_bytes):
        length = self.number(length_bytes)
        if length > 512:
            wrong("a text of %d bytes" % length)
        try:
            self.fields[name] = self.take(length).decode("utf-8") or "none"
        except UnicodeDecodeError:
            wrong("text that is not UTF-8")

    def octets(self, name, count):
        value = self.take(count)
        self.fields[name] = value.hex()
        return value

    def record_id(self, name):
        value = self.octets(name, 16)
        if int.from_bytes(value[:2], "big") > 1023:
            wrong("a group out of range")

    def group(self, name):
        if self.integer(name, 2) > 1023:
            wrong("a group out of range")

    def optional(self, name, is_there, read):
        """A field that is on the wire in any case, and means something only if `is_there`."""
        read(name)
        if not is_there:
            self.fields[name] = "none"

    def rest(self, name):
        value = self.take(len(self.data))
        self.fields[name] = hexadecimal(value)
        return value

    def metadata(self):
        declared = self.integer("metadata length", 4)
        if declared > MAXIMUM_METADATA:
            wrong("too much metadata")
        return declared

    def first_metadata(self, declared):
        if len(self.rest("metadata")) > declared:
            wrong("more metadata than declared")


def identity(p):
    p.octets("cluster", 16)
    p.octets("node", 16)
    p.integer("incarnation", 8)
    p.choice("role", 1, ROLES)
    p.integer("map epoch", 8)
    p.integer("term", 8)
    for name in ("site", "rack", "host", "software"):
        p.text(name, 1)


def hello(p):
    if p.integer("lowest version", 2) > p.integer("highest version", 2):
        wrong("an empty range of versions")
    p.integer("features", 8)
    p.integer("required features", 8)
    if not any(p.octets("expected node", 16)):
        p.fields["expected node"] = "none"
    identity(p)
    p.take(len(p.data))


def hello_ack(p):
    p.integer("version", 2)
    p.integer("features", 8)
    for name in ("stream credit", "connection credit", "maximum streams", "idle timeout"):
        p.integer(name, 4)
    identity(p)
    p.take(len(p.data))


def go_away(p):
    p.integer("last stream", 4)
    p.code("code")
    p.text("text", 2)


def error(p):
    p.code("code")
    p.choice("retry", 1, RETRIES)
    p.text("text", 2)


def put_begin(p):
    p.record_id("record")
    p.integer("timeout", 4)
    p.integer("record type", 1)
    has_term = p.claim("has term")
    p.take(2)
    p.integer("map epoch", 8)
    p.optional("term", has_term, lambda name: p.integer(name, 8))
    del p.fields["has term"]
    p.integer("payload length", 8)
    p.octets("payload digest", 32)
    declared = p.metadata()
    p.take(4)
    p.first_metadata(declared)


def get(p):
    p.record_id("record")
    p.integer("timeout", 4)
    for name in ("offset", "length", "credit"):
        p.integer(name, 8)


def get_begin(p):
    whole = p.integer("payload length", 8)
    p.octets("payload digest", 32)
    if p.integer("offset", 8) + p.integer("length", 8) > whole:
        wrong("a range beyond the payload")


def record_query(p):
    p.record_id("record")
    p.integer("timeout", 4)


def head_result(p):
    if p.claim("there is"):
        p.integer("payload length", 8)
        p.octets("payload digest", 32)
        p.first_metadata(p.metadata())


def list_request(p):
    p.group("group")
    has_after = p.claim("has after")
    p.optional("after", has_after, p.record_id)
    del p.fields["has after"]
    if not 1 <= p.integer("limit", 4) <= 8192:
        wrong("a limit out of range")
    p.integer("timeout", 4)


def list_result(p):
    ids = []
    while p.data:
        p.record_id("id")
        ids.append(p.fields.pop("id"))
    p.fields["ids"] = " ".join(ids) or "none"


def status_result(p):
    for name in ("records", "used bytes", "free bytes"):
        p.integer(name, 8)
    p.claim("accepts writes")
    p.claim("is uncertain")
    p.text("reason", 2)


    if p.data:
        p.integer("quarantined", 8)
        age = p.number(8)
        p.fields["oldest unverified"] = "none" if age == 2**64 - 1 else str(age)
    if p.data:
        p.integer("capacity", 8)
        p.integer("weight", 4)
    if p.data:
        p.integer("foreground requests", 8)
    p.take(len(p.data))


def stamp(p):
    p.integer("map epoch", 8)
    p.integer("term", 8)


def amendment(p):
    """One amendment as text, the way the golden vectors write it."""
    entry = Payload(p.data)
    entry.record_id("record")
    entry.integer("term", 8)
    entry.integer("sequence", 8)
    entry.integer("kind", 2)
    entry.integer("kept days", 2)
    length = entry.number(4)
    entry.fields["issued"] = str(int.from_bytes(entry.take(8), "little", signed=True))
    entry.octets("reference", 16)
    if length > 64 * 1024:
        wrong("an amendment of %d bytes" % length)
    entry.fields["payload"] = hexadecimal(entry.take(length))
    p.data = entry.data
    return "/".join(entry.fields.values())


def amend(p):
    p.integer("timeout", 4)
    p.take(4)
    stamp(p)
    p.fields["amendment"] = amendment(p)


def amendments(p):
    p.record_id("first")
    p.integer("first term", 8)
    p.integer("first sequence", 8)
    p.record_id("last")
    first, last = p.fields["first"], p.fields["last"]
    if first > last or first[:4] != last[:4]:
        wrong("a range of ids that is none")
    if not 1 <= p.integer("limit", 4) <= 1024:
        wrong("a limit out of range")
    p.integer("timeout", 4)


def amendments_result(p):
    p.claim("has more")
    p.claim("is complete")
    texts = []
    while p.data:
        texts.append(amendment(p))
    if len(texts) > 1024:
        wrong("%d amendments" % len(texts))
    p.fields["amendments"] = " ".join(texts) or "none"


def places(p):
    p.integer("timeout", 4)
    p.take(4)
    ids = []
    while p.data:
        p.record_id("id")
        ids.append(p.fields.pop("id"))
    if not 1 <= len(ids) <= 1024:
        wrong("%d records" % len(ids))
    p.fields["ids"] = " ".join(ids)


def places_result(p):
    texts = []
    while p.data:
        segment, offset, payload, metadata = p.number(8), p.number(8), p.number(8), p.number(4)
        disk, record_type = p.number(2), p.number(1)
        p.take(1)
        if disk == 0 and (segment or offset or payload or metadata or record_type):
            wrong("a place on no disk")
        texts.append("%d/%d/%d/%d/%d/%d" % (disk, segment, offset, payload, metadata, record_type) if disk else "-")
    p.fields["places"] = " ".join(texts)


def digest(p):
    p.record_id("prefix")
    p.integer("timeout", 4)
    if p.number(1) != 1:
        wrong("a digest of something unknown")
    bits, split = p.integer("prefix bits", 1), p.integer("split bits", 1)
    if not (16 <= bits <= 128 and split <= 8 and bits + split <= 128):
        wrong("%d bits split by %d" % (bits, split))
    if int(p.fields["prefix"], 16) & ((1 << (128 - bits)) - 1):
        wrong("bits beyond the prefix")
    p.take(1)


def digest_result(p):
    parts = []
    while p.data:
        count = p.number(8)
        parts.append("%d/%s" % (count, p.take(32).hex()))
    if not parts or len(parts) & (len(parts) - 1):
        wrong("%d parts" % len(parts))
    p.fields["parts"] = " ".join(parts)


def pull(p):
    p.record_id("record")
    p.integer("timeout", 4)
    p.integer("record type", 1)
    p.take(3)
    stamp(p)
    p.octets("source", 16)
    p.integer("port", 2)
    p.text("host", 1)


def pull_progress(p):
    if p.integer("received", 8) > p.integer("payload length", 8):
        wrong("more bytes than there are")


def purge_permit(p):
    p.octets("permit", 16)
    p.integer("timeout", 4)
    p.take(4)
    stamp(p)
    p.integer("retired before", 8)
    p.integer("at most", 8)


def purge_result(p):
    p.integer("purged", 8)
    p.integer("remaining", 8)


def drop(p):
    p.octets("permit", 16)
    p.integer("timeout", 4)
    p.take(4)
    stamp(p)
    p.integer("sequence", 8)
    records = []
    while p.data:
        p.record_id("id")
        p.octets("digest", 32)
        p.claim("held")
        p.take(7)
        fields = [p.fields.pop(name) for name in ("id", "digest", "held")]
        records.append("/".join(fields[:2] + ["1" if fields[2] == "yes" else "0"]))
    if len(records) > 1024:
        wrong("%d records" % len(records))
    p.fields["records"] = " ".join(records) or "none"


def drop_result(p):
    outcomes = []
    while p.data:
        outcome = p.take(1)[0]
        if not 1 <= outcome <= 6:
            wrong("outcome %d" % outcome)
        outcomes.append(str(outcome))
    p.fields["outcomes"] = " ".join(outcomes) or "none"


def pack_reference(p):
    p.text("study", 1)
    p.text("place", 2)
    if not 1 <= len(p.fields["study"].encode()) <= 64 or p.fields["study"] == "none":
        wrong("a study UID that is empty or too long")
    if p.fields["place"] == "none":
        wrong("no place")


def build_pack(p):
    p.octets("pack", 16)
    p.integer("timeout", 4)
    part = p.integer("part", 4)
    if not 1 <= part <= p.integer("parts", 4):
        wrong("part %d" % part)
    p.take(4)
    stamp(p)
    p.fields["created"] = str(int.from_bytes(p.take(8), "little", signed=True))
    pack_reference(p)
    sources = []
    count = p.number(1)
    if count > 16:
        wrong("%d sources" % count)
    for _ in range(count):
        node = p.take(16).hex()
        port = p.number(2)
        p.text("host", 1)
        sources.append("%s/%s/%d" % (node, p.fields.pop("host"), port))
    p.fields["sources"] = " ".join(sources) or "none"
    records = []
    while p.data:
        p.record_id("id")
        records.append(p.fields.pop("id"))
    if not 1 <= len(records) <= 8192:
        wrong("%d records" % len(records))
    p.fields["records"] = " ".join(records)


def build_pack_result(p):
    stored(p)
    p.take(7)
    p.integer("length", 8)
    p.octets("digest", 32)


def verify_pack(p):
    p.octets("pack", 16)
    p.integer("timeout", 4)
    p.take(4)
    stamp(p)
    p.integer("length", 8)
    p.octets("digest", 32)
    pack_reference(p)


def recall(p):
    verify_pack(p)
    records = []
    while p.data:
        p.record_id("id")
        records.append(p.fields.pop("id"))
    if not 1 <= len(records) <= 1024:
        wrong("%d records" % len(records))
    p.fields["records"] = " ".join(records)


def recall_result(p):
    outcomes = []
    while p.data:
        outcome = p.take(1)[0]
        if not 1 <= outcome <= 5:
            wrong("outcome %d" % outcome)
        outcomes.append(str(outcome))
    if not outcomes:
        wrong("no outcome")
    p.fields["outcomes"] = " ".join(outcomes)
def remove_pack(p):
    p.octets("pack", 16)
    p.integer("timeout", 4)
    p.take(4)
    stamp(p)
    pack_reference(p)


def placement_map(p):
    p.integer("timeout", 4)
    stamp(p)
    p.claim("is member")


def cursor(p):
    for name in ("disk", "segment", "offset"):
        p.integer(name, 8)
    p.record_id("after")
    if not int(p.fields["after"], 16):
        p.fields["after"] = "none"


def damage(p):
    cursor(p)
    if not 1 <= p.integer("limit", 4) <= 4096:
        wrong("a limit out of range")
    p.integer("timeout", 4)


def damage_result(p):
    p.claim("has more")
    p.claim("is complete")
    cursor(p)
    p.integer("unnamed", 8)
    ids = []
    while p.data:
        p.record_id("id")
        ids.append(p.fields.pop("id"))
    if len(ids) > 4096:
        wrong("%d ids" % len(ids))
    p.fields["missing"] = " ".join(ids) or "none"


def healed(p):
    p.integer("timeout", 4)
    stamp(p)
    is_reconciled = p.claim("is reconciled")
    p.optional("reconciled", is_reconciled, lambda name: p.integer(name, 8))
    del p.fields["is reconciled"]


def stored(p):
    p.choice("outcome", 1, {1: "stored", 2: "already stored"})


# number: name, least and most payload bytes, reader of the payload
TYPES = {
    0x01: ("HELLO", 0, 4096, hello),
    0x02: ("HELLO-ACK", 0, 4096, hello_ack),
    0x03: ("PING", 8, 8, lambda p: p.integer("token", 8)),
    0x04: ("PONG", 8, 8, lambda p: p.integer("token", 8)),
    0x05: ("GOAWAY", 0, 1024, go_away),
    0x06: ("CREDIT", 8, 8, lambda p: p.integer("bytes", 8)),
    0x07: ("CANCEL", 0, 0, lambda p: None),
    0x08: ("ERROR", 0, 1024, error),
    0x10: ("PUT-BEGIN", 0, MAXIMUM_PAYLOAD, put_begin),
    0x11: ("METADATA", 0, MAXIMUM_PAYLOAD, lambda p: p.rest("bytes")),
    0x12: ("DATA", 1, MAXIMUM_PAYLOAD, lambda p: p.rest("bytes")),
    0x13: ("PUT-COMMIT", 8, 8, lambda p: p.integer("payload length", 8)),
    0x14: ("PUT-ACK", 1, 1, stored),
    0x20: ("GET", 44, 44, get),
    0x21: ("GET-BEGIN", 56, 56, get_begin),
    0x30: ("HEAD", 20, 20, record_query),
    0x31: ("HEAD-RESULT", 1, MAXIMUM_PAYLOAD, head_result),
    0x32: ("VERIFY", 20, 20, record_query),
    0x33: ("VERIFY-RESULT", 0, 0, lambda p: None),
    0x34: ("LIST", 27, 27, list_request),
    0x35: ("LIST-RESULT", 0, 8192 * 16, list_result),
    0x36: ("STATUS", 4, 4, lambda p: p.integer("timeout", 4)),
    0x37: ("STATUS-RESULT", 0, 4096, status_result),
    0x38: ("PLACES", 24, 8 + 1024 * 16, places),
    0x39: ("PLACES-RESULT", 0, 1024 * 32, places_result),
    0x40: ("AMEND", 88, 88 + 64 * 1024, amend),
    0x41: ("AMEND-RESULT", 1, 1, stored),
    0x42: ("AMENDMENTS", 56, 56, amendments),
    0x43: ("AMENDMENTS-RESULT", 1, MAXIMUM_PAYLOAD, amendments_result),
    0x44: ("DIGEST", 24, 24, digest),
    0x45: ("DIGEST-RESULT", 0, 256 * 40, digest_result),
    0x46: ("PULL", 0, 512, pull),
    0x47: ("PULL-PROGRESS", 16, 16, pull_progress),
    0x48: ("PULL-RESULT", 1, 1, stored),
    0x49: ("PURGE-PERMIT", 56, 56, purge_permit),
    0x4A: ("PURGE-RESULT", 16, 16, purge_result),
    0x4B: ("MAP", 21, 21, placement_map),
    0x4C: ("MAP-RESULT", 16, 16, stamp),
    0x4D: ("DAMAGE", 48, 48, damage),
    0x4E: ("DAMAGE-RESULT", 50, MAXIMUM_PAYLOAD, damage_result),
    0x4F: ("HEALED", 29, 29, healed),
    0x50: ("HEALED-RESULT", 8, 8, lambda p: p.integer("remaining", 8)),
    0x51: ("DROP", 48, 48 + 1024 * 56, drop),
    0x52: ("DROP-RESULT", 0, 1024, drop_result),
    0x53: ("BUILD-PACK", 0, 8192 + 8192 * 16, build_pack),
    0x54: ("BUILD-PACK-RESULT", 48, 48, build_pack_result),
    0x55: ("VERIFY-PACK", 0, 1024, verify_pack),
    0x56: ("VERIFY-PACK-RESULT", 0, 0, lambda p: None),
    0x57: ("RECALL", 0, 1024 + 1024 * 16, recall),
    0x58: ("RECALL-RESULT", 0, 1024, recall_result),
    0x59: ("REMOVE-PACK", 0, 1024, remove_pack),
    0x5A: ("REMOVE-PACK-RESULT", 0, 0, lambda p: None),
}
HANDSHAKE = ("HELLO", "HELLO-ACK", "ERROR")


def decode(data, after_handshake, version=1):
    """The messages in `data`: (name, header, fields) each."""
    messages = []
    while data:
        message, data = decode_one(data, after_handshake, version)
        messages.append(message)
    return messages


def decode_one(data, after_handshake, version):
    if len(data) < 32:
        raise EOFError("a header is not complete")
    magic, spoken, number, flags, _, length, stream, sequence, epoch, payload_crc, header_crc = struct.unpack(
        "<2sBBHHIIIIII", data[:32]
    )
    if magic != b"\x56\x52":
        wrong("not VRP")
    if crc32c(data[:28]) != header_crc:
        wrong("a header that does not match its checksum")
    if number not in TYPES:
        wrong("an unknown type")
    name, least, most, read = TYPES[number]
    if not least <= length <= most:
        wrong("a length that the type does not allow")
    if not after_handshake and name not in HANDSHAKE:
        wrong("%s before the handshake" % name)
    if spoken != (version if after_handshake else 1):
        wrong("version %d" % spoken)
    if len(data) < 32 + length:
        raise EOFError("a payload is not complete")
    payload = Payload(data[32 : 32 + length])
    if crc32c(payload.data) != payload_crc:
        raise Refused("CHECKSUM", "a payload that does not match its checksum")
    read(payload)
    if payload.data:
        wrong("%d bytes too many" % len(payload.data))
    header = {"flags": flags, "stream": stream, "sequence": sequence, "epoch": epoch}
    return (name, header, payload.fields), data[32 + length :]
