// SPDX-License-Identifier: Apache-2.0

import Lifecycle
import LifecycleFiles

/// How long it takes to judge every study of an archive by a rule set, on one core, from memory.
///
/// Arguments: the file of rules, the number of studies (a million if not given), and a directory for a private Postgres, in which
/// the same is then done from a catalog. Prints seconds of the fastest of three
/// passes, studies a second, and how many studies get which policy; then the same for making an explanation of one in a
/// hundred.
@main
enum LifecycleBenchmark {
    static func main() async throws {
        guard let path = CommandLine.arguments.dropFirst().first, let today = CalendarDate(year: 2026, month: 6, day: 1)
        else {
            print("usage: lifecycle-benchmark RULES.yaml [STUDIES [DIRECTORY]]")
            return
        }
        let ruleSet = try RuleFile.read(path: path)
        let count = CommandLine.arguments.dropFirst(2).first.flatMap { Int($0) } ?? 1_000_000
        var archive = Archive()
        let studies = (0..<count).map { _ in archive.study() }
        var counts: [Int] = []
        var dueCount = 0
        let duration = self.fastest {
            counts = Array(repeating: 0, count: ruleSet.policies.count)
            dueCount = 0
            for study in studies {
                let decision = ruleSet.decide(study, on: today)
                counts[decision.policy] += 1
                if decision.nextDue != nil { dueCount += 1 }
            }
        }
        let perStudy = self.rounded(duration / .microseconds(1) / Double(count))
        print(
            "\(ruleSet.rules.count) rules, \(count) studies: \(self.rounded(duration / .seconds(1))) s, \(perStudy) us a study"
        )
        for (policy, count) in zip(ruleSet.policies, counts) { print("  \(policy.name): \(count)") }
        print("  become due again: \(dueCount)")
        let explained = self.fastest {
            for index in stride(from: 0, to: count, by: 100) { _ = ruleSet.explain(studies[index], on: today) }
        }
        let sampleCount = (count + 99) / 100
        print("explained: \(self.rounded(explained / .microseconds(1) / Double(sampleCount))) us a study")
        if let directory = CommandLine.arguments.dropFirst(3).first {
            try await CatalogPlanBenchmark(directory: directory, studyCount: count).run(ruleSet, on: today)
        }
    }

    /// To hundredths.
    private static func rounded(_ number: Double) -> Double { (number * 100).rounded() / 100 }

    private static func fastest(_ work: () -> Void) -> Duration {
        let clock = ContinuousClock()
        return (0..<3).map { _ in clock.measure(work) }.min() ?? .zero
    }
}

/// Studies of eleven years of a hospital, by chance but the same each time.
private struct Archive {
    private var state: UInt64 = 7

    private static let kinds: [(modalities: [String], description: String, bodyPart: String)] = [
        (["CR"], "Thorax p.a.", "CHEST"), (["DX", "SR"], "Knie rechts 2 Ebenen", "KNEE"),
        (["CT", "SR"], "CT Abdomen nativ", "ABDOMEN"),
        (["MR"], "MRT Schädel nativ und KM", "HEAD"), (["US"], "Sonographie Abdomen", ""),
        (["MG", "SR"], "Screening beidseits", "BREAST"),
        (["PT", "CT"], "PET-CT Ganzkörper", ""), (["XA"], "Koronarangiographie", "HEART"),
        (["RTDOSE", "RTPLAN", "CT"], "Plan 1", ""),
    ]

    private mutating func number(_ range: Range<Int>) -> Int {
        state &+= 0x9e37_79b9_7f4a_7c15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
        bits ^= bits >> 31
        return range.lowerBound + Int(bits % UInt64(range.count))
    }

    mutating func study() -> StudyFacts {
        let kind = Self.kinds[number(0..<Self.kinds.count)]
        var facts = StudyFacts(isHeld: number(0..<1_000) == 0)
        facts.modalities = KnownTexts(kind.modalities)
        facts.studyDescription = KnownTexts([kind.description])
        facts.bodyParts = KnownTexts([kind.bodyPart], isComplete: number(0..<4) > 0)
        facts.stations = KnownTexts(["STATION\(number(0..<40))"])
        facts.institutions = KnownTexts(["Klinik am Rande der Stadt"])
        facts.callingAETitles = KnownTexts(["MODALITY\(number(0..<40))"])
        facts.tags = number(0..<200) == 0 ? KnownTexts(["teaching"]) : KnownTexts([])
        let study = 16_600 + number(0..<4_000)
        facts.studyDate = CalendarDate(dayNumber: study)
        facts.received = facts.studyDate
        facts.lastAccess = CalendarDate(dayNumber: study + number(0..<400))
        facts.birthDate = number(0..<50) == 0 ? nil : CalendarDate(dayNumber: study - number(0..<33_000))
        facts.latestVisit = CalendarDate(dayNumber: study + (number(0..<2) == 0 ? 0 : number(0..<2_000)))
        facts.laterModalities = number(0..<3) == 0 ? KnownTexts(kind.modalities) : KnownTexts([])
        facts.byteCount = Int64(number(1_000_000..<3_000_000_000))
        facts.instanceCount = Int64(number(1..<3_000))
        return facts
    }
}
