// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct PurgeTests {
    private static func permit(_ number: UInt64) -> PurgePermit {
        PurgePermit(high: 1, low: number, node: CatalogFixture.nodes[0].id, retiredBeforeMilliseconds: 1_000)
    }

    @Test func `a permit by which something was destroyed stays, and what failed`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let term = try #require(try await catalog.acquireLease(holder: "one", duration: .seconds(60)))
            for number in 1...4 as ClosedRange<UInt64> {
                try await catalog.issuePurgePermit(Self.permit(number), term: term)
                // As when the first answer was lost.
                try await catalog.issuePurgePermit(Self.permit(number), term: term)
            }
            try await catalog.notePurge(Self.permit(1), destroyed: 3, remaining: 1, note: "", term: term)
            try await catalog.notePurge(Self.permit(2), destroyed: 0, remaining: 5, note: "", term: term)
            try await catalog.notePurge(Self.permit(3), destroyed: 0, remaining: 0, note: "no answer", term: term)
            // What was noted is not noted otherwise, and not forgotten.
            try await catalog.notePurge(Self.permit(1), destroyed: 0, remaining: 0, note: "", term: term)
            let rows = try fixture.sql(
                """
                SELECT concat_ws(' ', id, destroyed, remaining, answered_at IS NOT NULL, note, term = \(term.rawValue))
                FROM purge_permits ORDER BY id
                """
            )
            #expect(
                rows == [
                    "\(Self.permit(1)) 3 1 t  t", "\(Self.permit(3)) 0 0 f no answer t", "\(Self.permit(4)) 0 0 f  t",
                ]
            )
        }
    }

    @Test func `a coordinator whose term is over gives none`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let old = try #require(try await catalog.acquireLease(holder: "one", duration: .seconds(60)))
            try await catalog.issuePurgePermit(Self.permit(1), term: old)
            try await catalog.releaseLease(holder: "one", term: old)
            _ = try #require(try await catalog.acquireLease(holder: "two", duration: .seconds(60)))
            let issued = await #expect(throws: CatalogError.self) {
                try await catalog.issuePurgePermit(Self.permit(2), term: old)
            }
            #expect(issued?.code == .staleTerm)
            let noted = await #expect(throws: CatalogError.self) {
                try await catalog.notePurge(Self.permit(1), destroyed: 1, remaining: 0, note: "", term: old)
            }
            #expect(noted?.code == .staleTerm)
        }
    }
}
