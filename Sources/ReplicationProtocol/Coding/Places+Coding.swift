// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement

extension PlacesRequest {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let timeoutMilliseconds: UInt32 = try reader.integer()
        try reader.reserved(byteCount: 4)
        let count = reader.bytes.readableBytes / RecordID.byteCount
        guard (1...Self.maximumCount).contains(count) else {
            throw .malformed(reader.type, "\(count) records; 1 ... \(Self.maximumCount) are allowed")
        }
        var ids: [RecordID] = []
        ids.reserveCapacity(count)
        while reader.bytes.readableBytes > 0 { ids.append(try reader.recordID()) }
        self.init(recordIDs: ids, timeoutMilliseconds: timeoutMilliseconds)
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeLittle(timeoutMilliseconds)
        buffer.writeLittle(UInt32(0))
        for id in recordIDs { buffer.writeRecordID(id) }
    }
}

extension FilePlace {
    /// All places of an answer.
    static func readAll(from reader: inout PayloadReader) throws(ReplicationError) -> [FilePlace?] {
        var places: [FilePlace?] = []
        places.reserveCapacity(reader.bytes.readableBytes / byteCount)
        while reader.bytes.readableBytes > 0 {
            let segment: UInt64 = try reader.integer()
            let offset: UInt64 = try reader.integer()
            let payloadByteCount: UInt64 = try reader.integer()
            let metadataByteCount: UInt32 = try reader.integer()
            let disk: UInt16 = try reader.integer()
            let recordType: UInt8 = try reader.integer()
            try reader.reserved(byteCount: 1)
            let place = FilePlace(
                disk: disk,
                segment: segment,
                offset: offset,
                payloadByteCount: payloadByteCount,
                metadataByteCount: metadataByteCount,
                recordType: recordType
            )
            guard disk > 0 || place == none else {
                throw .malformed(reader.type, "a place on no disk")
            }
            places.append(disk > 0 ? place : nil)
        }
        return places
    }

    /// What stands for no place.
    private static let none = FilePlace(
        disk: 0,
        segment: 0,
        offset: 0,
        payloadByteCount: 0,
        metadataByteCount: 0,
        recordType: 0
    )

    static func write(_ place: FilePlace?, to buffer: inout ByteBuffer) {
        let place = place ?? none
        buffer.writeLittle(place.segment)
        buffer.writeLittle(place.offset)
        buffer.writeLittle(place.payloadByteCount)
        buffer.writeLittle(place.metadataByteCount)
        buffer.writeLittle(place.disk)
        buffer.writeInteger(place.recordType)
        buffer.writeInteger(UInt8(0))
    }
}
