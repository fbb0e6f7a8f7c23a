// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct TrashTests {
    private static let study = "1.2.826.0.1.3680043.9.1"
    private static let members = CatalogFixture.nodes.map(\.id)

    private static func request(_ number: UInt64, reason: String = "wrong patient") -> DeletionRequest {
        DeletionRequest(
            requestedBy: "test",
            reason: reason,
            issuedAtMilliseconds: 1_700_000_000_000,
            reference: (high: 7, low: number)
        )
    }

    /// Study 1 has series 1 and 2 of three instances each, study 2 of the same patient one instance.
    private static func fill(_ catalog: Catalog) async throws {
        for series in ["1", "2"] {
            for instance in 1...3 {
                #expect(try await catalog.commit(.sample(series: series, instance: instance)) == .committed)
            }
        }
        #expect(try await catalog.commit(.sample(study: "2")) == .committed)
    }

    private static func term(_ catalog: Catalog) async throws -> Term {
        try #require(try await catalog.acquireLease(holder: "one", duration: .seconds(60)))
    }

    /// Carries out what is open as the coordinator would.
    private static func giveBack(_ catalog: Catalog, _ term: Term) async throws {
        for order in try await catalog.openTrashOrders(term: term, members: members, looksBack: false, limit: 100) {
            let records = try await catalog.records(ofDeletion: order.deletion, after: nil, limit: 1000)
            if order.kind == .undelete {
                #expect(try await catalog.restore(records, ofDeletion: order.deletion, term: term) == 0)
            }
            for node in members {
                _ = try await catalog.noteTrashAnswer(order: order.number, node: node, members: members, term: term)
            }
        }
    }

    @Test func `a deleted study is nowhere, and comes back as it was`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            let before = try #require(try await catalog.study(Self.study))
            let totals = try await catalog.totals(wantedCopies: 2)
            #expect(try await catalog.moveToTrash(DeletionSubject(study: Self.study), Self.request(1)) == 6)
            // The same again is the same; another finds nothing.
            #expect(try await catalog.moveToTrash(DeletionSubject(study: Self.study), Self.request(1)) == 6)
            #expect(try await catalog.moveToTrash(DeletionSubject(study: Self.study), Self.request(2)) == 0)

            #expect(try await catalog.study(Self.study) == nil)
            #expect(try await catalog.instances(study: Self.study).isEmpty)
            let deleted = InstanceEntry.sample()
            #expect(try await catalog.instance(sopInstanceUID: deleted.instance.sopInstanceUID) == nil)
            #expect(try await catalog.instance(record: deleted.recordID) == nil)
            #expect(try await catalog.isInTrash(record: deleted.recordID))
            #expect(try await !catalog.isEntered(record: deleted.recordID))
            let copies = try await catalog.trashedCopies()
            #expect(copies == [TrashedCopies(nodes: deleted.nodes.sorted(), instanceCount: 6)])
            #expect(
                try await catalog.studies(CatalogQuery()).map(\.study.studyInstanceUID) == ["1.2.826.0.1.3680043.9.2"]
            )
            #expect(try await catalog.series(CatalogQuery()).count == 1)
            #expect(try await catalog.instances(CatalogQuery()).count == 1)
            #expect(try await catalog.studySummaries().count == 1)
            let after = try await catalog.totals(wantedCopies: 2)
            #expect((after.studyCount, after.seriesCount, after.instanceCount) == (1, 1, 1))
            #expect(try fixture.count("patients") == 1, "the other study's")

            let term = try await Self.term(catalog)
            #expect(try await catalog.takeFromTrash(study: Self.study, Self.request(3)) == 1)
            #expect(try await catalog.takeFromTrash(study: Self.study, Self.request(4)) == 1, "asked again")
            #expect(try await catalog.study(Self.study) == nil, "before a node gives it out")
            try await Self.giveBack(catalog, term)
            #expect(try await catalog.trashedCopies().isEmpty)
            #expect(try await catalog.study(Self.study) == before)
            #expect(try await catalog.totals(wantedCopies: 2) == totals)
            #expect(try await !catalog.isInTrash(record: deleted.recordID))
            #expect(try await catalog.isEntered(record: deleted.recordID))
            #expect(try await catalog.takeFromTrash(study: Self.study, Self.request(5)) == 0)
            #expect(try await catalog.deletions(limit: 10).isEmpty)
            let audit = try #require(try await catalog.deletions(all: true, limit: 10).first)
            #expect(audit.instanceCount == 6)
            #expect(audit.deletion.reason == "wrong patient")
            #expect(audit.deletion.requestedBy == "test")
            #expect(audit.undeletion?.doneAtMilliseconds != nil)
            #expect(audit.restoredAtMilliseconds != nil)
            // Names that came back are folded again.
            #expect(try await catalog.refoldNames(limit: 100) >= 1)
        }
    }

    @Test func `a series or an instance alone goes, and counts are of what is left`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            let one = DeletionSubject(study: Self.study, series: "\(Self.study).1", instance: "\(Self.study).1.2")
            #expect(try await catalog.moveToTrash(one, Self.request(1)) == 1)
            let query = CatalogQuery(matches: [CatalogMatch(.studyInstanceUID, .single(Self.study))])
            #expect(try await catalog.series(query).map(\.instanceCount) == [2, 3])
            #expect(
                try await catalog.moveToTrash(.init(study: Self.study, series: "\(Self.study).2"), Self.request(2)) == 3
            )
            let row = try #require(try await catalog.studies(query).first)
            #expect((row.seriesCount, row.instanceCount) == (1, 2))
            // What names another study's series deletes nothing.
            let wrong = DeletionSubject(study: Self.study, series: "\(Self.study).9")
            #expect(try await catalog.moveToTrash(wrong, Self.request(3)) == 0)
            #expect(try fixture.count("deletions") == 2)

            // The rest, and then only the series back: study and patient are made again, the instance stays away.
            #expect(try await catalog.moveToTrash(DeletionSubject(study: Self.study), Self.request(4)) == 2)
            let deletions = try await catalog.deletions(limit: 10)
            #expect(deletions.map(\.subject.level) == [.study, .series, .instance])
            let term = try await Self.term(catalog)
            #expect(try await catalog.takeFromTrash(study: Self.study, deletion: deletions[1].id, Self.request(5)) == 1)
            try await Self.giveBack(catalog, term)
            #expect(try await catalog.series(query).map(\.instanceCount) == [3])
            #expect(try await catalog.takeFromTrash(study: Self.study, Self.request(6)) == 2)
            try await Self.giveBack(catalog, term)
            #expect(try await catalog.series(query).map(\.instanceCount) == [3, 3])
        }
    }

    @Test func `what is in the trash is not taken again, the rest of its batch is`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            #expect(try await catalog.moveToTrash(DeletionSubject(study: Self.study), Self.request(1)) == 6)
            // The connection that stores remembers the series, which is gone.
            #expect(try await catalog.commit(.sample()) == .deleted)
            #expect(try await catalog.commit(.sample(content: "other")) == .deleted)
            #expect(try await catalog.study(Self.study) == nil, "made for what was refused")
            #expect(try fixture.count("series") == 1)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for instance in 1...20 {
                    tasks.addTask {
                        let outcome = try await catalog.commit(.sample(instance: instance))
                        #expect(outcome == (instance <= 3 ? .deleted : .committed))
                    }
                }
                try await tasks.waitForAll()
            }
            #expect(try await catalog.instances(study: Self.study).count == 17)
            // A program of the schema before knows nothing of the trash, and gets nothing in either.
            _ = try fixture.sql(
                """
                INSERT INTO instances SELECT e.id, x.received_at, x.received_bytes, x.stored_bytes, x.sop_class,
                    x.received_syntax, x.stored_syntax, x.calling_ae, x.placement, x.number, x.rows, x.columns,
                    x.frames, x.record, x.uid, x.content_digest, x.pixel_digest
                FROM trashed_instances x CROSS JOIN (SELECT id FROM series LIMIT 1) e ON CONFLICT DO NOTHING
                """
            )
            #expect(try fixture.count("instances") == 18)
            // The study that came again meanwhile takes in what comes back.
            let term = try await Self.term(catalog)
            #expect(try await catalog.takeFromTrash(study: Self.study, Self.request(2)) == 1)
            try await Self.giveBack(catalog, term)
            let details = try #require(try await catalog.study(Self.study))
            #expect(details.instances.count == 23)
            #expect(details.summary.seriesCount == 2)
            #expect(try await catalog.commit(.sample()) == .committed, "the same record")
        }
    }

    @Test func `an order keeps its place, and is open until all members have answered`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            #expect(try await catalog.moveToTrash(DeletionSubject(study: Self.study), Self.request(1)) == 6)
            let first = try await Self.term(catalog)
            func open(
                _ term: Term,
                _ members: [NodeID] = Self.members,
                looksBack: Bool = false
            ) async throws
                -> [TrashOrder]
            {
                try await catalog.openTrashOrders(term: term, members: members, looksBack: looksBack, limit: 10)
            }
            let order = try #require(try await open(first).first)
            #expect(order.term == first && order.kind == .delete && order.referenceLow == 1)
            #expect(try await catalog.records(ofDeletion: order.deletion, after: nil, limit: 10).count == 6)
            #expect(
                try await !catalog.noteTrashAnswer(
                    order: order.number,
                    node: Self.members[0],
                    members: Self.members,
                    term: first
                )
            )
            try await catalog.releaseLease(holder: "one", term: first)
            let second = try #require(try await catalog.acquireLease(holder: "two", duration: .seconds(60)))
            let stale = await #expect(throws: CatalogError.self) { try await open(first) }
            #expect(stale?.code == .staleTerm)
            let again = try #require(try await open(second).first)
            #expect(again.term == first && again.number == order.number)
            #expect(again.answered == [Self.members[0]])
            for (index, node) in Self.members.dropFirst().enumerated() {
                let isLast = try await catalog.noteTrashAnswer(
                    order: order.number,
                    node: node,
                    members: Self.members,
                    term: second
                )
                #expect(isLast == (index == 1))
            }
            #expect(try await open(second).isEmpty)
            // A node that joins, or comes back, is told, too.
            let more = Self.members + [NodeID(high: 9, low: 9)]
            #expect(try await open(second, more).isEmpty)
            #expect(try await open(second, more, looksBack: true).map(\.number) == [order.number])
            // Taken back, it is not sent any more.
            #expect(try await catalog.takeFromTrash(study: Self.study, Self.request(2)) == 1)
            let back = try await open(second, more, looksBack: true)
            #expect(back.map(\.kind) == [.undelete])
            #expect(back.first.map { $0.number > order.number } ?? false)
            // All have answered, but its instances are not back.
            for node in more {
                let isDone = try await catalog.noteTrashAnswer(
                    order: back[0].number,
                    node: node,
                    members: more,
                    term: second
                )
                #expect(!isDone)
            }
            try await catalog.noteTrashObstacle(order: back[0].number, "a copy is missing", term: second)
            #expect(try await catalog.deletions(limit: 1).first?.undeletion?.note == "a copy is missing")
        }
    }

    @Test func `stores and deletions at once leave no instance without its series`() async throws {
        try await CatalogFixture.with(
            { fixture in
                let catalog = fixture.catalog
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for lane in 0..<4 {
                        tasks.addTask {
                            for number in 0..<100 {
                                let outcome = try await catalog.commit(.sample(instance: 1 + lane + 4 * number))
                                #expect(outcome == .committed)
                            }
                        }
                    }
                    tasks.addTask {
                        for number in 0..<40 {
                            _ = try await catalog.moveToTrash(
                                DeletionSubject(study: Self.study),
                                Self.request(UInt64(number))
                            )
                        }
                    }
                    try await tasks.waitForAll()
                }
                #expect(
                    try fixture.sql(
                        "SELECT count(*) FROM instances i WHERE NOT EXISTS (SELECT FROM series e WHERE e.id = i.series)"
                    )
                        == ["0"]
                )
                #expect(try fixture.count("instances") + fixture.count("trashed_instances") == 400)
            },
            configure: { $0.committerCount = 3 }
        )
    }
}
