// SPDX-License-Identifier: Apache-2.0

import Lifecycle
import Testing

@Suite struct PatternTests {
    @Test(arguments: [
        ("MG", "MG", true), ("MG", "mg ", true), ("mg", " MG", true), ("MG", "MGX", false), ("MG", "", false),
        ("CT*", "CT1", true), ("CT*", "CT", true), ("CT*", "ACT", false), ("*CT", "ACT", true), ("*CT", "CTA", false),
        ("*mammo*", "Screening MAMMOGRAPHY bilat", true), ("*mammo*", "MAMMA", false),
        ("CT?", "CT1", true), ("CT?", "CT", false), ("CT?", "CT12", false), ("?", "ü", true), ("??", "ü", false),
        ("a*b*c", "a-b-b-c", true), ("a*b*c", "a-c-b", false), ("*a?", "bab", true), ("*a?", "baba", false),
        ("*", "", true), ("*", "anything", true), ("**", "x", true), ("*?*", "x", true), ("*?*", "", false),
        ("THORAX", "thorax", true), ("SCHÄDEL", "Schädel", true), ("sch?del", "SCHÄDEL", true), ("*Ä*", "a", false),
        ("頭部*", "頭部CT", true), ("?部", "頭部", true), ("??部", "頭部", false),
        ("a[b]", "a[b]", true), ("a[b]", "ab", false), ("a%", "a%", true), ("a%", "abc", false), ("a_c", "abc", false),
        ("100*", "100% *", true), ("a.c", "abc", false), ("a\\b", "a\\b", true),
    ])
    func `stars and question marks, and nothing else, stand for others`(pattern: String, text: String, matches: Bool) {
        #expect(TextPattern(pattern).matches(FoldedText(text)) == matches)
    }

    @Test func `the worst pattern takes no longer than its length times the text's`() {
        let text = FoldedText(String(repeating: "a", count: 10_000))
        #expect(!TextPattern(String(repeating: "*a", count: 100) + "*b").matches(text))
    }

    @Test(
        arguments: [("5", 5), ("5 B", 5), ("500 MB", 500_000_000), ("2GiB", 2_147_483_648), ("1 kb", 1_000)]
            as [(String, Int64)]
    )
    func `sizes are read with and without units`(text: String, byteCount: Int64) throws {
        let facts = { (count: Int64) in
            var facts = StudyFacts(isHeld: false)
            facts.byteCount = count
            return facts
        }
        let ruleSet = RuleSet.keeping(when: try condition("size", "at most \(text)"))
        #expect(ruleSet.decide(facts(byteCount), on: day("2026-01-01")).rule == 0)
        #expect(ruleSet.decide(facts(byteCount + 1), on: day("2026-01-01")).rule == nil)
    }
}
