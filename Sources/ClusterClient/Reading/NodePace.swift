// SPDX-License-Identifier: Apache-2.0

/// How long a node takes for a read, as its latest answers show: their mean and how far they lie from it (RFC 6298).
///
/// Reads are of all sizes; a large one counts as several of 256 KiB. What is known fades, so that a node that was slow
/// is tried again.
package struct NodePace {
    /// What a read is worth: 1 up to 256 KiB.
    package static func weight(byteCount: Int) -> Double { max(1, Double(byteCount) / Double(256 << 10)) }

    /// After so long without an answer, half of what is known is forgotten.
    private static let halfLife: Double = 10

    /// Reads under way.
    package var running = 0
    private var mean: Double = 0
    private var deviation: Double = 0
    private var isKnown = false
    private var lastSeen = ContinuousClock.Instant.now

    package init() {}

    /// Takes note of a read that took `elapsed`, or has taken that long and is given up.
    package mutating func note(_ elapsed: Duration, weight: Double, now: ContinuousClock.Instant) {
        let seconds = elapsed / .seconds(1) / weight
        if isKnown {
            deviation += (abs(seconds - mean) - deviation) / 4
            mean += (seconds - mean) / 8
        } else {
            (mean, deviation, isKnown) = (seconds, seconds / 2, true)
        }
        // Slow is believed at once, fast little by little.
        mean = max(mean, min(seconds, 4 * mean))
        lastSeen = now
    }

    /// What asking this node costs: its pace times those that wait there already; 0 for a node not known yet.
    package func cost(now: ContinuousClock.Instant) -> Double {
        mean * fading(now) * Double(running + 1)
    }

    /// How long to wait for an answer before another copy is asked; `nil` for a node not known yet.
    package func patience(weight: Double) -> Duration? {
        isKnown ? .seconds((mean + 4 * deviation) * weight) : nil
    }

    private func fading(_ now: ContinuousClock.Instant) -> Double {
        let seconds = (now - lastSeen) / .seconds(1)
        guard seconds > 1 else { return 1 }
        // 0.5 to the power of the half-lives passed; in steps, which is exact enough.
        var factor = 1.0
        var rest = seconds / Self.halfLife
        while rest >= 1, factor > 0.001 {
            factor /= 2
            rest -= 1
        }
        return factor * (1 - rest / 2)
    }
}

/// Keeps second requests to one in ten reads: when all nodes are slow, asking twice makes them slower.
package struct HedgeBudget {
    private static let share = 0.1
    private static let maximum = 10.0

    private var tokens = HedgeBudget.maximum

    package init() {}

    package mutating func readBegan() {
        tokens = min(Self.maximum, tokens + Self.share)
    }

    /// Whether a second request may be made; it is counted then.
    package mutating func take() -> Bool {
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }
}
