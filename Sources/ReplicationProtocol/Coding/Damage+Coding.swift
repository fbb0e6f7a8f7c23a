// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement

extension DamageCursor {
    fileprivate init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let (disk, segment): (UInt64, UInt64) = (try reader.integer(), try reader.integer())
        let offset: UInt64 = try reader.integer()
        let after = try reader.recordID()
        let isNone = after.high == 0 && after.low == 0
        self.init(disk: disk, segment: segment, offset: offset, after: isNone ? nil : after)
    }

    fileprivate func write(to buffer: inout ByteBuffer) {
        for number in [disk, segment, offset] { buffer.writeLittle(number) }
        buffer.writeIdentifier(high: after?.high ?? 0, low: after?.low ?? 0)
    }
}

extension DamageRequest {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let first = try DamageCursor(reading: &reader)
        let limit: UInt32 = try reader.integer()
        guard limit >= 1, limit <= Self.maximumCount else {
            throw .malformed(reader.type, "a limit of \(limit); 1 ... \(Self.maximumCount) are allowed")
        }
        self.init(first: first, limit: Int(limit), timeoutMilliseconds: try reader.integer())
    }

    func write(to buffer: inout ByteBuffer) {
        first.write(to: &buffer)
        buffer.writeLittle(UInt32(limit))
        buffer.writeLittle(timeoutMilliseconds)
    }
}

extension DamageReport {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let hasMore = try reader.claim()
        let isComplete = try reader.claim()
        let next = try DamageCursor(reading: &reader)
        let unnamed: UInt64 = try reader.integer()
        var missing: [RecordID] = []
        while reader.bytes.readableBytes > 0 {
            guard missing.count < DamageRequest.maximumCount else {
                throw .malformed(reader.type, "more than \(DamageRequest.maximumCount) ids")
            }
            missing.append(try reader.recordID())
        }
        self.init(missing: missing, isComplete: isComplete, next: hasMore ? next : nil, unnamed: unnamed)
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeClaim(next != nil)
        buffer.writeClaim(isComplete)
        (next ?? .start).write(to: &buffer)
        buffer.writeLittle(unnamed)
        for id in missing { buffer.writeRecordID(id) }
    }
}

extension HealedRequest {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let timeoutMilliseconds: UInt32 = try reader.integer()
        let stamp = try OrderStamp(reading: &reader)
        let isReconciled = try reader.claim()
        let unnamed: UInt64 = try reader.integer()
        self.init(
            stamp: stamp,
            reconciled: isReconciled ? unnamed : nil,
            timeoutMilliseconds: timeoutMilliseconds
        )
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeLittle(timeoutMilliseconds)
        stamp.write(to: &buffer)
        buffer.writeClaim(reconciled != nil)
        buffer.writeLittle(reconciled ?? 0)
    }
}
