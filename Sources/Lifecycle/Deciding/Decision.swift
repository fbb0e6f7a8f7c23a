// SPDX-License-Identifier: Apache-2.0

/// What the rules make of a study on a day.
///
/// Places are those of the rule set that decided.
public struct Decision: Hashable, Sendable {
    /// The place of the policy.
    public let policy: Int
    /// Whether that policy is to let the study expire.
    public let expires: Bool
    /// The place of the rule that matched; nil: none did, the policy is the default.
    public let rule: Int?
    /// Other policies that may be the right one: of rules above, of which it is not known whether they match.
    ///
    /// The study then has the copies of all of them (`RuleSet.copies(for:)`), so that whatever is wanted is there.
    public let alsoPossible: [Int]
    /// The first rule by which the study would have expired, or might have, if not for a doubt or a legal hold.
    public let withheldExpiry: WithheldExpiry?
    /// Under legal hold: copies may be added, none may be removed.
    public let isHeld: Bool
    /// The first later day on which the decision could be another, if the same is known of the study; nil: there is
    /// none.
    public let nextDue: CalendarDate?

    public struct WithheldExpiry: Hashable, Sendable {
        public enum Reason: String, Hashable, Sendable {
            case held
            /// It is not known whether this rule matches, or whether one above it does that keeps the study.
            case unknown
        }

        /// The place of the rule.
        public let rule: Int
        public let reason: Reason
    }

    /// Whether both say the same, but for when they have to be looked at again.
    public func hasSameOutcome(as other: Decision) -> Bool {
        policy == other.policy && expires == other.expires && rule == other.rule && alsoPossible == other.alsoPossible
            && withheldExpiry == other.withheldExpiry && isHeld == other.isHeld
    }
}
