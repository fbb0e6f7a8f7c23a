// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct SurplusTests {
    private static let nodes = CatalogFixture.nodes.map(\.id)
    private static let surplus = nodes[2]

    /// Five instances of a study on three nodes, and the term in office.
    private static func with(
        _ body: (CatalogFixture, PlacedGroup, Term, [RecordID], _ rest: Int32) async throws -> Void
    ) async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            for instance in 1...5 {
                let entry = InstanceEntry.sample(study: "1", instance: instance, nodes: nodes)
                #expect(try await catalog.commit(entry) == .committed)
            }
            let term = try #require(try await catalog.acquireLease(holder: "one", duration: .seconds(60)))
            let placed = try #require(try await catalog.placedGroups().first)
            let records = try await page(catalog, placed).map(\.record)
            #expect(records.count == 5 && records == records.sorted())
            let rest = try await catalog.placementNumber(of: nodes.filter { $0 != surplus })
            try await body(fixture, placed, term, records, rest)
        }
    }

    private static func page(
        _ catalog: Catalog,
        _ placed: PlacedGroup,
        after: RecordID? = nil,
        limit: Int = 100
    ) async throws -> [SurplusRecord] {
        try await catalog.surplusRecords(
            placement: placed.placement,
            group: placed.group,
            node: surplus,
            after: after,
            limit: limit
        )
    }

    @Test func `the instances and bytes of sets are counted in the order in which they are asked for`() async throws {
        try await Self.with { fixture, placed, term, records, rest in
            let catalog = fixture.catalog
            _ = try await catalog.beginDrops(
                [records[0]],
                on: Self.surplus,
                from: placed.placement,
                to: rest,
                term: term
            )
            let none = PlacedGroup(placement: 999, nodes: [], group: placed.group)
            let moved = PlacedGroup(placement: rest, nodes: [], group: placed.group)
            let amounts = try await catalog.amounts(of: [moved, none, placed, moved])
            #expect(amounts.map(\.instanceCount) == [1, 0, 4, 1])
            #expect(amounts[0].byteCount > 0 && amounts[2].byteCount == 4 * amounts[0].byteCount)
            #expect(amounts[1].byteCount == 0 && amounts.allSatisfy { $0.uncountedCount == 0 })
            #expect(try await catalog.amounts(of: []).isEmpty)
        }
    }

    @Test func `a copy is counted no more before its node is told, and forgotten when that is confirmed`() async throws
    {
        try await Self.with { fixture, placed, term, records, rest in
            let catalog = fixture.catalog
            let difference = RepairDifference(
                kind: 4,
                placement: placed.placement,
                group: placed.group,
                livingCount: 3,
                isShort: false
            )
            try await catalog.replaceRepairBacklog([difference], copies: 2, term: term)
            #expect(try await catalog.countRepairBacklog(limit: 10, term: term) == 0)
            #expect(try await catalog.repairOverview().surplus.instanceCount == 5)
            let begun = try await catalog.beginDrops(
                Array(records.prefix(3)),
                on: Self.surplus,
                from: placed.placement,
                to: rest,
                term: term
            )
            #expect(Set(begun) == Set(records.prefix(3)))
            for record in begun {
                #expect(try await catalog.instance(record: record)?.nodes.contains(Self.surplus) == false)
            }
            #expect(try await catalog.instance(record: records[3])?.nodes == placed.nodes)
            #expect(try await catalog.repairOverview().surplus.instanceCount == 2)
            // Once only, and not what is elsewhere now.
            let again = try await catalog.beginDrops(
                records,
                on: Self.surplus,
                from: placed.placement,
                to: rest,
                term: term
            )
            #expect(Set(again) == Set(records.suffix(2)))
            try await catalog.finishDrops(begun, on: Self.surplus, term: term)
            #expect(try fixture.sql("SELECT count(*), min(state) FROM surplus_drops") == ["2|2"])
            let overview = try await catalog.repairOverview()
            #expect(overview.droppedCount == 3 && overview.droppedByteCount == 630_000)
            #expect(overview.queue.contains { $0.kind == 4 && $0.state == 2 && $0.count == 2 })
            #expect(try await Self.page(catalog, placed).isEmpty)
        }
    }

    @Test func `only one node is taken from a set, and only by who is in office`() async throws {
        try await Self.with { fixture, placed, term, records, rest in
            let catalog = fixture.catalog
            let one = try await catalog.placementNumber(of: [Self.nodes[0]])
            for (node, number) in [(Self.surplus, one), (Self.nodes[0], rest), (Self.surplus, placed.placement)] {
                await #expect(throws: CatalogError.self) {
                    _ = try await catalog.beginDrops(
                        records,
                        on: node,
                        from: placed.placement,
                        to: number,
                        term: term
                    )
                }
            }
            let stale = await #expect(throws: CatalogError.self) {
                _ = try await catalog.beginDrops(
                    records,
                    on: Self.surplus,
                    from: placed.placement,
                    to: rest,
                    term: Term(rawValue: term.rawValue + 1)
                )
            }
            #expect(stale?.code == .staleTerm)
            for record in records { #expect(try await catalog.instance(record: record)?.nodes == placed.nodes) }
            #expect(try fixture.count("surplus_drops") == 0)
        }
    }

    @Test func `what was not confirmed is found again, and counted again when it is there`() async throws {
        try await Self.with { fixture, placed, term, records, rest in
            let catalog = fixture.catalog
            _ = try await catalog.beginDrops(
                Array(records.prefix(2)),
                on: Self.surplus,
                from: placed.placement,
                to: rest,
                term: term
            )
            #expect(try await catalog.unconfirmedDrops(of: [Self.nodes[0]], limit: 10, term: term).isEmpty)
            let open = try await catalog.unconfirmedDrops(of: Self.nodes, limit: 10, term: term)
            #expect(open.map(\.record).sorted() == Array(records.prefix(2)))
            #expect(open.allSatisfy { $0.node == Self.surplus && $0.placement == rest && $0.nodes.count == 2 })
            let restored = CountedRepair(record: records[0], placement: rest, newPlacement: placed.placement)
            try await catalog.restoreDrops([restored], on: Self.surplus, term: term)
            #expect(try await catalog.instance(record: records[0])?.nodes == placed.nodes)
            #expect(
                try await catalog.unconfirmedDrops(of: Self.nodes, limit: 10, term: term).map(\.record) == [records[1]]
            )
            // One whose copies have changed meanwhile is not, and stays to be looked at.
            let other = try await catalog.placementNumber(of: [Self.nodes[0]])
            _ = try fixture.sql("UPDATE instances SET placement = \(other) WHERE record = '\(records[1])'")
            let late = CountedRepair(record: records[1], placement: rest, newPlacement: placed.placement)
            try await catalog.restoreDrops([late], on: Self.surplus, term: term)
            #expect(try await catalog.instance(record: records[1])?.nodes == [Self.nodes[0]])
            #expect(
                try await catalog.unconfirmedDrops(of: Self.nodes, limit: 10, term: term).map(\.nodes) == [
                    [Self.nodes[0]]
                ]
            )
        }
    }

    @Test func `no copy is counted on a node that may be dropping it`() async throws {
        try await Self.with { fixture, placed, term, records, rest in
            let catalog = fixture.catalog
            _ = try await catalog.beginDrops(
                [records[0]],
                on: Self.surplus,
                from: placed.placement,
                to: rest,
                term: term
            )
            let back = CountedRepair(record: records[0], placement: rest, newPlacement: placed.placement)
            #expect(try await catalog.countRepairs([back], term: term) == 0)
            #expect(try await catalog.instance(record: records[0])?.nodes.count == 2)
            // Elsewhere it may be.
            let fourth = NodeID(high: 77, low: 77)
            let member = StorageMember(
                id: fourth,
                name: "four",
                host: "h",
                port: 1,
                domain: FailureDomain(host: "four")
            )
            try await catalog.register(member)
            let wider = try await catalog.placementNumber(of: placed.nodes.filter { $0 != Self.surplus } + [fourth])
            let elsewhere = CountedRepair(record: records[0], placement: rest, newPlacement: wider)
            #expect(try await catalog.countRepairs([elsewhere], term: term) == 1)
            try await catalog.finishDrops([records[0]], on: Self.surplus, term: term)
            let all = try await catalog.placementNumber(of: placed.nodes + [fourth])
            let last = CountedRepair(record: records[0], placement: wider, newPlacement: all)
            #expect(try await catalog.countRepairs([last], term: term) == 1)
        }
    }

    @Test func `what cannot be dropped is put off, and at last needs a person`() async throws {
        try await Self.with { fixture, placed, term, records, _ in
            let catalog = fixture.catalog
            try await catalog.postponeDrops(
                [
                    PostponedRepair(record: records[0], pause: .zero, attemptCount: 3, note: "why"),
                    PostponedRepair(record: records[1], pause: .seconds(3600), attemptCount: 1, note: "later"),
                    PostponedRepair(record: records[2], pause: nil, attemptCount: 8, note: "never"),
                ],
                on: Self.surplus,
                term: term
            )
            let found = try await Self.page(catalog, placed)
            #expect(found.map(\.record) == [records[0], records[3], records[4]])
            #expect(found.map(\.attemptCount) == [3, 0, 0])
            #expect(try await Self.page(catalog, placed, after: records[0], limit: 1).map(\.record) == [records[3]])
            #expect(try await catalog.stuckRepairs(limit: 10).map(\.note) == ["never"])
            #expect(try await catalog.retryStuckRepairs() == 1)
            #expect(try await Self.page(catalog, placed).map(\.record).contains(records[2]))
        }
    }

    @Test func `what was put off is forgotten when the copy is surplus no more`() async throws {
        try await Self.with { fixture, placed, term, records, _ in
            let catalog = fixture.catalog
            let difference = RepairDifference(
                kind: 4,
                placement: placed.placement,
                group: placed.group,
                livingCount: 3,
                isShort: false
            )
            try await catalog.replaceRepairBacklog([difference], copies: 2, term: term)
            let putOff = PostponedRepair(record: records[0], pause: .zero, attemptCount: 1, note: "a node is away")
            let never = PostponedRepair(record: records[1], pause: nil, attemptCount: 8, note: "never")
            try await catalog.postponeDrops([putOff, never], on: Self.surplus, term: term)
            _ = try await catalog.unconfirmedDrops(of: Self.nodes, limit: 10, term: term)
            #expect(try fixture.count("surplus_drops") == 2)
            // Another node is lost, and the copy is wanted.
            try await catalog.replaceRepairBacklog([], copies: 2, term: term)
            _ = try await catalog.unconfirmedDrops(of: Self.nodes, limit: 10, term: term)
            #expect(try fixture.sql("SELECT note FROM surplus_drops") == ["never"], "a person knows of that one")
        }
    }

    @Test func `what is in the trash is left alone`() async throws {
        try await Self.with { fixture, placed, term, records, rest in
            let catalog = fixture.catalog
            _ = try await catalog.beginDrops(
                [records[0]],
                on: Self.surplus,
                from: placed.placement,
                to: rest,
                term: term
            )
            let key = try fixture.sql("SELECT uid FROM instances WHERE record = '\(records[0])'")[0]
            _ = try fixture.sql("CREATE TABLE kept AS SELECT * FROM instances WHERE uid = '\(key)'")
            _ = try fixture.sql("DELETE FROM instances WHERE uid = '\(key)'")
            #expect(try await catalog.unconfirmedDrops(of: Self.nodes, limit: 10, term: term).isEmpty)
            _ = try fixture.sql("INSERT INTO instances SELECT * FROM kept")
            #expect(try await catalog.unconfirmedDrops(of: Self.nodes, limit: 10, term: term).count == 1)
        }
    }
}
