// SPDX-License-Identifier: Apache-2.0

import Foundation
import SimulatedDisk
import Testing

/// Lives of a store by chance, with every end that it can come to, against a model of what was answered.
///
/// `VARVE_TEST_LIVES` says how many, `VARVE_TEST_LIFE` names one by its seed.
@Suite struct LifeTests {
    private static var lifeCount: Int {
        ProcessInfo.processInfo.environment["VARVE_TEST_LIVES"].flatMap { Int($0) } ?? 12
    }

    @Test func nothingThatWasAnsweredIsEverLost() throws {
        var seeds = SeededGenerator.announced("nothingThatWasAnsweredIsEverLost")
        let only = ProcessInfo.processInfo.environment["VARVE_TEST_LIFE"].flatMap { UInt64($0) }
        for _ in 0..<(only == nil ? Self.lifeCount : 1) {
            let seed = only ?? seeds.next()
            var life = try Life(seed: seed)
            do {
                for _ in 0..<120 { try life.step() }
                try life.check()
            } catch {
                Issue.record("life with seed \(seed) ended: \(error); last steps: \(life.log.suffix(12))")
                return
            }
        }
    }
}
