// SPDX-License-Identifier: Apache-2.0

/// What is to be done next for the packs of a study.
public enum PackStep: Hashable, Sendable {
    /// All that is wanted of packs is there, or nothing is wanted.
    case nothing
    /// The study is to go into packs of a tier, a place in the rule set's `tiers`; one after the other.
    case move(tier: Int, keepsHot: Bool, soak: CalendarDuration)
}

extension RuleSet {
    /// Whether a decision wants copies in packs.
    public func wantsPacks(_ decision: Decision) -> Bool {
        !decision.expires && copies(for: decision).contains { !tiers[$0.tier].isOnNodes }
    }

    /// What is to be done for a study, of which instances are missing in some tiers of packs.
    ///
    /// What is in packs of another tier only comes back for it. Copies on nodes stay where any policy that may be the study's wants
    /// some, and where the study is held. Of several times of standing the longest counts.
    public func packStep(for decision: Decision, missingIn: Set<Int>) -> PackStep {
        guard !decision.expires else { return .nothing }
        let copies = copies(for: decision)
        guard let tier = copies.first(where: { !tiers[$0.tier].isOnNodes && missingIn.contains($0.tier) })?.tier else {
            return .nothing
        }
        let soak = Self.longest(possible(decision).map(\.soak))
        let keepsHot = decision.isHeld || copies.contains { tiers[$0.tier].isOnNodes }
        return .move(tier: tier, keepsHot: keepsHot, soak: soak)
    }

    /// By the packs of which tier a study leaves the nodes, all of whose instances are in packs, and how long it stays there after it
    /// came back or was read last; nil when copies on nodes stay.
    ///
    /// Of several times the longest counts.
    public func leave(for decision: Decision) -> (tier: Int, soak: CalendarDuration, stay: CalendarDuration)? {
        guard !decision.expires, !decision.isHeld else { return nil }
        let copies = copies(for: decision)
        guard let tier = copies.first?.tier, !copies.contains(where: { tiers[$0.tier].isOnNodes }) else { return nil }
        let possible = possible(decision)
        return (tier, Self.longest(possible.map(\.soak)), Self.longest(possible.map(\.stay)))
    }

    private func possible(_ decision: Decision) -> [Keeping] {
        ([decision.policy] + decision.alsoPossible).compactMap { policies[$0].keeping }
    }

    /// Of at least one.
    private static func longest(_ periods: [CalendarDuration]) -> CalendarDuration {
        periods.max { $0.roughDayCount < $1.roughDayCount } ?? Policy.defaultStay
    }

    /// The tiers of packs that a decision wants copies in, as places in `tiers`.
    public func packTiers(for decision: Decision) -> [Int] {
        decision.expires ? [] : copies(for: decision).map(\.tier).filter { !tiers[$0].isOnNodes }
    }

    /// What policies and rules want that this version does not do, a line each; for people.
    public var notCarriedOut: [String] {
        var lines: [String] = []
        for policy in policies {
            guard let keeping = policy.keeping else { continue }
            let onNodes = keeping.copies.filter { tiers[$0.tier].isOnNodes }
            if onNodes.count > 1 {
                lines.append(
                    "policy \(policy.name): copies in several tiers of nodes; there is one number for all nodes"
                )
            }
            for copies in onNodes {
                lines.append(
                    "policy \(policy.name): \(copies.count) in \(tiers[copies.tier].name); "
                        + "the setting 'copies' says how many copies nodes have, on nodes of any label"
                )
            }
            if keeping.spread != .host {
                lines.append("policy \(policy.name): spread \(keeping.spread.rawValue); copies are on different hosts")
            }
            if let codec = keeping.codec, codec != .asReceived {
                lines.append("policy \(policy.name): codec \(codec.rawValue); pixel data stay as they are")
            }
        }
        for rule in rules {
            guard let codec = rule.codec, codec != .asReceived else { continue }
            lines.append("rule \(rule.name): codec \(codec.rawValue); pixel data stay as they are")
        }
        return lines
    }

    /// Who it is that acts by a decision, for the audit: the rule, and the version.
    public func actor(of decision: Decision, version: Int64) -> String {
        decision.rule.map { "rule \(rules[$0].name) of version \(version)" } ?? "the default of version \(version)"
    }
}

extension CalendarDuration {
    /// To compare periods of days with such of months; a month has 31 days here, a year 366.
    fileprivate var roughDayCount: Int {
        switch unit {
        case .days: count
        case .weeks: count * 7
        case .months: count * 31
        case .years: count * 366
        }
    }

    /// How many days it takes from a day on; a period whose end is beyond the calendar is as long as the calendar.
    public func dayCount(from day: CalendarDate) -> Int {
        (day.adding(self) ?? .last).dayNumber - day.dayNumber
    }
}
