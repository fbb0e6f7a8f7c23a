// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Testing

/// Packs that are read because somebody wants to know, and copies that go only when a pack proves them at that moment.
@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct PackReadingTests {
    private static let first = PlacementGroup(rawValue: 0)

    @Test func `packs are wanted of which something is nowhere else, and what came of it is entered`() async throws {
        let group = try #require(Self.first)
        try await PackedStudy.with { study in
            let catalog = study.catalog
            var wanted = try await catalog.wantPackReadings(from: group)
            #expect(wanted.packCount == 0 && wanted.since > 1_700_000_000_000_000)
            try await study.drop()
            wanted = try await catalog.wantPackReadings(from: group)
            #expect(wanted.packCount == 1 && wanted.byteCount == 1000)
            var state = try await catalog.packReadings(since: wanted.since, from: group)
            #expect(state.openCount == 1 && state.soundCount == 0 && state.failedCount == 0)

            let due = try #require(try await catalog.duePackReadings(limit: 10, term: study.term).first)
            #expect(due.attemptCount == 0 && due.pack.idLow == 1 && due.pack.digest == PackedStudy.digest)
            try await catalog.postponeReading(of: due.pack, by: .seconds(60), attempts: 1, term: study.term)
            let none = try await catalog.duePackReadings(limit: 10, term: study.term)
            #expect(none.isEmpty)
            for _ in 1...2 {
                try await catalog.endReading(
                    of: due.pack,
                    by: PackedStudy.nodes[2],
                    isDamaged: false,
                    failure: nil,
                    term: study.term
                )
            }
            state = try await catalog.packReadings(since: wanted.since, from: group)
            #expect(
                state.openCount == 0 && state.soundCount == 1 && state.byteCount == 1000 && state.instanceCount == 5
            )
            let later = try #require(PlacementGroup(rawValue: 1023))
            let others = try await catalog.packReadings(since: wanted.since, from: later)
            #expect(others.soundCount == 0 || study.records[0].group == later)
            let reader = try study.fixture.sql("SELECT verified_by FROM cold_packs")
            #expect(reader == ["\(PackedStudy.nodes[2])"])
            // Wanted again, it is open again.
            let again = try await catalog.wantPackReadings(from: group)
            let open = try await catalog.packReadings(since: again.since, from: group)
            #expect(again.since > wanted.since && open.openCount == 1)
        }
    }

    @Test(arguments: [true, false])
    func `what is damaged is in doubt, what is out of reach is not, and both are named`(isDamaged: Bool) async throws {
        let group = try #require(Self.first)
        try await PackedStudy.with { study in
            let catalog = study.catalog
            try await study.drop()
            let wanted = try await catalog.wantPackReadings(from: group)
            let open = try await catalog.failedPackReadings(since: wanted.since, from: group, after: nil, limit: 10)
            #expect(open.map(\.reason) == ["it has not been read yet"])
            let due = try #require(try await catalog.duePackReadings(limit: 10, term: study.term).first)
            try await catalog.endReading(
                of: due.pack,
                by: PackedStudy.nodes[2],
                isDamaged: isDamaged,
                failure: "rotten",
                term: study.term
            )
            let failed = try await catalog.failedPackReadings(since: wanted.since, from: group, after: nil, limit: 10)
            let pack = try #require(failed.first)
            #expect(failed.count == 1 && pack.isDamaged == isDamaged && pack.reason == "rotten" && pack.tier == "cold")
            #expect(pack.studyInstanceUID == PackedStudy.uid)
            #expect(Set(pack.instances.map(\.record)) == Set(study.records))
            #expect(pack.instances.contains { $0.sopInstanceUID == "\(PackedStudy.uid).1.3" })
            let behind = try await catalog.failedPackReadings(
                since: wanted.since,
                from: group,
                after: pack.pack,
                limit: 10
            )
            #expect(behind.isEmpty)
            let state = try await catalog.packReadings(since: wanted.since, from: group)
            #expect(state.failedCount == 1)
            let sound = try await catalog.packed(among: study.records)
            #expect(sound.isEmpty == isDamaged)
            // The move is taken up again, which finds out what can be done.
            let moves = try await catalog.moves(ofStudy: PackedStudy.uid)
            #expect(moves.first?.state == (isDamaged ? .underWay : .done))
            let totals = try await catalog.totals(wantedCopies: 2)
            #expect(totals.underReplicatedCount == (isDamaged ? 5 : 0))
        }
    }

    @Test func `a reading of what is not read from any more is forgotten, and another's term counts for nothing`()
        async throws
    {
        let group = try #require(Self.first)
        try await PackedStudy.with { study in
            try await study.drop()
            _ = try await study.catalog.wantPackReadings(from: group)
            let stale = Term(rawValue: study.term.rawValue + 1)
            let error = await #expect(throws: CatalogError.self) {
                _ = try await study.catalog.duePackReadings(limit: 10, term: stale)
            }
            #expect(error?.code == .staleTerm)
            _ = try study.fixture.sql("UPDATE cold_packs SET state = 5")
            let due = try await study.catalog.duePackReadings(limit: 10, term: study.term)
            #expect(due.isEmpty)
            let rows = try study.fixture.count("pack_readings")
            #expect(rows == 0)
        }
    }

    // MARK: Copies that are dropped

    @Test func `a copy goes only when a pack proves it at that moment`() async throws {
        let doubts = [
            "UPDATE cold_packs SET verified_at = NULL",
            "UPDATE cold_packs SET verified_by = NULL",
            "UPDATE cold_packs SET verified_at = now() - interval '2 days'",
            "UPDATE pack_moves SET soaks_until = now() + interval '1 hour'",
            "UPDATE cold_packs SET state = 3",
        ]
        try await PackedStudy.with { study in
            let catalog = study.catalog
            try await study.drop()
            var proven = try await catalog.beginColdDrops(study.records, term: study.term)
            #expect(proven == Set(study.records))
            let readings = try study.fixture.count("pack_readings")
            #expect(readings == 0)
            for doubt in doubts {
                _ = try study.fixture.sql("BEGIN; DELETE FROM pack_readings; \(doubt); COMMIT")
                // It was looked at before, and was sound then.
                proven = try await catalog.beginColdDrops(study.records, term: study.term)
                #expect(proven.isEmpty, "\(doubt)")
                let wanted = try study.fixture.count("pack_readings")
                #expect(wanted == (doubt.contains("state") ? 0 : 1), "\(doubt)")
                _ = try study.fixture.sql(
                    """
                    UPDATE cold_packs SET state = 4, verified_at = now(), verified_by = '\(PackedStudy.nodes[1])';
                    UPDATE pack_moves SET soaks_until = now() - interval '1 hour'
                    """
                )
            }
            // By its writer alone, as long as there is another node.
            try await study.verify(by: PackedStudy.nodes[0])
            let map = try await catalog.placementMap()
            if map.members.isEmpty {
                let next = PlacementMap(
                    epoch: MapEpoch(rawValue: map.epoch.rawValue + 1),
                    members: CatalogFixture.nodes
                )
                try await catalog.publish(next, replacing: map.epoch, term: study.term)
            }
            proven = try await catalog.beginColdDrops(study.records, term: study.term)
            #expect(proven.isEmpty)
        }
    }

    /// Whoever doubts a pack has said so before copies are ordered to go, or waits.
    @Test func `a doubt that is being entered is waited for`() async throws {
        try await PackedStudy.with { study in
            try await study.drop()
            let (server, database) = (study.fixture.server, study.fixture.database)
            let doubting = Task.detached {
                try server.sql(
                    """
                    BEGIN; SELECT doubt_pack('00000000-0000-0001-0000-000000000001', 'rotten');
                    SELECT pg_advisory_lock(77); SELECT pg_sleep(1); COMMIT
                    """,
                    database: database
                )
            }
            // It has the row, or has ended already.
            let begun = """
                SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77)
                    + (SELECT count(*) FROM cold_packs WHERE verified_at IS NULL)
                """
            while try study.fixture.sql(begun) == ["0"] {}
            let proven = try await study.catalog.beginColdDrops(study.records, term: study.term)
            #expect(proven.isEmpty)
            _ = try await doubting.value
        }
    }

    @Test func `a pack that proves nothing is read once an hour, not without end`() async throws {
        try await PackedStudy.with { study in
            let catalog = study.catalog
            try await study.drop()
            _ = try study.fixture.sql("UPDATE cold_packs SET verified_by = NULL")
            _ = try await catalog.beginColdDrops(study.records, term: study.term)
            let due = try #require(try await catalog.duePackReadings(limit: 1, term: study.term).first)
            try await catalog.endReading(of: due.pack, by: nil, isDamaged: false, failure: nil, term: study.term)
            _ = try await catalog.beginColdDrops(study.records, term: study.term)
            var open = try await catalog.duePackReadings(limit: 1, term: study.term)
            #expect(open.isEmpty)
            _ = try study.fixture.sql("UPDATE pack_readings SET ended_at = now() - interval '2 hours'")
            _ = try await catalog.beginColdDrops(study.records, term: study.term)
            open = try await catalog.duePackReadings(limit: 1, term: study.term)
            #expect(open.count == 1)
        }
    }
}
