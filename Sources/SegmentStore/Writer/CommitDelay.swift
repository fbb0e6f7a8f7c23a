// SPDX-License-Identifier: Apache-2.0

/// How long the writer waits for company before it takes a batch (docs/decisions/0028-waiting-for-company.md).
///
/// Whoever has just been answered often comes again at once: a batch that waits for them a little saves a sync. Pure; the
/// writer thread owns it and tells it how long things took.
package struct CommitDelay: Sendable {
    /// What to wait for.
    package struct Wait: Hashable, Sendable {
        /// So many puts in all; then there is nothing more to wait for.
        package let count: Int
        /// The longest, in nanoseconds.
        package let nanoseconds: Int64

        package init(count: Int, nanoseconds: Int64) {
            self.count = count
            self.nanoseconds = nanoseconds
        }
    }

    /// A wait takes at most half of what the last batch took on the disk, and less after waits in vain.
    private static let leastShift = 1
    private static let mostShift = 6
    /// After so many short waits a long one is tried again.
    private static let shortWaitCount = 16

    private let maximumRecordCount: Int
    private let maximumNanoseconds: Int64
    /// How many puts the next batch may expect.
    private var company = 1
    private var lastBatchNanoseconds: Int64 = 0
    /// A wait takes at most the last batch's time divided by two to this power.
    private var shift = Self.leastShift
    private var shortWaits = 0

    package init(maximumRecordCount: Int, maximumNanoseconds: Int64) {
        self.maximumRecordCount = maximumRecordCount
        self.maximumNanoseconds = maximumNanoseconds
    }

    /// What to wait for when `waiting` puts are there; `nil` to go on at once, which a put without company always does.
    package func wait(waiting: Int) -> Wait? {
        let wanted = min(company, maximumRecordCount)
        guard wanted > 1, waiting < wanted else { return nil }
        let isTrial = shortWaits >= Self.shortWaitCount
        let nanoseconds = min(maximumNanoseconds, lastBatchNanoseconds >> (isTrial ? Self.leastShift : shift))
        return nanoseconds > 0 ? Wait(count: wanted, nanoseconds: nanoseconds) : nil
    }

    /// A wait that began with `before` puts ended with `after`; it was in vain unless half of those missed came.
    package mutating func waited(_ wait: Wait, before: Int, after: Int) {
        if 2 * (after - before) >= wait.count - before {
            shift = Self.leastShift
            shortWaits = 0
        } else if shortWaits >= Self.shortWaitCount {
            shortWaits = 0
        } else {
            shift = min(shift + 1, Self.mostShift)
            shortWaits += 1
        }
    }

    /// A batch of `count` puts took so long on the disk, and `waiting` have come meanwhile.
    ///
    /// Both are the company of the next one: those answered may come again.
    package mutating func committed(count: Int, waiting: Int, nanoseconds: Int64) {
        company = count + waiting
        if count > 0 { lastBatchNanoseconds = nanoseconds }
    }
}
