// SPDX-License-Identifier: Apache-2.0

import Catalog
import NIOConcurrencyHelpers
import Placement
import Repair
import Testing

struct ComparisonTests {
    /// Compares, and looks at what was found, as often as it takes for all groups.
    private static func compareAll(_ world: ComparisonWorld, _ worker: ComparisonWorker) async {
        for _ in 0..<1100 {
            worker.update(world.view)
            await worker.step()
            world.state.withLockedValue { $0.time += .seconds(1) }
        }
    }

    @Test func `a copy that is missing is counted no more, and the others stay`() async {
        let world = ComparisonWorld()
        let sound = world.store(1, counted: [0, 1], present: [0, 1])
        let short = world.store(2, counted: [0, 1], present: [0], group: 700)
        await Self.compareAll(world, world.worker())
        #expect(world.counted(sound) == [0, 1])
        #expect(world.counted(short) == [0])
        let (counts, reports) = world.state.withLockedValue { ($0.counts, $0.reports) }
        #expect(counts.presentCount >= 3 && counts.missingCount == 1 && reports.isEmpty)
    }

    @Test func `the last copy is never forgotten, and its loss is an alarm`() async {
        let world = ComparisonWorld()
        let record = world.store(1, counted: [0, 1], present: [])
        await Self.compareAll(world, world.worker())
        #expect(world.counted(record) == [0, 1])
        #expect(world.state.withLockedValue { $0.lost } == [record])
    }

    @Test func `a damaged copy is no reason to forget another`() async {
        let world = ComparisonWorld()
        let record = world.store(1, counted: [0, 1], present: [0])
        world.change(0) { $0.damaged = [record] }
        await Self.compareAll(world, world.worker())
        #expect(world.counted(record) == [0, 1])
        #expect(world.state.withLockedValue { $0.lost } == [record])
    }

    @Test func `whoever is away, not sure or deleted it says nothing`() async {
        let world = ComparisonWorld()
        let record = world.store(1, counted: [0, 1], present: [0])
        world.change(1) { $0.isTrusted = false }
        await Self.compareAll(world, world.worker())
        #expect(world.counted(record) == [0, 1])
        #expect(world.state.withLockedValue { $0.counts.unaskedCount } >= 1)
        world.change(1) { $0.isAway = true }
        await Self.compareAll(world, world.worker())
        #expect(world.counted(record) == [0, 1])
        world.change(1) { node in
            (node.isAway, node.isTrusted, node.deleted) = (false, true, [record])
        }
        await Self.compareAll(world, world.worker())
        #expect(world.counted(record) == [0, 1])
        #expect(world.state.withLockedValue { $0.postponed[record]?.note.contains("deleted") } == true)
    }

    @Test func `while the other copy is out of reach nothing is forgotten and nothing is lost`() async {
        let world = ComparisonWorld()
        let record = world.store(1, counted: [0, 1], present: [0])
        world.change(0) { $0.isAway = true }
        await Self.compareAll(world, world.worker())
        #expect(world.counted(record) == [0, 1])
        let (lost, postponed) = world.state.withLockedValue { ($0.lost, $0.postponed[record]) }
        #expect(lost.isEmpty && postponed?.note.contains("storage-1 is away") == true)
    }

    @Test func `a copy that was only not listed is there`() async {
        let world = ComparisonWorld()
        let record = world.store(1, counted: [0, 1], present: [0, 1])
        world.change(1) { $0.listsNothing = true }
        await Self.compareAll(world, world.worker())
        #expect(world.counted(record) == [0, 1])
        #expect(world.state.withLockedValue { $0.reports.isEmpty && $0.counts.missingCount >= 1 })
    }

    @Test func `a copy that is not counted is, when it is the last good one`() async {
        let world = ComparisonWorld()
        let record = world.store(1, counted: [0, 1], present: [2])
        await Self.compareAll(world, world.worker())
        #expect(world.counted(record) == [2])
        #expect(world.state.withLockedValue { $0.lost.isEmpty })
        // Unless its node may be dropping it.
        let other = world.store(2, counted: [0, 1], present: [2])
        world.state.withLockedValue { _ = $0.dropping.insert(other) }
        await Self.compareAll(world, world.worker())
        #expect(world.counted(other) == [0, 1])
    }

    @Test func `what has moved meanwhile is left as it is, and looked at again`() async {
        let world = ComparisonWorld()
        let record = world.store(1, counted: [0, 1], present: [0, 2])
        let ids = world.ids
        world.state.withLockedValue { state in
            state.beforeUncounting = { state in
                state.instances[record] = ComparisonWorld.number(of: [ids[0], ids[2]], &state)
            }
        }
        await Self.compareAll(world, world.worker())
        #expect(world.counted(record) == [0, 2])
        #expect(world.state.withLockedValue { $0.reports.isEmpty && $0.uncounted.isEmpty })
    }

    @Test func `what the catalog does not name is counted by what it is`() async {
        let world = ComparisonWorld()
        let record = world.store(1, counted: [0, 1], present: [0, 1, 2])
        world.store(2, counted: [], present: [0, 1])
        let trashed = world.store(3, counted: [], present: [0])
        world.state.withLockedValue { _ = $0.trash.insert(trashed) }
        let worker = world.worker()
        worker.update(world.view)
        await worker.step()
        let counts = world.state.withLockedValue { $0.counts }
        #expect(counts.presentCount == 2 && counts.uncountedCount == 1)
        #expect(counts.orphanCount == 1 && counts.trashedCount == 1 && counts.missingCount == 0)
        #expect(world.counted(record) == [0, 1, 2], "what is there is counted, whoever wants it")
    }

    @Test func `a copy is only counted when it is whole, the same as others, and not being dropped`() async {
        let world = ComparisonWorld()
        let records = (1...5).map { world.store(UInt64($0), counted: [0, 1], present: [0, 1, 2]) }
        world.change(2) { node in (node.damaged, node.odd) = ([records[0]], [records[1]]) }
        world.state.withLockedValue { _ = $0.dropping.insert(records[2]) }
        // With nothing to compare it with, it may be whatever.
        world.change(0) { $0.damaged = [records[3]] }
        world.change(0) { $0.records.remove(records[3]) }
        world.change(1) { $0.records.remove(records[3]) }
        let worker = world.worker()
        await worker.step()
        for record in records.prefix(4) { #expect(world.counted(record) == [0, 1]) }
        #expect(world.counted(records[4]) == [0, 1, 2])
        world.state.withLockedValue { $0.time += .seconds(1) }
        await Self.compareAll(world, worker)
        #expect(world.counted(records[3]) == [2], "it is the last one")
    }

    @Test func `who takes over goes on where the one before was, and not before its time`() async {
        let world = ComparisonWorld()
        world.store(1, counted: [0, 1], present: [0, 1])
        let first = world.worker()
        for _ in 0..<10 {
            await first.step()
            world.state.withLockedValue { $0.time += .seconds(1) }
        }
        #expect(world.state.withLockedValue { $0.groupCount } == 10)
        world.state.withLockedValue { $0.term = Term(rawValue: 6) }
        await first.step()
        #expect(world.state.withLockedValue { $0.groupCount } == 10, "its term is over")
        let second = world.worker()
        await second.step()
        #expect(world.state.withLockedValue { $0.groupCount } == 10)
        world.state.withLockedValue { $0.time += .seconds(1) }
        await second.step()
        let (count, group) = world.state.withLockedValue { ($0.groupCount, $0.position.group) }
        #expect(count == 11 && group?.rawValue == 11)
    }

    @Test func `groups that can have no records are passed over`() async {
        let world = ComparisonWorld()
        let short = world.store(1, counted: [0, 1], present: [0], group: 700)
        let worker = world.worker { $0.rawValue < 700 ? PlacementGroup(rawValue: 700) ?? $0 : $0 }
        for _ in 0..<5 {
            worker.update(world.view)
            await worker.step()
            world.state.withLockedValue { $0.time += .seconds(1) }
        }
        #expect(world.counted(short) == [0])
        #expect(world.state.withLockedValue { $0.groupCount } <= 5)
    }

    @Test func `what is reported is looked at without any schedule`() async throws {
        let world = ComparisonWorld()
        let record = world.store(1, counted: [0, 1], present: [0])
        let worker = world.worker(period: nil)
        await worker.step()
        #expect(world.counted(record) == [0, 1])
        try await world.reportMissing([(record, world.ids[1])])
        await worker.step()
        #expect(world.counted(record) == [0])
        #expect(world.state.withLockedValue { $0.groupCount } == 0)
    }

    @Test func `more rows and records than a page are all compared`() async {
        let world = ComparisonWorld()
        for number in 1...2500 { world.store(UInt64(number * 2), counted: [0, 1], present: [0, 1]) }
        // Among them, and behind the last row, more than a node lists at once.
        for number in 1...100 { world.store(UInt64(number * 2 + 1), counted: [], present: [0]) }
        for number in 10_001...15_000 { world.store(UInt64(number), counted: [], present: [1]) }
        world.store(2048, counted: [0, 1], present: [0, 1])
        world.change(1) { node in node.records = node.records.filter { $0.low != 2048 && $0.low != 5000 } }
        let worker = world.worker()
        await worker.step()
        let counts = world.state.withLockedValue { $0.counts }
        #expect(counts.presentCount == 4998 && counts.missingCount == 2)
        #expect(counts.orphanCount == 5100 && counts.uncountedCount == 0)
    }
}

struct NodeTrustTests {
    private static let node = NodeID(high: 1, low: 1)

    private static func answer(_ incarnation: UInt64 = 1, isSure: Bool = true) -> [NodeTrust.Answer] {
        [NodeTrust.Answer(node: node, incarnation: incarnation, isSure: isSure)]
    }

    @Test func `a node is trusted when it has been sure for long enough, without a break`() {
        var trust = NodeTrust(settling: .seconds(10))
        #expect(trust.judge(Self.answer(), now: .zero).isEmpty)
        #expect(trust.judge(Self.answer(), now: .seconds(9)).isEmpty)
        #expect(trust.judge(Self.answer(), now: .seconds(10)) == [Self.node])
        // Damage, silence and a restart begin it anew.
        #expect(trust.judge(Self.answer(isSure: false), now: .seconds(11)).isEmpty)
        #expect(trust.judge(Self.answer(), now: .seconds(12)).isEmpty)
        #expect(trust.judge(Self.answer(), now: .seconds(22)) == [Self.node])
        #expect(trust.judge([], now: .seconds(23)).isEmpty)
        #expect(trust.judge(Self.answer(), now: .seconds(24)).isEmpty)
        #expect(trust.judge(Self.answer(), now: .seconds(34)) == [Self.node])
        #expect(trust.judge(Self.answer(2), now: .seconds(35)).isEmpty)
        #expect(trust.judge(Self.answer(2), now: .seconds(45)) == [Self.node])
    }
}

struct PageComparisonTests {
    private static let nodes = (1...3).map { NodeID(high: 1, low: UInt64($0)) }

    @Test func `rows and listings are compared both ways`() throws {
        let ids = try (1...4).map { try #require(RecordID(high: 0, low: UInt64($0))) }
        let (a, b, c) = (Self.nodes[0], Self.nodes[1], Self.nodes[2])
        let gone = NodeID(high: 1, low: 9)
        let page = PageComparison(
            rows: [
                NamedCopies(record: ids[0], nodes: [a, b]), NamedCopies(record: ids[1], nodes: [a, c, gone]),
                NamedCopies(record: ids[2], nodes: [b]),
            ],
            listings: [a: [ids[0], ids[2], ids[3]], b: [ids[0], ids[2], ids[3]]],
            members: Set(Self.nodes)
        )
        #expect(page.presentCount == 3)
        #expect(page.missing.map(\.record) == [ids[1]] && page.missing.map(\.node) == [a])
        #expect(page.unaskedCount == 1, "that on a node which has left is no copy")
        #expect(page.uncounted == [UncountedCopy(record: ids[2], node: a, counted: [b])])
        #expect(page.unnamed == [ids[3]])
    }

    @Test func `what is not counted comes in the order of records and nodes`() throws {
        let ids = try (1...50).map { try #require(RecordID(high: 0, low: UInt64($0))) }
        let (a, b, c) = (Self.nodes[0], Self.nodes[1], Self.nodes[2])
        let page = PageComparison(
            rows: ids.map { NamedCopies(record: $0, nodes: [a]) },
            listings: [a: Set(ids), b: Set(ids), c: Set(ids)],
            members: Set(Self.nodes)
        )
        // Whoever compares takes up the first of them.
        let expected = ids.flatMap { id in [b, c].map { UncountedCopy(record: id, node: $0, counted: [a]) } }
        #expect(page.uncounted == expected)
    }
}
