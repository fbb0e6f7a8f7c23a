// SPDX-License-Identifier: Apache-2.0

import Lifecycle
import Testing

/// A day of a test, `YYYY-MM-DD`; one that is none is a fault of the test.
func day(_ text: String) -> CalendarDate {
    let numbers = text.split(separator: "-").compactMap { Int($0) }
    guard numbers.count == 3, let day = CalendarDate(year: numbers[0], month: numbers[1], day: numbers[2]) else {
        preconditionFailure("\(text) is no date")
    }
    return day
}

/// Facts of a CT study of which everything is known.
func knownFacts() -> StudyFacts {
    var facts = StudyFacts(isHeld: false)
    facts.modalities = KnownTexts(["CT", "SR"])
    facts.bodyParts = KnownTexts(["CHEST"])
    facts.studyDescription = KnownTexts(["CT Thorax"])
    facts.stations = KnownTexts(["CT1"])
    facts.institutions = KnownTexts(["St. Elsewhere"])
    facts.callingAETitles = KnownTexts(["CT1_AE"])
    facts.tags = KnownTexts(["research"])
    facts.studyDate = day("2015-06-01")
    facts.received = day("2015-06-01")
    facts.lastAccess = day("2016-01-01")
    facts.birthDate = day("1980-02-29")
    facts.latestVisit = day("2018-03-01")
    facts.laterModalities = KnownTexts(["CT", "MR"])
    facts.byteCount = 300_000_000
    facts.instanceCount = 600
    return facts
}

/// The condition that a key and a text make in a file.
func condition(_ key: String, _ text: String) throws -> Condition {
    try #require(try RuleSet(reading: file(match: mapping([(key, scalar(text))]))).rules[0].condition)
}

func scalar(_ text: String) -> LocatedValue { LocatedValue(.scalar(text), at: SourceLocation(line: 1, column: 1)) }

func mapping(_ pairs: [(String, LocatedValue)]) -> LocatedValue {
    let location = SourceLocation(line: 1, column: 1)
    let entries = pairs.map { LocatedValue.Entry(key: $0.0, location: location, value: $0.1) }
    return LocatedValue(.mapping(entries), at: location)
}

func sequence(_ values: [LocatedValue]) -> LocatedValue {
    LocatedValue(.sequence(values), at: SourceLocation(line: 1, column: 1))
}

/// A file with one rule, with or without a match.
func file(match: LocatedValue?) -> LocatedValue {
    let rule = [("name", scalar("a")), ("policy", scalar("b"))] + (match.map { [("match", $0)] } ?? [])
    return mapping([
        ("version", scalar("1")),
        ("tiers", mapping([("hot", mapping([("nodes", scalar("hot"))]))])),
        ("policies", mapping([("b", mapping([("copies", mapping([("hot", scalar("2"))]))]))])),
        ("default", scalar("b")),
        ("rules", sequence([mapping(rule)])),
    ])
}

extension RuleSet {
    /// Tiers hot (nodes) and cold and offsite (packs); policies active, archive, deep, expired.
    static func sample(_ rules: [Rule]) -> RuleSet {
        RuleSet(
            tiers: [
                Tier(name: "hot", place: .nodes(label: "hot")),
                Tier(name: "cold", place: .directory("/srv/cold")),
                Tier(name: "offsite", place: .directory("/srv/offsite")),
            ],
            policies: [
                Policy(name: "active", aim: .keep(Keeping(copies: [TierCopies(tier: 0, count: 2)]))),
                Policy(
                    name: "archive",
                    aim: .keep(Keeping(copies: [TierCopies(tier: 0, count: 1), TierCopies(tier: 1, count: 1)]))
                ),
                Policy(
                    name: "deep",
                    aim: .keep(Keeping(copies: [TierCopies(tier: 1, count: 1), TierCopies(tier: 2, count: 1)]))
                ),
                Policy(name: "expired", aim: .expire),
            ],
            defaultPolicy: 0,
            rules: rules
        )
    }

    static let active = 0
    static let archive = 1
    static let deep = 2
    static let expired = 3

    /// One rule that keeps.
    static func keeping(when condition: Condition) -> RuleSet {
        sample([Rule(name: "only", condition: condition, policy: archive)])
    }

    /// The copies of a decision as text: `hot 1, cold 1`.
    func copiesText(_ decision: Decision) -> String {
        copies(for: decision).map { "\(tiers[$0.tier].name) \($0.count)" }.joined(separator: ", ")
    }
}
