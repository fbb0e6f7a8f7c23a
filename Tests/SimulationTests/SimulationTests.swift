// SPDX-License-Identifier: Apache-2.0

import Glibc
import Simulation
import Testing

/// Seeds of the simulated cluster at CI size; `varve-sim` runs as many as there is time for.
@Suite struct SimulationTests {
    /// How many seeds, and from where: `VARVE_SIM_SEEDS`, `VARVE_SIM_FROM`.
    private static func setting(_ name: String, _ usual: UInt64) -> UInt64 {
        getenv(name).flatMap { UInt64(String(cString: $0)) } ?? usual
    }

    @Test func `all promises are kept whatever goes wrong`() {
        let first = Self.setting("VARVE_SIM_FROM", 1)
        let count = Self.setting("VARVE_SIM_SEEDS", 200)
        var faults = 0
        var promises = 0
        var copies = 0
        var packs = 0
        var cold = 0
        for seed in first..<(first + count) {
            let report = Simulation.run(seed: seed)
            faults += report.faultCount
            promises += report.promiseCount
            copies += report.copyCount
            packs += report.packCount
            cold += report.coldCount
            if let violation = report.violation {
                Issue.record("varve-sim --seed \(seed): \(violation)")
            }
        }
        // A simulation in which little happens shows little.
        #expect(faults >= Int(count) * 10, "\(faults) faults in \(count) seeds")
        #expect(promises >= Int(count) * 5, "\(promises) promises in \(count) seeds")
        #expect(copies >= Int(count) * 5, "\(copies) copies made in \(count) seeds")
        #expect(packs >= Int(count), "\(packs) packs counted in \(count) seeds")
        #expect(cold >= Int(count), "\(cold) instances in packs only in \(count) seeds")
    }

    @Test func `every kind of fault takes place`() {
        // A full journal is rare: a hundred seeds in a row may have none.
        var missing = Set(FaultKind.allCases)
        for seed in UInt64(500)..<1500 where !missing.isEmpty {
            missing.subtract(Simulation.run(seed: seed).faultCounts.filter { $0.value > 0 }.keys)
        }
        #expect(missing.isEmpty, "\(missing.map(\.rawValue).sorted())")
    }

    @Test func `the same seed gives the same run`() {
        for seed in UInt64(1)...15 {
            let first = Simulation.run(seed: seed)
            let second = Simulation.run(seed: seed, traceLimit: 100)
            #expect(first.hash == second.hash, "seed \(seed)")
            #expect(first.faultCounts == second.faultCounts, "seed \(seed)")
            #expect(first.eventCount == second.eventCount, "seed \(seed)")
        }
        #expect(Simulation.run(seed: 1).hash != Simulation.run(seed: 2).hash)
    }

    @Test func `seeds that once found something find nothing any more`() {
        for (seed, found) in Regressions.seeds {
            let report = Simulation.run(seed: seed)
            #expect(report.violation == nil, "varve-sim --seed \(seed), which had found: \(found)")
        }
    }
}
