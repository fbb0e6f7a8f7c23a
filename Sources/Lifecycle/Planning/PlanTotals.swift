// SPDX-License-Identifier: Apache-2.0

/// What a rule set makes of many studies, added up.
///
/// Parts of an archive may be added up apart, and the sums then.
public struct PlanTotals: Hashable, Sendable {
    /// From one policy to another, as places in the rule sets' `policies`.
    public struct Transition: Hashable, Sendable {
        /// Nil: no rule set held before.
        public let from: Int?
        public let to: Int

        public init(from: Int?, to: Int) {
            self.from = from
            self.to = to
        }
    }

    public private(set) var all = StudyAmount()
    /// By the place of the policy.
    public private(set) var policies: [StudyAmount]
    /// By the place of the rule that decided, those of none at the end.
    public private(set) var rules: [StudyAmount]
    public private(set) var expiring = StudyAmount()
    /// By the rule set before.
    public private(set) var expiringBefore = StudyAmount()
    public private(set) var held = StudyAmount()
    /// Studies that would expire if they were not held.
    public private(set) var withheldByHold = StudyAmount()
    /// Studies that might expire if more were known of them.
    public private(set) var withheldByDoubt = StudyAmount()
    /// Studies that are kept by several policies, as it is not known which is theirs.
    public private(set) var uncertain = StudyAmount()
    /// Studies that have another policy, or one that wants something else, than by the rule set before.
    public private(set) var changed = StudyAmount()
    public private(set) var transitions: [Transition: StudyAmount] = [:]

    public init(of ruleSet: RuleSet) {
        self.policies = Array(repeating: StudyAmount(), count: ruleSet.policies.count)
        self.rules = Array(repeating: StudyAmount(), count: ruleSet.rules.count + 1)
    }

    /// Adds a study.
    public mutating func add(_ facts: StudyFacts, _ judged: ChangedDecision) {
        let amount = StudyAmount(facts)
        let decision = judged.decision
        all += amount
        policies[decision.policy] += amount
        rules[decision.rule ?? rules.count - 1] += amount
        if decision.expires { expiring += amount }
        if let before = judged.before, before.expires { expiringBefore += amount }
        if facts.isHeld { held += amount }
        switch decision.withheldExpiry?.reason {
        case .held: withheldByHold += amount
        case .unknown: withheldByDoubt += amount
        case nil: break
        }
        if !decision.alsoPossible.isEmpty { uncertain += amount }
        if judged.isChanged {
            changed += amount
            transitions[Transition(from: judged.before?.policy, to: decision.policy), default: StudyAmount()] += amount
        }
    }

    /// Adds the totals of other studies by the same rule sets.
    public mutating func add(_ other: PlanTotals) {
        precondition(other.policies.count == policies.count && other.rules.count == rules.count, "of another rule set")
        all += other.all
        for place in policies.indices { policies[place] += other.policies[place] }
        for place in rules.indices { rules[place] += other.rules[place] }
        expiring += other.expiring
        expiringBefore += other.expiringBefore
        held += other.held
        withheldByHold += other.withheldByHold
        withheldByDoubt += other.withheldByDoubt
        uncertain += other.uncertain
        changed += other.changed
        for (transition, amount) in other.transitions { transitions[transition, default: StudyAmount()] += amount }
    }
}
