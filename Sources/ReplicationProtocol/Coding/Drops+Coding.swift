// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement

extension DropRequest {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let permit = try reader.reference()
        let timeoutMilliseconds: UInt32 = try reader.integer()
        try reader.reserved(byteCount: 4)
        let stamp = try OrderStamp(reading: &reader)
        let sequence: UInt64 = try reader.integer()
        var items: [Item] = []
        while reader.bytes.readableBytes > 0 {
            guard items.count < Self.maximumCount else {
                throw .malformed(reader.type, "more than \(Self.maximumCount) records")
            }
            let recordID = try reader.recordID()
            let digest = try reader.digest()
            let isHeldElsewhere = try reader.claim()
            try reader.reserved(byteCount: 7)
            items.append(Item(recordID: recordID, payloadDigest: digest, isHeldElsewhere: isHeldElsewhere))
        }
        self.init(
            permit: permit,
            stamp: stamp,
            sequence: sequence,
            items: items,
            timeoutMilliseconds: timeoutMilliseconds
        )
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeIdentifier(high: permit.high, low: permit.low)
        buffer.writeLittle(timeoutMilliseconds)
        buffer.writeRepeatingByte(0, count: 4)
        stamp.write(to: &buffer)
        buffer.writeLittle(sequence)
        for item in items {
            buffer.writeRecordID(item.recordID)
            buffer.writeDigest(item.payloadDigest)
            buffer.writeClaim(item.isHeldElsewhere)
            buffer.writeRepeatingByte(0, count: 7)
        }
    }
}

extension RecordDropOutcome {
    /// All of an answer, in the order of the records that were asked for.
    static func readAll(from reader: inout PayloadReader) throws(ReplicationError) -> [RecordDropOutcome] {
        var outcomes: [RecordDropOutcome] = []
        while reader.bytes.readableBytes > 0 {
            let number: UInt8 = try reader.integer()
            guard let outcome = RecordDropOutcome(rawValue: number), outcomes.count < DropRequest.maximumCount else {
                throw .malformed(reader.type, "the unknown outcome \(number), or too many")
            }
            outcomes.append(outcome)
        }
        return outcomes
    }
}
