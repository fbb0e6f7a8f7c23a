// SPDX-License-Identifier: Apache-2.0

import Catalog
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct SeriesCodecTests {
    @Test func `the first recorded choice stays, one for each scope`() async throws {
        try await CatalogFixture.with { fixture in
            func choice(_ codec: String, scope: String = "dense rgb", series: String = "1.2.3") -> SeriesCodec {
                SeriesCodec(
                    seriesInstanceUID: series,
                    scope: scope,
                    codec: codec,
                    note: "\(codec) 12 bytes",
                    decidedAtMilliseconds: 1_700_000_000_000
                )
            }
            let catalog = fixture.catalog
            #expect(try await catalog.seriesCodec("1.2.3", scope: "dense rgb") == nil)
            try await catalog.record(choice("first"))
            try await catalog.record(choice("second"))
            try await catalog.record(choice("other", scope: "dense grey"))
            try await catalog.record(choice("elsewhere", series: "1.2.4"))
            #expect(try await catalog.seriesCodec("1.2.3", scope: "dense rgb") == choice("first"))
            #expect(try await catalog.seriesCodec("1.2.3", scope: "dense grey") == choice("other", scope: "dense grey"))
        }
    }
}
