// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lifecycle
import LifecycleFiles
import Testing

@Suite struct MutationTests {
    /// Pieces that mean something to YAML or to rules.
    private static let pieces: [String] = [
        ":", " ", "\n", "  ", "- ", "{", "}", "[", "]", ",", "'", "\"", "#", "|", ">", "*", "&a ", "!b ", "? ", "%",
        "@", "\t", "\r",
        "---", "...", "\u{0}", "\u{85}", "\u{FEFF}", "\u{202E}", "é", "expire: yes", "not: ", "any: [", "over ",
        "years", "-1",
        "99999999999999999999", "policy: expired", "name: a", "match: ",
    ]

    @Test func `whatever is changed in a file, it is read or refused with places, and decides`() throws {
        var generator = SeededGenerator.fromEnvironment()
        let texts = try ["mammography", "radiology", "retention"].map { name in
            try String(contentsOf: Examples.folder.appendingPathComponent("\(name).yaml"), encoding: .utf8)
        }
        let today = try #require(CalendarDate(year: 2026, month: 1, day: 1))
        var readCount = 0
        for _ in 0..<4_000 {
            guard let text = texts.randomElement(using: &generator) else { continue }
            var scalars = Array(text.unicodeScalars)
            for _ in 0..<Int.random(in: 1...4, using: &generator) { change(&scalars, &generator) }
            var changed = String.UnicodeScalarView()
            changed.append(contentsOf: scalars)
            do throws(RuleSetError) {
                let ruleSet = try RuleFile.read(text: String(changed))
                readCount += 1
                let decision = ruleSet.explain(StudyFacts(isHeld: false), on: today).decision
                #expect(!decision.expires)
            } catch {
                #expect(!error.problems.isEmpty && error.problems.allSatisfy { !$0.what.isEmpty && !$0.advice.isEmpty })
            }
        }
        #expect(readCount > 100, "too few changes leave a rule set")
    }

    private func change(_ scalars: inout [Unicode.Scalar], _ generator: inout SeededGenerator) {
        let place = Int.random(in: 0...scalars.count, using: &generator)
        let end = min(scalars.count, place + Int.random(in: 1...20, using: &generator))
        switch Int.random(in: 0...3, using: &generator) {
        case 0: scalars.removeSubrange(place..<end)
        case 1:
            scalars.insert(
                contentsOf: Array(scalars[place..<end]),
                at: Int.random(in: 0...scalars.count, using: &generator)
            )
        case 2: scalars.removeSubrange(place...)
        default:
            scalars.insert(
                contentsOf: Self.pieces.randomElement(using: &generator)?.unicodeScalars ?? "".unicodeScalars,
                at: place
            )
        }
    }
}
