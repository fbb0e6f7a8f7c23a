// SPDX-License-Identifier: Apache-2.0

import FuzzHarness
import Lifecycle
import LifecycleFiles
import NIOCore

/// Files of rules: what is read decides, and never lets a study expire of which nothing is known.
enum LifecycleFuzz {
    static let target = FuzzTarget("lifecycle", maximumByteCount: 4_096, seeds: seeds, run: run)

    static func run(_ input: ByteBuffer) {
        do throws(RuleSetError) {
            let ruleSet = try RuleFile.read(bytes: Array(input.readableBytesView))
            self.exercise(ruleSet)
        } catch {
            FuzzTarget.check(!error.problems.isEmpty, "a rule set is refused without a reason")
            for problem in error.problems { FuzzTarget.check(!problem.advice.isEmpty, "no advice: \(problem)") }
        }
    }

    private static func exercise(_ ruleSet: RuleSet) {
        guard let today = CalendarDate(year: 2026, month: 2, day: 28) else { return }
        let nothing = StudyFacts(isHeld: false)
        FuzzTarget.check(!ruleSet.decide(nothing, on: today).expires, "an unknown study expires")
        var facts = StudyFacts(isHeld: true)
        facts.modalities = KnownTexts(["MG"])
        facts.studyDate = CalendarDate(year: 2004, month: 2, day: 29)
        facts.latestVisit = facts.studyDate
        facts.birthDate = CalendarDate(year: 1980, month: 2, day: 29)
        let explanation = ruleSet.explain(facts, on: today)
        FuzzTarget.check(!explanation.decision.expires, "a held study expires")
        FuzzTarget.check(!ruleSet.copies(for: explanation.decision).isEmpty, "a held study is wanted nowhere")
        _ = explanation.description
        if let due = explanation.decision.nextDue { FuzzTarget.check(due > today, "due on \(due)") }
    }

    private static func seeds(_ files: [ByteBuffer]) -> [ByteBuffer] {
        let head = """
            version: 1
            tiers:
              hot: {nodes: hot}
              cold: {packs: {s3: {endpoint: 'https://h:9', bucket: abc, path-style: yes, prefix: a/b}}}
            policies:
              active: {copies: {hot: 2}, spread: rack, codec: dense, soak: 7 days, trash: 1 month, recall-to: hot}
              gone: {expire: yes}
            default: active
            rules:

            """
        let rules = [
            "- {name: a, match: {modality: [MG, 'C*'], study-age: over 5 years and under 10 years}, policy: gone}",
            "- name: b\n  match:\n    any:\n      - not: {tag: x}\n      - all: [{size: over 2 GB}]\n  policy: active",
            "- {name: c, match: {patient-age: at least 25 years, birth-date-known: yes}, policy: gone}",
            "- {name: d, description: \"x\", policy: active, codec: fast}",
        ]
        return rules.map { ByteBuffer(string: head + $0 + "\n") }
    }
}
