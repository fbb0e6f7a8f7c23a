// SPDX-License-Identifier: Apache-2.0

/// `at least 5 years`, `under 2 GB`, `over 1 day and at most 1 week`: one bound or two.
public struct Bounds<Value: Hashable & Sendable>: Hashable, Sendable {
    public enum Lower: Hashable, Sendable {
        case atLeast(Value)
        case over(Value)
    }

    public enum Upper: Hashable, Sendable {
        case under(Value)
        case atMost(Value)
    }

    public let lower: Lower?
    public let upper: Upper?

    public init(lower: Lower? = nil, upper: Upper? = nil) {
        self.lower = lower
        self.upper = upper
    }
}

extension Bounds: CustomStringConvertible {
    public var description: String { text { "\($0)" } }

    /// As it is written in a rule.
    func text(_ write: (Value) -> String) -> String {
        var parts: [String] = []
        switch lower {
        case .atLeast(let value): parts.append("at least " + write(value))
        case .over(let value): parts.append("over " + write(value))
        case nil: break
        }
        switch upper {
        case .under(let value): parts.append("under " + write(value))
        case .atMost(let value): parts.append("at most " + write(value))
        case nil: break
        }
        return parts.joined(separator: " and ")
    }
}

extension Bounds where Value: Comparable {
    func contains(_ value: Value) -> Bool {
        switch lower {
        case .atLeast(let bound) where value < bound: return false
        case .over(let bound) where value <= bound: return false
        default: break
        }
        switch upper {
        case .under(let bound): return value < bound
        case .atMost(let bound): return value <= bound
        case nil: return true
        }
    }
}

extension Bounds<CalendarDuration> {
    /// Whether the time from `start` to `day`, which is not before it, is within the bounds; and until when.
    ///
    /// `at least` begins on the anniversary, `over` the day after; `under` ends on the anniversary, `at most` the day
    /// after.
    func evaluate(from start: CalendarDate, on day: CalendarDate) -> Evaluation {
        let begin: CalendarDate? =
            switch lower {
            case .atLeast(let duration): start.adding(duration)
            case .over(let duration): start.adding(duration)?.next
            case nil: start
            }
        // Its first day has not come, or does not come at all.
        guard let begin, begin <= day else { return Evaluation(truth: .no, until: begin) }
        let end: CalendarDate? =
            switch upper {
            case .under(let duration): start.adding(duration)
            case .atMost(let duration): start.adding(duration)?.next
            case nil: nil
            }
        guard let end else { return .always(.yes) }
        return day < end ? Evaluation(truth: .yes, until: end) : .always(.no)
    }
}
