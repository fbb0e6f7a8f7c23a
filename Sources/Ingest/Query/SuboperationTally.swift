// SPDX-License-Identifier: Apache-2.0

package import DIMSE
import NIOConcurrencyHelpers

/// The counts of one C-GET or C-MOVE, over all of its associations, and when the requestor is told of them.
///
/// May be used from any task.
package final class SuboperationTally: Sendable {
    private struct State {
        var counts: SuboperationCounts
        var failed: [String] = []
        var offlineCount = 0
        var retryAfterSeconds: Int?
        var lastReport: ContinuousClock.Instant?
        var isReporting = false
    }

    /// The time between two pending responses; PS3.4 sections C.4.2.3.1 and C.4.3.3.1 leave it to the SCP.
    package static let interval = Duration.milliseconds(100)

    private let state: NIOLockedValueBox<State>

    package init(count: Int) {
        self.state = NIOLockedValueBox(State(counts: SuboperationCounts(remaining: count)))
    }

    package var counts: SuboperationCounts { state.withLockedValue { $0.counts } }
    /// SOP Instance UIDs of those that failed, in the order in which they did.
    package var failed: [String] { state.withLockedValue { $0.failed } }

    /// How many failed because they are on media that are not at hand, and when to come back, in seconds.
    package var offline: (count: Int, retryAfterSeconds: Int)? {
        state.withLockedValue { state in state.retryAfterSeconds.map { (state.offlineCount, $0) } }
    }

    /// Notes that an instance, which is counted as failed, is on a medium that is not at hand.
    package func noteOffline(retryAfterSeconds: Int) {
        state.withLockedValue { state in
            state.offlineCount += 1
            state.retryAfterSeconds = min(state.retryAfterSeconds ?? retryAfterSeconds, retryAfterSeconds)
        }
    }

    /// Counts what became of an instance.
    package func add(_ status: DIMSEStatus, of sopInstanceUID: String) {
        state.withLockedValue { state in
            state.counts.add(status)
            if !status.isSuccess, !status.isWarning { state.failed.append(sopInstanceUID) }
        }
    }

    /// What the requestor is to be told now; nil when it was told a short while ago, or is being told.
    ///
    /// The first is due at once. Whoever is given counts sends them and then says so with ``reported()``: one at a time, so
    /// that later counts never overtake earlier ones.
    package func takeReport(now: ContinuousClock.Instant) -> SuboperationCounts? {
        state.withLockedValue { state in
            guard !state.isReporting else { return nil }
            if let last = state.lastReport, last.advanced(by: Self.interval) > now { return nil }
            state.lastReport = now
            state.isReporting = true
            return state.counts
        }
    }

    /// The counts given out were sent.
    package func reported() {
        state.withLockedValue { $0.isReporting = false }
    }
}
