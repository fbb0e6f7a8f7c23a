// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import SegmentFormat
import SegmentStore
import SimulatedDisk
import Testing

/// Copies that are dropped in one store, and nowhere else.
@Suite struct DropTests {
    private static let first = SegmentID(rawValue: 1)

    /// A machine with twelve records, three to a segment of which the last is closed.
    private static func stored() throws -> (machine: Machine, engine: StoreEngine, records: [NewRecord]) {
        var machine = Machine()
        machine.configuration.segmentByteCount = 128 << 10
        var engine = try machine.open()
        let records = try (UInt64(0)..<12).map { try Fixture.record($0, byteCount: 30_000) }
        for record in records { #expect(try engine.append(record) == .stored) }
        return (machine, engine, records)
    }

    private static func expectGone(
        _ engine: StoreEngine,
        _ record: NewRecord,
        _ what: Comment = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        #expect(try engine.head(record.id) == nil, what, sourceLocation: sourceLocation)
        let code = refusal { _ = try engine.read(record.id) }
        #expect(code == .notFound, what, sourceLocation: sourceLocation)
        let ids = try engine.list(group: record.id.group, limit: 100)
        #expect(!ids.contains(record.id), what, sourceLocation: sourceLocation)
    }

    /// The same after a kill, after the loss of the index, and after a loss of power.
    private static func afterEveryEnd(_ machine: Machine, _ check: (StoreEngine, Comment) throws -> Void) throws {
        var generator = SeededGenerator(seed: 1)
        try check(machine.killed().open(), "killed")
        try check(machine.killed().withoutIndex().open(), "without index")
        try check(machine.powered(using: &generator).open(), "after a loss of power")
    }

    @Test func `a dropped copy is gone, stays gone without the index, and can be stored again`() throws {
        var (machine, engine, records) = try Self.stored()
        #expect(try engine.drop([records[1], records[4]]) == [.dropped, .dropped])
        for number in [1, 4] { try Self.expectGone(engine, records[number]) }
        #expect(engine.status.recordCount == 10)
        #expect(try engine.drop([records[1]]) == [.absent])
        try Self.afterEveryEnd(machine) { again, what in
            for (number, record) in records.enumerated() {
                if number == 1 || number == 4 {
                    try Self.expectGone(again, record, what)
                } else {
                    try again.expectStored(record)
                }
            }
            #expect(again.status.recordCount == 10, what)
            #expect(again.status.quarantinedRanges.isEmpty, what)
        }
        // It comes back by a drain or a new map, and is not the copy that was dropped.
        #expect(try engine.append(records[1]) == .stored)
        try engine.expectStored(records[1])
        try Self.afterEveryEnd(machine) { again, what in
            try again.expectStored(records[1])
            try Self.expectGone(again, records[4], what)
            #expect(again.status.recordCount == 11, what)
        }
        // And again.
        #expect(try engine.drop([records[1]]) == [.dropped])
        #expect(try engine.append(records[1]) == .stored)
        #expect(try engine.drop([records[1]]) == [.dropped])
        try Self.afterEveryEnd(machine) { again, what in try Self.expectGone(again, records[1], what) }
    }

    @Test func `what is deleted, held, or ordered under an old term is not dropped`() throws {
        var (_, engine, records) = try Self.stored()
        #expect(try engine.amend(records[0].amendment(.tombstone, 1)) == .stored)
        #expect(try engine.amend(records[1].amendment(.hold, 2)) == .stored)
        #expect(try engine.drop(Array(records[0...2])) == [.deleted, .held, .dropped])
        try engine.expectStored(records[1])
        #expect(try engine.drop([records[1]], isHeldElsewhere: true) == [.dropped])
        // What was said about it stays.
        #expect(try engine.standing(of: records[1].id).isHeld)
        #expect(try engine.amendments(of: records[1].id).count == 1)
        try engine.observe(Term(rawValue: 7))
        #expect(refusal { _ = try engine.drop([records[5]], under: 6) } == .staleTerm)
        try engine.expectStored(records[5])
        // The same record twice is dropped once.
        #expect(try engine.drop([records[5], records[5]], under: 7) == [.dropped, .absent])
    }

    @Test func `a large record is dropped and comes back`() throws {
        let machine = Machine()
        var engine = try machine.open()
        let large = try Fixture.record(1, byteCount: 200_000)
        #expect(try engine.appendLarge(large) == .stored)
        #expect(try engine.drop([large]) == [.dropped])
        try Self.expectGone(engine, large)
        try Self.afterEveryEnd(machine) { again, what in try Self.expectGone(again, large, what) }
        #expect(try engine.appendLarge(large) == .stored)
        try engine.expectStored(large)
        try Self.afterEveryEnd(machine) { again, _ in try again.expectStored(large) }
        // Its first segment is all dead.
        #expect(try engine.compact(Self.first))
        try engine.expectStored(large)
        try Self.afterEveryEnd(machine) { again, _ in try again.expectStored(large) }
    }

    /// Where in a compaction of the first segment a record of it is dropped.
    enum Moment: CaseIterable {
        case begun, copied, published, halfMoved, moved, retired
    }

    @Test(arguments: Moment.allCases, [false, true])
    func `a drop in the middle of a compaction holds wherever the bytes are`(moment: Moment, comesBack: Bool) throws {
        var (machine, engine, records) = try Self.stored()
        // Something for the compaction to leave out.
        #expect(try engine.drop([records[0]]) == [.dropped])
        let usage = try #require(try engine.view.usage(of: Self.first))
        #expect(usage.deadFraction > 0.2)
        var compaction = try engine.beginCompaction(usage)
        func drop(at now: Moment) throws {
            guard now == moment else { return }
            #expect(try engine.drop([records[1]]) == [.dropped])
            if comesBack { #expect(try engine.append(records[1]) == .stored) }
            try check(engine, "at once")
            try Self.afterEveryEnd(machine) { again, what in
                try check(again, what)
                // What was begun is begun anew, and the store is what it was.
                var again = again
                for segment in again.view.compactable { _ = try again.compact(segment) }
                try check(again, what)
            }
        }
        func check(_ engine: StoreEngine, _ what: Comment) throws {
            try Self.expectGone(engine, records[0], what)
            if comesBack { try engine.expectStored(records[1]) } else { try Self.expectGone(engine, records[1], what) }
            for record in records[2...] { try engine.expectStored(record) }
        }
        try drop(at: .begun)
        while try compaction.step() {}
        try drop(at: .copied)
        try engine.publish(compaction)
        try drop(at: .published)
        if try engine.move(&compaction) { try drop(at: .halfMoved) }
        while try engine.move(&compaction) {}
        try drop(at: .moved)
        try engine.retire(compaction)
        try drop(at: .retired)
        try check(engine, "in the end")
        try Self.afterEveryEnd(machine) { again, what in try check(again, what) }
        for segment in engine.view.compactable { _ = try engine.compact(segment) }
        try check(engine, "compacted again")
        try Self.afterEveryEnd(machine) { again, what in try check(again, what) }
    }

    @Test func `a note goes when nothing is left of what it names`() throws {
        var (machine, engine, records) = try Self.stored()
        try engine.seal()
        // The first three are the first segment.
        #expect(try engine.drop(Array(records[0...1])) == [.dropped, .dropped])
        try engine.seal()
        let notes = try #require(engine.view.segmentIDs.last)
        let before = try #require(try engine.view.usage(of: notes))
        #expect(before.liveByteCount > 0)
        // Copied as long as the first segment is there.
        #expect(try engine.compact(notes))
        for number in [0, 1] { try Self.expectGone(engine, records[number]) }
        try Self.afterEveryEnd(machine) { again, what in
            for number in [0, 1] { try Self.expectGone(again, records[number], what) }
            try again.expectStored(records[2])
        }
        #expect(try engine.compact(Self.first))
        let copied = try #require(
            engine.view.segmentIDs.first { segment in
                segment > notes && (try? engine.view.usage(of: segment))?.byteCount == 1024
            }
        )
        #expect(try #require(try engine.view.usage(of: copied)).liveByteCount == 0)
        #expect(try engine.compact(copied))
        try Self.afterEveryEnd(machine) { again, what in
            for number in [0, 1] { try Self.expectGone(again, records[number], what) }
            for record in records[2...] { try again.expectStored(record) }
        }
    }

    @Test func `a drop names the damaged place of a record too, and nobody misses it`() throws {
        var (machine, engine, records) = try Self.stored()
        machine.disk.tamper("/store/segments/\(Self.first.fileName)") { $0[4096 + 1000] ^= 1 }
        #expect(refusal { _ = try engine.read(records[0].id) } == .checksumMismatch)
        // A good copy takes its place.
        #expect(try engine.append(records[0]) == .stored)
        #expect(try engine.drop([records[0]]) == [.dropped])
        try Self.expectGone(engine, records[0])
        #expect(try engine.view.damage().flatMap(\.missing) == [])
        try Self.afterEveryEnd(machine) { again, what in
            try Self.expectGone(again, records[0], what)
            #expect(try again.view.damage().flatMap(\.missing) == [], what)
        }
    }

    @Test func `a note that rots brings back a copy too many and nothing worse`() throws {
        var (machine, engine, records) = try Self.stored()
        try engine.seal()
        #expect(try engine.drop([records[0]]) == [.dropped])
        try engine.seal()
        let notes = try #require(engine.view.segmentIDs.last)
        machine.disk.tamper("/store/segments/\(notes.fileName)") { $0[4096 + 170] ^= 1 }
        try Self.expectGone(engine, records[0])
        // The index knows it, so a compaction makes it anew.
        #expect(try engine.compact(notes))
        try Self.afterEveryEnd(machine) { again, what in try Self.expectGone(again, records[0], what) }
        #expect(engine.status.quarantinedRanges.isEmpty)
    }

    @Test func `a crash at any effect leaves each copy as it was or dropped`() throws {
        var generator = SeededGenerator.announced("a crash at any effect leaves each copy as it was or dropped")
        let (before, _, records) = try Self.stored()
        let large = try Fixture.record(50, byteCount: 150_000)
        var effect = 0
        var isOver = false
        while !isOver {
            let machine = before.killed(crashAt: effect)
            var isStored: [RecordID: Bool] = [:]
            var unclear: Set<RecordID> = []
            if var engine = try? machine.open() {
                func attempt(_ ids: [RecordID], becomes stored: Bool, _ body: () throws -> Void) {
                    for id in ids { unclear.insert(id) }
                    if refusal(of: body) == nil, !machine.disk.isCrashed {
                        for id in ids {
                            unclear.remove(id)
                            isStored[id] = stored
                        }
                    }
                }
                attempt([large.id], becomes: true) { _ = try engine.appendLarge(large) }
                attempt([records[0].id, records[4].id], becomes: false) {
                    _ = try engine.drop([records[0], records[4]])
                }
                attempt([records[0].id], becomes: true) { _ = try engine.append(records[0]) }
                _ = refusal { _ = try engine.compact(Self.first) }
                attempt([records[1].id, large.id], becomes: false) { _ = try engine.drop([records[1], large]) }
                for segment in engine.view.compactable { _ = refusal { _ = try engine.compact(segment) } }
                if !machine.disk.isCrashed { engine.close() }
            }
            isOver = !machine.disk.isCrashed
            for next in [machine.killed(), machine.powered(using: &generator), machine.killed().withoutIndex()] {
                let what: Comment = "stopped at effect \(effect)"
                var engine = try next.open()
                func check(_ engine: StoreEngine) throws {
                    for record in records + [large] where !unclear.contains(record.id) {
                        if isStored[record.id] ?? (record.id != large.id) {
                            try engine.expectStored(record)
                        } else {
                            try Self.expectGone(engine, record, what)
                        }
                    }
                    for record in records + [large] where unclear.contains(record.id) {
                        if try engine.head(record.id) != nil { try engine.expectStored(record) }
                    }
                    #expect(engine.status.quarantinedRanges.allSatisfy { $0.kind == .torn }, what)
                }
                try check(engine)
                let there = try engine.list(group: records[0].id.group, limit: 100)
                for segment in engine.view.compactable { _ = try engine.compact(segment) }
                try check(engine)
                // Whatever had become of it then, no later start thinks otherwise.
                let last = try next.killed().withoutIndex().open()
                try check(last)
                #expect(try last.list(group: records[0].id.group, limit: 100) == there, what)
            }
            effect += 1
        }
        #expect(effect > 30)
    }

    @Test func `a program that knows no drops does not open the store`() throws {
        var (machine, engine, records) = try Self.stored()
        #expect(try engine.drop([records[0]]) == [.dropped])
        let manifest = ByteBuffer(bytes: try #require(machine.disk.bytes(at: "/store/MANIFEST")))
        let state = try ManifestState(replaying: manifest, cluster: Fixture.cluster, node: Fixture.node)
        #expect(state.hasDrops)
    }

    @Test func `copies are compared with the digest of those that stay`() async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        let records = try (UInt64(0)..<3).map { try Fixture.record($0) }
        for record in records { _ = try await store.append(record) }
        let drops = [
            RecordDrop(id: records[0].id, payloadDigest: records[0].payloadDigest),
            RecordDrop(id: records[1].id, payloadDigest: records[0].payloadDigest),
            RecordDrop(id: try Fixture.record(9).id, payloadDigest: records[0].payloadDigest),
            RecordDrop(id: records[2].id, payloadDigest: records[2].payloadDigest),
        ]
        let outcomes = try await store.drop(
            drops,
            permit: Amendment.Reference(high: 1, low: 1),
            mapEpoch: MapEpoch(rawValue: 3),
            under: Term(rawValue: 2)
        )
        #expect(outcomes == [.dropped, .differs, .absent, .dropped])
        #expect(try await store.head(records[0].id) == nil)
        try await store.expectStored(records[1])
        #expect(store.status.recordCount == 1 && store.status.highestTerm == Term(rawValue: 2))
        await store.abandon()
        try directory.remove("index")
        let again = try Fixture.open(directory)
        #expect(again.status.recordCount == 1)
        try await again.expectStored(records[1])
        #expect(try await again.append(records[0]) == .stored)
        try await again.expectStored(records[0])
        await again.close()
    }
}

extension StoreEngine {
    /// Drops records, as the coordinator of a term orders it.
    mutating func drop(
        _ records: [NewRecord],
        isHeldElsewhere: Bool = false,
        under term: UInt64 = 1
    ) throws -> [DropOutcome] {
        let drops = records.map {
            RecordDrop(id: $0.id, payloadDigest: $0.payloadDigest, isHeldElsewhere: isHeldElsewhere)
        }
        return try drop(
            drops,
            permit: Amendment.Reference(high: 0, low: 1),
            mapEpoch: MapEpoch(rawValue: 9),
            under: Term(rawValue: term)
        )
    }
}
