// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import Placement
import Testing

/// A study in packs only goes on to another tier by way of the storage nodes, and leaves the packs that it has when others prove it.
@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct OnwardTests {
    private static let uid = PackedStudy.uid
    private static let nodes = PackedStudy.nodes

    private static func move(_ study: PackedStudy, tier: String = "deep") async throws -> EnteredMove {
        try await study.catalog.enterMove(
            ofStudy: uid,
            tier: tier,
            place: "file:///\(tier)",
            keepsHot: false,
            soak: .zero,
            requestedBy: "the test",
            reason: "it is old"
        )
    }

    /// A study of five instances in a pack of the tier `cold` only, of which a move to the tier `deep` was ordered.
    private static func withMove(_ body: (PackedStudy, Int64) async throws -> Void) async throws {
        try await PackedStudy.with { study in
            // So that the writer of a pack is not the only node that could read it.
            try await study.catalog.publish(
                PlacementMap(epoch: MapEpoch(rawValue: 1), members: CatalogFixture.nodes),
                replacing: MapEpoch(rawValue: 0)
            )
            try await study.drop()
            let entered = try await move(study)
            guard case .entered(let id) = entered else {
                Issue.record("the move was not entered: \(entered)")
                return
            }
            try await body(study, id)
        }
    }

    private static func lastMove(_ study: PackedStudy) async throws -> PackMove {
        try #require(try await study.catalog.moves(ofStudy: uid).first)
    }

    private static func lastRecall(_ study: PackedStudy) async throws -> StudyRecall {
        try #require(try await study.catalog.recalls(ofStudy: uid).first)
    }

    /// All of it is on two nodes again, and its recall done.
    private static func comeBack(_ study: PackedStudy) async throws {
        for node in nodes { try await study.catalog.finishDrops(study.records, on: node, term: study.term) }
        let recall = try await lastRecall(study)
        let placement = try await study.catalog.placementNumber(of: Array(nodes.prefix(2)))
        let counted = try await study.catalog.countRecalled(
            study.records.map { RecalledRecord(record: $0, placement: placement) },
            ofRecall: recall.id,
            term: study.term
        )
        #expect(counted == .counted(5))
        let isDone = try await study.catalog.finish(recall: recall.id, note: "", term: study.term)
        #expect(isDone)
    }

    /// Packs `records` into a pack of a move, which is read twice by `reader`.
    private static func pack(
        _ records: [RecordID],
        _ low: UInt64,
        of move: Int64,
        readBy reader: NodeID,
        in study: PackedStudy
    ) async throws {
        let catalog = study.catalog
        try await catalog.planPacks(
            [(high: 1, low: low, records: records)],
            ofMove: move,
            createdAtMilliseconds: 1,
            term: study.term
        )
        for planned in try await catalog.packs(ofMove: move) {
            try await catalog.noteBuilt(
                planned,
                byteCount: 1000,
                digest: PackedStudy.digest,
                by: nodes[0],
                term: study.term
            )
        }
        try await read(move, by: reader, in: study)
        try await catalog.countPacks(ofMove: move, term: study.term)
        try await read(move, by: reader, in: study)
    }

    private static func read(_ move: Int64, by reader: NodeID, in study: PackedStudy) async throws {
        for pack in try await study.catalog.packs(ofMove: move) {
            try await study.catalog.noteSound(pack, by: reader, term: study.term)
        }
    }

    private static func giveUp(_ study: PackedStudy, _ tiers: [String] = ["cold"]) async throws -> GivenUpPacks {
        try await study.catalog.giveUpPacks(ofStudy: uid, inTiers: tiers, note: "it is in deep")
    }

    private static func states(_ study: PackedStudy) async throws -> [String: ColdPack.State] {
        let packs = try await study.catalog.packs(ofStudy: uid)
        return Dictionary(packs.map { ("\($0.tier) \($0.idLow)", $0.state) }) { first, _ in first }
    }

    @Test func `what is in packs of another tier only comes back first, and then the move begins`() async throws {
        try await Self.withMove { study, id in
            let catalog = study.catalog
            var move = try await Self.lastMove(study)
            #expect(move.id == id && move.state == .comingBack && move.tier == "deep")
            var due = try await catalog.dueMoves(limit: 10)
            #expect(due.isEmpty)
            // What needs a person is listed before it.
            _ = try study.fixture.sql(
                """
                INSERT INTO pack_moves (study_uid, study_key, tier, place, keeps_hot, soak_seconds, requested_by, reason, state)
                VALUES ('1.2.3', gen_random_uuid(), 'deep', 'file:///deep', false, 0, 'the test', '', 3)
                """
            )
            let open = try await catalog.openMoves(limit: 10)
            #expect(open.map(\.state) == [.needsPerson, .comingBack])
            let recall = try await Self.lastRecall(study)
            #expect(recall.urgency == .policy && recall.wantedInstanceCount == 5)
            #expect(recall.reason.hasSuffix("it is old"))
            // The same order has the recall tried at once; another one has to wait.
            try await catalog.postpone(recall: recall.id, by: nil, attempts: 12, note: "no", term: study.term)
            let again = try await Self.move(study)
            #expect(again == .underWay(id))
            let tried = try await Self.lastRecall(study)
            #expect(tried.state == .underWay && tried.attemptCount == 0)
            let other = try await Self.move(study, tier: "elsewhere")
            #expect(other == .otherMove(id))
            try await Self.comeBack(study)
            move = try await Self.lastMove(study)
            #expect(move.id == id && move.state == .underWay)
            due = try await catalog.dueMoves(limit: 10)
            #expect(due.map(\.id) == [id])
            let records = try await catalog.movableRecords(of: id)
            #expect(Set(records.map(\.record)) == Set(study.records))
        }
    }

    @Test func `a move of what is in packs of its tier needs no recall`() async throws {
        try await PackedStudy.with { study in
            try await study.drop()
            let entered = try await Self.move(study, tier: "cold")
            guard case .entered = entered else {
                Issue.record("it was not entered")
                return
            }
            let move = try await Self.lastMove(study)
            let recalls = try await study.catalog.recalls(ofStudy: Self.uid)
            #expect(move.state == .underWay && recalls.isEmpty)
        }
    }

    @Test func `the move ends with its recall, and the recall with its move`() async throws {
        try await Self.withMove { study, id in
            let catalog = study.catalog
            let recall = try await catalog.cancelRecall(ofStudy: Self.uid, note: "not now")
            #expect(recall != nil)
            var move = try await Self.lastMove(study)
            #expect(move.id == id && move.state == .done && move.note.hasSuffix("not now"))

            guard case .entered(let second) = try await Self.move(study) else {
                Issue.record("it was not entered")
                return
            }
            let ended = try await catalog.cancelMove(ofStudy: Self.uid, note: "never")
            #expect(ended == second)
            let recalls = try await catalog.recalls(ofStudy: Self.uid)
            #expect(recalls.count == 2 && recalls.allSatisfy { $0.state == .done } && recalls[0].note == "never")
            move = try await Self.lastMove(study)
            #expect(move.id == second && move.state == .done && move.note == "never")
        }
    }

    @Test func `who wants the study back has it stay`() async throws {
        try await Self.withMove { study, id in
            let first = try await study.catalog.enterRecall(
                ofStudy: Self.uid,
                urgency: .policy,
                requestedBy: "a rule",
                reason: ""
            )
            let recall = try await Self.lastRecall(study)
            var move = try await Self.lastMove(study)
            #expect(first == .underWay(recall.id) && move.state == .comingBack, "a rule changes nothing")
            let second = try await study.catalog.enterRecall(
                ofStudy: Self.uid,
                urgency: .person,
                requestedBy: "a person",
                reason: ""
            )
            #expect(second == .underWay(recall.id))
            move = try await Self.lastMove(study)
            #expect(move.id == id && move.state == .done && move.note.contains("recalled"))
            let urgent = try await Self.lastRecall(study)
            #expect(urgent.urgency == .person && urgent.state == .underWay)
            try await Self.comeBack(study)
            move = try await Self.lastMove(study)
            #expect(move.state == .done)
        }
    }

    @Test func `a deleted study needs no coming back`() async throws {
        try await Self.withMove { study, _ in
            try await study.delete()
            let recall = try await Self.lastRecall(study)
            let isDone = try await study.catalog.finish(recall: recall.id, note: "", term: study.term)
            #expect(isDone)
            let move = try await Self.lastMove(study)
            let records = try await study.catalog.movableRecords(of: move.id)
            #expect(move.state == .underWay && records.isEmpty)
        }
    }

    @Test func `packs are given up when others prove all that is in them, and not before`() async throws {
        try await Self.withMove { study, id in
            let catalog = study.catalog
            var result = try await Self.giveUp(study)
            #expect(result == .busy, "it is being recalled")
            try await Self.comeBack(study)
            result = try await Self.giveUp(study)
            #expect(result == .busy, "it is being moved")
            // The writer has read it back itself, which proves nothing.
            try await Self.pack(study.records, 2, of: id, readBy: Self.nodes[0], in: study)
            _ = try await catalog.cancelMove(ofStudy: Self.uid, note: "enough")
            result = try await Self.giveUp(study)
            #expect(result == .done(givenUp: 0, unproven: 1, needed: 0))
            var readings = try await catalog.duePackReadings(limit: 10, term: study.term)
            #expect(readings.map(\.pack.idLow) == [2], "it is to be read")
            try await Self.read(id, by: Self.nodes[1], in: study)
            for aged in ["now() - interval '2 days'", "NULL"] {
                _ = try study.fixture.sql("UPDATE cold_packs SET verified_at = \(aged) WHERE move = \(id)")
                result = try await Self.giveUp(study)
                #expect(result == .done(givenUp: 0, unproven: 1, needed: 0), "\(aged)")
                try await Self.read(id, by: Self.nodes[1], in: study)
            }
            // Nothing proves a pack of a tier that is to be left itself.
            result = try await Self.giveUp(study, ["cold", "deep"])
            #expect(result == .done(givenUp: 0, unproven: 0, needed: 2))
            result = try await Self.giveUp(study)
            #expect(result == .done(givenUp: 1, unproven: 0, needed: 0))
            let states = try await Self.states(study)
            #expect(states == ["cold 1": .givenUp, "deep 2": .counted])
            let packs = try await catalog.packs(holding: study.records[3])
            #expect(packs.map(\.idLow) == [2])
            result = try await Self.giveUp(study)
            #expect(result == .done(givenUp: 0, unproven: 0, needed: 0))
            readings = try await catalog.duePackReadings(limit: 10, term: study.term)
            #expect(readings.count <= 1)
        }
    }

    @Test func `what only one pack has keeps it, in the trash or not`() async throws {
        try await Self.withMove { study, id in
            try await Self.comeBack(study)
            try await Self.pack(Array(study.records.dropLast()), 2, of: id, readBy: Self.nodes[1], in: study)
            _ = try await study.catalog.cancelMove(ofStudy: Self.uid, note: "enough")
            var result = try await Self.giveUp(study)
            #expect(result == .done(givenUp: 0, unproven: 0, needed: 1))
            try await study.delete([5])
            result = try await Self.giveUp(study)
            #expect(result == .done(givenUp: 0, unproven: 0, needed: 1), "it can be taken back")
            try study.pass(days: 31)
            result = try await Self.giveUp(study)
            #expect(result == .done(givenUp: 1, unproven: 0, needed: 0))
        }
    }

    @Test func `who has the only copies is known when the other pack has gone`() async throws {
        try await Self.withMove { study, id in
            try await Self.comeBack(study)
            try await Self.pack(study.records, 2, of: id, readBy: Self.nodes[1], in: study)
            _ = try await study.catalog.cancelMove(ofStudy: Self.uid, note: "enough")
            // As if the first pack had had its copies dropped.
            _ = try study.fixture.sql("UPDATE instances SET placement = intern_placement('{}')")
            _ = try study.fixture.sql("UPDATE cold_packs SET is_only = (move <> \(id))")
            let result = try await Self.giveUp(study)
            #expect(result == .done(givenUp: 1, unproven: 0, needed: 0))
            let cold = try await study.catalog.studiesInPacksOnly(among: [Self.uid])
            #expect(cold == [Self.uid])
        }
    }

    @Test func `a rule that does not act gives nothing up, nor a coordinator that was deposed`() async throws {
        try await PackedStudy.with { study in
            let result = try await study.catalog.giveUpPacks(
                ofStudy: Self.uid,
                inTiers: ["cold"],
                note: "",
                version: 7,
                term: study.term
            )
            #expect(result == .busy)
            await #expect(throws: CatalogError.self) {
                _ = try await study.catalog.giveUpPacks(
                    ofStudy: Self.uid,
                    inTiers: ["cold"],
                    note: "",
                    version: 7,
                    term: Term(rawValue: 0)
                )
            }
        }
    }
}
