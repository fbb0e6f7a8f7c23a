// SPDX-License-Identifier: Apache-2.0

import Lifecycle
import Testing

@Suite struct DecisionTests {
    private static func overYears(_ count: Int) -> Bounds<CalendarDuration> {
        Bounds(lower: CalendarDuration(count, .years).map { .over($0) })
    }

    /// Children are kept; after ten years studies expire; after two they are archived.
    private let ruleSet = RuleSet.sample([
        Rule(
            name: "children",
            condition: .age(.patientAge, Bounds(upper: CalendarDuration(25, .years).map { .under($0) })),
            policy: RuleSet.deep
        ),
        Rule(name: "old", condition: .age(.sinceLatestVisit, DecisionTests.overYears(10)), policy: RuleSet.expired),
        Rule(
            name: "quiet",
            condition: .age(.studyAge, DecisionTests.overYears(2)),
            policy: RuleSet.archive,
            codec: .dense
        ),
    ])

    @Test func `the first rule that matches decides`() {
        var facts = knownFacts()
        let decision = ruleSet.decide(facts, on: day("2020-01-01"))
        #expect(decision.rule == 2 && decision.policy == RuleSet.archive && !decision.expires)
        #expect(decision.alsoPossible.isEmpty && decision.withheldExpiry == nil && !decision.isHeld)
        #expect(decision.nextDue == day("2028-03-02"), "ten years after the latest visit, and a day")
        #expect(ruleSet.copiesText(decision) == "hot 1, cold 1")
        #expect(ruleSet.codec(for: decision) == .dense)
        facts.birthDate = day("2000-01-01")
        let child = ruleSet.decide(facts, on: day("2020-01-01"))
        #expect(child.rule == 0 && child.policy == RuleSet.deep && child.nextDue == day("2025-01-01"))
        #expect(ruleSet.codec(for: child) == nil)
    }

    @Test func `the default policy is for what no rule matches`() {
        let decision = ruleSet.decide(knownFacts(), on: day("2016-01-01"))
        #expect(decision.rule == nil && decision.policy == RuleSet.active)
        #expect(decision.nextDue == day("2017-06-02"))
    }

    @Test func `what matches for certain expires`() {
        let decision = ruleSet.decide(knownFacts(), on: day("2028-03-02"))
        #expect(decision.expires && decision.rule == 1 && decision.nextDue == nil)
        #expect(ruleSet.copies(for: decision).isEmpty)
    }

    @Test func `a new visit extends the old studies`() {
        var facts = knownFacts()
        facts.latestVisit = day("2028-02-01")
        let decision = ruleSet.decide(facts, on: day("2028-03-02"))
        #expect(!decision.expires && decision.nextDue == day("2038-02-02"))
    }

    @Test func `nothing expires when a rule above might keep it`() {
        var facts = knownFacts()
        facts.birthDate = nil
        let decision = ruleSet.decide(facts, on: day("2030-01-01"))
        #expect(!decision.expires && decision.rule == 2 && decision.policy == RuleSet.archive)
        #expect(decision.alsoPossible == [RuleSet.deep])
        #expect(decision.withheldExpiry?.rule == 1 && decision.withheldExpiry?.reason == .unknown)
        #expect(ruleSet.copiesText(decision) == "hot 1, cold 1, offsite 1", "whatever either of them wants")
    }

    @Test func `nothing expires by a rule that is not known to match`() {
        var facts = knownFacts()
        facts.latestVisit = nil
        let decision = ruleSet.decide(facts, on: day("2090-01-01"))
        #expect(decision.rule == 2 && decision.alsoPossible.isEmpty)
        #expect(decision.withheldExpiry?.reason == .unknown)
    }

    @Test func `a held study never expires, and keeps what it has`() {
        var facts = knownFacts()
        facts.isHeld = true
        let decision = ruleSet.decide(facts, on: day("2090-01-01"))
        #expect(!decision.expires && decision.isHeld && decision.rule == 2)
        #expect(decision.withheldExpiry?.rule == 1 && decision.withheldExpiry?.reason == .held)
        facts.birthDate = nil
        #expect(ruleSet.decide(facts, on: day("2090-01-01")).withheldExpiry?.reason == .held)
    }

    @Test func `of a study of which nothing is known nothing is dropped that any rule may want`() {
        let decision = ruleSet.decide(StudyFacts(isHeld: false), on: day("2090-01-01"))
        #expect(decision.rule == nil && decision.alsoPossible == [RuleSet.deep, RuleSet.archive])
        #expect(ruleSet.copiesText(decision) == "hot 2, cold 1, offsite 1")
        #expect(decision.nextDue == nil)
    }

    @Test func `a date that has not come yet is looked at again when it comes`() {
        var facts = knownFacts()
        facts.studyDate = day("2062-06-01")
        facts.latestVisit = day("2062-06-01")
        let decision = ruleSet.decide(facts, on: day("2026-01-01"))
        #expect(!decision.expires && decision.nextDue == day("2062-06-01"))
    }

    @Test func `a rule without a condition is for every study, and ends the list`() {
        let ruleSet = RuleSet.sample([
            Rule(name: "all", condition: nil, policy: RuleSet.deep),
            Rule(name: "never", condition: nil, policy: RuleSet.archive),
        ])
        let decision = ruleSet.decide(StudyFacts(isHeld: false), on: day("2026-01-01"))
        #expect(decision.rule == 0 && decision.nextDue == nil)
    }

    @Test func `an explanation has every rule that was tried and every condition`() {
        var facts = knownFacts()
        facts.birthDate = nil
        let text = ruleSet.explain(facts, on: day("2030-01-01")).description
        #expect(
            text == """
                rule children: it is not known whether it matches: perhaps deep
                  patient-age: under 25 years: unknown (the patient's birth date is not known)
                rule old: matches, and is passed over
                  since-latest-visit: over 10 years: yes
                rule quiet: matches: archive
                  study-age: over 2 years: yes
                policy archive
                does not expire: it is not known whether it may
                stays so while nothing else changes
                """
        )
        let certain = ruleSet.explain(knownFacts(), on: day("2020-01-01"))
        #expect(certain.decision == ruleSet.decide(knownFacts(), on: day("2020-01-01")))
        #expect(certain.rules.map(\.match) == [.no, .no, .yes])
        #expect(certain.description.contains("since-latest-visit: over 10 years: no, until 2028-03-02"))
        #expect(certain.description.hasSuffix("to be looked at again on 2028-03-02"))
    }
}
