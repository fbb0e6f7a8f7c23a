// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct RepairQueueTests {
    private static let nodes = CatalogFixture.nodes.map(\.id)

    private static func term(_ catalog: Catalog, _ holder: String = "one") async throws -> Term {
        try #require(try await catalog.acquireLease(holder: holder, duration: .seconds(60)))
    }

    /// Studies of `count` instances each, on the first two nodes; one more on the last two.
    private static func fill(_ catalog: Catalog, studies: Int = 3, count: Int = 5) async throws {
        for study in 1...studies {
            for instance in 1...count {
                #expect(try await catalog.commit(.sample(study: "\(study)", instance: instance)) == .committed)
            }
        }
        let other = InstanceEntry.sample(study: "other", nodes: Array(nodes.suffix(2)))
        #expect(try await catalog.commit(other) == .committed)
    }

    private static func difference(_ placed: PlacedGroup, kind: UInt8 = 1, living: Int = 1) -> RepairDifference {
        RepairDifference(
            kind: kind,
            placement: placed.placement,
            group: placed.group,
            livingCount: living,
            isShort: true,
            target: nodes[2]
        )
    }

    private static func expectStale(_ change: () async throws -> Void) async {
        let error = await #expect(throws: CatalogError.self) { try await change() }
        #expect(error?.code == .staleTerm)
    }

    /// The set of study 1, wholly in the queue.
    private static func queue(_ catalog: Catalog, _ term: Term) async throws -> PlacedGroup {
        let group = PlacementGroup(studyInstanceUID: "1.2.826.0.1.3680043.9.1")
        let placed = try #require(try await catalog.placedGroups().first { $0.group == group })
        let entered = try await catalog.enqueueRepairs(
            of: difference(placed),
            after: nil,
            limit: 100,
            waitingLimit: 1000,
            term: term
        )
        #expect(entered != .full)
        return placed
    }

    @Test func `groups are found by where their copies are`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            #expect(try await catalog.placedGroups().isEmpty)
            try await Self.fill(catalog, studies: 40, count: 2)
            let placed = try await catalog.placedGroups()
            let expected = Set((1...40).map { PlacementGroup(studyInstanceUID: "1.2.826.0.1.3680043.9.\($0)") })
            #expect(Set(placed.filter { $0.nodes == Array(Self.nodes.prefix(2)) }.map(\.group)) == expected)
            #expect(
                placed.filter { $0.nodes == Array(Self.nodes.suffix(2)) }.map(\.group)
                    == [PlacementGroup(studyInstanceUID: "1.2.826.0.1.3680043.9.other")]
            )
            #expect(placed.count == expected.count + 1)
        }
    }

    @Test func `a survey replaces the one before and keeps what was counted`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            let term = try await Self.term(catalog)
            let placed = try await catalog.placedGroups()
            try await catalog.replaceRepairBacklog(placed.map { Self.difference($0) }, copies: 2, term: term)
            var left = placed.count
            while left > 0 {
                let now = try await catalog.countRepairBacklog(limit: 2, term: term)
                #expect(now < left)
                left = now
            }
            let sums = "SELECT sum(instances), sum(bytes) FROM repair_backlog"
            #expect(try fixture.sql(sums) == ["16|\(16 * 210_000)"])
            try await catalog.replaceRepairBacklog([Self.difference(placed[0])], copies: 2, term: term)
            #expect(try fixture.sql("SELECT count(*), count(instances) FROM repair_backlog") == ["1|1"])
            try await catalog.replaceRepairBacklog([], copies: 2, term: term)
            #expect(try fixture.count("repair_backlog") == 0)
        }
    }

    @Test func `the queue takes a set page by page, and no more than it may hold`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog, studies: 2, count: 9)
            let term = try await Self.term(catalog)
            let placed = try #require(try await catalog.placedGroups().first)
            var after: RecordID?
            var counts: [Int] = []
            repeat {
                let entered = try await catalog.enqueueRepairs(
                    of: Self.difference(placed),
                    after: after,
                    limit: 4,
                    waitingLimit: 1000,
                    term: term
                )
                guard case .upTo(let last, let count) = entered else { break }
                counts.append(count)
                after = last
            } while counts.last == 4
            #expect(counts == [4, 4, 1])
            #expect(try fixture.count("repair_items") == 9)
            let full = try await catalog.enqueueRepairs(
                of: Self.difference(placed),
                after: nil,
                limit: 4,
                waitingLimit: 9,
                term: term
            )
            #expect(full == .full)
            // Of another urgency there is room; what is in the queue becomes as urgent.
            _ = try await catalog.enqueueRepairs(
                of: Self.difference(placed, living: 0),
                after: nil,
                limit: 2,
                waitingLimit: 9,
                term: term
            )
            #expect(
                try fixture.sql("SELECT living, count(*) FROM repair_items GROUP BY 1 ORDER BY 1") == ["0|2", "1|7"]
            )
        }
    }

    @Test func `what is taken up is made, counted and gone from the queue`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            let term = try await Self.term(catalog)
            let placed = try await Self.queue(catalog, term)
            try await catalog.replaceRepairBacklog([Self.difference(placed)], copies: 3, term: term)
            #expect(try await catalog.countRepairBacklog(limit: 10, term: term) == 0)
            let items = try await catalog.claimRepairs(term: term, limit: 100, held: [])
            #expect(items.count == 5)
            #expect(items.allSatisfy { $0.placement == placed.placement && $0.nodes == placed.nodes })
            #expect(items.allSatisfy { $0.byteCount == 210_000 && $0.livingCount == 1 && $0.kind == 1 })
            let held = items.map(\.record)
            #expect(try await catalog.claimRepairs(term: term, limit: 100, held: held).isEmpty)
            // An answer that was lost: what is not in hand is given again.
            #expect(try await catalog.claimRepairs(term: term, limit: 100, held: Array(held.dropFirst())).count == 1)

            let number = try await catalog.placementNumber(of: Self.nodes)
            #expect(try await catalog.placementNumber(of: Self.nodes.reversed()) == number)
            let repairs = held.prefix(3).map {
                CountedRepair(record: $0, placement: placed.placement, newPlacement: number)
            }
            #expect(try await catalog.countRepairs(repairs, term: term) == 3)
            #expect(try await catalog.countRepairs(repairs, term: term) == 0, "once only")
            for record in held.prefix(3) {
                #expect(try await catalog.instance(record: record)?.nodes == Self.nodes)
            }
            #expect(try await catalog.instance(record: held[3])?.nodes == placed.nodes)
            #expect(try fixture.sql("SELECT item_count, byte_count FROM repair_totals") == ["3|630000"])
            #expect(try fixture.sql("SELECT instances, bytes FROM repair_backlog") == ["2|420000"])
            try await catalog.dropRepairs([held[3]], term: term)
            #expect(try fixture.count("repair_items") == 1)
        }
    }

    @Test func `what another coordinator has taken up is taken over`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            let old = try await Self.term(catalog)
            let placed = try await Self.queue(catalog, old)
            let items = try await catalog.claimRepairs(term: old, limit: 2, held: [])
            try await catalog.releaseLease(holder: "one", term: old)
            let new = try await Self.term(catalog, "two")
            #expect(try await catalog.claimRepairs(term: new, limit: 100, held: []).count == 5)
            // And the one whose term is over changes nothing.
            let repair = CountedRepair(
                record: items[0].record,
                placement: placed.placement,
                newPlacement: try await catalog.placementNumber(of: Self.nodes)
            )
            await Self.expectStale { _ = try await catalog.countRepairs([repair], term: old) }
            await Self.expectStale { _ = try await catalog.claimRepairs(term: old, limit: 1, held: []) }
            await Self.expectStale { try await catalog.dropRepairs([items[0].record], term: old) }
            await Self.expectStale { try await catalog.replaceRepairBacklog([], copies: 2, term: old) }
            await Self.expectStale { try await catalog.noteRepairRate(items: 1, bytes: 1, alarm: "", term: old) }
            #expect(try await catalog.instance(record: items[0].record)?.nodes == placed.nodes)
        }
    }

    @Test func `what cannot be made is put off, and at last needs a person`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            let term = try await Self.term(catalog)
            let placed = try await Self.queue(catalog, term)
            let records = try await catalog.claimRepairs(term: term, limit: 100, held: []).map(\.record)
            try await catalog.postponeRepairs(
                [
                    PostponedRepair(record: records[0], pause: .zero, attemptCount: 3, note: "why"),
                    PostponedRepair(record: records[1], pause: .seconds(3600), attemptCount: 1, note: "later"),
                    PostponedRepair(record: records[2], pause: nil, attemptCount: 8, note: "never"),
                ],
                term: term
            )
            let again = try await catalog.claimRepairs(term: term, limit: 100, held: Array(records.suffix(2)))
            #expect(again.map(\.record) == [records[0]] && again.first?.attemptCount == 3)
            #expect(
                try fixture.sql("SELECT state, note FROM repair_items WHERE attempts > 0 ORDER BY attempts")
                    == ["1|later", "2|why", "3|never"]
            )
            // Found by the next survey as before, it stays; with its copies elsewhere it is tried again.
            _ = try await Self.queue(catalog, term)
            #expect(try fixture.sql("SELECT count(*) FROM repair_items WHERE state = 3") == ["1"])
            let number = try await catalog.placementNumber(of: [Self.nodes[0], Self.nodes[2]])
            _ = try fixture.sql("UPDATE instances SET placement = \(number) WHERE record = '\(records[2])'")
            var moved = placed
            moved.placement = number
            _ = try await catalog.enqueueRepairs(
                of: Self.difference(moved),
                after: nil,
                limit: 10,
                waitingLimit: 100,
                term: term
            )
            #expect(try fixture.sql("SELECT count(*) FROM repair_items WHERE state = 3") == ["0"])
        }
    }

    @Test func `what was deleted is not counted`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            let term = try await Self.term(catalog)
            let placed = try await Self.queue(catalog, term)
            let items = try await catalog.claimRepairs(term: term, limit: 100, held: [])
            let request = DeletionRequest(
                requestedBy: "test",
                reason: "test",
                issuedAtMilliseconds: 1,
                reference: (high: 7, low: 7)
            )
            #expect(try await catalog.moveToTrash(DeletionSubject(study: "1.2.826.0.1.3680043.9.1"), request) == 5)
            let number = try await catalog.placementNumber(of: Self.nodes)
            let repairs = items.prefix(2).map {
                CountedRepair(record: $0.record, placement: placed.placement, newPlacement: number)
            }
            #expect(try await catalog.countRepairs(repairs, term: term) == 0)
            // What is still in the queue says that there is no such instance any more.
            let left = try await catalog.claimRepairs(term: term, limit: 100, held: [])
            #expect(left.count == 3 && left.allSatisfy { $0.placement == nil && $0.nodes.isEmpty })
        }
    }

    @Test func `surveys and pages of the queue come from indexes`() async throws {
        try await CatalogFixture.with { fixture in
            try await Self.fill(fixture.catalog)
            // Whatever the planner knows of the table: no other index has pairs in order.
            let plan = try fixture.sql(
                """
                SET enable_seqscan = off; SET enable_sort = off; EXPLAIN (COSTS OFF)
                SELECT i.placement, placement_group_of(i.record) FROM instances i
                WHERE (i.placement, placement_group_of(i.record)) > (1, 7)
                ORDER BY i.placement, placement_group_of(i.record) LIMIT 1
                """
            )
            #expect(plan.contains { $0.contains("instances_by_placement_group") }, "\(plan)")
            #expect(try fixture.sql("SELECT placement_group_of('03ff0000-0000-0000-0000-000000000001')") == ["1023"])
        }
    }

    @Test func `orders of operators are done or refused once, under the term in office`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let term = try await Self.term(catalog)
            let node = Self.nodes[0]
            let drain = try await catalog.enterNodeOrder(.drain, of: node, requestedBy: "me", reason: "old disks")
            let maintain = try await catalog.enterNodeOrder(
                .maintenance,
                of: node,
                seconds: 600,
                requestedBy: "me",
                reason: "kernel"
            )
            let error = await #expect(throws: CatalogError.self) {
                try await catalog.enterNodeOrder(.drain, of: NodeID(high: 5, low: 5), requestedBy: "", reason: "")
            }
            #expect(error?.code == .unknownNode)
            var open = try await catalog.openNodeOrders(limit: 10)
            #expect(open.map(\.id) == [drain, maintain] && open.map(\.kind) == [.drain, .maintenance])
            #expect(open[1].seconds == 600 && open[1].requestedBy == "me" && open[1].reason == "kernel")
            let stale = await #expect(throws: CatalogError.self) {
                try await catalog.decide(
                    open[0],
                    service: .draining,
                    isRefused: false,
                    note: "",
                    term: Term(rawValue: 0)
                )
            }
            #expect(stale?.code == .staleTerm)
            try await catalog.decide(open[0], service: .draining, isRefused: false, note: "draining", term: term)
            try await catalog.decide(open[0], service: .removed, isRefused: false, note: "again", term: term)
            try await catalog.decide(open[1], service: nil, isRefused: false, note: "for 10 minutes", term: term)
            open = try await catalog.openNodeOrders(limit: 10)
            #expect(open.isEmpty)
            let record = try #require(try await catalog.nodeRecords().first { $0.member.id == node })
            #expect(record.service == .draining)
            let left = try #require(record.maintenanceLeft)
            #expect(left > .seconds(300) && left <= .seconds(600))
            #expect(try await catalog.nodeOrder(drain)?.note == "draining")
            #expect(try await catalog.nodeOrders(of: node, limit: 10).map(\.id) == [maintain, drain])

            _ = try await catalog.enterNodeOrder(.endOfMaintenance, of: node, requestedBy: "me", reason: "done")
            _ = try await catalog.enterNodeOrder(.remove, of: node, requestedBy: "me", reason: "gone")
            for order in try await catalog.openNodeOrders(limit: 10) {
                let isRemoval = order.kind == .remove
                try await catalog.decide(
                    order,
                    service: isRemoval ? .removed : nil,
                    isRefused: isRemoval,
                    note: "no",
                    term: term
                )
            }
            let after = try #require(try await catalog.nodeRecords().first { $0.member.id == node })
            #expect(after.service == .draining && after.maintenanceLeft == nil)
            #expect(try await catalog.nodeOrders(of: node, limit: 1).first?.isRefused == true)
        }
    }
}
