// SPDX-License-Identifier: Apache-2.0

/// Which accepted instances are looked at again: one of so many by chance, and only so many a minute, so that a flood does
/// not make a flood of looks.
///
/// A value; clock and chance are passed in.
package struct WatchSampler: Sendable {
    /// One of so many is taken, 1 or more.
    private let oneOf: Int
    /// At most so many in a minute of the clock.
    private let limitPerMinute: Int
    private var minute: Int64 = .min
    private var takenCount = 0

    package init(oneOf: Int, limitPerMinute: Int) {
        self.oneOf = max(1, oneOf)
        self.limitPerMinute = limitPerMinute
    }

    /// Whether an instance is taken that was accepted at `milliseconds` of a clock that does not go back; `random` is any
    /// number, each as likely.
    package mutating func takes(at milliseconds: Int64, random: UInt64) -> Bool {
        guard random.multipliedFullWidth(by: UInt64(oneOf)).high == 0 else { return false }
        let now = milliseconds / 60_000
        if now != minute { (minute, takenCount) = (now, 0) }
        guard takenCount < limitPerMinute else { return false }
        takenCount += 1
        return true
    }
}
