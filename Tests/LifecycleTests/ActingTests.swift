// SPDX-License-Identifier: Apache-2.0

import Lifecycle
import Testing

/// What is to be done for a study, given what is decided and which packs are there.
struct ActingTests {
    private static let tiers = [
        Tier(name: "hot", place: .nodes(label: "hot")), Tier(name: "warm", place: .nodes(label: "warm")),
        Tier(name: "cold", place: .directory("/cold")), Tier(name: "offsite", place: .directory("/offsite")),
    ]

    /// Policies: 0 on nodes, 1 on nodes and in one tier of packs, 2 in two tiers of packs only, 3 expires.
    private static func ruleSet(_ rules: [Rule], default place: Int = 0) throws -> RuleSet {
        let week = try #require(CalendarDuration(7, .days))
        let month = try #require(CalendarDuration(1, .months))
        return RuleSet(
            tiers: tiers,
            policies: [
                Policy(name: "active", aim: .keep(Keeping(copies: [TierCopies(tier: 0, count: 2)]))),
                Policy(
                    name: "archive",
                    aim: .keep(
                        Keeping(copies: [TierCopies(tier: 0, count: 1), TierCopies(tier: 2, count: 1)], soak: week)
                    )
                ),
                Policy(
                    name: "deep",
                    aim: .keep(
                        Keeping(
                            copies: [TierCopies(tier: 2, count: 1), TierCopies(tier: 3, count: 1)],
                            soak: month,
                            stay: month
                        )
                    )
                ),
                Policy(name: "expired", aim: .expire),
            ],
            defaultPolicy: place,
            rules: rules
        )
    }

    private static func rule(_ key: String?, _ text: String = "", policy: Int) throws -> Rule {
        Rule(name: "a rule", condition: try key.map { try condition($0, text) }, policy: policy)
    }

    /// The default policy, what is missing, and the tier that is next with whether copies on nodes stay.
    private static let steps: [(Int, Set<Int>, Int?, Bool)] = [
        (0, [2, 3], nil, false), (1, [], nil, false), (1, [3], nil, false), (1, [2], 2, true),
        (2, [], nil, false), (2, [2, 3], 2, false), (2, [3], 3, false),
    ]

    @Test(arguments: steps)
    func `the first tier of packs that lacks something is next`(
        policy: Int,
        missing: Set<Int>,
        next: Int?,
        keepsHot: Bool
    ) throws {
        let ruleSet = try Self.ruleSet([], default: policy)
        let decision = ruleSet.decide(knownFacts(), on: day("2026-01-01"))
        let soak = try #require(policy == 2 ? CalendarDuration(1, .months) : CalendarDuration(7, .days))
        #expect(
            ruleSet.packStep(for: decision, missingIn: missing)
                == next.map { .move(tier: $0, keepsHot: keepsHot, soak: soak) } ?? .nothing
        )
        #expect(ruleSet.wantsPacks(decision) == (policy > 0))
        #expect(ruleSet.packTiers(for: decision) == [[], [2], [2, 3]][policy])
    }

    @Test(arguments: [(0, nil), (1, nil), (2, 2), (3, nil)] as [(Int, Int?)])
    func `a study that is in packs leaves the nodes where none of its copies are wanted there`(
        policy: Int,
        tier: Int?
    ) throws {
        let ruleSet = try Self.ruleSet([try Self.rule(nil, policy: policy)])
        var facts = knownFacts()
        let leave = ruleSet.leave(for: ruleSet.decide(facts, on: day("2026-01-01")))
        #expect(leave?.tier == tier)
        guard let leave else { return }
        let month = try #require(CalendarDuration(1, .months))
        #expect(leave.soak == month && leave.stay == month)
        facts.isHeld = true
        #expect(ruleSet.leave(for: ruleSet.decide(facts, on: day("2026-01-01"))) == nil, "it is held")
    }

    @Test func `copies on nodes stay where a policy that is possible wants some, and under a hold`() throws {
        let ruleSet = try Self.ruleSet([
            try Self.rule("birth-date-known", "no", policy: 1),
            try Self.rule("patient-age", "under 25 years", policy: 0),
            try Self.rule(nil, policy: 2),
        ])
        var facts = knownFacts()
        let certain = ruleSet.decide(facts, on: day("2026-01-01"))
        guard case .move(2, let drops, _) = ruleSet.packStep(for: certain, missingIn: [2]) else {
            Issue.record("no move")
            return
        }
        #expect(!drops)
        facts.isHeld = true
        let held = ruleSet.decide(facts, on: day("2026-01-01"))
        guard case .move(2, true, _) = ruleSet.packStep(for: held, missingIn: [2]) else {
            Issue.record("a held study would lose copies")
            return
        }
        let doubtful = try Self.ruleSet([
            try Self.rule("patient-age", "under 25 years", policy: 1), try Self.rule(nil, policy: 2),
        ])
        facts = knownFacts()
        facts.birthDate = nil
        let decision = doubtful.decide(facts, on: day("2026-01-01"))
        let month = try #require(CalendarDuration(1, .months))
        #expect(
            doubtful.packStep(for: decision, missingIn: [2, 3]) == .move(tier: 2, keepsHot: true, soak: month),
            "the longest soak of both"
        )
    }

    @Test func `a study that expires wants nothing of packs`() throws {
        let ruleSet = try Self.ruleSet([try Self.rule("study-age", "over 5 years", policy: 3)])
        let decision = ruleSet.decide(knownFacts(), on: day("2026-01-01"))
        #expect(decision.expires && !ruleSet.wantsPacks(decision) && ruleSet.packTiers(for: decision).isEmpty)
        #expect(ruleSet.packStep(for: decision, missingIn: [2, 3]) == .nothing)
        #expect(ruleSet.actor(of: decision, version: 4) == "rule a rule of version 4")
        let kept = try Self.ruleSet([]).decide(knownFacts(), on: day("2026-01-01"))
        #expect(ruleSet.actor(of: kept, version: 4) == "the default of version 4")
    }

    @Test func `what is wanted and not done is said`() throws {
        let keeping = Keeping(
            copies: [TierCopies(tier: 0, count: 2), TierCopies(tier: 1, count: 1)],
            spread: .site,
            codec: .dense,
            recallTier: 0
        )
        let ruleSet = RuleSet(
            tiers: Self.tiers,
            policies: [Policy(name: "a", aim: .keep(keeping)), Policy(name: "b", aim: .expire)],
            defaultPolicy: 0,
            rules: [Rule(name: "r", condition: try condition("study-age", "over 1 year"), policy: 0, codec: .fast)]
        )
        let lines = ruleSet.notCarriedOut
        for word in ["several tiers", "2 in hot", "1 in warm", "spread site", "codec dense", "codec fast"] {
            #expect(lines.contains { $0.contains(word) }, "\(word)")
        }
    }

    @Test(arguments: [
        ("2026-01-31", "90 days", 90), ("2026-01-31", "1 month", 29), ("2024-02-29", "1 year", 366),
        ("9999-12-01", "2 months", 30),
    ])
    func `a period is so many days from a day on`(from: String, period: String, days: Int) throws {
        #expect(try #require(CalendarDuration(period)).dayCount(from: day(from)) == days)
    }
}
