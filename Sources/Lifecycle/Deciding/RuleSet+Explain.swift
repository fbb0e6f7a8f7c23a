// SPDX-License-Identifier: Apache-2.0

extension RuleSet {
    /// The decision about a study on a day, with every condition that led to it.
    public func explain(_ facts: StudyFacts, on day: CalendarDate) -> Explanation {
        let decision = decide(facts, on: day)
        let study = StudyOnDay(facts, on: day)
        let tried = decision.rule.map { rules[...$0] } ?? rules[...]
        return Explanation(
            decision: decision,
            policy: policies[decision.policy].name,
            rules: tried.enumerated().map { place, rule in
                let match = rule.condition?.evaluate(study).truth ?? .yes
                return Explanation.TriedRule(
                    rule: place,
                    name: rule.name,
                    policy: policies[rule.policy].name,
                    match: match,
                    isPassedOver: match == .yes && place != decision.rule,
                    lines: rule.condition?.lines(study, depth: 0) ?? []
                )
            }
        )
    }
}

extension Condition {
    /// This condition, and those within it.
    fileprivate func lines(_ study: StudyOnDay, depth: Int) -> [Explanation.Line] {
        let evaluation = evaluate(study)
        let line = Explanation.Line(
            depth: depth,
            condition: description,
            truth: evaluation.truth,
            until: evaluation.until,
            doubt: evaluation.truth == .unknown ? doubt(study) : nil
        )
        return [line] + parts.flatMap { $0.lines(study, depth: depth + 1) }
    }

    /// Why it is unknown.
    private func doubt(_ study: StudyOnDay) -> String? {
        switch self {
        case .all, .any, .not, .birthDateKnown: nil
        case .text(.laterStudy, _): "the patient's later studies are not all known"
        case .text(let subject, _): study.facts[subject].texts.isEmpty ? "there is none" : "some series have none"
        case .everyModality: "there is none, or some series have none"
        case .age(let subject, _): study[subject].doubt(about: subject)
        case .byteCount, .instanceCount: "not counted"
        }
    }
}

extension KnownDate {
    /// What is wrong with the date; of a date that is believed, that it has not come yet.
    fileprivate func doubt(about subject: Condition.DateSubject) -> String {
        switch self {
        case .unknown(.missing): "\(subject.dateName) is not known"
        case .unknown(.placeholder(let date)): "\(subject.dateName), \(date), stands for a date that is not known"
        case .unknown(.bornAfterStudy): "the patient would have been born after the study"
        case .unknown(.visitBeforeStudy): "a study of the patient, perhaps this one, is later or has no date"
        case .known(let date): "\(subject.dateName), \(date), has not come yet"
        }
    }
}

extension Condition.DateSubject {
    /// The date that is counted from.
    fileprivate var dateName: String {
        switch self {
        case .studyAge: "the study's date"
        case .sinceAccess: "the day of the last access"
        case .sinceReceipt: "the day of receipt"
        case .patientAge: "the patient's birth date"
        case .sinceLatestVisit: "the day of the latest visit"
        }
    }
}
