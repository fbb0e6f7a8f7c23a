// SPDX-License-Identifier: Apache-2.0

import Catalog
import Lifecycle
import LifecyclePlanning
import Testing

@Suite struct PlannerTests {
    private static let day = CalendarDate.last

    /// One rule for each modality: CT is kept by `deep`, MG expires, all else is kept by `active`.
    static func ruleSet(expiring modality: String = "MG") throws -> RuleSet {
        let pattern = { (text: String) in Condition.text(.modality, [TextPattern(text)]) }
        let tiers = [Tier(name: "hot", place: .nodes(label: "hot")), Tier(name: "cold", place: .directory("/cold"))]
        let policies = [
            Policy(name: "active", aim: .keep(Keeping(copies: [TierCopies(tier: 0, count: 2)]))),
            Policy(name: "deep", aim: .keep(Keeping(copies: [TierCopies(tier: 1, count: 1)]))),
            Policy(name: "expired", aim: .expire),
        ]
        let rules = [
            Rule(name: "ct", condition: pattern("CT"), policy: 1),
            Rule(name: "gone", condition: pattern(modality), policy: 2),
        ]
        return RuleSet(tiers: tiers, policies: policies, defaultPolicy: 0, rules: rules)
    }

    /// Study `n` of modality CT, MG or MR, in turn, with one hold among them: the ids have gaps.
    private static func rows(_ count: Int) -> [StudyFactsRow] {
        (0..<count).map { number in
            var facts = StudyFacts(isHeld: number == 1)
            facts.modalities = KnownTexts([["CT", "MG", "MR"][number % 3]])
            facts.byteCount = 1_000
            facts.instanceCount = 2
            return StudyFactsRow(study: Int64(number * 7 + 3), facts: facts)
        }
    }

    @Test(arguments: [0, 1, 2, 3, 100, 25_001])
    func `every study is in the sums once`(count: Int) async throws {
        let source = StudiesInMemory(rows: Self.rows(count))
        let ruleSet = try Self.ruleSet()
        let totals = try await Planner(source).plan(RuleSetChange(to: ruleSet, from: nil), on: Self.day)
        var wanted = PlanTotals(of: ruleSet)
        for row in source.rows {
            wanted.add(row.facts, RuleSetChange(to: ruleSet, from: nil).judge(row.facts, on: Self.day))
        }
        #expect(totals == wanted)
        let amount = StudyAmount(studies: Int64(count), instances: Int64(count * 2), bytes: Int64(count * 1_000))
        #expect(totals.all == amount)
        #expect(totals.withheldByHold.studies == (count > 1 ? 1 : 0))
        let expiring = Int64(max(0, (count + 1) / 3 - 1))
        #expect(totals.expiring.studies == expiring && totals.policies[2].studies == expiring)
        #expect(totals.changed == totals.all)
    }

    @Test func `beside the same rules nothing changes, and beside others what differs`() async throws {
        let source = StudiesInMemory(rows: Self.rows(30))
        let (old, new) = (try Self.ruleSet(), try Self.ruleSet(expiring: "MR"))
        let same = try await Planner(source).plan(RuleSetChange(to: old, from: old), on: Self.day)
        #expect(same.changed.studies == 0 && same.transitions.isEmpty)
        let other = try await Planner(source).plan(RuleSetChange(to: new, from: old), on: Self.day)
        // Nine mammograms come back, ten others go; the tenth mammogram is held.
        #expect(other.transitions[.init(from: 2, to: 0)]?.studies == 9)
        #expect(other.transitions[.init(from: 0, to: 2)]?.studies == 10)
        #expect((other.changed.studies, other.expiring.studies, other.expiringBefore.studies) == (19, 10, 9))
    }

    @Test(arguments: [1, 2, 10, 19, 20, 1_000])
    func `the list has what changes or expires, page by page`(limit: Int) async throws {
        let source = StudiesInMemory(rows: Self.rows(30))
        let change = RuleSetChange(to: try Self.ruleSet(expiring: "MR"), from: try Self.ruleSet())
        var found: [String] = []
        var after: Int64? = 0
        while let begin = after {
            let list = try await Planner(source).list(change, on: Self.day, after: begin, limit: limit)
            #expect(list.entries.count <= limit)
            found += list.entries.map(\.study)
            after = list.next
        }
        let wanted = source.rows.filter { row in
            let judged = change.judge(row.facts, on: Self.day)
            return judged.isChanged || judged.decision.expires
        }
        #expect(found == wanted.map { "1.\($0.study)" } && found.count == 19)
    }

    @Test func `what the catalog refuses is the plan's error`() async throws {
        var source = StudiesInMemory(rows: Self.rows(3))
        source.failure = CatalogError(.unavailable, "away")
        let failing = source
        let change = RuleSetChange(to: try Self.ruleSet(), from: nil)
        let error = await #expect(throws: CatalogError.self) {
            try await Planner(failing).plan(change, on: Self.day)
        }
        #expect(error?.code == .unavailable)
    }

    @Test func `what takes too long to collect is for later`() async throws {
        var source = StudiesInMemory(rows: [])
        source.isNeverCollected = true
        let slow = Planner(source)
        let error = await #expect(throws: CatalogError.self) { try await slow.collect(limit: .zero) }
        #expect(error?.code == .unavailable)
    }

    @Test func `a study is explained, and one that is not here is not`() async throws {
        let source = StudiesInMemory(rows: Self.rows(3))
        let ruleSet = try Self.ruleSet()
        let explanation = try await Planner(source).explain("1.3", by: ruleSet, on: Self.day)
        #expect(explanation?.policy == "deep")
        let none = try await Planner(source).explain("1.4", by: ruleSet, on: Self.day)
        #expect(none == nil)
    }
}
