// SPDX-License-Identifier: Apache-2.0

import Catalog
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct CommitmentTests {
    private static func request(_ transaction: String = "2.25.1", instances: Int = 3) -> CommitmentRequest {
        CommitmentRequest(
            requestor: "MODALITY",
            called: "VARVE",
            transactionUID: transaction,
            instances: (0..<instances).map { CommitmentInstance(sopClassUID: "1.2", sopInstanceUID: "1.2.3.\($0)") }
        )
    }

    private static let minute = Duration.seconds(60)

    private func claim(_ catalog: Catalog, by holder: String, except running: [Int64] = []) async throws -> [Commitment]
    {
        try await catalog.claimCommitments(by: holder, for: Self.minute, except: running, limit: 10)
    }

    @Test func `a request is its holder's until the claim runs out, then anybody's`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let id = try #require(
                try await catalog.enterCommitment(Self.request(), claimedBy: "one", for: Self.minute)
            )
            #expect(try await claim(catalog, by: "two") == [])
            let claimed = try #require(try await claim(catalog, by: "one").first)
            #expect(claimed.id == id)
            #expect(claimed.request == Self.request())
            #expect(claimed.failures == nil)
            #expect(try await claim(catalog, by: "one", except: [id]) == [])

            _ = try fixture.sql("UPDATE commitments SET claimed_until = now() - interval '1 second'")
            #expect(try await claim(catalog, by: "two").map(\.id) == [id])
            // What the first one says does not count any more.
            #expect(try await !catalog.keepCommitment(id, by: "one", for: Self.minute))
            #expect(try await !catalog.noteCommitment(id, by: "one", failures: [0, 0, 0]))
            #expect(try await !catalog.finishCommitment(id, by: "one", note: ""))
            #expect(try await catalog.keepCommitment(id, by: "two", for: Self.minute))
            #expect(try await catalog.finishCommitment(id, by: "two", note: "reported"))
            #expect(try await claim(catalog, by: "two") == [])
        }
    }

    @Test func `results and attempts are kept, and a request that is put off is not due`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let id = try #require(
                try await catalog.enterCommitment(Self.request(), claimedBy: "one", for: Self.minute)
            )
            #expect(try await catalog.noteCommitment(id, by: "one", failures: [0, -1, 0x112]))
            let postponed = try await catalog.postponeCommitment(
                id,
                by: "one",
                for: Self.minute,
                claim: Self.minute,
                isAttempt: true,
                note: "nobody there"
            )
            #expect(postponed)
            #expect(try await claim(catalog, by: "one") == [])
            _ = try fixture.sql("UPDATE commitments SET due_at = now(), requested_at = now() - interval '90 seconds'")
            // Still its own for a while after it is due.
            #expect(try await claim(catalog, by: "two") == [])
            let claimed = try #require(try await claim(catalog, by: "one").first)
            #expect(claimed.failures == [0, -1, 0x112])
            #expect(claimed.attemptCount == 1)
            #expect(claimed.ageSeconds >= 90)
            #expect(try fixture.sql("SELECT note FROM commitments") == ["nobody there"])
        }
    }

    @Test func `a transaction starts anew when asked again, and is not mixed with another`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            func enter(_ request: CommitmentRequest) async throws -> Int64? {
                try await catalog.enterCommitment(request, claimedBy: "one", for: Self.minute)
            }
            let id = try #require(try await enter(Self.request()))
            #expect(try await catalog.noteCommitment(id, by: "one", failures: [0, 0, 0]))
            #expect(try await enter(Self.request(instances: 2)) == nil)
            #expect(try await enter(Self.request()) == id)
            #expect(try await claim(catalog, by: "one").first?.failures == nil)
            #expect(try await catalog.finishCommitment(id, by: "one", note: "reported"))
            #expect(try await enter(Self.request(instances: 2)) == id)
            #expect(try await claim(catalog, by: "one").first?.request.instances.count == 2)
            var other = Self.request(instances: 5)
            other.requestor = "OTHER"
            let another = try #require(try await enter(other))
            #expect(another != id)
        }
    }

    @Test func `finished requests are forgotten when they are old, open ones never`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            for transaction in ["2.25.1", "2.25.2", "2.25.3"] {
                let id = try #require(
                    try await catalog.enterCommitment(
                        Self.request(transaction),
                        claimedBy: "one",
                        for: Self.minute
                    )
                )
                if transaction != "2.25.3" {
                    #expect(try await catalog.finishCommitment(id, by: "one", note: "reported"))
                }
            }
            _ = try fixture.sql(
                """
                UPDATE commitments SET requested_at = now() - interval '1 year';
                UPDATE commitments SET finished_at = now() - interval '2 days' WHERE transaction_uid = '2.25.1'
                """
            )
            #expect(try await catalog.forgetCommitments(finishedBefore: .seconds(86_400)) == 1)
            #expect(try fixture.sql("SELECT transaction_uid FROM commitments ORDER BY 1") == ["2.25.2", "2.25.3"])
        }
    }
}
