// SPDX-License-Identifier: Apache-2.0

import Catalog
import Testing

/// Questions whose plan a connection keeps: any value gets its own answer, also when Postgres plans no more.
@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct KeptPlanTests {
    /// Postgres plans a prepared statement for its values five times at least.
    private static let studies = 1...12

    @Test func `every value finds what is its own`() async throws {
        try await CatalogFixture.with({ fixture in
            let catalog = fixture.catalog
            for study in Self.studies {
                for instance in 1...study {
                    var entry = InstanceEntry.sample(study: "\(study)", instance: instance)
                    entry.study.accessionNumber = "A\(study)"
                    _ = try await catalog.commit(entry)
                }
            }
            for study in Self.studies {
                let entry = InstanceEntry.sample(study: "\(study)")
                let uid = entry.study.studyInstanceUID
                func query(_ matches: [(CatalogKey, String)], limit: Int = 100) -> CatalogQuery {
                    CatalogQuery(matches: matches.map { CatalogMatch($0.0, .single($0.1)) }, limit: limit)
                }
                let found = try await catalog.studies(query([(.accessionNumber, "A\(study)")]))
                #expect(found.map(\.studyInstanceUID) == [uid])
                #expect(found.map(\.instanceCount) == [study])
                let series = try await catalog.series(query([(.studyInstanceUID, uid)]))
                #expect(series.map(\.instanceCount) == [study])
                let seriesUID = try #require(series.first).series.seriesInstanceUID
                let instances = try await catalog.instances(
                    query([(.studyInstanceUID, uid), (.seriesInstanceUID, seriesUID)])
                )
                #expect(instances.map(\.instance.number) == Array(1...study))
                // The limit is part of the question.
                let first = try await catalog.instances(query([(.studyInstanceUID, uid)], limit: 1))
                #expect(first.map(\.instance.number) == [1])
                #expect(try await catalog.studies(query([(.accessionNumber, "B\(study)")])).isEmpty)
            }
        }) { $0.poolSize = 1 }
    }

    /// The limit is in the text: more texts than a connection keeps, each asked twice.
    @Test func `what is asked in ever new words goes on being answered`() async throws {
        try await CatalogFixture.with({ fixture in
            let entry = InstanceEntry.sample()
            _ = try await fixture.catalog.commit(entry)
            for _ in 1...2 {
                for limit in 1...150 {
                    let query = CatalogQuery(
                        matches: [CatalogMatch(.studyInstanceUID, .single(entry.study.studyInstanceUID))],
                        limit: limit
                    )
                    #expect(try await fixture.catalog.studies(query).count == 1)
                }
            }
        }) { $0.poolSize = 1 }
    }
}
