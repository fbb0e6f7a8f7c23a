// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import SegmentFormat
import SegmentStore
import SimulatedDisk
import Testing

/// Stops a scripted run at each of its disk operations, by a kill of the process and by losses of power, and looks at
/// what the next start finds.
@Suite struct CrashTests {
    /// How the run ends.
    enum Ending: CaseIterable {
        case kill, powerLoss
    }

    private struct Run {
        /// Records whose store was acknowledged.
        var acknowledged: [NewRecord] = []
        /// All others.
        var attempted: [NewRecord] = []
    }

    /// Several waves of concurrent records over several segments, and two large records.
    private static func script(_ store: SegmentStore, _ waves: [[NewRecord]]) async -> Run {
        var run = Run()
        for (wave, records) in waves.enumerated() {
            let isLargeWave = wave % 2 == 1
            let outcomes = await withTaskGroup(of: (NewRecord, Bool).self) { group in
                for (index, record) in records.enumerated() {
                    group.addTask {
                        do {
                            if isLargeWave, index == 3 {
                                _ = try await store.appendLarge(record)
                            } else {
                                _ = try await store.append(record)
                            }
                            return (record, true)
                        } catch {
                            return (record, false)
                        }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            for (record, isAcknowledged) in outcomes {
                if isAcknowledged { run.acknowledged.append(record) } else { run.attempted.append(record) }
            }
        }
        return run
    }

    private static func makeWaves() throws -> [[NewRecord]] {
        try (UInt64(0)..<5).map { wave in
            try (UInt64(0)..<4).map { index in
                try Fixture.record(wave * 10 + index, byteCount: 300 + Int(index * index) * 3_000)
            }
        }
    }

    private static func check(_ store: SegmentStore, _ run: Run, _ what: Comment) async throws {
        for record in run.acknowledged { try await store.expectStored(record) }
        for record in run.attempted {
            guard try await store.head(record.id) != nil else { continue }
            try await store.expectStored(record)
        }
        let damaged = store.status.quarantinedRanges.filter { $0.kind != .torn }
        #expect(damaged.isEmpty, what)
        #expect(store.status.acceptsWrites, what)
    }

    @Test(arguments: Ending.allCases)
    func nothingAcknowledgedIsLostAndNothingIsHalf(ending: Ending) async throws {
        var generator = SeededGenerator.announced("nothingAcknowledgedIsLostAndNothingIsHalf")
        let waves = try Self.makeWaves()
        var operation = 0
        var isOver = false
        while !isOver {
            let directory = try TemporaryDirectory()
            let disk = SimulatedDisk(crashAt: operation)
            defer { operation += 1 }
            var run = Run()
            do {
                let store = try Fixture.open(directory, disk: disk, segmentByteCount: 64 << 10)
                run = await Self.script(store, waves)
                if !disk.isCrashed { await store.close() }
                await store.abandon()
                isOver = !disk.isCrashed
            } catch let error as SegmentStoreError {
                // The crash came while the store was opened.
                #expect(error.code == .openFailed)
                #expect(disk.isCrashed)
            }
            let what: Comment = "stopped at operation \(operation) by \(ending)"
            let next =
                ending == .kill ? disk.afterProcessKill() : disk.afterPowerLoss(using: &generator)
            let boot = ending == .kill ? Fixture.boot : BootID(high: 2, low: UInt64(operation))
            let store = try Fixture.open(directory, disk: next, boot: boot)
            if ending == .kill { #expect(!store.status.isUncertain, what) }
            try await Self.check(store, run, what)
            // What was not acknowledged is sent again, and then all of it is there.
            for record in run.attempted { _ = try await store.append(record) }
            run.acknowledged += run.attempted
            try await Self.check(store, run, what)
            // What was acknowledged then is there after a clean stop, and after a loss of power as well: what a killed
            // process had left in the page cache only must not have been taken for durable.
            let count = store.status.recordCount
            var last = next
            var lastBoot = boot
            if ending == .kill {
                await store.abandon()
                last = next.afterPowerLoss(using: &generator)
                lastBoot = BootID(high: 3, low: 3)
            } else {
                await store.close()
            }
            let again = try Fixture.open(directory, disk: last, boot: lastBoot)
            try await Self.check(again, run, "\(what), third")
            #expect(again.status.recordCount == count, what)
            await again.close()
        }
        #expect(operation > 50)
    }

    @Test func aCrashWhileRecoveringLosesNothing() async throws {
        var generator = SeededGenerator.announced("aCrashWhileRecoveringLosesNothing")
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        let store = try Fixture.open(directory, disk: disk)
        let run = try await Self.script(store, Self.makeWaves())
        await store.abandon()
        #expect(run.attempted.isEmpty)
        for operation in 0..<12 {
            let crashing = disk.afterPowerLoss(using: &generator, crashAt: operation)
            if let store = try? Fixture.open(directory, disk: crashing, boot: BootID(high: 3, low: 1)) {
                await store.abandon()
            }
            let last = crashing.afterPowerLoss(using: &generator)
            let again = try Fixture.open(directory, disk: last, boot: BootID(high: 3, low: 2))
            try await Self.check(again, run, "stopped at operation \(operation) of the recovery")
            await again.close()
        }
    }

    @Test func segmentNumbersAreNeverUsedAgain() async throws {
        let directory = try TemporaryDirectory()
        var disk = SimulatedDisk()
        var seen: Set<String> = []
        for round in UInt64(0)..<5 {
            let store = try Fixture.open(directory, disk: disk)
            // The large record has the higher number, and its file is gone in the end.
            _ = try await store.append(try Fixture.record(round))
            let large = try Fixture.record(1000 + round, byteCount: 50_000)
            let writer = try await store.beginLarge(
                id: large.id,
                type: .instance,
                metadata: large.metadata,
                payloadByteCount: 50_000,
                payloadDigest: large.payloadDigest,
                mapEpoch: large.mapEpoch
            )
            let names = disk.paths.filter { $0.hasSuffix(".seg") }
            let fresh = names.filter { !seen.contains($0) }
            #expect(fresh.count == 2)
            seen.formUnion(fresh)
            await writer.abort()
            #expect(disk.paths.filter { $0.hasSuffix(".seg") }.count == names.count - 1)
            await store.abandon()
            disk = disk.afterProcessKill()
        }
        #expect(seen.count == 10)
    }
}
