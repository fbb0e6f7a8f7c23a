// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers

/// When a read is tried on the caller's thread, from memory alone, before a reading thread is asked.
///
/// Pure. Such a read saves two changes of thread, half of the time of a small one. But a caller may be an event loop, and looking
/// up in an index that is not in memory waits for the disk: after one that took long, many are left to the reading threads.
package struct MemoryReadPolicy: Sendable {
    /// From here on a try counts as one that waited for the disk, in nanoseconds: longer than copying and checking a megabyte.
    package static let slowNanoseconds: Int64 = 500_000
    /// How many reads go to the reading threads after a slow one.
    package static let slowSkipCount = 1000
    /// How many at most after tries in vain.
    package static let mostSkipCount = 64

    private var skipCount = 0
    private var vainCount = 0

    package init() {}

    package mutating func mayTry() -> Bool {
        guard skipCount > 0 else { return true }
        skipCount -= 1
        return false
    }

    /// A try ended: whether it found the bytes, and how long it took.
    package mutating func ended(found: Bool, nanoseconds: Int64) {
        vainCount = found ? 0 : min(Self.mostSkipCount, max(1, 2 * vainCount))
        // Others that ran meanwhile may have been slow.
        skipCount = max(skipCount, nanoseconds >= Self.slowNanoseconds ? Self.slowSkipCount : vainCount)
    }
}

/// Reads from memory on their callers' threads, which are over before the store's files and index are closed.
final class MemoryReads: Sendable {
    private struct State {
        var policy = MemoryReadPolicy()
        var runningCount = 0
        var onClosed: CheckedContinuation<Void, Never>?
        var isClosed = false
    }

    private let state = NIOLockedValueBox(State())

    /// Runs `body` if this is the time for it; `nil` otherwise.
    func run<Value>(clock: StoreClock, _ body: () -> Value?) -> Value? {
        let mayTry = state.withLockedValue { state in
            guard !state.isClosed, state.policy.mayTry() else { return false }
            state.runningCount += 1
            return true
        }
        guard mayTry else { return nil }
        let start = clock.monotonicNanoseconds()
        let value = body()
        let nanoseconds = clock.monotonicNanoseconds() - start
        let onClosed: CheckedContinuation<Void, Never>? = state.withLockedValue { state in
            state.policy.ended(found: value != nil, nanoseconds: nanoseconds)
            state.runningCount -= 1
            guard state.runningCount == 0 else { return nil }
            defer { state.onClosed = nil }
            return state.onClosed
        }
        onClosed?.resume()
        return value
    }

    /// Lets no read begin any more and waits for those that run.
    func close() async {
        await withCheckedContinuation { continuation in
            let isIdle = state.withLockedValue { state in
                state.isClosed = true
                if state.runningCount > 0 { state.onClosed = continuation }
                return state.runningCount == 0
            }
            if isIdle { continuation.resume() }
        }
    }
}
