// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A generator that gives the same numbers for the same seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    /// The seed of `VARVE_TEST_SEED`, or a new one; printed, so that a failure can be repeated.
    static func fromEnvironment(_ test: String = #function) -> SeededGenerator {
        let seed =
            ProcessInfo.processInfo.environment["VARVE_TEST_SEED"].flatMap { UInt64($0) }
            ?? UInt64.random(in: 1...1_000_000)
        FileHandle.standardError.write(Data("\(test): VARVE_TEST_SEED=\(seed)\n".utf8))
        return SeededGenerator(state: seed)
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
        return bits ^ (bits >> 31)
    }
}
