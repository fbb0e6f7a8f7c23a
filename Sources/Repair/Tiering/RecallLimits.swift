// SPDX-License-Identifier: Apache-2.0

/// How much is recalled at once, how fast, and how long what fails is left alone.
package struct RecallLimits: Hashable, Sendable {
    /// Studies that are worked on at once; one that a person waits for does not wait for one that rules want.
    package var recallsAtOnce = 2
    /// Records that are read from a pack, and counted, at once: so much of the work is at most done anew after a crash.
    package var recordsAtOnce = 256
    /// Bytes of them, but for one that is larger.
    package var bytesAtOnce: Int64 = 256 << 20
    /// After so many batches it is asked anew who is there, and what is urgent.
    package var batchesAtOnce = 32
    /// Copies that a node takes from the one that has read the pack, at once.
    package var pullsAtOnce = 4
    /// A node that could not take so many in turn is left out until the next records.
    package var refusalsInTurn = 3
    /// So many nodes have to have a record before it is counted, or as many as copies are wanted when that is fewer.
    ///
    /// As many as a store waits for; repair makes the rest.
    package var leastCopies = 2
    /// Bytes a second of a study that rules want back, while its nodes serve somebody; 0 is without limit.
    package var bytesPerSecond: Int64 = 50_000_000
    /// How long what failed rests: 10 seconds, 20, 40, up to an hour.
    package var firstPause = Duration.seconds(10)
    package var longestPause = Duration.seconds(3600)
    /// After so many failures in turn a recall needs a person.
    package var attempts = 12
    /// How long it is waited for a medium until it is looked again: an eighth of what it has waited, within these.
    package var mediaPauses = Duration.seconds(5)...Duration.seconds(300)
    /// How long it is waited for nodes that may be dropping a copy yet; that is no failure.
    package var settlingPause = Duration.seconds(2)
    /// After so many such pauses in turn others stand in for these nodes.
    ///
    /// A node that was told to hold a copy, or is not sure of what it has, does not drop it, and says so for ever.
    package var settlings = 5

    package init() {}

    /// How long a recall rests after its `attempt`th failure (from 1); `nil`: it needs a person.
    package func pause(afterAttempt attempt: Int) -> Duration? {
        guard attempt < attempts else { return nil }
        let doublings = min(max(0, attempt - 1), 16)
        return min(longestPause, firstPause * (1 << doublings))
    }
}
