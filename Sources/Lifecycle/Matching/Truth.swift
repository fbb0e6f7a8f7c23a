// SPDX-License-Identifier: Apache-2.0

/// What can be said of a condition: Kleene's three values.
///
/// A condition on what is not known is itself unknown, and so is its negation. What is unknown is never taken for
/// either of the others: `RuleSet.decide` says what follows from it.
public enum Truth: String, Hashable, Sendable {
    case no, unknown, yes

    public init(_ isTrue: Bool) { self = isTrue ? .yes : .no }

    /// Yes for no, no for yes; unknown stays.
    public var negated: Truth {
        switch self {
        case .no: .yes
        case .unknown: .unknown
        case .yes: .no
        }
    }
}

/// What a condition is on some day, and until when it stays so if nothing but the day changes.
struct Evaluation: Hashable {
    var truth: Truth
    /// The first later day on which it may be otherwise; nil: it stays so.
    var until: CalendarDate?

    /// True or false on every day.
    static func always(_ truth: Truth) -> Evaluation { Evaluation(truth: truth, until: nil) }

    var negated: Evaluation { Evaluation(truth: truth.negated, until: until) }
}
