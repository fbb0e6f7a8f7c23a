// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import SegmentFormat
import SegmentStore
import SimulatedDisk
import Testing

@Suite struct AmendmentTests {
    private static let note = Amendment.Kind(rawValue: 20)

    /// How the next process finds the store.
    enum Restart: CaseIterable {
        case closed, killed, powerLoss, indexLost
    }

    private static func restarted(
        _ machine: Machine,
        _ engine: inout StoreEngine,
        _ restart: Restart
    ) throws -> StoreEngine {
        var generator = SeededGenerator(seed: 5)
        switch restart {
        case .closed:
            engine.close()
            return try machine.open()
        case .killed: return try machine.killed().open()
        case .powerLoss: return try machine.powered(using: &generator).open()
        case .indexLost:
            engine.close()
            return try machine.withoutIndex().open()
        }
    }

    @Test(arguments: Restart.allCases)
    func aTombstoneHidesItsRecord(restart: Restart) throws {
        let machine = Machine()
        var engine = try machine.open()
        let record = try Fixture.record(1)
        let other = try Fixture.record(2)
        let absent = try Fixture.record(3)
        for record in [record, other] { #expect(try engine.append(record) == .stored) }
        for record in [record, absent] { #expect(try engine.amend(record.amendment(.tombstone, 1)) == .stored) }
        func check(_ engine: inout StoreEngine) throws {
            for hidden in [record, absent] {
                #expect(refusal { _ = try engine.head(hidden.id) } == .deleted)
                #expect(refusal { _ = try engine.read(hidden.id) } == .deleted)
                #expect(refusal { try engine.verify(hidden.id) } == .deleted)
                #expect(refusal { _ = try engine.append(hidden) } == .deleted)
                #expect(refusal { _ = try engine.appendLarge(hidden) } == .deleted)
                #expect(try engine.standing(of: hidden.id).isDeleted)
            }
            #expect(try engine.list(group: record.id.group, limit: 10) == [other.id])
            #expect(try engine.view.listAmended(group: record.id.group, limit: 10) == [record.id, absent.id].sorted())
            #expect(engine.status.recordCount == 1)
            try engine.expectStored(other)
        }
        try check(&engine)
        var again = try Self.restarted(machine, &engine, restart)
        try check(&again)
        #expect(try again.amend(record.amendment(.tombstone, 1)) == .alreadyStored)
        // Taken back, it is there again; the one that never was can be stored.
        for record in [record, absent] { #expect(try again.amend(record.amendment(.undelete, 2)) == .stored) }
        try again.expectStored(record)
        #expect(try again.head(absent.id) == nil)
        #expect(try again.append(absent) == .stored)
        #expect(again.status.recordCount == 3)
    }

    @Test func anOrderThatArrivesLateChangesNothing() throws {
        var engine = try Machine().open()
        let record = try Fixture.record(1)
        #expect(try engine.append(record) == .stored)
        #expect(try engine.amend(record.amendment(.undelete, term: 2, 1), under: 2) == .stored)
        #expect(try engine.amend(record.amendment(.tombstone, term: 1, 9), under: 2) == .stored)
        try engine.expectStored(record)
        #expect(try engine.amend(record.amendment(.tombstone, term: 2, 2), under: 3) == .stored)
        #expect(refusal { try engine.verify(record.id) } == .deleted)
    }

    @Test(arguments: Restart.allCases)
    func aHeldRecordRefusesATombstone(restart: Restart) throws {
        let machine = Machine()
        var engine = try machine.open()
        let record = try Fixture.record(1)
        #expect(try engine.append(record) == .stored)
        #expect(try engine.amend(record.amendment(.hold, 1, reference: 1)) == .stored)
        #expect(try engine.amend(record.amendment(.hold, 2, reference: 2)) == .stored)
        var again = try Self.restarted(machine, &engine, restart)
        #expect(refusal { _ = try again.amend(record.amendment(.tombstone, 3)) } == .held)
        #expect(try again.amend(record.amendment(.release, 4, reference: 1)) == .stored)
        // The other hold is still on.
        #expect(refusal { _ = try again.amend(record.amendment(.tombstone, 5)) } == .held)
        #expect(try again.amend(record.amendment(.release, 6, reference: 2)) == .stored)
        try again.expectStored(record)
        #expect(try again.amend(record.amendment(.tombstone, 7)) == .stored)
        #expect(refusal { try again.verify(record.id) } == .deleted)
    }

    @Test func aHoldAndATombstoneInOneBatchAreJudgedOneAfterTheOther() throws {
        var engine = try Machine().open()
        let record = try Fixture.record(1)
        #expect(try engine.append(record) == .stored)
        let amendments = [record.amendment(.hold, 1), record.amendment(.tombstone, 2), record.amendment(.release, 3)]
        let results = engine.amend(amendments, under: Term(rawValue: 1))
        #expect(try results[0].get() == .stored && results[2].get() == .stored)
        #expect(refusal { _ = try results[1].get() } == .held)
    }

    @Test(arguments: Restart.allCases)
    func termsOfTheOldAreRefused(restart: Restart) throws {
        let machine = Machine()
        var engine = try machine.open()
        let record = try Fixture.record(1)
        #expect(try engine.append(record) == .stored)
        #expect(try engine.amend(record.amendment(Self.note, term: 5, 1), under: 5) == .stored)
        try engine.observe(Term(rawValue: 7))
        #expect(engine.status.highestTerm == Term(rawValue: 7))
        var again = try Self.restarted(machine, &engine, restart)
        #expect(again.status.highestTerm == Term(rawValue: 7))
        for kind in [Amendment.Kind.tombstone, .undelete, .release] {
            #expect(refusal { _ = try again.amend(record.amendment(kind, term: 6, 1), under: 6) } == .staleTerm)
        }
        // What only adds is taken from anyone, and what was ordered long ago from whoever is in office.
        #expect(try again.amend(record.amendment(.hold, term: 6, 2), under: 6) == .stored)
        #expect(try again.amend(record.amendment(.release, term: 6, 3), under: 7) == .stored)
        #expect(refusal { _ = try again.amend(record.amendment(.tombstone, term: 9, 1), under: 8) } == .invalid)
        try again.expectStored(record)
    }

    @Test func aTermIsDurableBeforeAnythingIsDoneUnderIt() throws {
        let machine = Machine()
        var engine = try machine.open()
        let record = try Fixture.record(1)
        #expect(try engine.append(record) == .stored)
        machine.disk.failNext(.sync, number: 5)
        #expect(refusal { _ = try engine.amend(record.amendment(.tombstone, term: 4, 1), under: 4) } == .writeFailed)
        try engine.expectStored(record)
    }

    @Test func amendmentsAreListedAndSentTwiceAreOne() throws {
        let machine = Machine()
        var engine = try machine.open()
        let record = try Fixture.record(1)
        #expect(try engine.append(record) == .stored)
        let notes = (UInt64(1)...5).map { record.amendment(Self.note, $0, payload: "note \($0)") }
        for result in engine.amend(notes.reversed() + notes, under: Term(rawValue: 1)) { _ = try result.get() }
        #expect(engine.status.writtenRecordCount == 6)
        let stored = try engine.amendments(of: record.id)
        #expect(stored.map(\.amendment) == notes.map(\.amendment))
        #expect(stored.map { String(buffer: $0.payload) } == (1...5).map { "note \($0)" })
        #expect(try engine.amendments(of: Fixture.record(2).id).isEmpty)
        #expect(refusal { _ = try engine.amend(record.amendment(Self.note, 1, payload: "other")) } == .conflict)
        #expect(refusal { _ = try engine.amend(record.amendment(.hold, 1, payload: "note 1")) } == .conflict)
        let long = record.amendment(Self.note, 9, payload: String(repeating: "x", count: 65_537))
        #expect(refusal { _ = try engine.amend(long) } == .tooLarge)
        try engine.expectStored(record)
    }

    @Test func notesHaveALimitAndStillLeaveRoomForAHold() throws {
        var machine = Machine()
        machine.configuration.maximumAmendmentCount = 3
        var engine = try machine.open()
        let record = try Fixture.record(1)
        for number in UInt64(1)...3 { #expect(try engine.amend(record.amendment(Self.note, number)) == .stored) }
        #expect(refusal { _ = try engine.amend(record.amendment(Self.note, 4)) } == .tooLarge)
        #expect(try engine.amend(record.amendment(Self.note, 3)) == .alreadyStored)
        for number in UInt64(5)...7 { #expect(try engine.amend(record.amendment(.hold, number)) == .stored) }
        #expect(refusal { _ = try engine.amend(record.amendment(.hold, 8)) } == .tooLarge)
    }

    @Test func aDamagedAmendmentIsReplacedWhenItIsSentAgain() throws {
        let machine = Machine()
        var engine = try machine.open()
        let record = try Fixture.record(1)
        let hold = record.amendment(.hold, 1)
        #expect(try engine.amend(hold) == .stored)
        machine.disk.tamper("/store/segments/0000000000000001.seg") { $0[4096 + 170] ^= 1 }
        #expect(refusal { _ = try engine.amendments(of: record.id) } == .checksumMismatch)
        let other = record.amendment(Self.note, 2)
        #expect(try engine.amend(other) == .stored)
        let readable = try engine.view.readableAmendments(of: record.id)
        #expect(readable.amendments.map(\.amendment) == [other.amendment] && !readable.isComplete)
        #expect(try engine.amend(hold) == .stored)
        #expect(try engine.view.readableAmendments(of: record.id).isComplete)
        #expect(try engine.amendments(of: record.id).map(\.amendment) == [hold.amendment, other.amendment])
    }

    /// The script: what is stored, held, deleted and so on, one call after another.
    private static func script(_ records: [NewRecord]) -> [(amendment: NewAmendment, term: UInt64)] {
        [
            (records[0].amendment(.tombstone, term: 1, 1), 1), (records[1].amendment(.hold, term: 1, 2), 1),
            (records[2].amendment(note, term: 1, 3), 1), (records[0].amendment(.undelete, term: 2, 1), 2),
            (records[1].amendment(.release, term: 2, 2), 2), (records[1].amendment(.tombstone, term: 2, 3), 3),
            (records[3].amendment(.hold, term: 3, 1), 3), (records[0].amendment(.tombstone, term: 4, 1), 4),
        ]
    }

    @Test func aCrashAtAnyEffectKeepsWhatWasAnswered() throws {
        var generator = SeededGenerator.announced("aCrashAtAnyEffectKeepsWhatWasAnswered")
        let records = try (UInt64(0)..<4).map { try Fixture.record($0, byteCount: 1000) }
        var effect = 0
        var isOver = false
        while !isOver {
            var machine = Machine()
            // Few fit into a segment.
            machine.configuration.segmentByteCount = 24 << 10
            machine.disk = SimulatedDisk(crashAt: effect, seed: UInt64(effect))
            var answered: [NewAmendment] = []
            var asked: NewAmendment?
            var term: UInt64 = 0
            if var engine = try? machine.open() {
                for record in records { _ = engine.append([record]) }
                for step in Self.script(records) {
                    guard (try? engine.amend(step.amendment, under: step.term)) == .stored else {
                        asked = step.amendment
                        break
                    }
                    answered.append(step.amendment)
                    term = step.term
                }
                if !machine.disk.isCrashed { engine.close() }
            }
            isOver = !machine.disk.isCrashed
            for next in [machine.killed(), machine.powered(using: &generator), machine.killed().withoutIndex()] {
                let engine = try next.open()
                let what: Comment = "stopped at effect \(effect)"
                #expect(engine.status.highestTerm >= Term(rawValue: term), what)
                for record in records {
                    let certain = answered.map(\.amendment).filter { $0.subject == record.id }
                    let possible = (answered + [asked].compactMap { $0 }).map(\.amendment)
                        .filter { $0.subject == record.id }
                    let found = try engine.amendments(of: record.id).map(\.amendment)
                    #expect(found == certain || found == possible, what)
                    #expect(try engine.standing(of: record.id) == RecordStanding(found), what)
                }
                #expect(engine.status.quarantinedRanges.filter { $0.kind == .damaged }.isEmpty, what)
            }
            effect += 1
        }
        #expect(effect > 30)
    }

    @Test func throughTheThreads() async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        let record = try Fixture.record(1)
        #expect(try await store.append(record) == .stored)
        let outcomes = try await withThrowingTaskGroup(of: AppendOutcome.self) { group in
            for _ in 0..<10 {
                group.addTask { try await store.amend(record.amendment(.hold, 1), under: Term(rawValue: 3)) }
            }
            return try await group.reduce(into: [AppendOutcome]()) { $0.append($1) }
        }
        #expect(outcomes.count { $0 == .stored } == 1)
        #expect(store.status.highestTerm == Term(rawValue: 3))
        #expect(
            await code { _ = try await store.amend(record.amendment(.tombstone, 2), under: Term(rawValue: 3)) } == .held
        )
        #expect(try await store.amend(record.amendment(.release, 3), under: Term(rawValue: 3)) == .stored)
        #expect(try await store.amend(record.amendment(.tombstone, 4), under: Term(rawValue: 3)) == .stored)
        #expect(await code { _ = try await store.read(record.id) } == .deleted)
        try await store.observe(Term(rawValue: 8))
        await store.close()
        let again = try Fixture.open(directory)
        #expect(try await again.amendments(of: record.id).count == 3)
        #expect(try await again.standing(of: record.id).isDeleted)
        #expect(try await again.listAmended(group: record.id.group, limit: 5) == [record.id])
        #expect(again.status.highestTerm == Term(rawValue: 8) && again.status.recordCount == 0)
        await again.close()
        // The same from the segments alone.
        try directory.remove("index")
        let rebuilt = try Fixture.open(directory)
        #expect(try await rebuilt.amendments(of: record.id).count == 3)
        #expect(rebuilt.status.recordCount == 0)
        await rebuilt.close()
    }
}
