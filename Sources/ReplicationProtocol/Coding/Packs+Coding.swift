// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement

extension PackReference {
    /// The study, then the place; the id comes first of all.
    fileprivate init(_ pack: ReferenceID, reading reader: inout PayloadReader) throws(ReplicationError) {
        let study = try reader.shortText()
        guard (1...Self.maximumStudyByteCount).contains(study.utf8.count) else {
            throw .malformed(reader.type, "a study UID of \(study.utf8.count) bytes")
        }
        let place = try reader.text()
        guard (1...Self.maximumPlaceByteCount).contains(place.utf8.count) else {
            throw .malformed(reader.type, "a place of \(place.utf8.count) bytes")
        }
        self.init(pack: pack, studyInstanceUID: study, place: place)
    }

    fileprivate func write(to buffer: inout ByteBuffer) {
        buffer.writeShortText(studyInstanceUID)
        buffer.writeText(place)
    }
}

extension BuildPackRequest {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let pack = try reader.reference()
        let timeoutMilliseconds: UInt32 = try reader.integer()
        let part: UInt32 = try reader.integer()
        let partCount: UInt32 = try reader.integer()
        guard part >= 1, part <= partCount else { throw .malformed(reader.type, "part \(part) of \(partCount)") }
        try reader.reserved(byteCount: 4)
        let stamp = try OrderStamp(reading: &reader)
        let createdAtMilliseconds: Int64 = try reader.integer()
        let reference = try PackReference(pack, reading: &reader)
        let sourceCount = Int(try reader.integer(UInt8.self))
        guard sourceCount <= Self.maximumSourceCount else {
            throw .malformed(reader.type, "\(sourceCount) sources")
        }
        var sources: [Source] = []
        for _ in 0..<sourceCount {
            let nodeID = try reader.nodeID()
            let port: UInt16 = try reader.integer()
            sources.append(Source(nodeID: nodeID, host: try reader.shortText(), port: port))
        }
        var records: [RecordID] = []
        while reader.bytes.readableBytes > 0 {
            guard records.count < Self.maximumRecordCount else {
                throw .malformed(reader.type, "more than \(Self.maximumRecordCount) records")
            }
            records.append(try reader.recordID())
        }
        guard !records.isEmpty else { throw .malformed(reader.type, "no records") }
        self.init(
            reference: reference,
            stamp: stamp,
            part: part,
            partCount: partCount,
            createdAtMilliseconds: createdAtMilliseconds,
            sources: sources,
            records: records,
            timeoutMilliseconds: timeoutMilliseconds
        )
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeIdentifier(high: reference.pack.high, low: reference.pack.low)
        buffer.writeLittle(timeoutMilliseconds)
        buffer.writeLittle(part)
        buffer.writeLittle(partCount)
        buffer.writeRepeatingByte(0, count: 4)
        stamp.write(to: &buffer)
        buffer.writeLittle(createdAtMilliseconds)
        reference.write(to: &buffer)
        buffer.writeInteger(UInt8(clamping: sources.count))
        for source in sources {
            buffer.writeIdentifier(high: source.nodeID.high, low: source.nodeID.low)
            buffer.writeLittle(source.port)
            buffer.writeShortText(source.host)
        }
        for record in records { buffer.writeRecordID(record) }
    }
}

extension BuiltPack {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let outcome = try reader.putOutcome()
        try reader.reserved(byteCount: 7)
        let byteCount: UInt64 = try reader.integer()
        self.init(outcome: outcome, byteCount: byteCount, digest: try reader.digest())
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeInteger(outcome.rawValue)
        buffer.writeRepeatingByte(0, count: 7)
        buffer.writeLittle(byteCount)
        buffer.writeDigest(digest)
    }
}

extension VerifyPackRequest {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let pack = try reader.reference()
        let timeoutMilliseconds: UInt32 = try reader.integer()
        try reader.reserved(byteCount: 4)
        let stamp = try OrderStamp(reading: &reader)
        let byteCount: UInt64 = try reader.integer()
        let digest = try reader.digest()
        self.init(
            reference: try PackReference(pack, reading: &reader),
            stamp: stamp,
            byteCount: byteCount,
            digest: digest,
            timeoutMilliseconds: timeoutMilliseconds
        )
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeIdentifier(high: reference.pack.high, low: reference.pack.low)
        buffer.writeLittle(timeoutMilliseconds)
        buffer.writeRepeatingByte(0, count: 4)
        stamp.write(to: &buffer)
        buffer.writeLittle(byteCount)
        buffer.writeDigest(digest)
        reference.write(to: &buffer)
    }
}

extension RecallRequest {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let pack = try reader.reference()
        let timeoutMilliseconds: UInt32 = try reader.integer()
        try reader.reserved(byteCount: 4)
        let stamp = try OrderStamp(reading: &reader)
        let byteCount: UInt64 = try reader.integer()
        let digest = try reader.digest()
        let reference = try PackReference(pack, reading: &reader)
        var records: [RecordID] = []
        while reader.bytes.readableBytes > 0 {
            guard records.count < Self.maximumRecordCount else {
                throw .malformed(reader.type, "more than \(Self.maximumRecordCount) records")
            }
            records.append(try reader.recordID())
        }
        guard !records.isEmpty else { throw .malformed(reader.type, "no records") }
        self.init(
            reference: reference,
            stamp: stamp,
            byteCount: byteCount,
            digest: digest,
            records: records,
            timeoutMilliseconds: timeoutMilliseconds
        )
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeIdentifier(high: reference.pack.high, low: reference.pack.low)
        buffer.writeLittle(timeoutMilliseconds)
        buffer.writeRepeatingByte(0, count: 4)
        stamp.write(to: &buffer)
        buffer.writeLittle(byteCount)
        buffer.writeDigest(digest)
        reference.write(to: &buffer)
        for record in records { buffer.writeRecordID(record) }
    }
}

extension RecallOutcome {
    /// All of an answer, in the order of the records that were asked for.
    static func readAll(from reader: inout PayloadReader) throws(ReplicationError) -> [RecallOutcome] {
        var outcomes: [RecallOutcome] = []
        while reader.bytes.readableBytes > 0 {
            let number: UInt8 = try reader.integer()
            guard let outcome = RecallOutcome(rawValue: number), outcomes.count < RecallRequest.maximumRecordCount
            else {
                throw .malformed(reader.type, "the unknown outcome \(number), or too many")
            }
            outcomes.append(outcome)
        }
        guard !outcomes.isEmpty else { throw .malformed(reader.type, "no outcome") }
        return outcomes
    }
}

extension RemovePackRequest {
    init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let pack = try reader.reference()
        let timeoutMilliseconds: UInt32 = try reader.integer()
        try reader.reserved(byteCount: 4)
        let stamp = try OrderStamp(reading: &reader)
        self.init(
            reference: try PackReference(pack, reading: &reader),
            stamp: stamp,
            timeoutMilliseconds: timeoutMilliseconds
        )
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeIdentifier(high: reference.pack.high, low: reference.pack.low)
        buffer.writeLittle(timeoutMilliseconds)
        buffer.writeRepeatingByte(0, count: 4)
        stamp.write(to: &buffer)
        reference.write(to: &buffer)
    }
}
