// SPDX-License-Identifier: Apache-2.0

/// Whether a node serves anybody but the cluster itself, by a count of requests that it tells from time to time.
///
/// Times are readings of a clock that only goes forward.
public struct ForegroundWatch: Sendable {
    /// How long a node must have been asked for next to nothing before it is idle: pauses between the images of a study are
    /// shorter.
    public static let quietTime = Duration.seconds(5)
    /// Requests in that time that are no load: samples that are fetched again, and somebody who looks at a single image.
    public static let toleratedCount: UInt64 = 5

    /// The newest that is old enough, and those after it.
    private var told: [(count: UInt64, time: Duration)] = []

    public init() {}

    /// Notes what the node told (nil: it did not tell) and returns whether it is idle.
    ///
    /// Of one that does not tell, or was not watched long enough, nothing is known: it is not.
    public mutating func note(_ count: UInt64?, at now: Duration) -> Bool {
        // A node that was started again counts from 0.
        if count == nil || told.last.map({ $0.count > count ?? 0 }) ?? false { told = [] }
        guard let count else { return false }
        told.append((count, now))
        while told.count > 1, now - told[1].time >= Self.quietTime { told.removeFirst() }
        guard let first = told.first, now - first.time >= Self.quietTime else { return false }
        return count - first.count <= Self.toleratedCount
    }
}
