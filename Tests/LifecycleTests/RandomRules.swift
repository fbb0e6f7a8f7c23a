// SPDX-License-Identifier: Apache-2.0

import Lifecycle

/// Rule sets and facts by chance, small ones, so that much coincides.
struct RandomRules {
    var generator: SeededGenerator
    /// Whether conditions may ask what is known, which is not the same once more is known.
    var asksWhatIsKnown = true

    private static let modalities = ["CT", "MG", "MR"]

    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }

    mutating func chance(_ percent: Int) -> Bool { number(1...100) <= percent }

    mutating func ruleSet() -> RuleSet {
        var rules: [Rule] = []
        for place in 0..<number(1...6) {
            let condition = chance(95) ? condition(depth: 0) : nil
            rules.append(Rule(name: "rule-\(place)", condition: condition, policy: number(0...3)))
        }
        return .sample(rules)
    }

    mutating func condition(depth: Int) -> Condition {
        switch number(0...(depth < 3 ? 11 : 7)) {
        case 0: return .text(.modality, [pattern()])
        case 1: return .everyModality([pattern(), pattern()])
        case 2: return .instanceCount(Bounds(lower: .atLeast(Int64(number(1...3)))))
        case 3: return asksWhatIsKnown ? .birthDateKnown(chance(50)) : .text(.laterStudy, [pattern()])
        case 4, 5, 6, 7: return .age(subject(), bounds())
        case 8, 9: return .all(conditions(depth: depth + 1))
        case 10: return .any(conditions(depth: depth + 1))
        default: return .not(condition(depth: depth + 1))
        }
    }

    private mutating func conditions(depth: Int) -> [Condition] {
        var conditions: [Condition] = []
        for _ in 0..<number(1...3) { conditions.append(condition(depth: depth)) }
        return conditions
    }

    private mutating func pattern() -> TextPattern {
        TextPattern(Self.modalities[number(0...2)])
    }

    private mutating func subject() -> Condition.DateSubject {
        Condition.DateSubject.allCases.randomElement(using: &generator) ?? .studyAge
    }

    private mutating func bounds() -> Bounds<CalendarDuration> {
        let shorter = duration()
        let longer = duration()
        let lower: Bounds<CalendarDuration>.Lower? =
            chance(60) ? shorter.map { chance(50) ? .atLeast($0) : .over($0) } : nil
        let upper: Bounds<CalendarDuration>.Upper? =
            chance(50) || lower == nil ? longer.map { chance(50) ? .under($0) : .atMost($0) } : nil
        return Bounds(lower: lower, upper: upper)
    }

    private mutating func duration() -> CalendarDuration? {
        switch number(0...3) {
        case 0: CalendarDuration(number(1...400), .days)
        case 1: CalendarDuration(number(1...50), .weeks)
        case 2: CalendarDuration(number(1...40), .months)
        default: CalendarDuration(number(1...5), .years)
        }
    }

    /// Facts of a study of about the year 2000; each is known more often than not.
    mutating func facts() -> StudyFacts {
        var facts = StudyFacts(isHeld: chance(15))
        if chance(90) {
            facts.modalities = KnownTexts(Array(Self.modalities.prefix(number(1...3))), isComplete: chance(80))
        }
        if chance(80) { facts.instanceCount = Int64(number(1...4)) }
        if chance(70) { facts.laterModalities = KnownTexts(Array(Self.modalities.prefix(number(0...3)))) }
        if chance(80) { facts.birthDate = date(from: 10_000, days: 900) }
        if chance(80) { facts.studyDate = date(from: 10_900, days: 900) }
        if chance(80) { facts.received = date(from: 10_900, days: 900) }
        if chance(80) { facts.lastAccess = date(from: 11_000, days: 1_500) }
        if chance(80) { facts.latestVisit = date(from: 11_800, days: 1_500) }
        return facts
    }

    /// Month ends and leap days more often than others.
    private mutating func date(from dayNumber: Int, days: Int) -> CalendarDate? {
        let date = CalendarDate(dayNumber: dayNumber + number(0...days))
        guard let date, chance(40) else { return date }
        return CalendarDate(
            year: date.year,
            month: date.month,
            day: CalendarDate.dayCount(ofMonth: date.month, inYear: date.year)
        )
    }

    /// The same facts, of which less is known.
    mutating func forgetting(_ known: StudyFacts) -> StudyFacts {
        var facts = known
        if chance(40) { facts.modalities = KnownTexts([], isComplete: false) }
        if chance(40) { facts.instanceCount = nil }
        if chance(40) { facts.laterModalities = .unknown }
        if chance(40) { facts.birthDate = nil }
        if chance(20) { facts.studyDate = nil }
        if chance(40) { facts.received = nil }
        if chance(40) { facts.lastAccess = nil }
        if chance(40) { facts.latestVisit = nil }
        return facts
    }
}
