// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement

extension AmendmentKind {
    /// The kind, whether there is a term, two reserved bytes.
    fileprivate static func read(
        from reader: inout PayloadReader
    ) throws(ReplicationError) -> (kind: AmendmentKind, hasTerm: Bool) {
        let kind = AmendmentKind(rawValue: try reader.integer())
        let hasTerm = try reader.claim()
        try reader.reserved(byteCount: 2)
        guard hasTerm || !kind.removesProtection else {
            throw .malformed(reader.type, "an amendment of kind \(kind.rawValue) without a term")
        }
        return (kind, hasTerm)
    }
}

extension AmendRequest {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let recordID = try reader.recordID()
        let timeoutMilliseconds: UInt32 = try reader.integer()
        let (kind, hasTerm) = try AmendmentKind.read(from: &reader)
        let stamp = try OrderStamp(reading: &reader)
        let sequence: UInt64 = try reader.integer()
        let payload = reader.rest()
        guard payload.readableBytes <= Amendment.maximumPayloadByteCount else {
            throw .malformed(reader.type, "an amendment of \(payload.readableBytes) bytes")
        }
        let amendment = Amendment(
            recordID: recordID,
            sequence: sequence,
            kind: kind,
            term: hasTerm ? stamp.term : nil,
            payload: payload
        )
        self.init(amendment, mapEpoch: stamp.mapEpoch, timeoutMilliseconds: timeoutMilliseconds)
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeRecordID(amendment.recordID)
        buffer.writeLittle(timeoutMilliseconds)
        amendment.writeKind(to: &buffer)
        buffer.writeLittle(mapEpoch.rawValue)
        buffer.writeLittle(amendment.term?.rawValue ?? 0)
        buffer.writeLittle(amendment.sequence)
        buffer.writeImmutableBuffer(amendment.payload)
    }
}

extension Amendment {
    fileprivate func writeKind(to buffer: inout ByteBuffer) {
        buffer.writeInteger(kind.rawValue)
        buffer.writeClaim(term != nil)
        buffer.writeRepeatingByte(0, count: 2)
    }

    fileprivate init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let recordID = try reader.recordID()
        let sequence: UInt64 = try reader.integer()
        let (kind, hasTerm) = try AmendmentKind.read(from: &reader)
        let term = Term(rawValue: try reader.integer())
        let byteCount: UInt32 = try reader.integer()
        guard byteCount <= Self.maximumPayloadByteCount else {
            throw .malformed(reader.type, "an amendment of \(byteCount) bytes")
        }
        let payload = try reader.bytes(byteCount: Int(byteCount))
        self.init(recordID: recordID, sequence: sequence, kind: kind, term: hasTerm ? term : nil, payload: payload)
    }

    fileprivate func write(to buffer: inout ByteBuffer) {
        buffer.writeRecordID(recordID)
        buffer.writeLittle(sequence)
        writeKind(to: &buffer)
        buffer.writeLittle(term?.rawValue ?? 0)
        buffer.writeLittle(UInt32(payload.readableBytes))
        buffer.writeImmutableBuffer(payload)
    }
}

extension AmendmentsRequest {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let first = try reader.recordID()
        let firstSequence: UInt64 = try reader.integer()
        let last = try reader.recordID()
        guard first <= last, first.group == last.group else {
            throw .malformed(reader.type, "a range of ids that is empty or not within one group")
        }
        let limit: UInt32 = try reader.integer()
        guard limit >= 1, limit <= Self.maximumCount else {
            throw .malformed(reader.type, "a limit of \(limit); 1 ... \(Self.maximumCount) are allowed")
        }
        self.init(
            first: first,
            firstSequence: firstSequence,
            last: last,
            limit: Int(limit),
            timeoutMilliseconds: try reader.integer()
        )
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeRecordID(first)
        buffer.writeLittle(firstSequence)
        buffer.writeRecordID(last)
        buffer.writeLittle(UInt32(limit))
        buffer.writeLittle(timeoutMilliseconds)
    }
}

extension AmendmentPage {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let hasMore = try reader.claim()
        var amendments: [Amendment] = []
        while reader.bytes.readableBytes > 0 {
            guard amendments.count < AmendmentsRequest.maximumCount else {
                throw .malformed(reader.type, "more than \(AmendmentsRequest.maximumCount) amendments")
            }
            amendments.append(try Amendment(reading: &reader))
        }
        self.init(amendments, hasMore: hasMore)
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeClaim(hasMore)
        for amendment in amendments { amendment.write(to: &buffer) }
    }
}
