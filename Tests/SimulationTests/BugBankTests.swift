// SPDX-License-Identifier: Apache-2.0

import Simulation
import Testing

/// The simulator is not blind: each deliberate mistake is found.
@Suite struct BugBankTests {
    /// The most seeds that a mistake may take; docs/testing.md has how many each took.
    private static let limit: UInt64 = 400

    /// The first seed of each mistake that takes many, which is tried before the others: any seed up to the limit will do.
    private static let known: [Defect: UInt64] = [
        .giveUpOnly: 241, .dropPackedUnderOldTerm: 273, .dropCancelled: 58, .readPackUnchecked: 18,
    ]

    @Test(arguments: Defect.allCases)
    func `the simulation finds`(defect: Defect) {
        let seeds = [Self.known[defect]].compactMap(\.self) + Array(1...Self.limit)
        let isFound = seeds.contains { Simulation.run(seed: $0, defect: defect).violation != nil }
        #expect(isFound, "\(defect.rawValue) is not found by \(Self.limit) seeds")
    }

    @Test func `a violation comes with what led to it`() {
        let report = Simulation.run(seed: 1, defect: .skipSync, traceLimit: 50)
        #expect(report.violation != nil)
        #expect(report.trace.contains { $0.contains("VIOLATION") })
    }
}
