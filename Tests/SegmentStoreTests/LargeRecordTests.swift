// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SegmentFormat
import SegmentStore
import SimulatedDisk
import Testing

@Suite struct LargeRecordTests {
    private static func begin(_ store: SegmentStore, _ record: NewRecord) async throws -> LargeRecordWriter {
        try await store.beginLarge(
            id: record.id,
            type: record.type,
            metadata: record.metadata,
            payloadByteCount: UInt64(record.payload.readableBytes),
            payloadDigest: record.payloadDigest,
            mapEpoch: record.mapEpoch,
            writtenAtMilliseconds: record.writtenAtMilliseconds
        )
    }

    @Test(arguments: [0, 1, 65_536, 2_000_000], [1000, 65_536, 100_001])
    func isReadBackWholeAndInRanges(byteCount: Int, pieceByteCount: Int) async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        let record = try Fixture.record(1, byteCount: byteCount)
        let pieces = max(pieceByteCount, byteCount / 50)
        #expect(try await store.appendLarge(record, pieceByteCount: pieces) == .stored)
        try await store.expectStored(record)
        if byteCount > 1_100_000 {
            let part = try await store.read(record.id, range: 1_000_001..<1_100_000)
            #expect(part == record.payload.getSlice(at: 1_000_001, length: 99_999))
        }
        #expect(store.status.recordCount == 1)
        await store.close()
        let again = try Fixture.open(directory)
        try await again.expectStored(record)
        #expect(try await again.appendLarge(record) == .alreadyStored)
        #expect(try await again.append(Fixture.record(2)) == .stored)
        await again.close()
    }

    @Test func isNotVisibleBeforeItIsCommitted() async throws {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        let store = try Fixture.open(directory, disk: disk)
        let record = try Fixture.record(1, byteCount: 100_000)
        let writer = try await Self.begin(store, record)
        try await writer.write(record.payload)
        #expect(try await store.head(record.id) == nil)
        #expect(try await writer.commit() == .stored)
        try await store.expectStored(record)
        await store.close()
    }

    @Test func onesThatAreGivenUpLeaveNothing() async throws {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        let store = try Fixture.open(directory, disk: disk)
        let record = try Fixture.record(1, byteCount: 100_000)
        let writer = try await Self.begin(store, record)
        try await writer.write(try #require(record.payload.getSlice(at: 0, length: 50_000)))
        await writer.abort()
        #expect(await code { try await writer.write(record.payload) } == .invalid)
        #expect(await code { _ = try await writer.commit() } == .invalid)

        let short = try await Self.begin(store, record)
        try await short.write(try #require(record.payload.getSlice(at: 0, length: 50_000)))
        #expect(await code { _ = try await short.commit() } == .invalid)

        let long = try await Self.begin(store, record)
        try await long.write(record.payload)
        #expect(await code { try await long.write(ByteBuffer(integer: 1)) } == .invalid)
        await long.abort()

        let wrong = try await Self.begin(store, record)
        try await wrong.write(Fixture.bytes(100_000, seed: 99))
        #expect(await code { _ = try await wrong.commit() } == .digestMismatch)

        #expect(try await store.head(record.id) == nil)
        #expect(disk.paths.allSatisfy { !$0.hasSuffix(".seg") })
        #expect(try await store.appendLarge(record) == .stored)
        await store.close()
    }

    @Test func conflictsAreFoundAtOnce() async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        let record = try Fixture.record(1, byteCount: 100_000)
        _ = try await store.append(record)
        let other = try Fixture.record(1, byteCount: 100_000, content: 7)
        #expect(await code { _ = try await Self.begin(store, other) } == .conflict)
        let same = try await Self.begin(store, record)
        #expect(same.isAlreadyStored)
        try await same.write(record.payload)
        #expect(try await same.commit() == .alreadyStored)
        await store.close()
    }

    @Test func ofTwoAtOnceOneIsStored() async throws {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        let store = try Fixture.open(directory, disk: disk)
        let record = try Fixture.record(1, byteCount: 100_000)
        let other = try Fixture.record(1, byteCount: 100_000, content: 7)
        let first = try await Self.begin(store, record)
        let second = try await Self.begin(store, record)
        let third = try await Self.begin(store, other)
        for (writer, payload) in [(first, record.payload), (second, record.payload), (third, other.payload)] {
            try await writer.write(payload)
        }
        #expect(try await second.commit() == .stored)
        #expect(try await first.commit() == .alreadyStored)
        #expect(await code { _ = try await third.commit() } == .conflict)
        try await store.expectStored(record)
        #expect(disk.paths.count { $0.hasSuffix(".seg") } == 1)
        await store.close()
    }

    @Test func anUnfinishedOneIsRemovedAtTheNextStart() async throws {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        let store = try Fixture.open(directory, disk: disk)
        let small = try Fixture.record(2)
        _ = try await store.append(small)
        let record = try Fixture.record(1, byteCount: 100_000)
        let writer = try await Self.begin(store, record)
        try await writer.write(try #require(record.payload.getSlice(at: 0, length: 90_000)))
        let next = disk.afterProcessKill()
        await writer.abort()
        await store.abandon()
        #expect(next.paths.count { $0.hasSuffix(".seg") } == 2)
        let again = try Fixture.open(directory, disk: next)
        #expect(next.paths.count { $0.hasSuffix(".seg") } == 1)
        #expect(again.status.quarantinedRanges.isEmpty && !again.status.isUncertain)
        try await again.expectStored(small)
        #expect(try await again.appendLarge(record) == .stored)
        await again.close()
    }
}
