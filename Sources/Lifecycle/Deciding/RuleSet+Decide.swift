// SPDX-License-Identifier: Apache-2.0

extension RuleSet {
    /// The policy of a study on a day.
    ///
    /// The first rule that matches decides. Where it is not known whether a rule matches, the policies of both answers
    /// count:
    ///
    /// - A rule that expires does so only when it matches for certain, and no rule above it that keeps the study might.
    ///   Otherwise it is passed over, and a rule below says how the study is kept meanwhile.
    /// - A rule that keeps and might match adds its policy to those that are possible.
    /// - Of a study under legal hold every rule that expires is passed over.
    ///
    /// So whatever an unknown turns out to be, nothing was removed that is wanted then.
    public func decide(_ facts: StudyFacts, on day: CalendarDate) -> Decision {
        let study = StudyOnDay(facts, on: day)
        var nextDue: CalendarDate?
        var possible: [Int] = []
        var withheld: Decision.WithheldExpiry?
        for (place, rule) in rules.enumerated() {
            let match = rule.condition?.evaluate(study) ?? .always(.yes)
            nextDue = CalendarDate.earlier(nextDue, match.until)
            if match.truth == .no { continue }
            if !policies[rule.policy].expires {
                if match.truth == .yes {
                    return decision(rule.policy, rule: place, possible, withheld, facts, nextDue)
                }
                if !possible.contains(rule.policy) { possible.append(rule.policy) }
            } else if facts.isHeld {
                withheld = withheld ?? Decision.WithheldExpiry(rule: place, reason: .held)
            } else if match.truth == .unknown || !possible.isEmpty {
                withheld = withheld ?? Decision.WithheldExpiry(rule: place, reason: .unknown)
            } else {
                return decision(rule.policy, rule: place, [], nil, facts, nextDue)
            }
        }
        return decision(defaultPolicy, rule: nil, possible, withheld, facts, nextDue)
    }

    private func decision(
        _ policy: Int,
        rule: Int?,
        _ possible: [Int],
        _ withheld: Decision.WithheldExpiry?,
        _ facts: StudyFacts,
        _ nextDue: CalendarDate?
    ) -> Decision {
        Decision(
            policy: policy,
            expires: policies[policy].expires,
            rule: rule,
            alsoPossible: possible.filter { $0 != policy },
            withheldExpiry: withheld,
            isHeld: facts.isHeld,
            nextDue: nextDue
        )
    }

    /// The copies that a decision wants: of each tier as many as any of its possible policies; none when it expires.
    ///
    /// Of a study under legal hold those that it has beyond these stay, too.
    public func copies(for decision: Decision) -> [TierCopies] {
        var copies = policies[decision.policy].keeping?.copies ?? []
        for policy in decision.alsoPossible {
            for wanted in policies[policy].keeping?.copies ?? [] {
                if let index = copies.firstIndex(where: { $0.tier == wanted.tier }) {
                    copies[index].count = max(copies[index].count, wanted.count)
                } else {
                    copies.append(wanted)
                }
            }
        }
        return copies
    }

    /// The codec class that a decision wants; nil: as it is.
    public func codec(for decision: Decision) -> Policy.Codec? {
        decision.rule.flatMap { rules[$0].codec } ?? policies[decision.policy].keeping?.codec
    }
}
