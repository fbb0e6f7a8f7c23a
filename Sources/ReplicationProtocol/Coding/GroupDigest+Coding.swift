// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement

extension DigestRequest {
    /// What the digest is of: records, the only thing there is so far.
    private static let records: UInt8 = 1

    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let prefix = try reader.recordID()
        let timeoutMilliseconds: UInt32 = try reader.integer()
        let subject: UInt8 = try reader.integer()
        guard subject == Self.records else { throw .malformed(reader.type, "a digest of the unknown \(subject)") }
        let prefixBitCount: UInt8 = try reader.integer()
        let splitBitCount: UInt8 = try reader.integer()
        try reader.reserved(byteCount: 1)
        let request = Self(
            prefix: prefix,
            prefixBitCount: Int(prefixBitCount),
            splitBitCount: Int(splitBitCount),
            timeoutMilliseconds: timeoutMilliseconds
        )
        guard let request, request.prefix == prefix else {
            throw .malformed(reader.type, "\(prefixBitCount) bits, split by \(splitBitCount), are not a prefix of ids")
        }
        self = request
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeRecordID(prefix)
        buffer.writeLittle(timeoutMilliseconds)
        buffer.writeInteger(Self.records)
        buffer.writeInteger(UInt8(prefixBitCount))
        buffer.writeInteger(UInt8(splitBitCount))
        buffer.writeInteger(UInt8(0))
    }
}

extension DigestPart {
    /// All parts of an answer.
    static func readAll(from reader: inout PayloadReader) throws(ReplicationError) -> [DigestPart] {
        let count = reader.bytes.readableBytes / byteCount
        guard count > 0, count & (count - 1) == 0 else {
            throw .malformed(reader.type, "\(count) parts, which is no power of 2")
        }
        var parts: [DigestPart] = []
        parts.reserveCapacity(count)
        while reader.bytes.readableBytes > 0 {
            let recordCount: UInt64 = try reader.integer()
            parts.append(DigestPart(recordCount: recordCount, digest: try reader.digest()))
        }
        return parts
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeLittle(recordCount)
        buffer.writeDigest(digest)
    }
}
