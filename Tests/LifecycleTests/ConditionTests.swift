// SPDX-License-Identifier: Apache-2.0

import Lifecycle
import Testing

@Suite struct ConditionTests {
    /// Whether a condition holds, as an explanation says.
    private func truth(_ condition: Condition, _ facts: StudyFacts, on day: CalendarDate) -> Truth {
        RuleSet.keeping(when: condition).explain(facts, on: day).rules[0].match
    }

    @Test(
        arguments: [
            ("study-age", "at least 5 years", "2025-03-14", Truth.no),
            ("study-age", "at least 5 years", "2025-03-15", .yes),
            ("study-age", "over 5 years", "2025-03-15", .no), ("study-age", "over 5 years", "2025-03-16", .yes),
            ("study-age", "under 5 years", "2025-03-14", .yes), ("study-age", "under 5 years", "2025-03-15", .no),
            ("study-age", "at most 5 years", "2025-03-15", .yes), ("study-age", "at most 5 years", "2025-03-16", .no),
            ("study-age", "at least 1 year and under 2 years", "2021-03-14", .no),
            ("study-age", "at least 1 year and under 2 years", "2021-03-15", .yes),
            ("study-age", "at least 1 year and under 2 years", "2022-03-14", .yes),
            ("study-age", "at least 1 year and under 2 years", "2022-03-15", .no),
            ("study-age", "under 5 years", "2020-03-15", .yes), ("study-age", "over 1 day", "2020-03-16", .no),
            // The day of the study has not come: a wrong date, or another time zone.
            ("study-age", "under 5 years", "2020-03-14", .unknown),
            ("study-age", "over 5 years", "2020-03-14", .unknown),
            // Born on 29 February 2004: 18 on 1 March 2022, when February has ended.
            ("patient-age", "at least 18 years", "2022-02-28", .no),
            ("patient-age", "at least 18 years", "2022-03-01", .yes),
            ("patient-age", "under 18 years", "2022-02-28", .yes), ("patient-age", "under 18 years", "2022-03-01", .no),
            ("patient-age", "at least 20 years", "2024-02-28", .no),
            ("patient-age", "at least 20 years", "2024-02-29", .yes),
            ("since-latest-visit", "over 10 years", "2031-01-01", .no),
            ("since-latest-visit", "over 10 years", "2031-01-02", .yes),
            ("since-access", "under 30 days", "2020-07-30", .yes), ("since-access", "under 30 days", "2020-07-31", .no),
            ("since-receipt", "at least 1 week", "2020-03-23", .no),
            ("since-receipt", "at least 1 week", "2020-03-24", .yes),
        ] as [(String, String, String, Truth)]
    )
    func `ages are counted on calendars`(key: String, bounds: String, on: String, expected: Truth) throws {
        var facts = StudyFacts(isHeld: false)
        facts.studyDate = day("2020-03-15")
        facts.received = day("2020-03-17")
        facts.lastAccess = day("2020-07-01")
        facts.birthDate = day("2004-02-29")
        facts.latestVisit = day("2021-01-01")
        let condition = try condition(key, bounds)
        #expect(self.truth(condition, facts, on: day(on)) == expected)
        #expect(self.truth(.not(condition), facts, on: day(on)) == expected.negated)
    }

    @Test(
        arguments: [
            ("modality", "CT", Truth.yes), ("modality", "sr", .yes), ("modality", "MG", .no), ("modality", "*", .yes),
            ("all-modalities", "CT", .no), ("all-modalities", "?T", .no), ("all-modalities", "*", .yes),
            ("body-part", "chest", .yes), ("study-description", "*thorax*", .yes), ("study-description", "thorax", .no),
            ("station", "CT?", .yes), ("institution", "st. *", .yes), ("calling-ae", "CT1_AE", .yes),
            ("calling-ae", "CT2_AE", .no), ("tag", "research", .yes), ("tag", "teaching", .no),
            ("size", "at least 300 MB", .yes), ("size", "over 300 MB", .no), ("size", "under 0.3 GB", nil),
            ("instances", "at least 600", .yes), ("instances", "over 100 and under 600", .no),
            ("instances", "at least 600 and at most 600", .yes),
            ("birth-date-known", "yes", .yes), ("birth-date-known", "no", .no),
            ("later-study", "CT", .yes), ("later-study", "*", .yes), ("later-study", "MG", .no),
        ] as [(String, String, Truth?)]
    )
    func `what is known is compared`(key: String, text: String, expected: Truth?) throws {
        guard let expected else {
            #expect(throws: RuleSetError.self) { try condition(key, text) }
            return
        }
        #expect(truth(try condition(key, text), knownFacts(), on: day("2020-01-01")) == expected)
    }

    @Test(arguments: [
        ("modality", "CT"), ("all-modalities", "CT"), ("body-part", "*"), ("study-description", "*"), ("station", "*"),
        ("institution", "*"), ("calling-ae", "*"), ("tag", "*"), ("study-age", "over 1 day"),
        ("since-access", "over 1 day"), ("since-receipt", "under 900 years"), ("patient-age", "over 1 day"),
        ("since-latest-visit", "under 1 day"), ("size", "at least 0"), ("instances", "over 0"),
        ("later-study", "*"),
    ])
    func `what is not known is unknown, and so is its negation`(key: String, text: String) throws {
        let condition = try condition(key, text)
        let nothing = StudyFacts(isHeld: false)
        #expect(truth(condition, nothing, on: day("2020-01-01")) == .unknown)
        #expect(truth(.not(condition), nothing, on: day("2020-01-01")) == .unknown)
    }

    @Test func `a series without the value leaves room for doubt`() throws {
        var facts = StudyFacts(isHeld: false)
        facts.bodyParts = KnownTexts(["CHEST"], isComplete: false)
        #expect(truth(try condition("body-part", "CHEST"), facts, on: day("2020-01-01")) == .yes)
        #expect(truth(try condition("body-part", "BREAST"), facts, on: day("2020-01-01")) == .unknown)
        facts.bodyParts = KnownTexts(["CHEST", ""])
        #expect(truth(try condition("body-part", "BREAST"), facts, on: day("2020-01-01")) == .unknown)
        facts.modalities = KnownTexts(["CT"], isComplete: false)
        #expect(truth(try condition("all-modalities", "CT"), facts, on: day("2020-01-01")) == .unknown)
        #expect(truth(try condition("all-modalities", "MR"), facts, on: day("2020-01-01")) == .no)
        facts.laterModalities = KnownTexts([])
        #expect(truth(try condition("later-study", "*"), facts, on: day("2020-01-01")) == .no)
        facts.tags = KnownTexts([])
        #expect(truth(try condition("tag", "*"), facts, on: day("2020-01-01")) == .no)
    }

    /// A condition of each truth, on facts of which only the modality is known.
    private func part(_ truth: Truth) -> Condition {
        switch truth {
        case .yes: .text(.modality, [TextPattern("CT")])
        case .no: .text(.modality, [TextPattern("MG")])
        case .unknown: .text(.bodyPart, [TextPattern("CHEST")])
        }
    }

    @Test(
        arguments: [
            (Truth.yes, Truth.yes, Truth.yes, Truth.yes), (.yes, .no, .no, .yes), (.yes, .unknown, .unknown, .yes),
            (.no, .no, .no, .no), (.no, .unknown, .no, .unknown), (.unknown, .unknown, .unknown, .unknown),
        ] as [(Truth, Truth, Truth, Truth)]
    )
    func `combinations are Kleene's`(first: Truth, second: Truth, all: Truth, any: Truth) {
        var facts = StudyFacts(isHeld: false)
        facts.modalities = KnownTexts(["CT"])
        let today = day("2020-01-01")
        for parts in [[part(first), part(second)], [part(second), part(first)]] {
            #expect(truth(.all(parts), facts, on: today) == all)
            #expect(truth(.any(parts), facts, on: today) == any)
            #expect(truth(.not(.all(parts)), facts, on: today) == all.negated)
        }
    }

    @Test(arguments: [
        ("study", "18991230", "2020-01-01"), ("study", "19000101", "2020-01-01"), ("study", "19700101", "2020-01-01"),
        ("birth", "19000101", "2020-01-01"), ("birth", "20210101", "2020-01-01"), ("birth", "20160101", "2020-01-01"),
        ("visit", "20140101", "2020-01-01"), ("visit", "20620101", "2026-01-01"), ("visit", "00010101", "2026-01-01"),
    ])
    func `a date that is nonsense is unknown`(subject: String, value: String, on: String) throws {
        var facts = knownFacts()
        let key: String
        switch subject {
        case "study":
            facts.studyDate = CalendarDate(dicom: value)
            key = "study-age"
        case "birth":
            facts.birthDate = CalendarDate(dicom: value)
            key = "patient-age"
        default:
            facts.latestVisit = CalendarDate(dicom: value)
            key = "since-latest-visit"
        }
        #expect(truth(try condition(key, "over 1 day"), facts, on: day(on)) == .unknown)
        #expect(truth(try condition(key, "under 900 years"), facts, on: day(on)) == .unknown)
        if subject == "birth" {
            #expect(truth(.birthDateKnown(false), facts, on: day(on)) == .yes)
        }
    }

    @Test func `people were born on the first day of Unix' clock`() throws {
        var facts = knownFacts()
        facts.birthDate = day("1970-01-01")
        #expect(truth(try condition("patient-age", "at least 50 years"), facts, on: day("2020-01-01")) == .yes)
    }

    @Test func `the latest visit is not known while the study has no date`() throws {
        var facts = knownFacts()
        facts.studyDate = nil
        #expect(truth(try condition("since-latest-visit", "over 1 year"), facts, on: day("2026-01-01")) == .unknown)
    }
}
