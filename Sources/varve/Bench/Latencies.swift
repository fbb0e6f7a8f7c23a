// SPDX-License-Identifier: Apache-2.0

/// How long each of many operations took.
struct Latencies: Sendable {
    private var sorted: [Duration]

    init(_ durations: [Duration]) {
        sorted = durations.sorted()
    }

    var count: Int { sorted.count }

    /// The duration that `share` (0 to 1) of all do not exceed, in milliseconds; 0 when there are none.
    func milliseconds(_ share: Double) -> Double {
        guard !sorted.isEmpty else { return 0 }
        let rank = Int((share * Double(sorted.count)).rounded(.up)) - 1
        return sorted[max(0, min(rank, sorted.count - 1))] / .milliseconds(1)
    }
}
