// SPDX-License-Identifier: Apache-2.0

import Lifecycle
import Testing

/// Which priors come back with a new study.
struct PrefetchTests {
    private static let today = day("2026-06-10")

    private static func rules(_ prefetches: [PrefetchRule]) -> RuleSet {
        RuleSet(
            tiers: [Tier(name: "hot", place: .nodes(label: "hot"))],
            policies: [
                Policy(
                    name: "active",
                    aim: .keep(Keeping(copies: [TierCopies(tier: 0, count: 2)])),
                    trash: Policy.defaultTrash
                )
            ],
            defaultPolicy: 0,
            rules: [],
            prefetches: prefetches
        )
    }

    private static func rule(
        _ name: String = "priors",
        match: (String, String)? = nil,
        priors: (String, String)? = nil,
        same: [PrefetchRule.Trait] = [],
        limit: Int = 3
    ) throws -> PrefetchRule {
        PrefetchRule(
            name: name,
            condition: try match.map { try condition($0.0, $0.1) },
            priors: try priors.map { try condition($0.0, $0.1) },
            same: same,
            limit: limit
        )
    }

    private static func facts(_ date: String?, _ modality: String = "CT", _ bodyPart: String? = "CHEST") -> StudyFacts {
        var facts = knownFacts()
        facts.studyDate = date.map { day($0) }
        facts.modalities = KnownTexts([modality])
        facts.bodyParts = bodyPart.map { KnownTexts([$0]) } ?? .unknown
        return facts
    }

    private static func prior(
        _ study: Int64,
        _ date: String?,
        _ modality: String = "CT",
        _ bodyPart: String? = "CHEST"
    ) -> PriorStudy {
        PriorStudy(study: study, facts: facts(date, modality, bodyPart))
    }

    private static let priors = [
        prior(1, "2020-01-01"), prior(2, "2024-01-01", "MR"), prior(3, "2023-01-01", "CT", "HEAD"),
        prior(4, "2021-01-01"), prior(5, nil), prior(6, "2022-01-01", "CT", nil), prior(7, "2026-06-11"),
    ]

    private func wanted(_ rules: [PrefetchRule], of new: StudyFacts = PrefetchTests.facts("2026-06-09")) -> [Int64] {
        Self.rules(rules).priors(of: new, among: Self.priors, on: Self.today).map(\.study)
    }

    @Test func `the newest come first, and no more than asked for`() throws {
        #expect(wanted([try Self.rule(limit: 20)]) == [2, 3, 6, 4, 1])
        #expect(wanted([try Self.rule(limit: 2)]) == [2, 3])
        #expect(wanted([]).isEmpty)
    }

    @Test func `priors are of the kind that is asked for`() throws {
        #expect(wanted([try Self.rule(priors: ("modality", "MR"))]) == [2])
        #expect(wanted([try Self.rule(priors: ("study-age", "under 4 years"))]) == [2, 3])
        #expect(wanted([try Self.rule(same: [.modality])]) == [3, 6, 4])
        // What is not known is not the same.
        #expect(wanted([try Self.rule(same: [.modality, .bodyPart])]) == [4, 1])
        #expect(wanted([try Self.rule(same: [.bodyPart])], of: Self.facts("2026-06-09", "CT", nil)).isEmpty)
    }

    @Test func `each entry adds its own, and a study comes once`() throws {
        let rules = [
            try Self.rule("mr", priors: ("modality", "MR")), try Self.rule("all", limit: 2),
            try Self.rule("us", match: ("modality", "US"), limit: 20),
        ]
        let found = Self.rules(rules).priors(of: Self.facts("2026-06-09"), among: Self.priors, on: Self.today)
        #expect(found.map(\.study) == [2, 3] && found.map(\.rule) == [0, 1])
    }

    @Test(
        arguments: [
            ("2026-06-10", true), ("2026-06-11", true), ("2026-06-12", false), ("2026-06-03", true),
            ("2026-06-02", false), ("2015-06-01", false), (nil, false),
        ] as [(String?, Bool)]
    )
    func `only a study of these days is new`(date: String?, isNew: Bool) throws {
        let ruleSet = Self.rules([try Self.rule()])
        #expect(ruleSet.wantsPriors(of: Self.facts(date), on: Self.today) == isNew)
        #expect(ruleSet.priors(of: Self.facts(date), among: Self.priors, on: Self.today).isEmpty == !isNew)
    }

    @Test func `a study that no entry is for has no priors`() throws {
        let rules = [try Self.rule(match: ("modality", "US"))]
        #expect(!Self.rules(rules).wantsPriors(of: Self.facts("2026-06-09"), on: Self.today))
        var unknown = Self.facts("2026-06-09")
        unknown.modalities = .unknown
        #expect(!Self.rules(rules).wantsPriors(of: unknown, on: Self.today))
    }
}
