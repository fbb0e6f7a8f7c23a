// SPDX-License-Identifier: Apache-2.0

/// Why the rules decide as they do: every rule that was tried, and each of its conditions.
///
/// For people who may see the study: days in it tell of the patient's birth date. Not for logs.
public struct Explanation: Hashable, Sendable {
    /// One condition, of one study on one day.
    public struct Line: Hashable, Sendable {
        /// How many combinations it stands within.
        public let depth: Int
        /// As it is written in the rule; of a combination its word: `all`, `any`, `not`.
        public let condition: String
        public let truth: Truth
        /// The first later day on which it may be otherwise; nil: it stays so.
        public let until: CalendarDate?
        /// Why it is unknown; nil where it is known, and of combinations.
        public let doubt: String?
    }

    /// One rule that was tried.
    public struct TriedRule: Hashable, Sendable {
        /// Its place in the rule set's `rules`.
        public let rule: Int
        public let name: String
        public let policy: String
        public let match: Truth
        /// It would expire the study, and was passed over: the study is held, or something is not known.
        public let isPassedOver: Bool
        public let lines: [Line]
    }

    public let decision: Decision
    public let policy: String
    /// In their order, up to the one that decided.
    public let rules: [TriedRule]
}

extension Explanation.Line: CustomStringConvertible {
    /// `study-age: over 5 years: no, until 2027-03-02`.
    public var description: String {
        let indent = String(repeating: "  ", count: depth)
        let doubt = doubt.map { " (\($0))" } ?? ""
        return "\(indent)\(condition): \(truth.rawValue)\(doubt)\(until.map { ", until \($0)" } ?? "")"
    }
}

extension Explanation: CustomStringConvertible {
    /// One line a rule and one a condition, then the decision.
    public var description: String {
        var lines: [String] = []
        for rule in rules {
            let outcome =
                switch rule.match {
                case .yes: rule.isPassedOver ? "matches, and is passed over" : "matches: \(rule.policy)"
                case .unknown: "it is not known whether it matches: perhaps \(rule.policy)"
                case .no: "does not match"
                }
            lines.append("rule \(rule.name): \(outcome)")
            lines += rule.lines.map { "  \($0)" }
        }
        lines.append("policy \(policy)\(decision.rule == nil ? ", the default" : "")")
        switch decision.withheldExpiry?.reason {
        case .held: lines.append("does not expire: it is under legal hold")
        case .unknown: lines.append("does not expire: it is not known whether it may")
        case nil: break
        }
        lines.append(decision.nextDue.map { "to be looked at again on \($0)" } ?? "stays so while nothing else changes")
        return lines.joined(separator: "\n")
    }
}
