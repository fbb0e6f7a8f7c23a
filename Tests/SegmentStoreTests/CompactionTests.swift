// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import Placement
import SegmentFormat
import SegmentStore
import SimulatedDisk
import Testing

@Suite struct CompactionTests {
    private static let first = SegmentID(rawValue: 1)
    private static let day: Int64 = 86_400_000

    /// A machine whose clock is set by hand.
    private final class Clock: Sendable {
        private let now = NIOLockedValueBox<Int64>(1_700_000_000_001)
        func advance(days: Int64) { now.withLockedValue { $0 += days * day } }
        func read() -> Int64 { now.withLockedValue { $0 } }
    }

    private static func machine(_ clock: Clock) -> Machine {
        var machine = Machine()
        machine.wallMilliseconds = { clock.read() }
        machine.configuration.segmentByteCount = 128 << 10
        return machine
    }

    /// Twelve records, three to a segment of which the last is closed; the first is held, the second and the fifth
    /// deleted, the third deleted and held, the fourth noted.
    private static func stored(_ machine: Machine) throws -> (StoreEngine, [NewRecord]) {
        var engine = try machine.open()
        let records = try (UInt64(0)..<12).map { try Fixture.record($0, byteCount: 30_000) }
        for record in records { #expect(try engine.append(record) == .stored) }
        let amendments = [
            records[0].amendment(.hold, 1), records[1].amendment(.tombstone, 2), records[2].amendment(.tombstone, 3),
            records[2].amendment(.hold, 4), records[3].amendment(Amendment.Kind(rawValue: 30), 5),
            records[4].amendment(.tombstone, 6),
        ]
        for result in engine.amend(amendments, under: Term(rawValue: 1)) { #expect(try result.get() == .stored) }
        return (engine, records)
    }

    /// What must be so whatever was compacted.
    private static func check(_ engine: StoreEngine, _ records: [NewRecord], _ what: Comment = "") throws {
        for number in [0, 3, 5, 6, 7, 8, 9, 10, 11] { try engine.expectStored(records[number]) }
        for number in [1, 2, 4] { #expect(refusal { _ = try engine.read(records[number].id) } == .deleted, what) }
        #expect(try engine.standing(of: records[0].id).isHeld, what)
        #expect(try engine.standing(of: records[2].id).isHeld, what)
        #expect(try engine.amendments(of: records[2].id).count == 2, what)
        #expect(try engine.amendments(of: records[3].id).map(\.amendment.kind.rawValue) == [30], what)
        #expect(engine.status.recordCount == 9, what)
        #expect(engine.status.quarantinedRanges.isEmpty, what)
    }

    @Test func whatCountsIsCopiedAndTheRestGoesToTheTrash() throws {
        let clock = Clock()
        let machine = Self.machine(clock)
        var (engine, records) = try Self.stored(machine)
        // Until the deletion can't be taken back, what is deleted counts.
        #expect(try #require(try engine.view.usage(of: Self.first)).deadFraction == 0)
        clock.advance(days: 31)
        let usage = try #require(try engine.view.usage(of: Self.first))
        #expect(usage.deadFraction > 0.3 && usage.deadFraction < 0.4)
        #expect(try engine.compact(Self.first))
        try Self.check(engine, records)
        #expect(machine.disk.paths.contains("/store/trash/\(Self.first.fileName)"))
        #expect(!machine.disk.paths.contains("/store/segments/\(Self.first.fileName)"))
        #expect(engine.status.trash.map(\.segment) == [Self.first])
        // The one that is deleted for good is gone, the one that is held is not.
        for number in [1, 2] { #expect(try engine.amend(records[number].amendment(.undelete, 9)) == .stored) }
        #expect(try engine.head(records[1].id) == nil)
        try engine.expectStored(records[2])
        // And may be stored again.
        #expect(try engine.append(records[1]) == .stored)
        for next in [machine.killed(), machine.killed().withoutIndex()] {
            let again = try next.open()
            for record in records where record.id != records[4].id { try again.expectStored(record) }
            #expect(again.status.trash.map(\.segment) == [Self.first])
            #expect(again.status.recordCount == 11)
        }
        #expect(try !engine.compact(Self.first))
    }

    @Test func aDeletionThatPromisesMoreIsKeptForLonger() throws {
        let clock = Clock()
        let machine = Self.machine(clock)
        var engine = try machine.open()
        let large = try Fixture.record(1, byteCount: 200_000)
        #expect(try engine.appendLarge(large) == .stored)
        #expect(try engine.amend(large.amendment(.tombstone, 1, keptDays: 90)) == .stored)
        // The same word of a program that does not know the days: what was heard first counts.
        #expect(try engine.amend(large.amendment(.tombstone, 1)) == .alreadyStored)
        #expect(try engine.amendments(of: large.id).map(\.amendment.keptDays) == [90])
        clock.advance(days: 90)
        #expect(try #require(try engine.view.usage(of: Self.first)).deadFraction == 0)
        // Also when the index was made anew from the segments.
        engine = try machine.killed().withoutIndex().open()
        #expect(try #require(try engine.view.usage(of: Self.first)).deadFraction == 0)
        clock.advance(days: 1)
        #expect(try #require(try engine.view.usage(of: Self.first)).deadFraction > 0.9)
    }

    @Test func aShorterPromiseDoesNotMakeItShorter() throws {
        let clock = Clock()
        let machine = Self.machine(clock)
        var engine = try machine.open()
        let large = try Fixture.record(1, byteCount: 200_000)
        #expect(try engine.appendLarge(large) == .stored)
        #expect(try engine.amend(large.amendment(.tombstone, 1, keptDays: 1)) == .stored)
        clock.advance(days: 29)
        #expect(try #require(try engine.view.usage(of: Self.first)).deadFraction == 0)
        clock.advance(days: 2)
        #expect(try #require(try engine.view.usage(of: Self.first)).deadFraction > 0.9)
    }

    @Test func whatIsInUseOrDamagedIsLeftAlone() throws {
        let clock = Clock()
        let machine = Self.machine(clock)
        var (engine, records) = try Self.stored(machine)
        clock.advance(days: 31)
        let active = try #require(
            machine.disk.paths.compactMap { path in
                SegmentID(fileName: String(path.split(separator: "/").last ?? ""))
            }.max()
        )
        #expect(try !engine.compact(active))
        machine.disk.tamper("/store/segments/\(Self.first.fileName)") { $0[4096 + 1000] ^= 1 }
        #expect(refusal { _ = try engine.compact(Self.first) } == .checksumMismatch)
        // The damage is noted, the copy gone, and nothing else has changed.
        #expect(engine.status.quarantinedRanges.map(\.record) == [records[0].id])
        #expect(engine.status.trash.isEmpty)
        #expect(try !engine.compact(Self.first))
        #expect(try engine.append(records[0]) == .stored)
        #expect(try engine.clearDamage(engine.view.damage()) == 0)
        #expect(try engine.compact(Self.first))
        try Self.check(engine, records)
    }

    @Test func aSegmentThatIsAllDeadNeedsNoCopy() throws {
        let clock = Clock()
        let machine = Self.machine(clock)
        var engine = try machine.open()
        let large = try Fixture.record(1, byteCount: 200_000)
        #expect(try engine.appendLarge(large) == .stored)
        #expect(try engine.amend(large.amendment(.tombstone, 1)) == .stored)
        clock.advance(days: 31)
        let count = machine.disk.paths.count
        #expect(try engine.compact(Self.first))
        #expect(machine.disk.paths.count == count)
        #expect(try engine.standing(of: large.id).isDeleted)
    }

    @Test func theTrashIsEmptiedOnlyInTimeAndWithAPermitOfWhoIsInOffice() throws {
        let clock = Clock()
        let machine = Self.machine(clock)
        var (engine, records) = try Self.stored(machine)
        clock.advance(days: 31)
        #expect(try engine.compact(Self.first))
        let permit = Amendment.Reference(high: 1, low: 2)
        let file = "/store/trash/\(Self.first.fileName)"
        clock.advance(days: 6)
        #expect(refusal { try engine.purge(Self.first, permit: permit, under: Term(rawValue: 1)) } == .held)
        clock.advance(days: 2)
        try engine.observe(Term(rawValue: 5))
        #expect(refusal { try engine.purge(Self.first, permit: permit, under: Term(rawValue: 4)) } == .staleTerm)
        #expect(
            refusal { try engine.purge(SegmentID(rawValue: 2), permit: permit, under: Term(rawValue: 5)) } == .notFound
        )
        #expect(machine.disk.paths.contains(file))
        try engine.purge(Self.first, permit: permit, under: Term(rawValue: 6))
        #expect(!machine.disk.paths.contains(file))
        #expect(engine.status.trash.isEmpty && engine.status.highestTerm == Term(rawValue: 6))
        try Self.check(engine, records)
        try Self.check(machine.killed().withoutIndex().open(), records)
    }

    @Test func aRecordThatIsUndeletedMeanwhileKeepsItsBytes() throws {
        let clock = Clock()
        let machine = Self.machine(clock)
        var (engine, records) = try Self.stored(machine)
        clock.advance(days: 31)
        let usage = try #require(try engine.view.usage(of: Self.first))
        var compaction = try engine.beginCompaction(usage)
        while try compaction.step() {}
        #expect(try engine.amend(records[1].amendment(.undelete, 9)) == .stored)
        try engine.publish(compaction)
        #expect(refusal { while try engine.move(&compaction) {} } == .conflict)
        try engine.expectStored(records[1])
        try machine.killed().withoutIndex().open().expectStored(records[1])
        #expect(try engine.compact(Self.first))
        for record in records[...1] { try engine.expectStored(record) }
    }

    @Test func aRecordThatIsReplacedMeanwhileStaysWhereItIs() throws {
        let clock = Clock()
        let machine = Self.machine(clock)
        var (engine, records) = try Self.stored(machine)
        clock.advance(days: 31)
        let usage = try #require(try engine.view.usage(of: Self.first))
        var compaction = try engine.beginCompaction(usage)
        while try compaction.step() {}
        machine.disk.tamper("/store/segments/\(Self.first.fileName)") { $0[4096 + 1000] ^= 1 }
        #expect(try engine.append(records[0]) == .stored)
        try engine.publish(compaction)
        while try engine.move(&compaction) {}
        try engine.retire(compaction)
        try Self.check(engine, records)
    }

    @Test func aCrashAtAnyEffectKeepsEveryRecord() throws {
        var generator = SeededGenerator.announced("aCrashAtAnyEffectKeepsEveryRecord")
        let clock = Clock()
        let before = Self.machine(clock)
        let (_, records) = try Self.stored(before)
        clock.advance(days: 31)
        let permit = Amendment.Reference(high: 1, low: 2)
        var effect = 0
        var isOver = false
        while !isOver {
            let machine = before.killed(crashAt: effect)
            if var engine = try? machine.open() {
                _ = refusal { _ = try engine.compact(Self.first) }
                _ = refusal { _ = try engine.compact(SegmentID(rawValue: 2)) }
                clock.advance(days: 8)
                for segment in engine.status.trash.map(\.segment) {
                    _ = refusal { try engine.purge(segment, permit: permit, under: Term(rawValue: 2)) }
                }
                clock.advance(days: -8)
                if !machine.disk.isCrashed { engine.close() }
            }
            isOver = !machine.disk.isCrashed
            for next in [machine.killed(), machine.powered(using: &generator), machine.killed().withoutIndex()] {
                let what: Comment = "stopped at effect \(effect)"
                var engine = try next.open()
                try Self.check(engine, records, what)
                // What was begun is done again, and nothing is left over.
                for segment in engine.view.compactable { _ = try engine.compact(segment) }
                try Self.check(engine, records, what)
                let last = next.killed().withoutIndex()
                try Self.check(last.open(), records, what)
                let names = last.disk.paths.filter { $0.hasPrefix("/store/trash/") }
                #expect(names.count == engine.status.trash.count, what)
            }
            effect += 1
        }
        #expect(effect > 30)
    }

    @Test func readersWaitForNothingAndMissNothing() async throws {
        let directory = try TemporaryDirectory()
        var configuration = Fixture.configuration(directory)
        configuration.segmentByteCount = 128 << 10
        configuration.deletionGrace = .seconds(-1)
        configuration.trashGrace = .zero
        let store = try SegmentStore.open(configuration, logger: Fixture.logger)
        let records = try (UInt64(0)..<40).map { try Fixture.record($0, byteCount: 30_000) }
        for record in records { #expect(try await store.append(record) == .stored) }
        let term = Term(rawValue: 1)
        for number in stride(from: 0, to: 39, by: 2) {
            #expect(
                try await store.amend(records[number].amendment(.tombstone, UInt64(number)), under: term) == .stored
            )
        }
        let isOver = NIOLockedValueBox(false)
        let retired = try await withThrowingTaskGroup(of: Void.self, returning: Int.self) { group in
            for reader in 0..<3 {
                group.addTask {
                    var number = 2 * reader + 1
                    while !isOver.withLockedValue({ $0 }) {
                        try await store.expectStored(records[number])
                        number = (number + 2) % 40
                    }
                }
            }
            var count = 0
            while try await store.compactNext() != nil { count += 1 }
            isOver.withLockedValue { $0 = true }
            try await group.waitForAll()
            return count
        }
        #expect(retired > 4)
        #expect(store.status.trash.count == retired && store.status.quarantinedRanges.isEmpty)
        for segment in store.status.trash.map(\.segment) {
            try await store.purge(segment, permit: Amendment.Reference(high: 0, low: 1), under: term)
        }
        #expect(store.status.trash.isEmpty && store.status.recordCount == 20)
        await store.close()
        try directory.remove("index")
        let again = try SegmentStore.open(configuration, logger: Fixture.logger)
        for number in stride(from: 1, to: 40, by: 2) { try await again.expectStored(records[number]) }
        for number in stride(from: 0, to: 39, by: 2) {
            #expect(await code { _ = try await again.read(records[number].id) } == .deleted)
        }
        #expect(again.status.recordCount == 20)
        await again.close()
    }
}

extension StoreView {
    /// The segments of which a part is dead.
    var compactable: [SegmentID] {
        (UInt64(1)..<80).map { SegmentID(rawValue: $0) }.filter { segment in
            ((try? usage(of: segment)) ?? nil).map { $0.deadFraction > 0.2 } ?? false
        }
    }
}
