// SPDX-License-Identifier: Apache-2.0

import Lifecycle
import Testing

@Suite struct RuleSetChangeTests {
    /// A rule set with one policy for studies of CT and one for all others, and something in it that may be another way.
    struct Variant: Sendable {
        var name = "archive"
        var tierName = "cold"
        var place = "/cold"
        var copies = 2
        var codec: Policy.Codec?
        var ruleCodec: Policy.Codec?
        var soakDays = 7
        var stayDays = 30
        var trashDays = 30
        var recalls = false
        var expires = false
        var hasRuleFirst = false
        var matches = "CT"

        var ruleSet: RuleSet {
            let tiers = [
                Tier(name: "hot", place: .nodes(label: "hot")), Tier(name: tierName, place: .directory(place)),
            ]
            let days = { (count: Int) in CalendarDuration(count, .days) ?? Policy.defaultTrash }
            let keeping = Keeping(
                copies: [TierCopies(tier: 0, count: copies), TierCopies(tier: 1, count: 1)],
                codec: codec,
                recallTier: recalls ? 0 : nil,
                soak: days(soakDays),
                stay: days(stayDays)
            )
            let policies = [
                Policy(name: "active", aim: .keep(Keeping(copies: [TierCopies(tier: 0, count: 2)]))),
                Policy(name: name, aim: expires ? .expire : .keep(keeping), trash: days(trashDays)),
            ]
            let first = Rule(name: "none", condition: .text(.modality, [TextPattern("XY")]), policy: 0)
            let rule = Rule(
                name: "ct",
                condition: .text(.modality, [TextPattern(matches)]),
                policy: 1,
                codec: ruleCodec
            )
            return RuleSet(
                tiers: tiers,
                policies: policies,
                defaultPolicy: 0,
                rules: hasRuleFirst ? [first, rule] : [rule]
            )
        }
    }

    @Test(arguments: [
        (Variant(), false),
        // Other names of tiers and other rules of the same outcome are nothing that anybody notices of a study.
        (Variant(tierName: "packs"), false), (Variant(hasRuleFirst: true), false), (Variant(matches: "C*"), false),
        (Variant(name: "deep"), true), (Variant(place: "/elsewhere"), true), (Variant(copies: 1), true),
        (Variant(codec: .dense), true), (Variant(ruleCodec: .dense), true), (Variant(soakDays: 8), true),
        (Variant(stayDays: 8), true),
        (Variant(trashDays: 31), true), (Variant(recalls: true), true), (Variant(expires: true), true),
        (Variant(matches: "MR"), true),
    ])
    func `a study changes when another thing is wanted of it`(variant: Variant, changes: Bool) {
        let change = RuleSetChange(to: variant.ruleSet, from: Variant().ruleSet)
        let judged = change.judge(knownFacts(), on: day("2026-01-01"))
        #expect(judged.isChanged == changes)
        #expect(judged.before?.policy == 1)
        let back = RuleSetChange(to: Variant().ruleSet, from: variant.ruleSet)
        #expect(back.judge(knownFacts(), on: day("2026-01-01")).isChanged == changes)
        // A study that the policy does not concern stays as it is.
        var other = knownFacts()
        other.modalities = KnownTexts(["US"])
        #expect(!change.judge(other, on: day("2026-01-01")).isChanged)
    }

    @Test func `a policy that became possible is a change`() {
        var facts = knownFacts()
        facts.modalities = .unknown
        let change = RuleSetChange(to: Variant().ruleSet, from: Variant(matches: "MR").ruleSet)
        #expect(!change.judge(facts, on: day("2026-01-01")).isChanged, "possible by both")
        let cold = RuleSetChange(to: Variant(copies: 3).ruleSet, from: Variant().ruleSet)
        #expect(cold.judge(facts, on: day("2026-01-01")).isChanged)
    }

    @Test func `without a rule set before every study changes`() {
        let judged = RuleSetChange(to: Variant().ruleSet, from: nil).judge(knownFacts(), on: day("2026-01-01"))
        #expect(judged.isChanged && judged.before == nil)
    }
}
