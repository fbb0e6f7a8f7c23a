// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement
import SegmentFormat
import SegmentStore
import SimulatedDisk
import Testing

@Suite struct AppendAndReadTests {
    @Test(arguments: [0, 1, 4096, 65535, 65536, 65537, 300_000])
    func whatIsAppendedIsReadBack(byteCount: Int) async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        let record = try Fixture.record(1, byteCount: byteCount)
        #expect(try await store.append(record) == .stored)
        try await store.expectStored(record)
        let info = try #require(try await store.head(record.id))
        #expect(info.type == .instance && info.mapEpoch == record.mapEpoch)
        #expect(info.payloadByteCount == UInt64(byteCount))
        #expect(info.writtenAtMilliseconds == record.writtenAtMilliseconds)
        await store.close()
    }

    @Test func rangesAreReadBack() async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        let record = try Fixture.record(1, byteCount: 200_000)
        _ = try await store.append(record)
        var generator = SeededGenerator.announced("rangesAreReadBack")
        var ranges = [0..<0, 0..<1, 65535..<65537, 0..<200_000, 199_999..<200_000, 200_000..<200_000, 65536..<131_072]
        for _ in 0..<50 {
            let start = Int.random(in: 0...200_000, using: &generator)
            ranges.append(start..<Int.random(in: start...200_000, using: &generator))
        }
        for range in ranges {
            let part = try await store.read(record.id, range: range)
            #expect(part == record.payload.getSlice(at: range.lowerBound, length: range.count), "\(range)")
        }
        #expect(await code { _ = try await store.read(record.id, range: 0..<200_001) } == .invalid)
        #expect(await code { _ = try await store.read(record.id, range: -1..<3) } == .invalid)
        await store.close()
    }

    @Test func unknownRecordsAreNotFound() async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        let id = try Fixture.record(1).id
        #expect(try await store.head(id) == nil)
        #expect(await code { _ = try await store.read(id) } == .notFound)
        #expect(await code { try await store.verify(id) } == .notFound)
        await store.close()
    }

    @Test func theSameRecordIsStoredOnce() async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        let record = try Fixture.record(1)
        #expect(try await store.append(record) == .stored)
        #expect(try await store.append(record) == .alreadyStored)
        let other = try Fixture.record(1, content: 77)
        #expect(await code { _ = try await store.append(other) } == .conflict)
        try await store.expectStored(record)
        #expect(store.status.recordCount == 1)
        #expect(store.status.writtenRecordCount == 1)
        await store.close()
    }

    @Test func ofManyThatStoreTheSameAtOnceOneWrites() async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        let record = try Fixture.record(1)
        let other = try Fixture.record(1, content: 77)
        let outcomes = await withTaskGroup(of: (Bool, AppendOutcome?, SegmentStoreError.Code?).self) { group in
            for index in 0..<40 {
                group.addTask {
                    let isFirst = index % 2 == 0
                    do throws(SegmentStoreError) {
                        return (isFirst, try await store.append(isFirst ? record : other), nil)
                    } catch {
                        return (isFirst, nil, error.code)
                    }
                }
            }
            return await group.reduce(into: [(Bool, AppendOutcome?, SegmentStoreError.Code?)]()) { $0.append($1) }
        }
        #expect(outcomes.count { $0.1 == .stored } == 1)
        let winner = try #require(outcomes.first { $0.1 == .stored }).0
        for outcome in outcomes where outcome.1 != .stored {
            #expect(outcome.0 == winner ? outcome.1 == .alreadyStored : outcome.2 == .conflict)
        }
        try await store.expectStored(winner ? record : other)
        await store.close()
    }

    @Test func aPayloadThatIsNotWhatWasDeclaredIsRefused() async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        var record = try Fixture.record(1)
        record.payload.setInteger(UInt8(1), at: 17)
        record.payload.setInteger(UInt8(2), at: 18)
        let damaged = record
        #expect(await code { _ = try await store.append(damaged) } == .digestMismatch)
        #expect(store.status.recordCount == 0)
        await store.close()
    }

    @Test func recordsOverTheLimitAreRefused() async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        let record = try Fixture.record(1, byteCount: (1 << 20) + 1)
        #expect(await code { _ = try await store.append(record) } == .tooLarge)
        await store.close()
    }

    @Test func groupsAreListedInOrderAndInPages() async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        var expected: [RecordID] = []
        for number in UInt64(0)..<60 {
            let record = try Fixture.record(number, byteCount: 10, group: UInt16(number % 3) * 511)
            _ = try await store.append(record)
            if number % 3 == 1 { expected.append(record.id) }
        }
        expected.sort()
        let group = try #require(PlacementGroup(rawValue: 511))
        #expect(try await store.list(group: group, limit: 1000) == expected)
        var paged: [RecordID] = []
        while true {
            let page = try await store.list(group: group, after: paged.last, limit: 7)
            if page.isEmpty { break }
            paged += page
        }
        #expect(paged == expected)
        let empty = try #require(PlacementGroup(rawValue: 5))
        #expect(try await store.list(group: empty, limit: 10).isEmpty)
        let last = try #require(PlacementGroup(rawValue: 1022))
        #expect(try await store.list(group: last, after: expected.first, limit: 1000).count == 20)
        #expect(try await store.list(group: group, limit: 0).isEmpty)
        await store.close()
    }

    @Test func aClosedStoreSaysSo() async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        let record = try Fixture.record(1)
        _ = try await store.append(record)
        await store.close()
        #expect(await code { _ = try await store.append(record) } == .closed)
        #expect(await code { _ = try await store.read(record.id) } == .closed)
        #expect(await code { _ = try await store.appendLarge(record) } == .closed)
        #expect(!store.status.acceptsWrites)
        await store.close()
    }

    @Test func segmentsFollowOneAnotherAndAreReadAfterReopening() async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        let records = try (UInt64(0)..<40).map { try Fixture.record($0, byteCount: 30_000) }
        for record in records { #expect(try await store.append(record) == .stored) }
        await store.close()
        let again = try Fixture.open(directory)
        #expect(again.status.recordCount == 40)
        #expect(again.status.quarantinedRanges.isEmpty && !again.status.isUncertain)
        for record in records { try await again.expectStored(record) }
        #expect(try await again.append(records[7]) == .alreadyStored)
        await again.close()
    }

    @Test func aDirectoryIsUsedByOneStoreOfOneNode() async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        #expect(await code { _ = try Fixture.open(directory) } == .locked)
        await store.close()
        var configuration = Fixture.configuration(directory)
        configuration.nodeID = NodeID(high: 5, low: 5)
        let foreign = configuration
        #expect(await code { _ = try SegmentStore.open(foreign, logger: Fixture.logger) } == .foreign)
    }
}
