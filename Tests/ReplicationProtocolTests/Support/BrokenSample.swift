// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import ReplicationProtocol

/// Bytes that must be refused.
struct BrokenSample: Sendable {
    let name: String
    let bytes: ByteBuffer
    let handshakeIsOver: Bool

    /// Why they are refused; `nil` when they are not.
    var error: ReplicationError? {
        do throws(ReplicationError) {
            _ = try Collector.decode(bytes, handshakeIsOver: handshakeIsOver)
            return nil
        } catch {
            return error
        }
    }

    static let all: [BrokenSample] = headers + phases + payloads + orders

    // MARK: - Headers

    private static let headers: [BrokenSample] = [
        BrokenSample("not VRP at all", bytes: ByteBuffer(string: "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")),
        BrokenSample(
            "TLS to a plain port",
            bytes: ByteBuffer(bytes: [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3] + zeros(32))
        ),
        BrokenSample("header checksum wrong", bytes: ping { $0.flip(byte: 28) }),
        BrokenSample("stream id changed on the way", bytes: ping { $0.flip(byte: 12) }),
        BrokenSample("payload changed on the way", bytes: ping { $0.flip(byte: 35) }),
        BrokenSample("payload of DATA changed on the way", bytes: data { $0.flip(byte: 40) }),
        BrokenSample("unknown type", bytes: header(type: 0x7f, payload: ByteBuffer())),
        BrokenSample("version never agreed on", bytes: header(version: 2, type: 0x07, payload: ByteBuffer())),
        BrokenSample("DATA longer than 256 KiB", bytes: header(type: 0x12, byteCount: 256 * 1024 + 1)),
        BrokenSample("DATA of 4 GiB", bytes: header(type: 0x12, byteCount: .max)),
        BrokenSample("PING longer than a token", bytes: header(type: 0x03, byteCount: 9)),
        BrokenSample("DATA without bytes", bytes: header(type: 0x12, payload: ByteBuffer())),
    ]

    private static let phases: [BrokenSample] = [
        BrokenSample("HELLO longer than 4 KiB", bytes: header(type: 0x01, byteCount: 4097), handshakeIsOver: false),
        BrokenSample("PUT-BEGIN before HELLO", bytes: sample("PUT-BEGIN"), handshakeIsOver: false),
        BrokenSample("PING before HELLO", bytes: sample("PING"), handshakeIsOver: false),
        BrokenSample(
            "HELLO in another version than 1",
            bytes: header(version: 2, type: 0x01, payload: payload("HELLO")),
            handshakeIsOver: false
        ),
    ]

    // MARK: - Payloads, with checksums that are right

    private static let payloads: [BrokenSample] = [
        BrokenSample("PING of 7 bytes", bytes: header(type: 0x03, payload: ByteBuffer(bytes: zeros(7)))),
        BrokenSample("HELLO cut short", bytes: changed("HELLO") { $0.cut(by: 1) }, handshakeIsOver: false),
        BrokenSample(
            "HELLO with an unknown role",
            bytes: changed("HELLO") { $0.set(99, at: 76) },
            handshakeIsOver: false
        ),
        BrokenSample("HELLO without versions", bytes: changed("HELLO") { $0.set(9, at: 0) }, handshakeIsOver: false),
        BrokenSample(
            "HELLO with a host that is not UTF-8",
            bytes: changed("HELLO") { $0.set(0xff, at: 103) },
            handshakeIsOver: false
        ),
        BrokenSample("ERROR with an unknown retry class", bytes: changed("ERROR for a stream") { $0.set(0, at: 2) }),
        BrokenSample("ERROR with text beyond its end", bytes: changed("ERROR for a stream") { $0.set(255, at: 3) }),
        BrokenSample("ERROR with bytes after its text", bytes: changed("ERROR for a stream") { $0.add(0) }),
        BrokenSample("PUT-BEGIN of a group out of range", bytes: changed("PUT-BEGIN") { $0.set(4, at: 0) }),
        BrokenSample(
            "PUT-BEGIN with a term that is neither there nor not",
            bytes: changed("PUT-BEGIN") { $0.set(2, at: 21) }
        ),
        BrokenSample("PUT-BEGIN with more metadata than declared", bytes: changed("PUT-BEGIN") { $0.add(0) }),
        BrokenSample("PUT-BEGIN with 16 MiB of metadata", bytes: changed("PUT-BEGIN") { $0.set(1, at: 83) }),
        BrokenSample("PUT-ACK with an unknown outcome", bytes: changed("PUT-ACK stored") { $0.set(3, at: 0) }),
        BrokenSample("GET cut short", bytes: changed("GET of a range") { $0.cut(by: 1) }),
        BrokenSample("GET-BEGIN of a range beyond the payload", bytes: changed("GET-BEGIN") { $0.set(0xff, at: 46) }),
        BrokenSample("HEAD-RESULT that is neither there nor not", bytes: changed("HEAD-RESULT") { $0.set(2, at: 0) }),
        BrokenSample("HEAD-RESULT of no record, with a record", bytes: changed("HEAD-RESULT") { $0.set(0, at: 0) }),
        BrokenSample("LIST of a group out of range", bytes: changed("LIST from the start") { $0.set(4, at: 1) }),
        BrokenSample("LIST of 0 records", bytes: changed("LIST after a record") { $0.set(0, at: 19) }),
        BrokenSample("LIST of 8193 records", bytes: changed("LIST from the start") { $0.set(1, at: 19) }),
        BrokenSample("LIST-RESULT with half an id", bytes: changed("LIST-RESULT") { $0.cut(by: 8) }),
        BrokenSample("STATUS-RESULT with a text of 513 bytes", bytes: header(type: 0x37, payload: statusWithLongText)),
        BrokenSample("STATUS-RESULT with a claim of 7", bytes: changed("STATUS-RESULT") { $0.set(7, at: 24) }),
    ]

    // MARK: - Orders and comparisons

    private static let orders: [BrokenSample] = [
        BrokenSample("STATUS-RESULT with half a tail", bytes: changed("STATUS-RESULT") { $0.add(0) }),
        BrokenSample("AMEND cut short", bytes: changed("AMEND with a hold of an earlier term") { $0.cut(by: 1) }),
        BrokenSample("AMEND with a byte too many", bytes: changed("AMEND with a tombstone") { $0.add(0) }),
        BrokenSample("AMEND for a group out of range", bytes: changed("AMEND with a tombstone") { $0.set(4, at: 24) }),
        BrokenSample(
            "AMEND of 64 KiB and a byte",
            bytes: changed("AMEND with a tombstone") { $0.set([1, 0, 1], at: 60) }
        ),
        BrokenSample("AMEND-RESULT with an unknown outcome", bytes: changed("AMEND-RESULT") { $0.set(0, at: 0) }),
        BrokenSample("AMENDMENTS of 0", bytes: changed("AMENDMENTS of some records, continued") { $0.set(0, at: 48) }),
        BrokenSample("AMENDMENTS of 1025", bytes: changed("AMENDMENTS of one record") { $0.set(1, at: 48) }),
        BrokenSample("AMENDMENTS of an empty range", bytes: changed("AMENDMENTS of one record") { $0.set(8, at: 47) }),
        BrokenSample("AMENDMENTS of two groups", bytes: changed("AMENDMENTS of one record") { $0.set(0xfe, at: 1) }),
        BrokenSample("AMENDMENTS-RESULT without a claim", bytes: changed("AMENDMENTS-RESULT") { $0.set(2, at: 0) }),
        BrokenSample(
            "AMENDMENTS-RESULT that is neither complete nor not",
            bytes: changed("AMENDMENTS-RESULT") { $0.set(2, at: 1) }
        ),
        BrokenSample(
            "AMENDMENTS-RESULT with an amendment beyond its end",
            bytes: changed("AMENDMENTS-RESULT") { $0.set(255, at: 38) }
        ),
        BrokenSample(
            "AMENDMENTS-RESULT with an amendment of 64 KiB and more",
            bytes: changed("AMENDMENTS-RESULT") { $0.set(1, at: 40) }
        ),
        BrokenSample("DIGEST of something unknown", bytes: changed("DIGEST of a group") { $0.set(2, at: 20) }),
        BrokenSample("DIGEST of more than a group", bytes: changed("DIGEST of a group") { $0.set(15, at: 21) }),
        BrokenSample(
            "DIGEST of a prefix with bits beyond it",
            bytes: changed("DIGEST of a group") { $0.set(1, at: 15) }
        ),
        BrokenSample("DIGEST split by 9 bits", bytes: changed("DIGEST of a group") { $0.set(9, at: 22) }),
        BrokenSample("DIGEST of 128 bits, split", bytes: changed("DIGEST of a group") { $0.set([128, 1], at: 21) }),
        BrokenSample("DIGEST-RESULT of no part", bytes: changed("DIGEST-RESULT") { $0.cut(by: 40) }),
        BrokenSample("DIGEST-RESULT of three parts", bytes: changed("DIGEST-RESULT, split") { $0.cut(by: 40) }),
        BrokenSample("DIGEST-RESULT with half a part", bytes: changed("DIGEST-RESULT") { $0.add(0) }),
        BrokenSample("PULL with a host beyond its end", bytes: changed("PULL") { $0.set(255, at: 58) }),
        BrokenSample("PULL with a host that is not UTF-8", bytes: changed("PULL") { $0.set(0xff, at: 60) }),
        BrokenSample("PULL-PROGRESS beyond the payload", bytes: changed("PULL-PROGRESS") { $0.set(0xff, at: 3) }),
        BrokenSample("PULL-RESULT of two bytes", bytes: header(type: 0x48, byteCount: 2)),
        BrokenSample("PURGE-PERMIT cut short", bytes: changed("PURGE-PERMIT") { $0.cut(by: 1) }),
        BrokenSample("PURGE-RESULT cut short", bytes: changed("PURGE-RESULT") { $0.cut(by: 1) }),
        BrokenSample("DROP cut short", bytes: changed("DROP") { $0.cut(by: 1) }),
        BrokenSample("DROP with a claim of 2", bytes: changed("DROP") { $0.set(2, at: 96) }),
        BrokenSample("BUILD-PACK cut short", bytes: changed("BUILD-PACK") { $0.cut(by: 1) }),
        BrokenSample("BUILD-PACK of part 3 of 2", bytes: changed("BUILD-PACK") { $0.set(3, at: 20) }),
        BrokenSample("BUILD-PACK with a study without a UID", bytes: changed("BUILD-PACK") { $0.set(0, at: 56) }),
        BrokenSample("BUILD-PACK with 17 sources", bytes: changed("BUILD-PACK") { $0.set(17, at: 93) }),
        BrokenSample("BUILD-PACK-RESULT of no outcome", bytes: changed("BUILD-PACK-RESULT") { $0.set(3, at: 0) }),
        BrokenSample("VERIFY-PACK cut short", bytes: changed("VERIFY-PACK") { $0.cut(by: 1) }),
        BrokenSample("RECALL with half an id", bytes: changed("RECALL") { $0.cut(by: 8) }),
        BrokenSample("RECALL of nothing", bytes: changed("RECALL") { $0.cut(by: 32) }),
        BrokenSample("RECALL-RESULT of an unknown outcome", bytes: changed("RECALL-RESULT") { $0.set(6, at: 0) }),
        BrokenSample("REMOVE-PACK cut short", bytes: changed("REMOVE-PACK") { $0.cut(by: 1) }),
        BrokenSample("REMOVE-PACK of a study without a UID", bytes: changed("REMOVE-PACK") { $0.set(0, at: 40) }),
        BrokenSample("DROP-RESULT of an unknown outcome", bytes: changed("DROP-RESULT") { $0.set(7, at: 0) }),
        BrokenSample("MAP that is neither member nor not", bytes: changed("MAP") { $0.set(3, at: 20) }),
        BrokenSample("DAMAGE of 0", bytes: changed("DAMAGE, continued") { $0.set(0, at: 40) }),
        BrokenSample("DAMAGE of 4097", bytes: changed("DAMAGE from the start") { $0.set(1, at: 40) }),
        BrokenSample("DAMAGE-RESULT with half an id", bytes: changed("DAMAGE-RESULT") { $0.cut(by: 8) }),
        BrokenSample("DAMAGE-RESULT with a claim of 2", bytes: changed("DAMAGE-RESULT") { $0.set(2, at: 1) }),
        BrokenSample("HEALED cut short", bytes: changed("HEALED") { $0.cut(by: 1) }),
        BrokenSample("HEALED-RESULT of 7 bytes", bytes: changed("HEALED-RESULT") { $0.cut(by: 1) }),
        BrokenSample("MAP-RESULT cut short", bytes: changed("MAP-RESULT") { $0.cut(by: 1) }),
    ]

    private init(_ name: String, bytes: ByteBuffer, handshakeIsOver: Bool = true) {
        self.name = name
        self.bytes = bytes
        self.handshakeIsOver = handshakeIsOver
    }

    private static func zeros(_ count: Int) -> [UInt8] {
        Array(repeating: 0, count: count)
    }

    private static func sample(_ name: String) -> ByteBuffer {
        Samples.all.first { $0.name == name }?.bytes ?? ByteBuffer()
    }

    private static func payload(_ name: String) -> ByteBuffer {
        var bytes = sample(name)
        bytes.moveReaderIndex(forwardBy: MessageHeader.byteCount)
        return bytes.slice()
    }

    private static func ping(_ change: (inout ByteBuffer) -> Void) -> ByteBuffer {
        var bytes = sample("PING")
        change(&bytes)
        return bytes
    }

    private static func data(_ change: (inout ByteBuffer) -> Void) -> ByteBuffer {
        var bytes = sample("DATA unsolicited")
        change(&bytes)
        return bytes
    }

    /// The sample with a changed payload, whose checksums are right again.
    private static func changed(_ name: String, _ change: (inout ByteBuffer) -> Void) -> ByteBuffer {
        var payload = payload(name)
        change(&payload)
        return header(type: sample(name).getInteger(at: 3) ?? 0, payload: payload)
    }

    /// A STATUS-RESULT with a reason of one byte more than texts may have.
    private static var statusWithLongText: ByteBuffer {
        var payload = ByteBuffer(bytes: zeros(26))
        payload.writeInteger(UInt16(ReplicationError.maximumMessageByteCount + 1), endianness: .little)
        payload.writeRepeatingByte(0x61, count: ReplicationError.maximumMessageByteCount + 1)
        return payload
    }

    /// A header with right checksums in front of `payload`.
    private static func header(version: UInt8 = 1, type: UInt8, payload: ByteBuffer) -> ByteBuffer {
        var bytes = header(
            version: version,
            type: type,
            byteCount: UInt32(payload.readableBytes),
            checksum: CRC32C.checksum(of: payload)
        )
        bytes.writeImmutableBuffer(payload)
        return bytes
    }

    private static func header(version: UInt8 = 1, type: UInt8, byteCount: UInt32, checksum: UInt32 = 0) -> ByteBuffer {
        var bytes = ByteBuffer(bytes: [0x56, 0x52, version, type, 0, 0, 0, 0])
        for field in [byteCount, 1, 0, 42, checksum] { bytes.writeInteger(field, endianness: .little) }
        bytes.writeInteger(CRC32C.checksum(of: bytes), endianness: .little)
        return bytes
    }
}

extension ByteBuffer {
    fileprivate mutating func flip(byte index: Int) {
        setInteger((getInteger(at: index) as UInt8? ?? 0) ^ 0x10, at: index)
    }

    fileprivate mutating func set(_ value: UInt8, at index: Int) {
        setInteger(value, at: index)
    }

    fileprivate mutating func set(_ values: [UInt8], at index: Int) {
        setBytes(values, at: index)
    }

    fileprivate mutating func cut(by count: Int) {
        moveWriterIndex(to: writerIndex - count)
    }

    fileprivate mutating func add(_ value: UInt8) {
        writeInteger(value)
    }
}
