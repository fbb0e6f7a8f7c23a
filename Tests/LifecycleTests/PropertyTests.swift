// SPDX-License-Identifier: Apache-2.0

import Lifecycle
import Testing

@Suite struct NextDueTests {
    @Test func `a decision holds on every day before its next due day`() throws {
        var random = RandomRules(generator: .fromEnvironment())
        var changeCount = 0
        for _ in 0..<400 {
            let ruleSet = random.ruleSet()
            let facts = random.facts()
            var day = try #require(CalendarDate(dayNumber: 10_800 + random.number(0...1_500)))
            var decision = ruleSet.decide(facts, on: day)
            for _ in 0..<2_500 {
                day = try #require(day.next)
                let today = ruleSet.decide(facts, on: day)
                if let due = decision.nextDue, due <= day {
                    if !today.hasSameOutcome(as: decision) { changeCount += 1 }
                    decision = today
                } else if !today.hasSameOutcome(as: decision) {
                    Issue.record("\(day): \(today) after \(decision), of \(facts) by \(ruleSet.rules)")
                    return
                }
                if let due = today.nextDue, due <= day {
                    Issue.record("\(day): the next due day \(due) is not later")
                    return
                }
            }
        }
        #expect(changeCount > 100, "too little happens for the test to say much")
    }
}

@Suite struct UnknownTests {
    @Test func `what is not known yet never expires what it turns out to keep, nor drops a copy`() {
        var random = RandomRules(generator: .fromEnvironment(), asksWhatIsKnown: false)
        var (expiryCount, withheldCount) = (0, 0)
        for _ in 0..<20_000 {
            let ruleSet = random.ruleSet()
            let known = random.facts()
            let less = random.forgetting(known)
            let day = CalendarDate(dayNumber: 11_000 + random.number(0...4_000))
            guard let day else { continue }
            let full = ruleSet.decide(known, on: day)
            let partial = ruleSet.decide(less, on: day)
            if partial.expires {
                expiryCount += 1
                #expect(full.expires, "\(less) expires, \(known) does not, by \(ruleSet.rules) on \(day)")
            } else if full.expires {
                withheldCount += 1
                #expect(partial.withheldExpiry?.reason == .unknown)
            } else {
                let kept = ruleSet.copies(for: partial)
                for wanted in ruleSet.copies(for: full) {
                    #expect(
                        kept.contains { $0.tier == wanted.tier && $0.count >= wanted.count },
                        "\(less) keeps too little: \(known) wants more, by \(ruleSet.rules) on \(day)"
                    )
                }
            }
            if known.isHeld { #expect(!full.expires && full.isHeld && !partial.expires) }
        }
        #expect(expiryCount > 100 && withheldCount > 100, "too little happens for the test to say much")
    }
}
