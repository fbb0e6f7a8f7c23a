// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement

extension RecordAmendment.Order {
    /// Term, then sequence.
    fileprivate init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let term = Term(rawValue: try reader.integer())
        self.init(term: term, sequence: try reader.integer())
    }

    fileprivate func write(to buffer: inout ByteBuffer) {
        buffer.writeLittle(term.rawValue)
        buffer.writeLittle(sequence)
    }
}

extension RecordAmendment {
    /// All of it: the 64 bytes, then the payload.
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let recordID = try reader.recordID()
        let order = try Order(reading: &reader)
        let kind = Kind(rawValue: try reader.integer())
        let keptDays: UInt16 = try reader.integer()
        let byteCount: UInt32 = try reader.integer()
        let issuedAtMilliseconds: Int64 = try reader.integer()
        let reference = try reader.reference()
        guard byteCount <= Self.maximumPayloadByteCount else {
            throw .malformed(reader.type, "an amendment of \(byteCount) bytes")
        }
        self.init(
            recordID: recordID,
            kind: kind,
            order: order,
            reference: reference,
            issuedAtMilliseconds: issuedAtMilliseconds,
            keptDays: keptDays,
            payload: try reader.bytes(byteCount: Int(byteCount))
        )
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeRecordID(recordID)
        order.write(to: &buffer)
        buffer.writeLittle(kind.rawValue)
        buffer.writeLittle(keptDays)
        buffer.writeLittle(UInt32(payload.readableBytes))
        buffer.writeLittle(issuedAtMilliseconds)
        buffer.writeIdentifier(high: reference.high, low: reference.low)
        buffer.writeImmutableBuffer(payload)
    }
}

extension AmendRequest {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let timeoutMilliseconds: UInt32 = try reader.integer()
        try reader.reserved(byteCount: 4)
        let stamp = try OrderStamp(reading: &reader)
        self.init(try RecordAmendment(reading: &reader), stamp, timeoutMilliseconds: timeoutMilliseconds)
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeLittle(timeoutMilliseconds)
        buffer.writeRepeatingByte(0, count: 4)
        stamp.write(to: &buffer)
        amendment.write(to: &buffer)
    }
}

extension AmendmentsRequest {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let first = try reader.recordID()
        let firstOrder = try RecordAmendment.Order(reading: &reader)
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
            firstOrder: firstOrder,
            last: last,
            limit: Int(limit),
            timeoutMilliseconds: try reader.integer()
        )
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeRecordID(first)
        firstOrder.write(to: &buffer)
        buffer.writeRecordID(last)
        buffer.writeLittle(UInt32(limit))
        buffer.writeLittle(timeoutMilliseconds)
    }
}

extension AmendmentPage {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let hasMore = try reader.claim()
        let isComplete = try reader.claim()
        var amendments: [RecordAmendment] = []
        while reader.bytes.readableBytes > 0 {
            guard amendments.count < AmendmentsRequest.maximumCount else {
                throw .malformed(reader.type, "more than \(AmendmentsRequest.maximumCount) amendments")
            }
            amendments.append(try RecordAmendment(reading: &reader))
        }
        self.init(amendments, hasMore: hasMore, isComplete: isComplete)
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeClaim(hasMore)
        buffer.writeClaim(isComplete)
        for amendment in amendments { amendment.write(to: &buffer) }
    }
}
