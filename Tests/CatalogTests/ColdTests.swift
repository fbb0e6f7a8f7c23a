// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Testing

/// Copies are counted no more only when packs prove what they held.
@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct ColdTests {
    private static let study = PackedStudy.uid
    private static let nodes = PackedStudy.nodes

    /// A study of five instances in a pack that has stood, and was read before that only.
    private static func with(keepsHot: Bool = false, _ body: (PackedStudy) async throws -> Void) async throws {
        try await PackedStudy.with(keepsHot: keepsHot, isReadAgain: false, body)
    }

    @Test func `what a proven pack holds is dropped once, and each node is to be told`() async throws {
        try await Self.with { scene in
            let catalog = scene.catalog
            var next = try await scene.dropSome()
            #expect(next == .unproven(high: 1, low: 1))
            try await scene.verify()
            next = try await scene.dropSome(limit: 3)
            #expect(next == .dropped(3))
            next = try await scene.dropSome(limit: 3)
            #expect(next == .dropped(2))
            next = try await scene.dropSome()
            #expect(next == .done)
            let rows = try await catalog.instances(study: Self.study, series: nil)
            #expect(rows.count == 5 && rows.allSatisfy(\.nodes.isEmpty))
            // Nothing is wanted of it, and nothing lacks.
            let groups = try await catalog.placedGroups()
            #expect(groups.isEmpty)
            let totals = try await catalog.totals(wantedCopies: 2)
            #expect(totals.underReplicatedCount == 0 && totals.instanceCount == 5)
            // Programs that know nothing of it are told nothing.
            let others = try await catalog.unconfirmedDrops(of: Self.nodes, limit: 100, term: scene.term)
            #expect(others.isEmpty)
            let open = try await catalog.coldDrops(of: Self.nodes, limit: 100, term: scene.term)
            #expect(open.count == 10 && open.allSatisfy { $0.isCold && $0.isInSoundPack })
            try await catalog.finishDrops(scene.records, on: Self.nodes[0], term: scene.term)
            let left = try await catalog.coldDrops(of: Self.nodes, limit: 100, term: scene.term)
            #expect(Set(left.map(\.node)) == [Self.nodes[1]])
            let packed = try await catalog.packed(among: scene.records)
            #expect(packed == Set(scene.records))
        }
    }

    @Test func `any doubt about a pack keeps the copies`() async throws {
        let doubts = [
            "UPDATE cold_packs SET verified_at = NULL",
            "UPDATE cold_packs SET verified_by = NULL",
            "UPDATE cold_packs SET verified_at = now() - interval '2 days'",
            "UPDATE pack_moves SET soaks_until = now() + interval '1 hour'",
            "UPDATE pack_moves SET soaks_until = NULL",
        ]
        try await Self.with { scene in
            for doubt in doubts {
                _ = try scene.fixture.sql("UPDATE pack_moves SET soaks_until = now() - interval '1 hour'")
                try await scene.verify()
                _ = try scene.fixture.sql(doubt)
                let next = try await scene.dropSome()
                #expect(next == .unproven(high: 1, low: 1), "\(doubt)")
            }
            for state in [1, 2, 3, 5] {
                _ = try scene.fixture.sql("UPDATE cold_packs SET state = \(state)")
                let next = try await scene.dropSome()
                #expect(next == .done, "state \(state)")
            }
            let rows = try await scene.catalog.instances(study: Self.study, series: nil)
            #expect(rows.allSatisfy { $0.nodes.count == 2 })
        }
        try await Self.with(keepsHot: true) { scene in
            try await scene.verify()
            let next = try await scene.dropSome()
            #expect(next == .done)
            let rows = try await scene.catalog.instances(study: Self.study, series: nil)
            #expect(rows.allSatisfy { $0.nodes.count == 2 })
        }
    }

    @Test func `a hold keeps the copies until it is released`() async throws {
        try await Self.with { scene in
            try await scene.verify()
            _ = try scene.fixture.sql(
                """
                WITH h AS (INSERT INTO holds (name, reason, placed_by, patient_id, issuer, query)
                    VALUES ('case', '', '', '', '', '') RETURNING id)
                INSERT INTO held_studies (study_uid, hold) SELECT '\(Self.study)', id FROM h
                """
            )
            var next = try await scene.dropSome()
            guard case .held = next else {
                Issue.record("it is held: \(next)")
                return
            }
            _ = try scene.fixture.sql("UPDATE holds SET released_at = now()")
            next = try await scene.dropSome()
            #expect(next == .dropped(5))
        }
    }

    @Test func `a pack of what is nowhere else is never given up, and what is in doubt is said`() async throws {
        try await Self.with { scene in
            let catalog = scene.catalog
            try await scene.verify()
            _ = try await scene.dropSome()
            let pack = try #require(try await catalog.packs(ofMove: scene.move).first)
            let isReplaced = try await catalog.replace(
                pack,
                byHigh: 1,
                low: 9,
                createdAtMilliseconds: 1,
                note: "rotten",
                term: scene.term
            )
            let kept = try await catalog.packs(ofMove: scene.move)
            #expect(!isReplaced && kept.map(\.state) == [.counted] && kept[0].verifiedAtMilliseconds == nil)
            let totals = try await catalog.totals(wantedCopies: 2)
            #expect(totals.underReplicatedCount == 5)
            let open = try await catalog.coldDrops(of: Self.nodes, limit: 100, term: scene.term)
            #expect(open.count == 10 && open.allSatisfy { !$0.isInSoundPack })
            // A copy that is there is not ordered to go, and may be counted again.
            let isOrdered = try await catalog.orderColdDrop(scene.records[0], on: Self.nodes[2], term: scene.term)
            #expect(!isOrdered)
            try await scene.verify()
            let isOrderedNow = try await catalog.orderColdDrop(scene.records[0], on: Self.nodes[2], term: scene.term)
            #expect(isOrderedNow)
        }
    }
}
