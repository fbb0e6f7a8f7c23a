// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore
import Placement
import SegmentFormat
import SegmentStore
import SimulatedDisk
import Testing

@Suite struct FailureTests {
    @Test func aFailedSyncFailsEveryWaiterAndIsNeverTriedAgain() async throws {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        let store = try Fixture.open(directory, disk: disk)
        let first = try Fixture.record(0)
        _ = try await store.append(first)
        let lost = try Fixture.record(1)
        disk.failNext(.sync, number: EIO)
        let syncs = disk.count(of: .sync)
        #expect(await code { _ = try await store.append(lost) } == .writeFailed)
        for number in UInt64(2)..<5 {
            let record = try Fixture.record(number)
            #expect(await code { _ = try await store.append(record) } == .writeFailed)
            #expect(await code { _ = try await store.appendLarge(record) } == .writeFailed)
        }
        // One that failed and one for the note in the manifest.
        #expect(disk.count(of: .sync) <= syncs + 2)
        #expect(!store.status.acceptsWrites)
        #expect(store.status.reason?.contains("writeFailed") == true)
        try await store.expectStored(first)
        #expect(try await store.append(first) == .alreadyStored)
        #expect(try await store.head(lost.id) == nil)
        await store.close()

        // The page cache may hold what never reached the disk; the next start must not believe it.
        let next = disk.afterProcessKill()
        let again = try Fixture.open(directory, disk: next)
        #expect(again.status.acceptsWrites)
        try await again.expectStored(first)
        #expect(try await again.append(lost) == .stored)
        try await again.expectStored(lost)
        await again.close()
    }

    @Test func aSyncThatFailsAtTheStartHidesNothingOfTheSegment() throws {
        let machine = Machine()
        var engine = try machine.open()
        let record = try Fixture.record(0)
        #expect(try engine.append([record]).map { try $0.get() } == [.stored])
        let hold = Amendment(
            subject: record.id,
            kind: .hold,
            order: .init(term: Term(rawValue: 1), sequence: 1),
            reference: .init(high: 1, low: 1),
            issuedAtMilliseconds: 0
        )
        let new = NewAmendment(amendment: hold, mapEpoch: MapEpoch(rawValue: 1), writtenAtMilliseconds: 0)
        #expect(try engine.amend([new], under: Term(rawValue: 1)).map { try $0.get() } == [.stored])
        engine.abandon()

        var generator = SeededGenerator(seed: 3)
        let next = machine.powered(using: &generator)
        next.disk.setFaults { event in
            event.operation == .sync && event.path.contains("/segments/") ? .error(EIO) : nil
        }
        var again = try next.open()
        next.disk.setFaults(nil)
        #expect(again.status.isUncertain)
        #expect(try again.read(record.id) == record.payload)
        #expect(try again.standing(of: record.id).isHeld)
        again.abandon()
    }

    @Test func aFailedWriteFailsTheStore() async throws {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        let store = try Fixture.open(directory, disk: disk)
        let first = try Fixture.record(0)
        _ = try await store.append(first)
        let second = try Fixture.record(1)
        disk.failNext(.write, number: EIO)
        #expect(await code { _ = try await store.append(second) } == .writeFailed)
        #expect(await code { _ = try await store.append(second) } == .writeFailed)
        try await store.expectStored(first)
        await store.close()
    }

    @Test func aFailedSyncOfALargeRecordFailsTheStore() async throws {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        let store = try Fixture.open(directory, disk: disk)
        let first = try Fixture.record(0)
        _ = try await store.append(first)
        let large = try Fixture.record(1, byteCount: 2_000_000)
        disk.failNext(.sync, number: EIO)
        #expect(await code { _ = try await store.appendLarge(large) } == .writeFailed)
        let second = try Fixture.record(2)
        #expect(await code { _ = try await store.append(second) } == .writeFailed)
        try await store.expectStored(first)
        await store.close()
    }

    @Test func belowTheSoftLimitOnlyTombstonesAndAmendmentsAreTaken() async throws {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        let store = try Fixture.open(directory, disk: disk)
        let record = try Fixture.record(0)
        _ = try await store.append(record)
        disk.setFreeBytes(1 << 20)
        #expect(!store.status.acceptsWrites)
        let second = try Fixture.record(1)
        #expect(await code { _ = try await store.append(second) } == .full)
        #expect(await code { _ = try await store.appendLarge(second) } == .full)
        let term = Term(rawValue: 1)
        #expect(try await store.amend(Fixture.record(2).amendment(.tombstone, 1), under: term) == .stored)
        #expect(try await store.amend(Fixture.record(3).amendment(.hold, 1), under: term) == .stored)
        #expect(try await store.append(record) == .alreadyStored)
        try await store.expectStored(record)
        disk.setFreeBytes(1 << 30)
        #expect(store.status.acceptsWrites)
        #expect(try await store.append(second) == .stored)
        await store.close()
    }

    @Test(arguments: [SimulatedDisk.Operation.allocate, .write, .createFile])
    func aDiskThatIsFullRefusesAndThenGoesOn(operation: SimulatedDisk.Operation) async throws {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        let store = try Fixture.open(directory, disk: disk)
        let first = try Fixture.record(0)
        _ = try await store.append(first)
        // Large enough that each needs a new segment or more space.
        let second = try Fixture.record(1, byteCount: 250_000)
        disk.failNext(operation, number: ENOSPC)
        #expect(await code { _ = try await store.append(second) } == .full)
        #expect(store.status.acceptsWrites)
        #expect(try await store.append(second) == .stored)
        try await store.expectStored(first)
        try await store.expectStored(second)
        await store.close()
        let again = try Fixture.open(directory, disk: disk)
        try await again.expectStored(first)
        try await again.expectStored(second)
        #expect(again.status.quarantinedRanges.isEmpty)
        await again.close()
    }
}
