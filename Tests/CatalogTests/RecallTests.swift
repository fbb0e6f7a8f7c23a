// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Testing

/// Instances that are in packs only are counted on nodes again, once, and only as far as that is so.
@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct RecallTests {
    private static let study = PackedStudy.uid
    private static let nodes = PackedStudy.nodes

    private struct Scene {
        let fixture: CatalogFixture
        let term: Term
        let records: [RecordID]
        var catalog: Catalog { fixture.catalog }

        func order(_ urgency: StudyRecall.Urgency = .person) async throws -> EnteredRecall {
            try await catalog.enterRecall(
                ofStudy: RecallTests.study,
                urgency: urgency,
                requestedBy: "the test",
                reason: "a reason"
            )
        }

        func enter() async throws -> Int64 {
            guard case .entered(let id) = try await order() else {
                Issue.record("the recall was not entered")
                return 0
            }
            return id
        }

        func move(keepsHot: Bool = false) async throws -> EnteredMove {
            try await catalog.enterMove(
                ofStudy: RecallTests.study,
                tier: "cold",
                place: "file:///cold",
                keepsHot: keepsHot,
                soak: .zero,
                requestedBy: "the test",
                reason: ""
            )
        }

        func verify(_ move: Int64) async throws {
            for pack in try await catalog.packs(ofMove: move) {
                try await catalog.noteSound(pack, by: RecallTests.nodes[1], term: term)
            }
        }

        /// The nodes say that their copies are gone.
        func settle() async throws {
            for node in RecallTests.nodes { try await catalog.finishDrops(records, on: node, term: term) }
        }

        func count(_ records: some Sequence<RecordID>, _ recall: Int64) async throws -> CountedRecall {
            let placement = try await catalog.placementNumber(of: Array(RecallTests.nodes.prefix(2)))
            return try await catalog.countRecalled(
                records.map { RecalledRecord(record: $0, placement: placement) },
                ofRecall: recall,
                term: term
            )
        }

        func hotCount() async throws -> Int {
            try await catalog.instances(study: RecallTests.study, series: nil).count { !$0.nodes.isEmpty }
        }
    }

    /// A study of five instances that is in a pack only; its nodes have not said yet that their copies are gone.
    private static func with(_ body: (Scene) async throws -> Void) async throws {
        try await PackedStudy.with { study in
            let scene = Scene(fixture: study.fixture, term: study.term, records: study.records)
            let nothing = try await scene.order()
            #expect(nothing == .nothingToDo)
            try await study.drop()
            try await body(scene)
        }
    }

    @Test func `a study comes back, instance by instance`() async throws {
        try await Self.with { scene in
            let catalog = scene.catalog
            let cold = try await catalog.studiesInPacksOnly(among: [Self.study, "1.2.3"])
            #expect(cold == [Self.study])
            let id = try await scene.enter()
            let again = try await scene.order(.policy)
            #expect(again == .underWay(id))
            var due = try await catalog.dueRecalls(limit: 10)
            #expect(due.map(\.id) == [id] && due[0].urgency == .person && due[0].wantedInstanceCount == 5)
            // Both nodes may be dropping their copies yet: what comes to them is not counted.
            var left = try await catalog.recallableRecords(of: id)
            #expect(left.map(\.record) == scene.records && left.allSatisfy { $0.pack?.low == 1 })
            #expect(left.allSatisfy { Set($0.dropping) == Set(Self.nodes.prefix(2)) })
            var counted = try await scene.count(scene.records, id)
            #expect(counted == .counted(0))
            try await scene.settle()
            left = try await catalog.recallableRecords(of: id)
            #expect(left.count == 5 && left.allSatisfy(\.dropping.isEmpty))
            counted = try await scene.count(scene.records.prefix(3), id)
            #expect(counted == .counted(3))
            var isDone = try await catalog.finish(recall: id, note: "", term: scene.term)
            #expect(!isDone)
            // What was counted is not counted again.
            counted = try await scene.count(scene.records, id)
            #expect(counted == .counted(2))
            counted = try await scene.count(scene.records, id)
            #expect(counted == .counted(0))
            left = try await catalog.recallableRecords(of: id)
            #expect(left.isEmpty)
            isDone = try await catalog.finish(recall: id, note: "all is back", term: scene.term)
            #expect(isDone)
            let hot = try await scene.hotCount()
            #expect(hot == 5)
            let recall = try #require(try await catalog.recalls(ofStudy: Self.study).first)
            #expect(recall.state == .done && recall.instanceCount == 5 && recall.byteCount == recall.wantedByteCount)
            #expect(recall.note == "all is back" && recall.startedAtMilliseconds != nil)
            due = try await catalog.dueRecalls(limit: 10)
            let online = try await catalog.studiesInPacksOnly(among: [Self.study])
            #expect(due.isEmpty && online.isEmpty)
            let totals = try await catalog.recallTotals()
            #expect(totals.done == 1 && totals.underWay == 0 && totals.instanceCount == 5)
            #expect(totals.longestSeconds != nil)
            let packs = try await catalog.packs(ofStudy: Self.study)
            #expect(packs.map(\.state) == [.counted])
        }
    }

    @Test func `what is only partly in packs only is told level by level`() async throws {
        try await Self.with { scene in
            let catalog = scene.catalog
            let id = try await scene.enter()
            try await scene.settle()
            _ = try await scene.count(scene.records.prefix(4), id)
            let studies = try await catalog.studiesInPacksOnly(among: [Self.study])
            let series = try await catalog.instances(study: Self.study, series: nil).map(\.seriesInstanceUID)
            let cold = try await catalog.seriesInPacksOnly(among: series + ["1.2.3"])
            let instances = try await catalog.instancesInPacksOnly(among: scene.records)
            #expect(studies == [Self.study] && cold == Set(series) && instances == [scene.records[4]])
        }
    }

    @Test func `a move and a recall exclude each other`() async throws {
        try await Self.with { scene in
            let catalog = scene.catalog
            // Of an open move rules leave the study alone, and a person ends it.
            _ = try scene.fixture.sql("UPDATE pack_moves SET state = 3")
            let byRules = try await scene.order(.policy)
            #expect(byRules == .beingMoved)
            let id = try await scene.enter()
            let move = try #require(try await catalog.moves(ofStudy: Self.study).first)
            #expect(move.state == .done && move.note.contains("recalled") && !move.drops)
            let refused = try await scene.move()
            #expect(refused == .beingRecalled(id))
            // One that is open all the same drops nothing, and packs are not taken up to be read again.
            _ = try scene.fixture.sql("UPDATE pack_moves SET state = 1, is_settled = false")
            let drop = try await catalog.dropPackedCopies(ofMove: move.id, limit: 100, term: scene.term)
            #expect(drop == .recalled)
            _ = try scene.fixture.sql("UPDATE pack_moves SET state = 2")
            let rechecked = try await catalog.recheckPacks(olderThan: .zero, limit: 10, term: scene.term)
            let pack = try #require(try await catalog.packs(ofStudy: Self.study).first)
            try await catalog.doubt(pack, note: "damaged")
            let due = try await catalog.dueMoves(limit: 10)
            #expect(rechecked == 0 && due.isEmpty)
            // A copy that comes back and is not counted yet is not ordered to go.
            try await scene.verify(move.id)
            let ordered = try await catalog.orderColdDrop(scene.records[0], on: Self.nodes[2], term: scene.term)
            #expect(!ordered)
            let ended = try await catalog.cancelRecall(ofStudy: Self.study, note: "enough")
            #expect(ended == id)
            let now = try await catalog.orderColdDrop(scene.records[0], on: Self.nodes[2], term: scene.term)
            #expect(now)
            try await scene.settle()
            let late = try await scene.count(scene.records, id)
            let hot = try await scene.hotCount()
            #expect(late == .ended && hot == 0)
        }
    }

    @Test func `a recall that fails waits, or needs a person, and is tried anew by another order`() async throws {
        try await Self.with { scene in
            let catalog = scene.catalog
            let id = try await scene.enter()
            try await catalog.postpone(recall: id, by: .seconds(60), attempts: 2, note: "away", term: scene.term)
            var due = try await catalog.dueRecalls(limit: 10)
            #expect(due.isEmpty)
            try await catalog.postpone(recall: id, by: nil, attempts: 3, note: "damaged", term: scene.term)
            let open = try await catalog.openRecalls(limit: 10)
            #expect(open.map(\.state) == [.needsPerson] && open[0].attemptCount == 3 && open[0].note == "damaged")
            let again = try await scene.order()
            #expect(again == .underWay(id))
            due = try await catalog.dueRecalls(limit: 10)
            #expect(due.map(\.attemptCount) == [0])
            await #expect(throws: CatalogError.self) {
                try await catalog.postpone(
                    recall: id,
                    by: nil,
                    attempts: 1,
                    note: "",
                    term: Term(rawValue: scene.term.rawValue - 1)
                )
            }
        }
    }

    @Test func `those whom a person waits for come first`() async throws {
        try await Self.with { scene in
            let id = try await scene.enter()
            _ = try scene.fixture.sql(
                """
                INSERT INTO pack_recalls (study_uid, study_key, urgency, requested_by, reason, wanted_instances,
                    wanted_bytes, due_at)
                VALUES ('1.1', '00000000-0000-4000-8000-000000000001', 2, '', '', 1, 1, now() - interval '1 day')
                """
            )
            let due = try await scene.catalog.dueRecalls(limit: 10)
            #expect(due.map(\.urgency) == [.person, .policy] && due[0].id == id)
        }
    }

    @Test func `a deleted study does not come back, and its recall ends`() async throws {
        try await Self.with { scene in
            let id = try await scene.enter()
            try await scene.settle()
            _ = try scene.fixture.sql("DELETE FROM instances")
            let left = try await scene.catalog.recallableRecords(of: id)
            let counted = try await scene.count(scene.records, id)
            let isDone = try await scene.catalog.finish(recall: id, note: "", term: scene.term)
            #expect(left.isEmpty && counted == .counted(0) && isDone)
        }
    }

    @Test func `a study that came back goes again by the packs it has, once these are proven anew`() async throws {
        try await Self.with { scene in
            let catalog = scene.catalog
            let recall = try await scene.enter()
            try await scene.settle()
            _ = try await scene.count(scene.records, recall)
            let isBack = try await catalog.finish(recall: recall, note: "", term: scene.term)
            #expect(isBack)
            guard case .entered(let move) = try await scene.move() else {
                Issue.record("the move was not entered")
                return
            }
            let movable = try await catalog.movableRecords(of: move)
            #expect(movable.isEmpty)
            try await catalog.countPacks(ofMove: move, takesOver: true, term: scene.term)
            let packs = try await catalog.packs(ofMove: move)
            #expect(packs.count == 1 && packs[0].state == .counted && !packs[0].isVerifiedAgain)
            var drop = try await catalog.dropPackedCopies(ofMove: move, limit: 100, term: scene.term)
            #expect(drop == .unproven(high: 1, low: 1))
            try await scene.verify(move)
            drop = try await catalog.dropPackedCopies(ofMove: move, limit: 100, term: scene.term)
            #expect(drop == .dropped(5))
            let hot = try await scene.hotCount()
            #expect(hot == 0)
            try await catalog.finish(move: move, note: "", term: scene.term)
            // Nothing is left that nodes have: the next order takes nothing over.
            guard case .entered(let next) = try await scene.move() else { return }
            try await catalog.countPacks(ofMove: next, takesOver: true, term: scene.term)
            let none = try await catalog.packs(ofMove: next)
            #expect(none.isEmpty)
        }
    }

    @Test func `a move that is to keep the copies takes no packs over`() async throws {
        try await Self.with { scene in
            let catalog = scene.catalog
            let recall = try await scene.enter()
            try await scene.settle()
            _ = try await scene.count(scene.records, recall)
            _ = try await catalog.finish(recall: recall, note: "", term: scene.term)
            guard case .entered(let move) = try await scene.move(keepsHot: true) else { return }
            try await catalog.countPacks(ofMove: move, takesOver: true, term: scene.term)
            let packs = try await catalog.packs(ofMove: move)
            #expect(packs.isEmpty)
            // A move that was ended drops nothing when its packs are read again.
            let ended = try await catalog.cancelMove(ofStudy: Self.study, note: "")
            #expect(ended == move)
            let settled = try scene.fixture.sql("SELECT bool_and(is_settled)::int FROM pack_moves")
            #expect("\(settled)".contains("1"))
        }
    }

    @Test func `a recall waits for media, is looked at again, and says for which packs`() async throws {
        try await Self.with { scene in
            let (catalog, id) = (scene.catalog, try await scene.enter())
            try await scene.settle()
            let pack = try #require(try await catalog.packs(ofStudy: Self.study).first)
            let wanted = RecallableRecord.Pack(high: pack.idHigh, low: pack.idLow)
            func wait(_ seconds: Int) async throws {
                try await catalog.waitForMedia(
                    recall: id,
                    packs: [wanted],
                    pauses: .seconds(seconds)...(.seconds(300)),
                    note: "not mounted",
                    term: scene.term
                )
            }
            try await wait(60)
            #expect(try await catalog.dueRecalls(limit: 1).isEmpty)
            let waiting = try #require(try await catalog.openRecalls(limit: 1).first)
            #expect(waiting.state == .underWay && waiting.attemptCount == 0 && waiting.note == "not mounted")
            #expect(waiting.waitsSinceMilliseconds != nil && waiting.wantedPacks.map(\.place) == ["file:///cold"])
            #expect(waiting.wantedPacks.map(\.pack) == [NodeID(high: pack.idHigh, low: pack.idLow)])
            var totals = try await catalog.recallTotals()
            #expect(totals.waitingForMedia == 1 && totals.underWay == 0)

            try await catalog.note(pack, isOffline: true)
            #expect(try await catalog.tierTotals().map(\.offlineCount) == [1])
            // Another reader finds the order there.
            #expect(try await scene.order() == .underWay(id))
            let due = try await catalog.dueRecalls(limit: 1)
            #expect(due.map(\.waitsSinceMilliseconds) == [waiting.waitsSinceMilliseconds])
            // An eighth of the time that it has waited.
            _ = try scene.fixture.sql("UPDATE pack_recalls SET waits_since = now() - interval '80 seconds'")
            try await wait(0)
            let pause = try scene.fixture.sql("SELECT due_at - waits_since >= interval '90 seconds' FROM pack_recalls")
            #expect(pause == ["t"])
            #expect(try await catalog.dueRecalls(limit: 1).isEmpty)
            try await catalog.postpone(recall: id, by: .zero, attempts: 1, note: "a node is away", term: scene.term)
            let failed = try #require(try await catalog.openRecalls(limit: 1).first)
            #expect(failed.waitsSinceMilliseconds == nil && failed.wantedPacks.isEmpty && failed.attemptCount == 1)
            totals = try await catalog.recallTotals()
            #expect(totals.waitingForMedia == 0 && totals.underWay == 1)

            try await catalog.note(pack, isOffline: false)
            #expect(try await catalog.tierTotals().map(\.offlineCount) == [0])
            try await catalog.note(pack, isOffline: true)
            // What is read whole is at hand.
            try await catalog.noteSound(pack, by: Self.nodes[1], term: scene.term)
            #expect(try await catalog.tierTotals().map(\.offlineCount) == [0])
            let renamed = try await catalog.rename(place: "file:///cold", to: "file:///cold?offline-media=60:7")
            #expect(renamed >= 1)
            #expect(try await catalog.packs(ofStudy: Self.study).map(\.place) == ["file:///cold?offline-media=60:7"])
        }
    }
}
