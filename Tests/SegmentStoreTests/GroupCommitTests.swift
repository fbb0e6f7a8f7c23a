// SPDX-License-Identifier: Apache-2.0

import Dispatch
import NIOConcurrencyHelpers
import NIOCore
import Placement
import SegmentFormat
import SegmentStore
import SimulatedDisk
import Testing

@Suite struct GroupCommitTests {
    /// Holds the writer in its next sync until `open` is called.
    private final class Gate: Sendable {
        private let entered = DispatchSemaphore(value: 0)
        private let opened = DispatchSemaphore(value: 0)

        init(_ disk: SimulatedDisk) {
            disk.beforeSync { [entered, opened] in
                disk.beforeSync(nil)
                entered.signal()
                opened.wait()
            }
        }

        func waitUntilEntered() async {
            await withCheckedContinuation { continuation in
                DispatchQueue.global().async { [entered] in
                    entered.wait()
                    continuation.resume()
                }
            }
        }

        func open() { opened.signal() }
    }

    /// Stores one record to hold up the sync, hands in `count` more meanwhile, and returns the syncs these took.
    private static func syncs(
        for records: [NewRecord],
        _ change: (inout SegmentStore.Configuration) -> Void = { _ in }
    ) async throws -> Int {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        var configuration = Fixture.configuration(directory)
        configuration.segmentByteCount = 64 << 20
        change(&configuration)
        let store = try SegmentStore.open(configuration, logger: Fixture.logger, disk: disk, boot: Fixture.boot)
        _ = try await store.append(Fixture.record(1000))
        let gate = Gate(disk)
        let first = try Fixture.record(1001)
        let before = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { _ = try await store.append(first) }
            await gate.waitUntilEntered()
            for record in records { group.addTask { _ = try await store.append(record) } }
            while store.waitingCount < records.count { await Task.yield() }
            // Nobody was told anything while the sync was held up.
            #expect(store.status.recordCount == 1)
            let before = disk.count(of: .sync)
            gate.open()
            try await group.waitForAll()
            return before
        }
        for record in records { try await store.expectStored(record) }
        // The sync that was held up had not been counted yet.
        let count = disk.count(of: .sync) - before - 1
        await store.close()
        return count
    }

    @Test func whatWaitsForASyncSharesTheNextOne() async throws {
        let records = try (UInt64(0)..<50).map { try Fixture.record($0, byteCount: 2000) }
        #expect(try await Self.syncs(for: records) == 1)
    }

    @Test func aBatchHasAtMostSoManyRecords() async throws {
        let records = try (UInt64(0)..<50).map { try Fixture.record($0, byteCount: 2000) }
        #expect(try await Self.syncs(for: records) { $0.groupCommit.maximumRecordCount = 20 } == 3)
    }

    @Test func aBatchHasAtMostSoManyBytes() async throws {
        let records = try (UInt64(0)..<20).map { try Fixture.record($0, byteCount: 30_000) }
        #expect(try await Self.syncs(for: records) { $0.groupCommit.maximumByteCount = 160_000 } == 4)
    }

    @Test func aLoneWriterSyncsOnceARecord() async throws {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        let store = try Fixture.open(directory, disk: disk)
        _ = try await store.append(Fixture.record(0))
        let before = disk.count(of: .sync)
        for number in UInt64(1)...10 { _ = try await store.append(Fixture.record(number)) }
        #expect(disk.count(of: .sync) - before == 10)
        #expect(store.status.batchCount == 11 && store.status.writtenRecordCount == 11)
        await store.close()
    }

    @Test func nothingIsWrittenTwice() async throws {
        // Every batch begins at a multiple of 4 KiB and behind the one before it.
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        let store = try Fixture.open(directory, disk: disk)
        for number in UInt64(0)..<12 {
            _ = try await store.append(Fixture.record(number, byteCount: Int(number) * 700))
        }
        await store.abandon()
        let path = try #require(disk.paths.first { $0.hasSuffix(".seg") })
        let bytes = try #require(disk.bytes(at: path))
        var scanner = SegmentScanner(
            cluster: Fixture.cluster,
            segment: SegmentID(rawValue: 1),
            fileByteCount: UInt64(bytes.count)
        )
        var count = 0
        scan: while true {
            switch scanner.next() {
            case .read(let offset, let byteCount):
                scanner.received(ByteBuffer(bytes: bytes[Int(offset)..<min(bytes.count, Int(offset) + byteCount)]))
            case .findData(let offset): scanner.receivedData(at: offset)
            case .record(let header):
                #expect(header.batchOffset % 4096 == 0 && header.batchOffset == header.offset)
                count += 1
            case .finished(let result):
                #expect(result.unreadable.isEmpty)
                break scan
            }
        }
        #expect(count == 12)
    }

    @Test func moreThanTheQueueHoldsIsRefused() async throws {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        var configuration = Fixture.configuration(directory)
        configuration.maximumQueuedRecordCount = 4
        let store = try SegmentStore.open(configuration, logger: Fixture.logger, disk: disk, boot: Fixture.boot)
        _ = try await store.append(Fixture.record(0))
        let gate = Gate(disk)
        let records = try (UInt64(1)...5).map { try Fixture.record($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { _ = try await store.append(records[0]) }
            await gate.waitUntilEntered()
            for record in records[1..<4] { group.addTask { _ = try await store.append(record) } }
            while store.waitingCount < 3 { await Task.yield() }
            #expect(await code { _ = try await store.append(records[4]) } == .overloaded)
            gate.open()
            try await group.waitForAll()
        }
        #expect(try await store.append(records[4]) == .stored)
        await store.close()
    }

    /// Puts that never cease to come must not keep the writer from anything else.
    @Test func aStepIsTakenBeforeThePutsThatWait() async throws {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        var configuration = Fixture.configuration(directory)
        configuration.groupCommit.maximumRecordCount = 1
        let store = try SegmentStore.open(configuration, logger: Fixture.logger, disk: disk, boot: Fixture.boot)
        _ = try await store.append(Fixture.record(1000))
        let written = NIOLockedValueBox<[String]>([])
        disk.setFaults { event in
            if event.operation == .write { written.withLockedValue { $0.append(event.path) } }
            return nil
        }
        let gate = Gate(disk)
        let records = try (UInt64(0)..<4).map { try Fixture.record($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { _ = try await store.append(records[0]) }
            await gate.waitUntilEntered()
            for record in records[1...] { group.addTask { _ = try await store.append(record) } }
            group.addTask { try await store.observe(Term(rawValue: 3)) }
            while store.waitingCount < 3 || store.waitingStepCount < 1 { await Task.yield() }
            gate.open()
            try await group.waitForAll()
        }
        let order = written.withLockedValue { $0 }.map { $0.hasSuffix("MANIFEST") }
        #expect(order == [false, true, false, false, false])
        await store.close()
    }
}
