// SPDX-License-Identifier: Apache-2.0

/// Decides how fast a store is read for checking, so that every byte is checked within the deadline.
///
/// A pure state machine: told the time, the size of the store and the age of what was checked longest ago, it says how
/// long to wait before the next piece is read. The rate follows from the size; it is a little higher than needed, and
/// several times as high when the oldest byte comes close to the deadline, after a pause or when the store has grown.
/// Time that was slept through is not made up for by a burst, but by the age that it leaves behind.
package struct ScrubPacer: Sendable {
    /// The longest wait before the size of the store is looked at again, in nanoseconds: a minute, or a tenth of a short
    /// deadline.
    package let maximumDelayNanoseconds: Int64
    /// A store is gone through in this part of the deadline.
    private static let aim = 0.8
    /// When the oldest byte is older than this part of the deadline, reading speeds up.
    private static let urgency = 0.9
    private static let urgentFactor = 5.0
    /// The least speed for catching up, in bytes a second.
    private static let urgentBytesPerSecond = 8.0 * 1024 * 1024

    private let deadlineSeconds: Double
    private let pieceByteCount: Double
    private var budget = 0.0
    private var lastNanoseconds: Int64?

    /// A pace that checks every byte within `deadlineSeconds`, in pieces of `pieceByteCount` bytes.
    package init(deadlineSeconds: Double, pieceByteCount: Int) {
        self.deadlineSeconds = max(1, deadlineSeconds)
        self.maximumDelayNanoseconds = Int64(min(60, max(1, deadlineSeconds) / 10) * 1e9)
        self.pieceByteCount = Double(pieceByteCount)
    }

    /// The bytes a second at which a store of `byteCount` bytes is read whose oldest byte is `ageSeconds` old.
    package func bytesPerSecond(byteCount: UInt64, ageSeconds: Double) -> Double {
        let rate = Double(byteCount) / (deadlineSeconds * Self.aim)
        guard ageSeconds > deadlineSeconds * Self.urgency else { return rate }
        return max(rate * Self.urgentFactor, Self.urgentBytesPerSecond)
    }

    /// How long to wait before the next piece, in nanoseconds; 0: read it now.
    package mutating func delay(at nanoseconds: Int64, byteCount: UInt64, ageSeconds: Double) -> Int64 {
        let rate = bytesPerSecond(byteCount: byteCount, ageSeconds: ageSeconds)
        let piece = min(pieceByteCount, Double(byteCount))
        let elapsed = Double(max(0, nanoseconds - (lastNanoseconds ?? nanoseconds))) / 1e9
        lastNanoseconds = nanoseconds
        budget = min(budget + elapsed * rate, piece)
        guard piece > 0, budget < piece else { return piece > 0 ? 0 : maximumDelayNanoseconds }
        let seconds = (piece - budget) / rate
        return max(1, Int64(min(seconds, Double(maximumDelayNanoseconds) / 1e9) * 1e9))
    }

    /// Notes that so many bytes were read.
    package mutating func spent(_ byteCount: Int) { budget -= Double(byteCount) }
}
