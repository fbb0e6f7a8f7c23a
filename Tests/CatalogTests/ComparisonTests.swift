// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct ComparisonTests {
    private static let nodes = CatalogFixture.nodes.map(\.id)

    /// Five instances of a study on three nodes, the term in office, and the instances' records.
    private static func with(
        _ body: (CatalogFixture, Term, [RecordID]) async throws -> Void
    ) async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            for instance in 1...5 {
                let entry = InstanceEntry.sample(study: "1", instance: instance, nodes: nodes)
                #expect(try await catalog.commit(entry) == .committed)
            }
            let term = try #require(try await catalog.acquireLease(holder: "one", duration: .seconds(60)))
            let group = try #require(try await catalog.placedGroups().first).group
            let records = try await catalog.namedCopies(in: range(of: group), after: nil, limit: 100).map(\.record)
            #expect(records.count == 5 && records == records.sorted())
            try await body(fixture, term, records)
        }
    }

    private static func range(of group: PlacementGroup) throws -> ClosedRange<RecordID> {
        let start = UInt64(group.rawValue) << 48
        let first = try #require(RecordID(high: start, low: 0))
        return first...(try #require(RecordID(high: start | ~0 >> 16, low: .max)))
    }

    @Test func `copies of a group are read in pages`() async throws {
        try await Self.with { fixture, _, records in
            let range = try Self.range(of: records[0].group)
            let first = try await fixture.catalog.namedCopies(in: range, after: nil, limit: 2)
            #expect(first.map(\.record) == Array(records.prefix(2)))
            #expect(first.allSatisfy { $0.nodes == Self.nodes.sorted() })
            let second = try await fixture.catalog.namedCopies(in: range, after: records[1], limit: 10)
            #expect(second.map(\.record) == Array(records.suffix(3)))
            // Also when the first of all ids is one of them.
            let whole = try await fixture.catalog.namedCopies(in: records[0]...records[4], after: nil, limit: 10)
            #expect(whole.map(\.record) == records)
        }
    }

    @Test func `what no row names is in the trash, or nowhere`() async throws {
        try await Self.with { fixture, _, records in
            let stranger = try #require(RecordID(high: records[0].high, low: 7))
            let request = DeletionRequest(
                requestedBy: "test",
                reason: "wrong patient",
                issuedAtMilliseconds: 1_700_000_000_000,
                reference: (high: 7, low: 1)
            )
            let study = DeletionSubject(study: "1.2.826.0.1.3680043.9.1")
            #expect(try await fixture.catalog.moveToTrash(study, request) == 5)
            let (trashed, orphans) = try await fixture.catalog.explain(records + [stranger])
            #expect(trashed == 5 && orphans == 1)
        }
    }

    @Test func `progress is noted once, under a term, and a complete pass is kept`() async throws {
        try await Self.with { fixture, term, _ in
            let catalog = fixture.catalog
            let start = try await catalog.comparisonPosition()
            #expect(start.group?.rawValue == 0 && start.age == nil)
            var counts = ComparisonCounts()
            (counts.presentCount, counts.orphanCount) = (7, 2)
            for number in 0..<UInt16(PlacementGroup.count) {
                let group = try #require(PlacementGroup(rawValue: number))
                try await catalog.noteComparison(of: group, counts, term: term)
                if number < 3 { try await catalog.noteComparison(of: group, counts, term: term) }
            }
            let overview = try await catalog.comparisonOverview()
            #expect(overview.lastCounts.presentCount == 7 * 1024 && overview.lastCounts.orphanCount == 2 * 1024)
            #expect(overview.lastFinishedAtMilliseconds != nil && overview.groupCount == 0)
            let first = try #require(PlacementGroup(rawValue: 0))
            try await catalog.noteComparison(of: first, counts, term: term)
            let next = try await catalog.comparisonOverview()
            #expect(next.counts == counts && next.groupCount == 1 && next.lastCounts == overview.lastCounts)
            #expect(next.totalCounts.presentCount == 7 * 1025)
            let position = try await catalog.comparisonPosition()
            #expect(position.group?.rawValue == 1 && position.age != nil)
            let stale = await #expect(throws: CatalogError.self) {
                try await catalog.noteComparison(of: first, counts, term: Term(rawValue: term.rawValue + 1))
            }
            #expect(stale?.code == .staleTerm)
        }
    }

    @Test func `a missing copy is counted no more, once, and it stays known where it was`() async throws {
        try await Self.with { fixture, term, records in
            let catalog = fixture.catalog
            let (record, node) = (records[0], Self.nodes[1])
            try await catalog.reportMissing([(record, node), (record, node), (record, NodeID(high: 9, low: 9))])
            #expect(try await catalog.missingCopies(on: [Self.nodes[0]], limit: 10, term: term).isEmpty)
            let copy = try #require(try await catalog.missingCopies(on: Self.nodes, limit: 10, term: term).first)
            #expect(copy.record == record && copy.node == node && copy.nodes == Self.nodes.sorted())
            #expect(!copy.sopInstanceUID.isEmpty && copy.byteCount > 0)
            let old = try #require(copy.placement)
            let rest = try await catalog.placementNumber(of: Self.nodes.filter { $0 != node }.sorted())
            #expect(try await catalog.uncount(copy, from: old, to: rest, note: "gone", term: term))
            #expect(try await catalog.uncount(copy, from: old, to: rest, note: "gone", term: term) == false)
            #expect(try await catalog.instance(record: record)?.nodes.contains(node) == false)
            #expect(try await catalog.instance(record: records[1])?.nodes.count == Self.nodes.count)
            #expect(try await catalog.missingCopies(on: Self.nodes, limit: 10, term: term).isEmpty)
            #expect(try fixture.sql("SELECT node, note FROM missing_copies WHERE state = 2") == ["\(node)|gone"])
            #expect(try await catalog.comparisonOverview().uncountedTotal == 1)
            // Made again, and missing again.
            #expect(try await catalog.recount(record, on: node, from: rest, to: old, term: term))
            #expect(try await catalog.instance(record: record)?.nodes.contains(node) == true)
            try await catalog.reportMissing([(record, node)])
            #expect(try await catalog.missingCopies(on: Self.nodes, limit: 10, term: term).count == 1)
            try await catalog.settleMissing(copy, term: term)
            #expect(try fixture.count("missing_copies") == 0)
        }
    }

    @Test func `the last copy cannot be forgotten, nor any but the one, nor by who is not in office`() async throws {
        try await Self.with { fixture, term, records in
            let catalog = fixture.catalog
            let (record, node) = (records[0], Self.nodes[1])
            let one = try await catalog.placementNumber(of: [node])
            let all = try #require(try await catalog.placedGroups().first).placement
            _ = try fixture.sql("UPDATE instances SET placement = \(one) WHERE record = '\(record)'")
            try await catalog.reportMissing([(record, node)])
            let copy = try #require(try await catalog.missingCopies(on: [node], limit: 1, term: term).first)
            let none = try await catalog.placementNumber(of: [])
            let other = try await catalog.placementNumber(of: [Self.nodes[0]])
            for number in [none, other, one, all] {
                await #expect(throws: CatalogError.self) {
                    _ = try await catalog.uncount(copy, from: one, to: number, note: "", term: term)
                }
            }
            let rest = try await catalog.placementNumber(of: Self.nodes.filter { $0 != node }.sorted())
            let late = Term(rawValue: term.rawValue + 1)
            await #expect(throws: CatalogError.self) {
                _ = try await catalog.uncount(copy, from: all, to: rest, note: "", term: late)
            }
            #expect(try await catalog.uncount(copy, from: all, to: rest, note: "", term: term) == false)
            #expect(try await catalog.instance(record: record)?.nodes == [node])
            // No good copy is known.
            try await catalog.postponeMissing(copy, isLost: true, pause: .seconds(60), note: "none", term: term)
            #expect(try await catalog.missingCopies(on: [node], limit: 1, term: term).isEmpty)
            let overview = try await catalog.comparisonOverview()
            #expect(overview.lostCount == 1 && overview.waitingCount == 0)
            #expect(overview.lost.map(\.sopInstanceUID) == [copy.sopInstanceUID])
            _ = try fixture.sql("DELETE FROM instances WHERE record = '\(record)'")
            #expect(try await catalog.comparisonOverview().lostCount == 0)
        }
    }

    @Test func `a copy that its node may be dropping is not counted`() async throws {
        try await Self.with { fixture, term, records in
            let catalog = fixture.catalog
            let node = Self.nodes[2]
            let all = try #require(try await catalog.placedGroups().first).placement
            let rest = try await catalog.placementNumber(of: Self.nodes.filter { $0 != node }.sorted())
            _ = try await catalog.beginDrops([records[0]], on: node, from: all, to: rest, term: term)
            #expect(try await catalog.recount(records[0], on: node, from: rest, to: all, term: term) == false)
            try await catalog.finishDrops([records[0]], on: node, term: term)
            #expect(try await catalog.recount(records[0], on: node, from: rest, to: all, term: term))
            #expect(try await catalog.comparisonOverview().recountedTotal == 1)
        }
    }
}
