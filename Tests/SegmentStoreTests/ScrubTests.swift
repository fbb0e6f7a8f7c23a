// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOConcurrencyHelpers
import NIOCore
import Placement
import SegmentFormat
import SegmentStore
import SimulatedDisk
import Testing

@Suite struct ScrubPacerTests {
    private static let day = 86_400.0

    /// A store of segments that are checked in the order of their age, at the pace that the pacer sets.
    private struct Run {
        var pacer = ScrubPacer(deadlineSeconds: 14 * day, pieceByteCount: 1 << 20)
        var checked: [Double]
        let segmentByteCount: Double
        var now = 0.0
        var readByteCount = 0.0
        private var part = 0.0

        init(segments: Int, segmentByteCount: Double) {
            checked = Array(repeating: 0, count: segments)
            self.segmentByteCount = segmentByteCount
        }

        var age: Double { now - (checked.min() ?? now) }

        /// Runs until `end`, each read taking no time; returns the highest age seen.
        mutating func run(until end: Double, pieces: Double = 64) -> Double {
            var worst = age
            while now < end {
                let byteCount = UInt64(Double(checked.count) * segmentByteCount)
                let delay = pacer.delay(at: Int64(now * 1e9), byteCount: byteCount, ageSeconds: age)
                if delay > 0 {
                    now += Double(delay) / 1e9
                    worst = max(worst, age)
                    continue
                }
                // In larger pieces than in life, so that the test is quick.
                let read = Double(1 << 20) * pieces
                pacer.spent(Int(read))
                readByteCount += read
                part += read
                while part >= segmentByteCount, let oldest = checked.indices.min(by: { checked[$0] < checked[$1] }) {
                    part -= segmentByteCount
                    checked[oldest] = now
                }
            }
            return worst
        }
    }

    @Test(arguments: [(1, 1.0e6), (4, 1.0e9), (25, 2.0e10)])
    func everyByteIsCheckedWithinTheDeadline(segments: Int, byteCount: Double) {
        var run = Run(segments: segments, segmentByteCount: byteCount)
        let worst = run.run(until: 60 * Self.day, pieces: min(64, byteCount / Double(1 << 20)))
        #expect(worst < 14 * Self.day)
        // And not much more often than that.
        #expect(run.readByteCount < Double(segments) * byteCount * 60 / 14 * 1.6)
    }

    @Test func itCatchesUpAfterAPause() {
        var run = Run(segments: 20, segmentByteCount: 5e9)
        _ = run.run(until: 20 * Self.day)
        run.now += 30 * Self.day
        #expect(run.age > 30 * Self.day)
        _ = run.run(until: run.now + 3 * Self.day)
        #expect(run.age < 14 * Self.day)
        // Not by a burst: five times the rate at most, or what any disk can do.
        #expect(run.pacer.bytesPerSecond(byteCount: 4 << 40, ageSeconds: 40 * Self.day) < 23e6)
        #expect(run.pacer.bytesPerSecond(byteCount: 4 << 40, ageSeconds: 1 * Self.day) < 4.6e6)
    }

    @Test func anEmptyStoreWaits() {
        var pacer = ScrubPacer(deadlineSeconds: 100, pieceByteCount: 1 << 20)
        #expect(pacer.delay(at: 0, byteCount: 0, ageSeconds: 0) == pacer.maximumDelayNanoseconds)
    }

    @Test func aClockThatStandsStillSpendsNothing() {
        var pacer = ScrubPacer(deadlineSeconds: 100, pieceByteCount: 1 << 20)
        for _ in 0..<10 { #expect(pacer.delay(at: 5, byteCount: 1 << 30, ageSeconds: 0) > 0) }
    }
}

@Suite struct ScrubTests {
    private static func path(_ number: UInt64) -> String { "/store/segments/\(SegmentID(rawValue: number).fileName)" }

    /// Twelve records of 30 KB over several segments, the last of them active, and a large one.
    private static func stored(_ machine: Machine) throws -> (StoreEngine, [NewRecord]) {
        var engine = try machine.open()
        var records = try (UInt64(0)..<12).map { try Fixture.record($0, byteCount: 30_000) }
        for record in records { #expect(try engine.append(record) == .stored) }
        let large = try Fixture.record(100, byteCount: 200_000)
        #expect(try engine.appendLarge(large) == .stored)
        records.append(large)
        return (engine, records)
    }

    private static func machine() -> Machine {
        var machine = Machine()
        machine.configuration.segmentByteCount = 128 << 10
        return machine
    }

    private static func scrubAll(_ engine: inout StoreEngine) throws -> Set<RecordID> {
        var damaged: Set<RecordID> = []
        for _ in 0..<10 { damaged.formUnion(try engine.scrubOldest()) }
        return damaged
    }

    @Test func whatIsSoundIsFoundSound() throws {
        let machine = Self.machine()
        var (engine, _) = try Self.stored(machine)
        #expect(try Self.scrubAll(&engine).isEmpty)
        #expect(engine.status.quarantinedRanges.isEmpty)
        var empty = try Machine().open()
        #expect(try empty.scrubOldest().isEmpty)
    }

    @Test func aBitAnywhereOnTheDiskIsFound() throws {
        var generator = SeededGenerator.announced("aBitAnywhereOnTheDiskIsFound")
        let before = Self.machine()
        let (_, records) = try Self.stored(before)
        for round in 0..<60 {
            let machine = before.killed()
            var engine = try machine.open()
            let paths = machine.disk.paths.filter { $0.hasSuffix(".seg") }
            let path = try #require(paths.randomElement(using: &generator))
            let bytes = try #require(machine.disk.bytes(at: path))
            // Within a record: header, metadata, payload, table or trailer, not the gap behind it.
            let starts = stride(from: 4096, to: bytes.count - 512, by: 512).filter { start in
                Array(bytes[start..<(start + 4)]) == Array("VREC".utf8) && bytes[start + 5] == 1
            }
            let start = try #require(starts.randomElement(using: &generator))
            let payload = bytes[(start + 72)..<(start + 80)].reversed().reduce(0) { $0 << 8 | Int($1) }
            let place = start + Int.random(in: 0..<(160 + 120 + payload + 16), using: &generator)
            machine.disk.tamper(path) { $0[place] ^= UInt8(1 << (round % 8)) }
            let damaged = try Self.scrubAll(&engine)
            let what: Comment = "round \(round): byte \(place) of \(path)"
            let bad = records.filter { record in refusal { try engine.verify(record.id) } != nil }
            #expect(bad.count == 1, what)
            #expect(!engine.status.quarantinedRanges.isEmpty, what)
            // In a segment without a footer the id may be what is damaged.
            #expect(damaged == Set(bad.map(\.id)) || damaged.isEmpty, what)
            if let record = bad.first {
                #expect(try engine.append(record) == .stored, what)
                try engine.expectStored(record)
                #expect(try Self.scrubAll(&engine).isEmpty, what)
            }
        }
    }

    @Test func whatIsInMemoryDoesNotHideTheDisk() throws {
        let machine = Self.machine()
        var engine = try machine.open()
        machine.disk.setFaults { event in
            event.operation == .write && event.path.hasSuffix(".seg")
                && event.range.lowerBound > 4096 ? .lost : nil
        }
        let records = try [Fixture.record(0), Fixture.record(1)]
        for record in records { #expect(try engine.append(record) == .stored) }
        machine.disk.setFaults(nil)
        #expect(try engine.read(records[1].id) == records[1].payload)
        _ = try engine.scrubOldest()
        #expect(engine.status.quarantinedRanges.count == 1)
    }

    @Test func aWrongDigestUnderRightChecksumsIsFound() throws {
        let machine = Self.machine()
        var engine = try machine.open()
        var record = try Fixture.record(1)
        record.payload.setInteger(UInt8(1), at: 17)
        record.payload.setInteger(UInt8(2), at: 18)
        record.digestIsVerified = true
        #expect(try engine.append(record) == .stored)
        try engine.seal()
        #expect(try engine.scrubOldest() == [record.id])
    }

    @Test func sectorsThatCanNotBeReadAreFound() throws {
        let machine = Self.machine()
        var (engine, records) = try Self.stored(machine)
        machine.disk.breakSectors(of: Self.path(1), 10_000..<10_512)
        #expect(try Self.scrubAll(&engine) == [records[0].id])
    }

    /// In a segment without a footer both are one range, of which the first part is known already.
    @Test func damageBehindDamageThatIsKnownIsFound() throws {
        let machine = Self.machine()
        var engine = try machine.open()
        let records = try (UInt64(0)..<6).map { try Fixture.record($0, byteCount: 1000) }
        for record in records { #expect(try engine.append(record) == .stored) }
        let block = SegmentLayout.blockByteCount
        for number in [2, 3, 4] {
            machine.disk.breakSectors(of: Self.path(1), number * block..<number * block + 512)
            _ = try Self.scrubAll(&engine)
            let known = engine.status.quarantinedRanges.map(\.range)
            #expect(known.contains { $0.contains(UInt64(number * block)) }, "block \(number): \(known)")
        }
        let count = engine.status.quarantinedRanges.count
        _ = try Self.scrubAll(&engine)
        #expect(engine.status.quarantinedRanges.count == count, "what is known is no news")
    }

    @Test func aFileThatIsGoneIsAllDamaged() throws {
        let machine = Self.machine()
        var (engine, records) = try Self.stored(machine)
        engine.close()
        try machine.disk.removeFile(Self.path(1))
        engine = try machine.open()
        _ = try Self.scrubAll(&engine)
        #expect(refusal { try engine.verify(records[0].id) } == .readFailed)
        #expect(engine.status.quarantinedRanges.allSatisfy { $0.segment == SegmentID(rawValue: 1) })
    }

    @Test func whatNobodyReadsAnyMoreIsNotReported() throws {
        let machine = Self.machine()
        var (engine, records) = try Self.stored(machine)
        #expect(try engine.amend(records[0].amendment(.tombstone, 1)) == .stored)
        machine.disk.tamper(Self.path(1)) { $0[4096 + 1000] ^= 1 }
        #expect(try Self.scrubAll(&engine).isEmpty)
        // A deleted record that is held must be kept, and so be sound.
        #expect(try engine.amend(records[0].amendment(.hold, 2)) == .stored)
        #expect(try Self.scrubAll(&engine) == [records[0].id])
    }

    @Test func theOldestSegmentComesFirstAndTheOrderOutlivesAStop() throws {
        var machine = Self.machine()
        let now = NIOLockedValueBox<Int64>(1_700_000_000_000)
        machine.wallMilliseconds = { now.withLockedValue { $0 } }
        var (engine, _) = try Self.stored(machine)
        let count = machine.disk.paths.count { $0.hasSuffix(".seg") }
        var order: [SegmentID] = []
        for round in 0..<(2 * count) {
            now.withLockedValue { $0 += 3_600_000 }
            let segment = try #require(engine.view.oldestScrub()).segment
            order.append(segment)
            _ = try engine.scrubOldest()
            if round == 1 {
                engine.close()
                engine = try machine.open()
            }
        }
        #expect(Array(order[..<count]) == order[..<count].sorted() && Set(order[..<count]).count == count)
        // Closing sealed the active one, which is there still.
        #expect(Array(order[count...]) == Array(order[..<count]))
        #expect(engine.status.oldestUnchecked == .seconds(3600 * (count - 1)))
    }

    @Test func theThreadFindsDamageWhileTheStoreIsInUse() async throws {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        let first = try Fixture.open(directory, disk: disk)
        let record = try Fixture.record(1, byteCount: 200_000)
        #expect(try await first.append(record) == .stored)
        await first.close()
        disk.tamper("\(directory.path)/segments/0000000000000001.seg") { $0[4096 + 100_000] ^= 1 }
        var configuration = Fixture.configuration(directory)
        // A deadline so near that it reads all the time.
        configuration.scrubDeadline = .milliseconds(1)
        let store = try SegmentStore.open(configuration, logger: Fixture.logger, disk: disk, boot: Fixture.boot)
        for number in UInt64(10)... {
            if !store.status.quarantinedRanges.isEmpty { break }
            _ = try await store.append(Fixture.record(number, byteCount: 100))
        }
        #expect(store.status.quarantinedRanges.count == 1)
        await store.close()
        let again = try Fixture.open(directory, disk: disk)
        #expect(again.status.quarantinedRanges.count == 1)
        await again.close()
    }

    @Test(
        "a file is read past the cache at any offset",
        arguments: [(0, 4096), (512, 100_000), (1, 1), (4095, 2), (99_000, 9000)]
    )
    func readsPastTheCache(offset: Int, byteCount: Int) throws {
        let path = NSTemporaryDirectory() + "/varve-past-cache-\(UUID().uuidString)"
        defer { unlink(path) }
        let file = try RealDisk().createFile(path)
        let bytes = Fixture.bytes(100_123, seed: 3)
        try file.write([bytes], at: 0)
        try file.sync()
        let expected = bytes.getSlice(at: offset, length: min(byteCount, 100_123 - offset))
        #expect(try file.readPastCache(at: UInt64(offset), byteCount: byteCount) == expected)
        // What is not on the disk yet is read all the same.
        try file.write([ByteBuffer(repeating: 7, count: 100_123)], at: 0)
        let later = try file.readPastCache(at: UInt64(offset), byteCount: byteCount)
        #expect(later.readableBytesView.allSatisfy { $0 == 7 } && later.readableBytes == expected?.readableBytes)
    }
}
