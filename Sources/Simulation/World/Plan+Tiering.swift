// SPDX-License-Identifier: Apache-2.0

import Repair
import SimulatedDisk

/// What a seed makes of tiering, where there is any.
extension Plan {
    struct Tiering {
        /// Orders that a study be moved, holds, and orders that are cancelled, while there is work.
        var orderCount: Int
        var holdCount: Int
        var cancelCount: Int
        /// Percent of the orders that leave the copies on nodes as they are.
        var keepsHotPercent: Double
        /// Microseconds that packs have to stand.
        var shortestSoak: Int64
        var longestSoak: Int64
        var limits = MoveLimits()
    }

    /// Draws after everything else, so that seeds without tiering are what they were before there was any.
    mutating func planTiering(using random: inout SeededGenerator) {
        guard Bool.random(using: &random) else { return }
        let percent = [0, 50, 100][Int.random(in: 0..<3, using: &random)]
        kinds.formUnion(FaultKind.ofPacks.filter { _ in Int.random(in: 0..<100, using: &random) < percent })
        let shortest = Int64.random(in: 100_000...800_000, using: &random)
        var tiering = Tiering(
            orderCount: Int.random(in: 1...8, using: &random),
            holdCount: Int.random(in: 0...4, using: &random),
            cancelCount: Int.random(in: 0..<3, using: &random) == 0 ? Int.random(in: 1...2, using: &random) : 0,
            keepsHotPercent: [0, 0, 20, 60][Int.random(in: 0..<4, using: &random)],
            shortestSoak: shortest,
            longestSoak: shortest + Int64.random(in: 0...2_500_000, using: &random)
        )
        tiering.limits.dropsCopies = true
        tiering.limits.movesAtOnce = Int.random(in: 1...3, using: &random)
        tiering.limits.recordsAPack = Int.random(in: 1...8, using: &random)
        tiering.limits.dropsAtOnce = Int.random(in: 1...5, using: &random)
        tiering.limits.attempts = Int.random(in: 4...8, using: &random)
        tiering.limits.firstPause = .milliseconds(100)
        tiering.limits.longestPause = .milliseconds(1_600)
        tiering.limits.heldPause = .milliseconds(300)
        tiering.limits.recheckAge = .milliseconds(Int.random(in: 1_500...8_000, using: &random))
        tiering.limits.recheckInterval = .milliseconds(400)
        tiering.limits.rechecksAtOnce = 4
        self.tiering = tiering
    }
}
