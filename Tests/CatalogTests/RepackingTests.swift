// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Testing

/// What was deleted of a study in packs only leaves these: the rest comes back and is packed anew.
@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct RepackingTests {
    /// A study in a pack only, of which the first two of five instances are deleted for good.
    private static func withCold(_ body: (PackedStudy) async throws -> Void) async throws {
        try await PackedStudy.with { study in
            try await study.drop()
            try await study.delete([1, 2])
            try study.pass(days: 31)
            try await body(study)
        }
    }

    private static func repack(_ study: PackedStudy, limit: Int = 4) async throws -> Repacking {
        try await study.catalog.repack(limit: limit, term: study.term)
    }

    /// What lives is on two nodes again.
    private static func comeBack(_ study: PackedStudy) async throws {
        let catalog = study.catalog
        for node in PackedStudy.nodes { try await catalog.finishDrops(study.records, on: node, term: study.term) }
        let recall = try #require(try await catalog.recalls(ofStudy: PackedStudy.uid).first)
        let placement = try await catalog.placementNumber(of: Array(PackedStudy.nodes.prefix(2)))
        let counted = try await catalog.countRecalled(
            study.records[2...].map { RecalledRecord(record: $0, placement: placement) },
            ofRecall: recall.id,
            term: study.term
        )
        #expect(counted == .counted(3))
        let isDone = try await catalog.finish(recall: recall.id, note: "", term: study.term)
        #expect(isDone)
    }

    private static func move(_ study: PackedStudy) async throws -> PackMove {
        try #require(try await study.catalog.moves(ofStudy: PackedStudy.uid).first)
    }

    @Test func `the rest comes back, is packed anew and leaves the nodes again`() async throws {
        try await Self.withCold { study in
            let catalog = study.catalog
            let ordered = try await Self.repack(study)
            #expect(ordered == Repacking(recalledCount: 1))
            let recall = try #require(try await catalog.recalls(ofStudy: PackedStudy.uid).first)
            #expect(recall.urgency == .policy && recall.requestedBy == "the coordinator")
            #expect(recall.wantedInstanceCount == 3)
            // Once.
            let again = try await Self.repack(study)
            #expect(again == Repacking())

            try await Self.comeBack(study)
            let moved = try await Self.repack(study)
            #expect(moved == Repacking(movedCount: 1))
            let move = try await Self.move(study)
            #expect(move.id != study.move && move.tier == "cold" && move.place == "file:///cold")
            #expect(move.state == .underWay && !move.keepsHot && move.requestedBy == "the coordinator")
            let packs = try await catalog.packs(ofStudy: PackedStudy.uid)
            #expect(packs.map(\.state) == [.givenUp])
            let unpacked = try await catalog.movableRecords(of: move.id)
            #expect(Set(unpacked.map(\.record)) == Set(study.records[2...]))
            // The old one may go: what lives of it is on nodes.
            let marked = try await study.mark()
            #expect(marked == 1)
            let rest = try await Self.repack(study)
            #expect(rest == Repacking())
        }
    }

    @Test func `nothing is done while it can be taken back, is held, or is being moved`() async throws {
        try await PackedStudy.with { study in
            try await study.drop()
            try await study.delete([1, 2])
            let early = try await Self.repack(study)
            #expect(early == Repacking())
        }
        try await Self.withCold { study in
            _ = try study.fixture.sql("UPDATE pack_moves SET state = 1")
            let moving = try await Self.repack(study)
            #expect(moving == Repacking())
            _ = try study.fixture.sql("UPDATE pack_moves SET state = 2")
            // Of what lives, one was deleted a moment ago.
            try await study.delete([3], reference: 2)
            let fresh = try await Self.repack(study)
            #expect(fresh == Repacking())
        }
        try await Self.withCold { study in
            let hold = try await study.catalog.placeHold(
                on: .studies([PackedStudy.uid], query: ""),
                name: "the case",
                reason: "r",
                placedBy: ""
            )
            #expect(hold != nil)
            let held = try await Self.repack(study)
            #expect(held == Repacking())
        }
    }

    @Test func `a study that somebody wants back meanwhile stays on the nodes`() async throws {
        try await Self.withCold { study in
            _ = try await Self.repack(study)
            let wanted = try await study.catalog.enterRecall(
                ofStudy: PackedStudy.uid,
                urgency: .person,
                requestedBy: "a doctor",
                reason: ""
            )
            guard case .underWay = wanted else {
                Issue.record("another recall: \(wanted)")
                return
            }
            try await Self.comeBack(study)
            // Not before it is known who wants what.
            let early = try await study.catalog.rewritePack(
                asHigh: 4,
                low: 4,
                createdAtMilliseconds: 7,
                term: study.term
            )
            #expect(!early)
            let stays = try await Self.repack(study)
            #expect(stays == Repacking())
            // Of what nodes have the pack is made anew, and copies stay.
            let isRewritten = try await study.catalog.rewritePack(
                asHigh: 5,
                low: 5,
                createdAtMilliseconds: 7,
                term: study.term
            )
            let move = try await Self.move(study)
            #expect(isRewritten && move.id == study.move && !move.drops)
        }
    }

    @Test func `a recall that was ended is left alone for a day`() async throws {
        try await Self.withCold { study in
            _ = try await Self.repack(study)
            _ = try await study.catalog.cancelRecall(ofStudy: PackedStudy.uid, note: "not now")
            for _ in 1...2 {
                let none = try await Self.repack(study)
                #expect(none == Repacking())
            }
            let packs = try await study.catalog.packs(ofStudy: PackedStudy.uid)
            #expect(packs.map(\.state) == [.counted])
            _ = try study.fixture.sql("UPDATE pack_recalls SET done_at = done_at - interval '25 hours'")
            let next = try await Self.repack(study)
            #expect(next == Repacking(recalledCount: 1))
        }
    }

    @Test func `so many are under way at once, without those that wait for media`() async throws {
        try await Self.withCold { study in
            let none = try await Self.repack(study, limit: 0)
            #expect(none == Repacking())
            _ = try study.fixture.sql(
                """
                INSERT INTO pack_recalls (
                    study_uid, study_key, urgency, requested_by, reason, wanted_instances, wanted_bytes, repacks
                ) VALUES ('1.9', gen_random_uuid(), 2, '', '', 1, 1, 1)
                """
            )
            let full = try await Self.repack(study, limit: 1)
            #expect(full == Repacking())
            _ = try study.fixture.sql("UPDATE pack_recalls SET waits_since = now()")
            let free = try await Self.repack(study, limit: 1)
            #expect(free == Repacking(recalledCount: 1))
        }
    }
}
