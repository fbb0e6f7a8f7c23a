// SPDX-License-Identifier: Apache-2.0

/// A study of a patient, of which another study may be a prior.
public struct PriorStudy: Hashable, Sendable {
    /// As the catalog numbers it.
    public let study: Int64
    public let facts: StudyFacts

    public init(study: Int64, facts: StudyFacts) {
        self.study = study
        self.facts = facts
    }
}

/// A prior that is to come back, and the entry of `prefetch` that wants it, a place in the rule set's `prefetches`.
public struct WantedPrior: Hashable, Sendable {
    public let study: Int64
    public let rule: Int
}

extension RuleSet {
    /// A study whose Study Date is more days ago is not new: it is imported, or sent once more.
    public static let newStudyDays = 7

    /// Whether a study is so new that its priors are wanted, and some entry of `prefetch` is for it.
    public func wantsPriors(of facts: StudyFacts, on day: CalendarDate) -> Bool {
        let study = StudyOnDay(facts, on: day)
        guard case .known(let date) = study[.studyAge] else { return false }
        // A scanner's clock may be a day ahead.
        guard -1...Self.newStudyDays ~= day.dayNumber - date.dayNumber else { return false }
        return prefetches.contains { Self.holds($0.condition, of: study) }
    }

    /// Which of a patient's other studies are wanted with a new one, the newest first; each once, for the first entry that wants
    /// it.
    ///
    /// What is not known counts as not so: a prior that is not fetched is read where it is.
    public func priors(of facts: StudyFacts, among others: [PriorStudy], on day: CalendarDate) -> [WantedPrior] {
        guard wantsPriors(of: facts, on: day), let date = facts.studyDate else { return [] }
        let new = StudyOnDay(facts, on: day)
        let earlier = others.filter { ($0.facts.studyDate ?? .last) <= date }.sorted {
            // Of one day the one that came last.
            let (left, right) = ($0.facts.studyDate ?? .last, $1.facts.studyDate ?? .last)
            return left == right ? $0.study > $1.study : left > right
        }
        var wanted: [WantedPrior] = []
        for (place, rule) in prefetches.enumerated() where Self.holds(rule.condition, of: new) {
            let fitting = earlier.lazy.filter { prior in
                rule.same.allSatisfy { prior.facts.shares($0, with: facts) }
                    && Self.holds(rule.priors, of: StudyOnDay(prior.facts, on: day))
            }
            for prior in fitting.prefix(rule.limit) where !wanted.contains(where: { $0.study == prior.study }) {
                wanted.append(WantedPrior(study: prior.study, rule: place))
            }
        }
        return wanted
    }

    private static func holds(_ condition: Condition?, of study: StudyOnDay) -> Bool {
        condition.map { $0.evaluate(study).truth == .yes } ?? true
    }
}

extension StudyFacts {
    fileprivate func shares(_ trait: PrefetchRule.Trait, with other: StudyFacts) -> Bool {
        let subject: Condition.TextSubject = trait == .modality ? .modality : .bodyPart
        return self[subject].texts.contains { other[subject].texts.contains($0) }
    }
}
