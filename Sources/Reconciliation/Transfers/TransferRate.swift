// SPDX-License-Identifier: Apache-2.0

/// How fast copies are made: over the last minute, or since they began when that is less.
public struct TransferRate: Sendable {
    private struct Sample {
        let time: Duration
        let itemCount: Int
        let byteCount: Int64
    }

    private let window: Duration
    private var samples: [Sample] = []

    public init(window: Duration = .seconds(60)) {
        self.window = window
    }

    /// Notes how many copies have been made in all, and their bytes.
    ///
    /// Times are readings of a clock that only goes forward.
    public mutating func note(itemCount: Int, byteCount: Int64, at time: Duration) {
        samples.append(Sample(time: time, itemCount: itemCount, byteCount: byteCount))
        // The newest of those that are too old is where the window begins.
        while samples.count > 2, time - samples[1].time >= window { samples.removeFirst() }
    }

    /// Bytes and copies a second; 0 until something can be said.
    public var perSecond: (items: Double, bytes: Double) {
        guard let first = samples.first, let last = samples.last else { return (0, 0) }
        let seconds = (last.time - first.time) / .seconds(1)
        guard seconds > 0 else { return (0, 0) }
        return (Double(last.itemCount - first.itemCount) / seconds, Double(last.byteCount - first.byteCount) / seconds)
    }
}
