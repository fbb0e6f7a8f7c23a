// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement

extension OrderStamp {
    /// Map epoch, then term.
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let mapEpoch = MapEpoch(rawValue: try reader.integer())
        self.init(term: Term(rawValue: try reader.integer()), mapEpoch: mapEpoch)
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeLittle(mapEpoch.rawValue)
        buffer.writeLittle(term.rawValue)
    }
}

extension PullRequest {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let recordID = try reader.recordID()
        let timeoutMilliseconds: UInt32 = try reader.integer()
        let recordType: UInt8 = try reader.integer()
        try reader.reserved(byteCount: 3)
        let stamp = try OrderStamp(reading: &reader)
        let sourceNodeID = try reader.nodeID()
        let port: UInt16 = try reader.integer()
        self.init(
            recordID: recordID,
            recordType: recordType,
            stamp: stamp,
            sourceNodeID: sourceNodeID,
            host: try reader.shortText(),
            port: port,
            timeoutMilliseconds: timeoutMilliseconds
        )
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeRecordID(recordID)
        buffer.writeLittle(timeoutMilliseconds)
        buffer.writeInteger(recordType)
        buffer.writeRepeatingByte(0, count: 3)
        stamp.write(to: &buffer)
        buffer.writeIdentifier(high: sourceNodeID.high, low: sourceNodeID.low)
        buffer.writeLittle(port)
        buffer.writeShortText(host)
    }
}

extension PullProgress {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let receivedByteCount: UInt64 = try reader.integer()
        let payloadByteCount: UInt64 = try reader.integer()
        guard receivedByteCount <= payloadByteCount else { throw .malformed(reader.type, "more bytes than there are") }
        self.init(receivedByteCount: receivedByteCount, payloadByteCount: payloadByteCount)
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeLittle(receivedByteCount)
        buffer.writeLittle(payloadByteCount)
    }
}

extension PurgeRequest {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let permit = try reader.reference()
        let timeoutMilliseconds: UInt32 = try reader.integer()
        try reader.reserved(byteCount: 4)
        let stamp = try OrderStamp(reading: &reader)
        let retiredBeforeMilliseconds: UInt64 = try reader.integer()
        self.init(
            permit: permit,
            stamp: stamp,
            retiredBeforeMilliseconds: retiredBeforeMilliseconds,
            maximumSegmentCount: try reader.integer(),
            timeoutMilliseconds: timeoutMilliseconds
        )
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeIdentifier(high: permit.high, low: permit.low)
        buffer.writeLittle(timeoutMilliseconds)
        buffer.writeRepeatingByte(0, count: 4)
        stamp.write(to: &buffer)
        buffer.writeLittle(retiredBeforeMilliseconds)
        buffer.writeLittle(maximumSegmentCount)
    }
}

extension PurgeResult {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let purgedSegmentCount: UInt64 = try reader.integer()
        self.init(purgedSegmentCount: purgedSegmentCount, remainingSegmentCount: try reader.integer())
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeLittle(purgedSegmentCount)
        buffer.writeLittle(remainingSegmentCount)
    }
}

extension MapRequest {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let timeoutMilliseconds: UInt32 = try reader.integer()
        let stamp = try OrderStamp(reading: &reader)
        self.init(stamp: stamp, isMember: try reader.claim(), timeoutMilliseconds: timeoutMilliseconds)
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeLittle(timeoutMilliseconds)
        stamp.write(to: &buffer)
        buffer.writeClaim(isMember)
    }
}
