// SPDX-License-Identifier: Apache-2.0

extension Condition {
    /// Whether it holds of a study on a day, and until when that stays so.
    func evaluate(_ study: StudyOnDay) -> Evaluation {
        switch self {
        case .all(let conditions): Self.combine(conditions, decisive: .no, study)
        case .any(let conditions): Self.combine(conditions, decisive: .yes, study)
        case .not(let condition): condition.evaluate(study).negated
        case .text(let subject, let patterns): .always(study.facts[subject].hasMatch(of: patterns))
        case .everyModality(let patterns): .always(study.facts.modalities.allMatch(patterns))
        case .age(let subject, let bounds): Self.evaluate(study[subject], bounds, on: study.day)
        case .byteCount(let bounds): .always(study.facts.byteCount.map { Truth(bounds.contains($0)) } ?? .unknown)
        case .instanceCount(let bounds):
            .always(study.facts.instanceCount.map { Truth(bounds.contains($0)) } ?? .unknown)
        case .birthDateKnown(let wanted): Self.evaluate(isKnown: study[.patientAge], wanted, on: study.day)
        }
    }

    /// One `no` makes all of them `no`, one `yes` makes any of them `yes`: `decisive` is that value.
    ///
    /// The result holds as long as one of the decisive ones does, and where there is none, until the first of all
    /// changes.
    private static func combine(_ conditions: [Condition], decisive: Truth, _ study: StudyOnDay) -> Evaluation {
        var isDecided = false
        var isUnknown = false
        var lastDecisive: CalendarDate?
        var firstOther: CalendarDate?
        for condition in conditions {
            let part = condition.evaluate(study)
            if part.truth == decisive {
                if part.until == nil { return part }
                lastDecisive = isDecided ? CalendarDate.later(lastDecisive, part.until) : part.until
                isDecided = true
            } else {
                isUnknown = isUnknown || part.truth == .unknown
                firstOther = CalendarDate.earlier(firstOther, part.until)
            }
        }
        if isDecided { return Evaluation(truth: decisive, until: lastDecisive) }
        return Evaluation(truth: isUnknown ? .unknown : decisive.negated, until: firstOther)
    }

    private static func evaluate(
        _ date: KnownDate,
        _ bounds: Bounds<CalendarDuration>,
        on day: CalendarDate
    ) -> Evaluation {
        guard let start = date.day else { return .always(.unknown) }
        // A day that has not come yet is a mistake of somebody's, until it has.
        guard start <= day else { return Evaluation(truth: .unknown, until: start) }
        return bounds.evaluate(from: start, on: day)
    }

    private static func evaluate(isKnown date: KnownDate, _ wanted: Bool, on day: CalendarDate) -> Evaluation {
        guard let start = date.day else { return .always(Truth(!wanted)) }
        return start <= day ? .always(Truth(wanted)) : Evaluation(truth: Truth(!wanted), until: start)
    }

    /// Whether it cannot hold before some time has passed: a lower bound of an age has to be met, whatever else holds.
    ///
    /// Asked of rules that expire. `isNegated`: of its negation.
    func needsTime(isNegated: Bool = false) -> Bool {
        switch self {
        case .all(let conditions), .any(let conditions):
            // By De Morgan, the negation of "all" is "any" of the negations.
            let isAll = if case .all = self { !isNegated } else { isNegated }
            return isAll
                ? conditions.contains { $0.needsTime(isNegated: isNegated) }
                : conditions.allSatisfy { $0.needsTime(isNegated: isNegated) }
        case .not(let condition): return condition.needsTime(isNegated: !isNegated)
        case .age(_, let bounds): return isNegated ? bounds.lower == nil : bounds.lower != nil
        default: return false
        }
    }
}
