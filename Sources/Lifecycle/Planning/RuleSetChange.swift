// SPDX-License-Identifier: Apache-2.0

/// A rule set beside the one that it is to replace: what becomes of a study by both.
///
/// Policies are the same when they have one name and want the same: the same copies at the same places, and all else.
public struct RuleSetChange: Sendable {
    public let new: RuleSet
    /// Nil: no rule set holds yet, and every study changes.
    public let old: RuleSet?
    /// By the place of the old policy, then of the new one.
    private let isSame: [[Bool]]

    public init(to new: RuleSet, from old: RuleSet?) {
        self.new = new
        self.old = old
        let wanted = new.policies.map { WantedPolicy($0, of: new) }
        self.isSame = (old?.policies ?? []).map { policy in
            let before = old.map { WantedPolicy(policy, of: $0) }
            return wanted.map { $0 == before }
        }
    }

    /// What both make of a study on a day.
    public func judge(_ facts: StudyFacts, on day: CalendarDate) -> ChangedDecision {
        let decision = new.decide(facts, on: day)
        guard let old else { return ChangedDecision(decision: decision, before: nil, isChanged: true) }
        let before = old.decide(facts, on: day)
        return ChangedDecision(decision: decision, before: before, isChanged: !wantsTheSame(before, decision))
    }

    /// Whether a study has the same policies and codec by both.
    private func wantsTheSame(_ before: Decision, _ after: Decision) -> Bool {
        guard isSame[before.policy][after.policy], before.alsoPossible.count == after.alsoPossible.count else {
            return false
        }
        for policy in before.alsoPossible where !after.alsoPossible.contains(where: { isSame[policy][$0] }) {
            return false
        }
        return old?.codec(for: before) == new.codec(for: after)
    }
}

/// What becomes of a study by a rule set, and by the one before.
public struct ChangedDecision: Hashable, Sendable {
    public let decision: Decision
    /// By the rule set before; nil: there is none.
    public let before: Decision?
    /// Whether another policy, or a policy that wants something else, is the study's.
    public let isChanged: Bool
}

/// What a policy wants, with the places of its tiers instead of their numbers.
private struct WantedPolicy: Hashable {
    let name: String
    let copies: [Tier.Place: Int]
    let spread: Policy.Spread?
    let codec: Policy.Codec?
    let recallTo: Tier.Place?
    let soak: CalendarDuration?
    let stay: CalendarDuration?
    let trash: CalendarDuration
    let expires: Bool

    init(_ policy: Policy, of ruleSet: RuleSet) {
        let keeping = policy.keeping
        self.name = policy.name
        self.copies = (keeping?.copies ?? []).reduce(into: [:]) { $0[ruleSet.tiers[$1.tier].place] = $1.count }
        self.spread = keeping?.spread
        self.codec = keeping?.codec
        self.recallTo = keeping?.recallTier.map { ruleSet.tiers[$0].place }
        self.soak = keeping?.soak
        self.stay = keeping?.stay
        self.trash = policy.trash
        self.expires = policy.expires
    }
}
