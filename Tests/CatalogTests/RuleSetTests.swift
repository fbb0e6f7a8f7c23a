// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct RuleSetTests {
    @Test func `rule sets are kept as they were loaded, and the last one holds`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            #expect(try await catalog.currentRuleSet() == nil)
            let first = try await catalog.loadRuleSet("version: 1 # Ä\n", replacing: 0, loadedBy: "me", reason: "first")
            let second = try await catalog.loadRuleSet("version: 1\n", replacing: 1, loadedBy: "you", reason: "")
            #expect((first, second) == (1, 2))
            let current = try #require(try await catalog.currentRuleSet())
            #expect((current.version, current.text, current.loadedBy) == (2, "version: 1\n", "you"))
            let kept = try #require(try await catalog.ruleSet(version: 1))
            #expect((kept.text, kept.reason) == ("version: 1 # Ä\n", "first"))
            var hasher = SHA256Hasher()
            hasher.update(Array(kept.text.utf8))
            #expect(kept.digest == hasher.digest())
            #expect(kept.loadedAtMilliseconds > 1_700_000_000_000)
            #expect(try await catalog.ruleSet(version: 3) == nil)
        }
    }

    @Test func `what was planned against another version is refused, and the same again is the same`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            _ = try await catalog.loadRuleSet("a", replacing: 0, loadedBy: "me", reason: "r")
            #expect(try await catalog.loadRuleSet("a", replacing: 0, loadedBy: "me", reason: "r") == 1)
            for current in [0, 2, 7] as [Int64] {
                let error = await #expect(throws: CatalogError.self) {
                    try await catalog.loadRuleSet("b", replacing: current, loadedBy: "me", reason: "r")
                }
                #expect(error?.code == .conflict)
                #expect(error?.message.contains("version 1 holds") == true)
            }
            #expect(try fixture.count("rule_sets") == 1)
        }
    }

    @Test func `of several that load at once one succeeds`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let versions = await withTaskGroup(of: Int64?.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        // Refused is what all but one are to be.
                        try? await catalog.loadRuleSet("\(number)", replacing: 0, loadedBy: "me", reason: "")
                    }
                }
                return await group.reduce(into: []) { $0 += [$1] }
            }
            #expect(versions.compactMap { $0 } == [1])
        }
    }

    @Test(arguments: [String(repeating: "x", count: Catalog.maximumRuleSetByteCount + 1), "a\0b"])
    func `a text that is no rule set's is refused`(text: String) async throws {
        try await CatalogFixture.with { fixture in
            let error = await #expect(throws: CatalogError.self) {
                try await fixture.catalog.loadRuleSet(text, replacing: 0, loadedBy: "me", reason: "")
            }
            #expect(error?.code == .invalid)
        }
    }
}
