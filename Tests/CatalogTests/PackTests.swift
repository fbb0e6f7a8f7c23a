// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import NIOCore
import Placement
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct PackTests {
    private static let study = "1.2.826.0.1.3680043.9.1"
    private static let digest = SHA256Digest(words: (1, 2, 3, 4))

    /// Instances of a study under ids as records have them, and the term in office.
    private static func with(
        instances: Int = 5,
        _ body: (CatalogFixture, Term, [RecordID]) async throws -> Void
    ) async throws {
        try await CatalogFixture.with { fixture in
            var records: [RecordID] = []
            for number in 1...instances { records.append(try await commit(number, fixture)) }
            let term = try #require(try await fixture.catalog.acquireLease(holder: "one", duration: .seconds(60)))
            try await body(fixture, term, records)
        }
    }

    private static func commit(_ number: Int, _ fixture: CatalogFixture) async throws -> RecordID {
        var entry = InstanceEntry.sample(study: "1", instance: number)
        entry.recordID = try #require(
            RecordID(
                studyInstanceUID: study,
                sopInstanceUID: "\(study).1.\(number)",
                payloadDigest: SHA256Digest(words: (UInt64(number), 0, 0, 0))
            )
        )
        #expect(try await fixture.catalog.commit(entry) == .committed)
        return entry.recordID
    }

    private static func enter(
        _ catalog: Catalog,
        tier: String = "cold",
        soak: Duration = .seconds(0),
        study: String = study
    ) async throws -> EnteredMove {
        try await catalog.enterMove(
            ofStudy: study,
            tier: tier,
            place: "file:///\(tier)",
            keepsHot: false,
            soak: soak,
            requestedBy: "the test",
            reason: "it is old"
        )
    }

    private static func plan(_ parts: [[RecordID]], _ move: Int64, _ catalog: Catalog, _ term: Term) async throws {
        try await catalog.planPacks(
            parts.enumerated().map { (high: 1, low: UInt64($0) + 1, records: $1) },
            ofMove: move,
            createdAtMilliseconds: 1_790_000_000_000,
            term: term
        )
    }

    /// Takes all packs of the move to where they are read from.
    private static func count(_ move: Int64, _ catalog: Catalog, _ term: Term) async throws {
        for pack in try await catalog.packs(ofMove: move) {
            let writer = CatalogFixture.nodes[0].id
            try await catalog.noteBuilt(pack, byteCount: 1000, digest: digest, by: writer, term: term)
            var built = pack
            built.digest = digest
            try await catalog.noteSound(built, term: term)
        }
        try await catalog.countPacks(ofMove: move, term: term)
    }

    @Test func `a move goes through its steps, each of which may be done again`() async throws {
        try await Self.with { fixture, term, records in
            let catalog = fixture.catalog
            guard case .entered(let id) = try await Self.enter(catalog) else {
                Issue.record("it is new")
                return
            }
            let move = try #require(try await catalog.dueMoves(limit: 10).first)
            #expect(move.id == id && move.tier == "cold" && move.soakLeft == nil && move.state == .underWay)
            let movable = try await catalog.movableRecords(of: id)
            #expect(movable.map(\.record) == records && movable.allSatisfy { $0.byteCount > 0 })

            for _ in 1...2 { try await Self.plan([Array(records[..<3]), Array(records[3...])], id, catalog, term) }
            var packs = try await catalog.packs(ofMove: id)
            #expect(packs.map(\.part) == [1, 2] && packs.allSatisfy { $0.state == .planned && $0.partCount == 2 })
            #expect(packs.map(\.instanceCount) == [3, 2] && packs[0].studyInstanceUID == Self.study)
            #expect(try await catalog.records(ofPack: packs[0]) == Array(records[..<3]))
            let source = try #require(try await catalog.sources(ofPack: packs[0]).first)
            #expect(source.instanceCount == 3 && Set(source.nodes) == Set(CatalogFixture.nodes.prefix(2).map(\.id)))
            #expect(try await catalog.movableRecords(of: id).isEmpty)
            #expect(try await catalog.packs(holding: records[0]).isEmpty)

            // Not before all were read back.
            try await catalog.countPacks(ofMove: id, term: term)
            #expect(try await catalog.packs(ofMove: id).allSatisfy { $0.state == .planned })
            for _ in 1...2 { try await Self.count(id, catalog, term) }
            packs = try await catalog.packs(ofMove: id)
            #expect(packs.allSatisfy { $0.state == .counted && $0.digest == Self.digest && $0.byteCount == 1000 })
            #expect(packs.allSatisfy { $0.verifiedAtMilliseconds != nil && $0.writer == CatalogFixture.nodes[0].id })
            #expect(try await catalog.packs(holding: records[4]).map(\.part) == [2])

            let standing = try #require(try await catalog.dueMoves(limit: 10).first)
            #expect(try #require(standing.soakLeft) <= .zero)
            #expect(packs.allSatisfy { !$0.isVerifiedAgain })
            for pack in packs { try await catalog.noteSound(pack, term: term) }
            #expect(try await catalog.packs(ofMove: id).allSatisfy(\.isVerifiedAgain))
            for _ in 1...2 { try await catalog.finish(move: id, note: "done", term: term) }
            #expect(try await catalog.dueMoves(limit: 10).isEmpty)
            let done = try #require(try await catalog.moves(ofStudy: Self.study).first)
            #expect(done.state == .done && done.doneAtMilliseconds != nil && done.note == "done")
            #expect(done.requestedBy == "the test" && done.reason == "it is old")
            let totals = try #require(try await catalog.tierTotals().first)
            #expect(totals.tier == "cold" && totals.packCount == 2 && totals.studyCount == 1)
            #expect(totals.byteCount == 2000 && (totals.oldestVerifiedAtMilliseconds ?? 0) > 1_700_000_000_000)
        }
    }

    @Test func `one move of a study is under way at a time`() async throws {
        try await Self.with { fixture, term, _ in
            let catalog = fixture.catalog
            guard case .entered(let id) = try await Self.enter(catalog) else {
                Issue.record("it is new")
                return
            }
            #expect(try await Self.enter(catalog) == .underWay(id))
            #expect(try await Self.enter(catalog, tier: "deep") == .otherMove(id))
            #expect(try await Self.enter(catalog, study: "1.2.3") == .noSuchStudy)
            // What needs a person is tried again when a person says so.
            try await catalog.postpone(move: id, by: nil, attempts: 12, note: "the store is full", term: term)
            #expect(try await catalog.dueMoves(limit: 10).isEmpty)
            #expect(try await catalog.moves(ofStudy: Self.study).first?.state == .needsPerson)
            #expect(try await catalog.tierTotals().map(\.movesNeedingPerson) == [1])
            #expect(try await Self.enter(catalog) == .underWay(id))
            #expect(try await catalog.dueMoves(limit: 10).first?.attemptCount == 0)
            try await catalog.postpone(move: id, by: .seconds(600), attempts: 1, note: "busy", term: term)
            #expect(try await catalog.dueMoves(limit: 10).isEmpty)
            try await catalog.finish(move: id, note: "", term: term)
            guard case .entered(let next) = try await Self.enter(catalog, tier: "deep") else {
                Issue.record("the other is done")
                return
            }
            #expect(next > id)
        }
    }

    @Test func `where records lie is written down once, and given with the packs that hold them`() async throws {
        try await Self.with { fixture, term, records in
            let catalog = fixture.catalog
            guard case .entered(let id) = try await Self.enter(catalog) else { return }
            try await Self.plan([records], id, catalog, term)
            var sought = try await catalog.packsWithoutPlaces(limit: 10)
            #expect(sought.isEmpty, "it is not read from yet")
            try await Self.count(id, catalog, term)
            sought = try await catalog.packsWithoutPlaces(limit: 10)
            let (pack, listed) = try #require(sought.first)
            #expect(sought.count == 1 && listed == records)
            sought = try await catalog.packsWithoutPlaces(limit: 10)
            #expect(sought.isEmpty, "somebody looks for them")
            var held = try #require(try await catalog.packs(holding: records[0]).first)
            #expect(held.recordPlace == nil)
            let places = records.indices.map { [UInt8](repeating: UInt8($0 + 1), count: 32) }
            try await catalog.enterPlaces(ByteBuffer(bytes: places.dropLast().joined()), of: pack)
            held = try #require(try await catalog.packs(holding: records[0]).first)
            #expect(held.recordPlace == nil, "not of all records")
            for _ in 1...2 { try await catalog.enterPlaces(ByteBuffer(bytes: places.joined()), of: pack) }
            for (record, place) in zip(records, places) {
                held = try #require(try await catalog.packs(holding: record).first)
                #expect(held.recordPlace == place)
            }
            // Of a pack that is not read from any more they are not kept.
            _ = try fixture.sql("UPDATE cold_packs SET state = 5")
            try await catalog.enterPlaces(ByteBuffer(bytes: places.joined()), of: pack)
            #expect(try fixture.sql("SELECT places IS NULL FROM cold_packs") == ["t"])
            // Nor are they given up for good when nobody writes them down within an hour.
            _ = try fixture.sql("UPDATE cold_packs SET state = 4, places_sought_at = now() - interval '61 minutes'")
            sought = try await catalog.packsWithoutPlaces(limit: 10)
            #expect(sought.map(\.records) == [records])
        }
    }

    @Test func `a move that is ended gives its packs up, and takes nothing more`() async throws {
        try await Self.with { fixture, term, records in
            let catalog = fixture.catalog
            #expect(try await catalog.cancelMove(ofStudy: Self.study, note: "not wanted") == nil)
            guard case .entered(let id) = try await Self.enter(catalog) else { return }
            try await Self.plan([records], id, catalog, term)
            let planned = try await catalog.packs(ofMove: id)
            #expect(try await catalog.cancelMove(ofStudy: Self.study, note: "not wanted") == id)
            let node = CatalogFixture.nodes[0].id
            for pack in planned {
                try await catalog.noteBuilt(pack, byteCount: 1, digest: Self.digest, by: node, term: term)
            }
            try await catalog.countPacks(ofMove: id, term: term)
            try await catalog.postpone(move: id, by: .zero, attempts: 1, note: "", term: term)
            #expect(try await catalog.packs(ofStudy: Self.study).map(\.state) == [.givenUp])
            let move = try #require(try await catalog.moves(ofStudy: Self.study).first)
            #expect(move.state == .done && move.note == "not wanted")
            // Packs that are read from stay when a later move is ended.
            guard case .entered(let next) = try await Self.enter(catalog) else { return }
            try await catalog.planPacks(
                [(high: 2, low: 1, records: records)],
                ofMove: next,
                createdAtMilliseconds: 1,
                term: term
            )
            try await Self.count(next, catalog, term)
            #expect(try await catalog.cancelMove(ofStudy: Self.study, note: "enough") == next)
            #expect(try await catalog.packs(holding: records[0]).map(\.state) == [.counted])
            // Taken up again because a pack is in doubt, it drops nothing that its end had left.
            let pack = try #require(try await catalog.packs(holding: records[0]).first)
            try await catalog.doubt(pack, note: "it could not be read from")
            let again = try #require(try await catalog.dueMoves(limit: 10).first)
            #expect(again.id == next && !again.keepsHot && !again.drops)
        }
    }

    @Test func `what arrives while a study moves is left for the next move`() async throws {
        try await Self.with { fixture, term, records in
            let catalog = fixture.catalog
            guard case .entered(let id) = try await Self.enter(catalog) else { return }
            try await Self.plan([records], id, catalog, term)
            let late = try await Self.commit(6, fixture)
            try await Self.count(id, catalog, term)
            #expect(try await catalog.packs(holding: late).isEmpty)
            try await catalog.finish(move: id, note: "", term: term)
            guard case .entered(let next) = try await Self.enter(catalog) else {
                Issue.record("the other is done")
                return
            }
            #expect(try await catalog.movableRecords(of: next).map(\.record) == [late])
            // Into another tier all goes.
            try await catalog.finish(move: next, note: "", term: term)
            guard case .entered(let deep) = try await Self.enter(catalog, tier: "deep") else { return }
            #expect(try await catalog.movableRecords(of: deep).count == 6)
        }
    }

    @Test func `a pack that is given up is planned anew, without what is deleted`() async throws {
        try await Self.with { fixture, term, records in
            let catalog = fixture.catalog
            guard case .entered(let id) = try await Self.enter(catalog) else { return }
            try await Self.plan([records], id, catalog, term)
            try await Self.count(id, catalog, term)
            _ = try fixture.sql("DELETE FROM instances WHERE record = '\(records[1])'")
            let old = try #require(try await catalog.packs(ofMove: id).first)
            for low: UInt64 in [8, 9] {
                try await catalog.replace(
                    old,
                    byHigh: 1,
                    low: low,
                    createdAtMilliseconds: 1_790_000_000_001,
                    note: "rotten",
                    term: term
                )
            }
            let new = try #require(try await catalog.packs(ofMove: id).first)
            #expect(new.idLow == 8 && new.state == .planned && new.instanceCount == 4 && new.part == 1)
            #expect(try await catalog.packs(ofMove: id).count == 1)
            #expect(try await catalog.records(ofPack: new) == [records[0]] + records[2...])
            // Nothing is read from the old one any more.
            #expect(try await catalog.packs(holding: records[0]).isEmpty)
            let all = try await catalog.packs(ofStudy: Self.study)
            #expect(Set(all.map(\.state)) == [.planned, .givenUp] && all.contains { $0.note == "rotten" })
            // Of a study that is gone nothing is planned.
            _ = try fixture.sql("DELETE FROM instances")
            try await catalog.replace(new, byHigh: 1, low: 10, createdAtMilliseconds: 1, note: "", term: term)
            #expect(try await catalog.packs(ofMove: id).isEmpty)
        }
    }

    @Test func `a pack in doubt is read again, and its move taken up for that`() async throws {
        try await Self.with { fixture, term, records in
            let catalog = fixture.catalog
            guard case .entered(let id) = try await Self.enter(catalog, soak: .seconds(3600)) else { return }
            try await Self.plan([records], id, catalog, term)
            try await Self.count(id, catalog, term)
            let pack = try #require(try await catalog.packs(ofMove: id).first)
            // It stands.
            #expect(try await catalog.dueMoves(limit: 10).isEmpty)
            try await catalog.finish(move: id, note: "", term: term)
            for _ in 1...2 { try await catalog.doubt(pack, note: "a digest does not match") }
            #expect(try await catalog.dueMoves(limit: 10).map(\.id) == [id])
            let doubted = try #require(try await catalog.packs(ofMove: id).first)
            #expect(doubted.verifiedAtMilliseconds == nil && doubted.state == .counted)
            #expect(try await catalog.tierTotals().first?.oldestVerifiedAtMilliseconds == 0)
            // While another move is under way it is only said.
            try await catalog.noteSound(doubted, term: term)
            try await catalog.finish(move: id, note: "", term: term)
            _ = try await Self.enter(catalog, tier: "deep")
            try await catalog.doubt(pack, note: "again")
            #expect(try await catalog.moves(ofStudy: Self.study).map(\.state) == [.underWay, .done])
        }
    }

    @Test func `packs are read again after a while, those of one study one move after the other`() async throws {
        try await Self.with { fixture, term, records in
            let catalog = fixture.catalog
            for part in [records[..<3], records[3...]] {
                guard case .entered(let id) = try await Self.enter(catalog) else { return }
                try await catalog.planPacks(
                    [(high: 1, low: UInt64(part.startIndex) + 1, records: Array(part))],
                    ofMove: id,
                    createdAtMilliseconds: 1,
                    term: term
                )
                try await Self.count(id, catalog, term)
                try await catalog.finish(move: id, note: "", term: term)
            }
            let ids = try await catalog.moves(ofStudy: Self.study).map(\.id).sorted()
            #expect(try await catalog.recheckPacks(olderThan: .seconds(3600), limit: 10, term: term) == 0)
            _ = try fixture.sql("UPDATE cold_packs SET verified_at = now() - interval '2 hours'")
            for id in ids {
                #expect(try await catalog.recheckPacks(olderThan: .seconds(3600), limit: 10, term: term) == 1)
                #expect(try await catalog.recheckPacks(olderThan: .seconds(3600), limit: 10, term: term) == 0)
                let move = try #require(try await catalog.dueMoves(limit: 10).first)
                let pack = try #require(try await catalog.packs(ofMove: id).first)
                #expect(move.id == id && pack.state == .counted && !pack.isVerifiedAgain)
                #expect(pack.verifiedAtMilliseconds != nil)
                try await catalog.noteSound(pack, term: term)
                #expect(try await catalog.packs(ofMove: id).first?.isVerifiedAgain == true)
                try await catalog.finish(move: id, note: "", term: term)
            }
            #expect(try await catalog.recheckPacks(olderThan: .seconds(3600), limit: 10, term: term) == 0)
        }
    }

    @Test func `a coordinator whose term is over changes nothing`() async throws {
        try await Self.with { fixture, term, records in
            let catalog = fixture.catalog
            guard case .entered(let id) = try await Self.enter(catalog) else { return }
            try await Self.plan([records], id, catalog, term)
            try await catalog.releaseLease(holder: "one", term: term)
            _ = try #require(try await catalog.acquireLease(holder: "other", duration: .seconds(60)))
            let pack = try #require(try await catalog.packs(ofMove: id).first)
            let node = CatalogFixture.nodes[0].id
            let steps: [@Sendable () async throws -> Void] = [
                { try await Self.plan([records], id, catalog, term) },
                { try await catalog.noteBuilt(pack, byteCount: 1, digest: Self.digest, by: node, term: term) },
                { try await catalog.noteSound(pack, term: term) },
                { try await catalog.replace(pack, byHigh: 1, low: 9, createdAtMilliseconds: 1, note: "", term: term) },
                { try await catalog.countPacks(ofMove: id, term: term) },
                { try await catalog.finish(move: id, note: "", term: term) },
                { _ = try await catalog.recheckPacks(olderThan: .zero, limit: 1, term: term) },
                { try await catalog.postpone(move: id, by: nil, attempts: 1, note: "", term: term) },
            ]
            for step in steps {
                let error = await #expect(throws: CatalogError.self) { try await step() }
                #expect(error?.code == .staleTerm)
            }
            #expect(try await catalog.packs(ofMove: id) == [pack])
        }
    }
}
