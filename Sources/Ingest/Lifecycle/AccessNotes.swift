// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers

/// Which studies were read since it was last written down.
///
/// Noting is a look into a table under a lock, for every request that reads; a study is written down once an hour at most.
/// What is noted and not written yet is lost in a crash: a study then counts as read up to an hour and a minute earlier
/// than it was.
package final class AccessNotes: Sendable {
    /// Studies that wait to be written; more are not noted until they were.
    package static let pendingLimit = 50_000
    /// Studies of which is remembered that they were written; with more, all are forgotten, and are written again.
    package static let writtenLimit = 100_000
    /// Milliseconds for which a study that was written is not written again.
    package static let interval: Int64 = 3_600_000

    private struct State {
        var pending: [String: Int64] = [:]
        var written: [String: Int64] = [:]
    }

    private let state = NIOLockedValueBox(State())

    package init() {}

    /// Notes that a study was read, in milliseconds since 1970.
    package func note(_ study: String, at time: Int64) {
        state.withLockedValue { state in
            if let written = state.written[study], time - written < Self.interval { return }
            guard state.pending[study] == nil, state.pending.count < Self.pendingLimit else { return }
            state.pending[study] = time
        }
    }

    /// Takes what is to be written, as if it were.
    package func take() -> [String: Int64] {
        state.withLockedValue { state in
            let pending = state.pending
            state.pending = [:]
            if state.written.count + pending.count > Self.writtenLimit { state.written = [:] }
            state.written.merge(pending) { max($0, $1) }
            return pending
        }
    }

    /// Puts back what could not be written.
    package func putBack(_ notes: [String: Int64]) {
        state.withLockedValue { state in
            for (study, time) in notes {
                state.written[study] = nil
                if state.pending.count < Self.pendingLimit || state.pending[study] != nil {
                    state.pending[study] = max(state.pending[study] ?? 0, time)
                }
            }
        }
    }
}
