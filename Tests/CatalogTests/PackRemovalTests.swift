// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Testing

/// Packs go from their stores when nothing of them is wanted any more, and never before.
@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct PackRemovalTests {
    @Test(arguments: [true, false])
    func `a pack goes when all of it is out of the trash for good, marked first`(isCold: Bool) async throws {
        try await PackedStudy.with { study in
            let catalog = study.catalog
            if isCold { try await study.drop() }
            var marked = try await study.mark()
            #expect(marked == 0, "it lives")
            try await study.delete()
            marked = try await study.mark()
            #expect(marked == 0, "it is in the trash")
            try study.pass(days: 29)
            marked = try await study.mark()
            #expect(marked == 0)
            try study.pass(days: 2)
            let deleted = try await catalog.deletedInPacks()
            #expect(deleted == [DeletedInPacks(tier: "cold", place: "file:///cold", packCount: 1, instanceCount: 5)])
            marked = try await study.mark(grace: .seconds(3600))
            #expect(marked == 1)
            var begun = try await study.begin()
            #expect(begun.isEmpty, "not before its time")
            var removal = try #require(try await catalog.packRemovals(limit: 10).first)
            #expect(
                removal.isOfDeleted && removal.requestedBy == "somebody" && removal.reason.hasSuffix("wrong patient")
            )
            #expect(removal.instanceCount == 5 && removal.begunAtMilliseconds == nil)

            _ = try study.fixture.sql("UPDATE pack_removals SET due_at = now()")
            for _ in 1...2 {
                begun = try await study.begin()
                #expect(begun.map(\.idLow) == [1] && begun[0].place == "file:///cold")
                let state = try await study.pack().state
                #expect(state == .beingRemoved)
            }
            let readable = try await catalog.packs(holding: study.records[0])
            #expect(readable.isEmpty)
            let packs = try await catalog.packs(ofMove: study.move)
            #expect(packs.isEmpty)
            try await catalog.postponeRemoval(of: begun[0], by: .seconds(60), note: "not mounted", term: study.term)
            let later = try await study.begin()
            #expect(later.isEmpty)
            removal = try #require(try await catalog.packRemovals(limit: 10).first)
            #expect(removal.note == "not mounted" && removal.begunAtMilliseconds != nil)
            for _ in 1...2 { try await catalog.noteRemoved(begun[0], by: PackedStudy.nodes[2], term: study.term) }
            removal = try #require(try await catalog.packRemovals(limit: 10).first)
            #expect(removal.removedAtMilliseconds != nil && removal.removedBy == "storage-3" && removal.note == "")
            let state = try await study.pack().state
            #expect(state == .removed)
            _ = try study.fixture.sql("UPDATE pack_removals SET next_at = now()")
            let more = try await study.begin()
            marked = try await study.mark()
            #expect(more.isEmpty && marked == 0)
            let left = try await catalog.deletedInPacks()
            #expect(left.isEmpty)
        }
    }

    @Test func `what is wanted back, held or not all deleted takes the mark away`() async throws {
        let reasons: [(String, (PackedStudy) async throws -> Void)] = [
            (
                "undelete",
                { study in _ = try await study.catalog.takeFromTrash(study: PackedStudy.uid, study.request()) }
            ),
            (
                "hold",
                { study in
                    _ = try study.fixture.sql(
                        """
                        WITH h AS (INSERT INTO holds (name, reason, placed_by, patient_id, issuer, query)
                            VALUES ('case', '', '', '', '', '') RETURNING id)
                        INSERT INTO held_studies (study_uid, hold) SELECT '\(PackedStudy.uid)', id FROM h
                        """
                    )
                }
            ),
            (
                "hold of the patient",
                { study in
                    _ = try study.fixture.sql(
                        """
                        INSERT INTO holds (name, reason, placed_by, patient_id, issuer, query)
                        VALUES ('case', '', '', 'P1', '', '')
                        """
                    )
                }
            ),
            ("order open", { study in _ = try study.fixture.sql("UPDATE trash_orders SET done_at = NULL") }),
            (
                "longer in the trash",
                { study in _ = try study.fixture.sql("UPDATE deletions SET grace_days = 400") }
            ),
            (
                "nobody knows of one",
                { study in
                    _ = try study.fixture.sql(
                        "DELETE FROM trashed_instances WHERE record = '\(study.records[2])'"
                    )
                }
            ),
        ]
        for (name, happens) in reasons {
            try await PackedStudy.with { study in
                try await study.drop()
                try await study.delete()
                try study.pass(days: 31)
                let marked = try await study.mark()
                #expect(marked == 1, "\(name)")
                try await happens(study)
                let begun = try await study.begin()
                let state = try await study.pack().state
                let removals = try await study.catalog.packRemovals(limit: 10)
                #expect(begun.isEmpty && state == .counted && removals.isEmpty, "\(name)")
            }
        }
    }

    @Test func `what was taken back before comes back from its pack, and what comes after finds it gone`() async throws
    {
        try await PackedStudy.with { study in
            let catalog = study.catalog
            try await study.drop()
            try await study.delete()
            try study.pass(days: 31)
            try await study.mark()
            let deletion = try #require(try await catalog.deletions(limit: 10).first?.id)
            let before = try await catalog.packed(among: study.records, ofDeletion: deletion)
            #expect(before.count == 5)
            let begun = try await study.begin()
            #expect(begun.count == 1)
            let after = try await catalog.packed(among: study.records, ofDeletion: deletion)
            #expect(after.isEmpty)
        }
    }

    @Test func `of a pack that was deleted in part the rest stays, and is packed anew when nodes have it`() async throws
    {
        try await PackedStudy.with(keepsHot: true) { study in
            let catalog = study.catalog
            try await catalog.finish(move: study.move, note: "done", term: study.term)
            try await study.delete([1, 2])
            let early = try await catalog.rewritePack(asHigh: 5, low: 5, createdAtMilliseconds: 7, term: study.term)
            #expect(!early)
            try study.pass(days: 31)
            let marked = try await study.mark()
            #expect(marked == 0)
            let deleted = try await catalog.deletedInPacks()
            #expect(deleted.map(\.instanceCount) == [2])
            let isRewritten = try await catalog.rewritePack(
                asHigh: 5,
                low: 5,
                createdAtMilliseconds: 7,
                term: study.term
            )
            #expect(isRewritten)
            let packs = try await catalog.packs(ofMove: study.move)
            #expect(packs.map(\.state) == [.planned] && packs[0].idHigh == 5)
            let records = try await catalog.records(ofPack: packs[0])
            #expect(records == Array(study.records[2...]))
            let due = try await catalog.dueMoves(limit: 10)
            #expect(due.map(\.id) == [study.move])
            // The old one goes after its grace, as all that lives of it is on nodes.
            let again = try await study.mark()
            #expect(again == 1)
            let begun = try await study.begin()
            #expect(begun.map(\.idHigh) == [1])
        }
    }

    @Test func `of what is in packs only no pack is given up for what was deleted of it`() async throws {
        try await PackedStudy.with { study in
            let catalog = study.catalog
            try await study.drop()
            try await study.delete([1, 2])
            try study.pass(days: 31)
            let isRewritten = try await catalog.rewritePack(
                asHigh: 5,
                low: 5,
                createdAtMilliseconds: 7,
                term: study.term
            )
            let marked = try await study.mark()
            #expect(!isRewritten && marked == 0)
            let deleted = try await catalog.deletedInPacks()
            #expect(deleted.map(\.instanceCount) == [2])
        }
    }

    @Test func `a pack that was given up goes when what lives of it is elsewhere`() async throws {
        try await PackedStudy.with { study in
            let catalog = study.catalog
            let pack = try await study.pack()
            let isReplaced = try await catalog.replace(
                pack,
                byHigh: 1,
                low: 9,
                createdAtMilliseconds: 1,
                note: "rotten",
                term: study.term
            )
            #expect(isReplaced)
            // As if the only copies were in it.
            _ = try study.fixture.sql(
                "UPDATE instances SET placement = intern_placement('{}') WHERE record = '\(study.records[0])'"
            )
            var marked = try await study.mark()
            #expect(marked == 0)
            let planned = try #require(try await catalog.packs(ofMove: study.move).first)
            try await catalog.noteBuilt(
                planned,
                byteCount: 1000,
                digest: PackedStudy.digest,
                by: PackedStudy.nodes[0],
                term: study.term
            )
            try await study.verify()
            marked = try await study.mark()
            #expect(marked == 0, "it is not read from yet")
            try await catalog.countPacks(ofMove: study.move, term: study.term)
            marked = try await study.mark()
            #expect(marked == 1)
            let removal = try #require(try await catalog.packRemovals(limit: 10).first)
            #expect(
                !removal.isOfDeleted && removal.requestedBy == "the coordinator" && removal.reason.hasSuffix("rotten")
            )
            let begun = try await study.begin()
            #expect(begun.map(\.idLow) == [1])
        }
    }

    @Test func `another's term changes nothing`() async throws {
        try await PackedStudy.with { study in
            try await study.drop()
            try await study.delete()
            try study.pass(days: 31)
            let stale = Term(rawValue: study.term.rawValue + 1)
            let first = await #expect(throws: CatalogError.self) {
                _ = try await study.catalog.markPacks(grace: .zero, limit: 10, term: stale)
            }
            let second = await #expect(throws: CatalogError.self) {
                _ = try await study.catalog.beginPackRemovals(limit: 10, term: stale)
            }
            #expect(first?.code == .staleTerm && second?.code == .staleTerm)
            let removals = try await study.catalog.packRemovals(limit: 10)
            #expect(removals.isEmpty)
        }
    }
}
