// SPDX-License-Identifier: Apache-2.0

import Catalog
import Testing

/// Reading an answer page by page comes to the same as reading it at once.
@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct PageTests {
    /// Twelve studies, some on one day and some without a date; series and instances with and without numbers.
    private static let entries: [InstanceEntry] = (1...12).flatMap { study in
        (1...3).flatMap { series in
            (1...4).map { instance in
                var entry = InstanceEntry.sample(study: "\(study)", series: "\(series)", instance: instance)
                entry.study.date = study % 4 == 0 ? "" : "2024010\(1 + study % 3)"
                if series == 2 { entry.series.number = nil }
                if series == 3 { entry.series.number = 1 }
                if instance > 2 { entry.instance.number = nil }
                return entry
            }
        }
    }

    private static func archive(_ fixture: CatalogFixture) async throws {
        for entry in entries { _ = try await fixture.catalog.commit(entry) }
    }

    /// All rows, `limit` at a time, each page after the last row of the one before.
    private static func all<Row: Sendable>(
        _ query: CatalogQuery,
        limit: Int,
        _ page: (CatalogQuery) async throws -> CatalogRows<Row>
    ) async throws -> [Row] {
        var rows: [Row] = []
        var query = query
        query.limit = limit
        while true {
            let found = try await page(query)
            #expect(found.rows.count <= limit && found.rows.count == found.cursors.count)
            rows += found.rows
            guard let last = found.cursors.last else { return rows }
            // As an API carries it.
            let carried = try #require(CatalogCursor(text: last.text))
            query.after = carried
        }
    }

    @Test func `pages of every size make the whole answer, at every level`() async throws {
        try await CatalogFixture.with { fixture in
            try await Self.archive(fixture)
            let catalog = fixture.catalog
            let uids = (1...12).map { InstanceEntry.sample(study: "\($0)").study.studyInstanceUID }
            let queries: [CatalogQuery] = [
                CatalogQuery(limit: 10_000),
                CatalogQuery(matches: [CatalogMatch(.studyInstanceUID, .single(uids[3]))], limit: 10_000),
                CatalogQuery(matches: [CatalogMatch(.studyInstanceUID, .list(uids))], limit: 10_000),
                CatalogQuery(matches: [CatalogMatch(.patientName, .wildcard("Doe*"))], limit: 10_000),
                CatalogQuery(
                    matches: [CatalogMatch(.studyDate, .range(from: "20240101", to: "20240102"))],
                    limit: 10_000
                ),
            ]
            for query in queries {
                let studies = try await catalog.studies(query)
                let series = try await catalog.series(query)
                let instances = try await catalog.instances(query)
                #expect(!studies.isEmpty && !series.isEmpty && !instances.isEmpty)
                for limit in [1, 2, 3, 5, 7, 1000] {
                    let pagedStudies = try await Self.all(query, limit: limit) { try await catalog.studyPage($0) }
                    #expect(pagedStudies == studies)
                    let pagedSeries = try await Self.all(query, limit: limit) { try await catalog.seriesPage($0) }
                    #expect(pagedSeries == series)
                    guard limit > 2 else { continue }
                    let pagedInstances = try await Self.all(query, limit: limit) {
                        try await catalog.instancePage($0)
                    }
                    #expect(pagedInstances == instances)
                }
            }
        }
    }

    @Test func `pages of the instances of one series make the whole answer, in their order`() async throws {
        try await CatalogFixture.with { fixture in
            try await Self.archive(fixture)
            let wanted = InstanceEntry.sample(study: "4", series: "2")
            let query = CatalogQuery(
                matches: [
                    CatalogMatch(.studyInstanceUID, .single(wanted.study.studyInstanceUID)),
                    CatalogMatch(.seriesInstanceUID, .single(wanted.series.seriesInstanceUID)),
                ],
                limit: 10_000
            )
            let instances = try await fixture.catalog.instances(query)
            #expect(instances.map(\.instance.number) == [1, 2, nil, nil])
            #expect(instances.allSatisfy { $0.series.seriesInstanceUID == wanted.series.seriesInstanceUID })
            #expect(instances.allSatisfy { $0.study.studyInstanceUID == wanted.study.studyInstanceUID })
            for limit in 1...5 {
                let paged = try await Self.all(query, limit: limit) { try await fixture.catalog.instancePage($0) }
                #expect(paged == instances)
            }
        }
    }

    @Test func `what comes and goes between two pages neither shifts nor repeats a row`() async throws {
        try await CatalogFixture.with { fixture in
            try await Self.archive(fixture)
            let before = try await fixture.catalog.studies(CatalogQuery())
            let first = try await fixture.catalog.studyPage(CatalogQuery(limit: 5))
            var newer = InstanceEntry.sample(study: "99")
            newer.study.date = "20250101"
            _ = try await fixture.catalog.commit(newer)
            let gone = try #require(first.rows.first?.studyInstanceUID)
            _ = try fixture.sql(
                """
                DELETE FROM instances WHERE series IN (SELECT e.id FROM series e JOIN studies t ON t.id = e.study
                    WHERE t.uid = '\(gone)');
                DELETE FROM series WHERE study = (SELECT id FROM studies WHERE uid = '\(gone)');
                DELETE FROM studies WHERE uid = '\(gone)';
                """
            )
            let rest = try await fixture.catalog.studyPage(CatalogQuery(limit: 100, after: first.cursors.last))
            #expect(first.rows + rest.rows == before)
        }
    }

    @Test func `a cursor of another search, or none at all, is refused`() async throws {
        try await CatalogFixture.with { fixture in
            try await Self.archive(fixture)
            let study = try #require(try await fixture.catalog.studyPage(CatalogQuery(limit: 1)).cursors.last)
            let instance = try #require(try await fixture.catalog.instancePage(CatalogQuery(limit: 1)).cursors.last)
            for (cursor, level) in [(study, CatalogLevel.instance), (instance, .study), (study, .series)] {
                let error = await #expect(throws: CatalogError.self) {
                    switch level {
                    case .study: _ = try await fixture.catalog.studies(CatalogQuery(after: cursor))
                    case .series: _ = try await fixture.catalog.series(CatalogQuery(after: cursor))
                    case .instance: _ = try await fixture.catalog.instances(CatalogQuery(after: cursor))
                    }
                }
                #expect(error?.code == .invalid)
            }
            for text in ["", "x", "t_zz", "1~", "t_", "99999999999999999999", String(repeating: "1~", count: 2000)] {
                #expect(CatalogCursor(text: text) == nil, "\(text)")
            }
            let forged = try #require(CatalogCursor(text: "tnot.a.uuid"))
            await #expect(throws: CatalogError.self) {
                try await fixture.catalog.instances(CatalogQuery(after: forged))
            }
        }
    }
}
