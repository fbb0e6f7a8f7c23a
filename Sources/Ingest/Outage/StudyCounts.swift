// SPDX-License-Identifier: Apache-2.0

/// How many instances of each study, by Study Instance UID.
struct StudyCounts: Hashable, Sendable {
    private var counts: [String: Int] = [:]
    private(set) var total = 0

    func contains(_ study: String) -> Bool { counts[study] != nil }

    mutating func add(_ study: String) {
        counts[study, default: 0] += 1
        total += 1
    }

    mutating func add(_ other: StudyCounts) {
        counts.merge(other.counts, uniquingKeysWith: +)
        total += other.total
    }

    /// Takes away what was added before.
    mutating func remove(_ other: StudyCounts) {
        for (study, count) in other.counts {
            let rest = counts[study, default: 0] - count
            counts[study] = rest > 0 ? rest : nil
        }
        total -= other.total
    }
}
