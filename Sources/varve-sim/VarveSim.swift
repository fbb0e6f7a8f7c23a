// SPDX-License-Identifier: Apache-2.0

import Glibc
import Simulation

/// Runs seeds of the simulated cluster: `varve-sim --seeds N --from S`, `varve-sim --seed S` for one with its trace.
@main struct VarveSim {
    static func main() {
        var arguments = CommandLine.arguments.dropFirst()
        var count: UInt64 = 100
        var first: UInt64 = 1
        var lines: Int?
        var defect: Defect?
        var showsBank = false
        while let name = arguments.popFirst() {
            switch name {
            case "--seeds": count = number(arguments.popFirst())
            case "--from": first = number(arguments.popFirst())
            case "--seed":
                first = number(arguments.popFirst())
                count = 1
                lines = lines ?? 60
            case "--lines": lines = Int(number(arguments.popFirst()))
            case "--defect":
                let name = arguments.popFirst() ?? ""
                guard let known = Defect(rawValue: name) else { usage("no defect is called '\(name)'") }
                defect = known
            case "--bug-bank": showsBank = true
            default: usage("unknown option '\(name)'")
            }
        }
        if showsBank { exit(searchBank(from: first, count: count) ? 0 : 1) }
        exit(run(from: first, count: count, defect: defect, lines: lines) ? 0 : 1)
    }

    private static func run(from first: UInt64, count: UInt64, defect: Defect?, lines: Int?) -> Bool {
        let start = seconds()
        var totals = Totals()
        for seed in first..<(first + count) {
            let report = Simulation.run(seed: seed, defect: defect, traceLimit: lines ?? 0)
            totals.add(report)
            if let lines, count == 1 || report.violation != nil { show(report, lines) }
            guard report.violation != nil, lines == nil else { continue }
            show(Simulation.run(seed: seed, defect: defect, traceLimit: 40), 40)
        }
        let elapsed = seconds() - start
        say("\(count) seeds in \(rounded(elapsed)) s, \(rounded(Double(count) / max(elapsed, 0.001))) a second")
        say(
            "\(totals.faults) faults (\(rounded(Double(totals.faults) / Double(count))) a seed), "
                + "\(totals.promises) promises, \(totals.copies) copies made, \(totals.drops) dropped, "
                + "\(totals.reads) reads, \(totals.events) events; \(totals.packs) packs counted, "
                + "\(totals.cold) instances in packs only, \(totals.coldReads) reads from packs"
        )
        say(totals.counts.sorted { $0.key < $1.key }.map { "\($0.key.rawValue) \($0.value)" }.joined(separator: ", "))
        say("\(totals.failing.count) violations\(totals.failing.isEmpty ? "" : ": seeds \(totals.failing)")")
        return totals.failing.isEmpty
    }

    private struct Totals {
        var faults = 0
        var promises = 0
        var reads = 0
        var copies = 0
        var drops = 0
        var events = 0
        var packs = 0
        var cold = 0
        var coldReads = 0
        var counts: [FaultKind: Int] = [:]
        var failing: [UInt64] = []

        mutating func add(_ report: Report) {
            faults += report.faultCount
            promises += report.promiseCount
            reads += report.readCount
            copies += report.copyCount
            drops += report.dropCount
            events += report.eventCount
            packs += report.packCount
            cold += report.coldCount
            coldReads += report.coldReadCount
            counts.merge(report.faultCounts, uniquingKeysWith: +)
            if report.violation != nil { failing.append(report.seed) }
        }
    }

    /// Looks for the first seed that finds each deliberate mistake.
    private static func searchBank(from first: UInt64, count: UInt64) -> Bool {
        var isComplete = true
        for defect in Defect.allCases {
            var found: Report?
            for seed in first..<(first + count) {
                let report = Simulation.run(seed: seed, defect: defect)
                if report.violation != nil {
                    found = report
                    break
                }
            }
            if let found {
                say("| `\(defect.rawValue)` | \(found.seed - first + 1) | \(found.violation ?? "") |")
            } else {
                isComplete = false
                say("| `\(defect.rawValue)` | not in \(count) | |")
            }
        }
        return isComplete
    }

    private static func show(_ report: Report, _ lines: Int) {
        say("seed \(report.seed), hash \(String(report.hash, radix: 16)): \(report.violation ?? "all promises kept")")
        for line in report.faults { say("  \(line)") }
        for line in report.trace.suffix(lines) { say("    \(line)") }
    }

    // MARK: Words

    private static func number(_ text: String?) -> UInt64 {
        guard let text, let value = UInt64(text) else { usage("a number is missing") }
        return value
    }

    private static func usage(_ problem: String) -> Never {
        say("\(problem)\nusage: varve-sim [--seeds N] [--from S] [--seed S] [--lines N] [--defect NAME] [--bug-bank]")
        exit(2)
    }

    private static func say(_ text: String) {
        let bytes = Array((text + "\n").utf8)
        // Nothing can be done about an output that takes nothing.
        _ = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
    }

    private static func rounded(_ value: Double) -> Double { (value * 10).rounded() / 10 }

    private static func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
