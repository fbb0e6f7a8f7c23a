// SPDX-License-Identifier: Apache-2.0

import CPlatform
import NIOConcurrencyHelpers

/// When a read is tried on the caller's thread, from memory alone, before a reading thread is asked.
///
/// Pure. Such a read saves two changes of thread, half of the time of a small one. But a caller may be an event loop, and looking
/// up in an index that is not in memory waits for the disk: after one that did, many are left to the reading threads. By the
/// clock that could not be told: on a busy machine a thread is often off the processor for longer than a disk takes.
package struct MemoryReadPolicy: Sendable {
    /// How many reads go to the reading threads after one that waited for the disk.
    package static let waitSkipCount = 1000
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

    /// A try ended: whether it found the bytes, and whether it waited for the disk.
    package mutating func ended(found: Bool, waited: Bool) {
        vainCount = found ? 0 : min(Self.mostSkipCount, max(1, 2 * vainCount))
        // Others that ran meanwhile may have waited.
        skipCount = max(skipCount, waited ? Self.waitSkipCount : vainCount)
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
    func run<Value>(_ body: () -> Value?) -> Value? {
        let mayTry = state.withLockedValue { state in
            guard !state.isClosed, state.policy.mayTry() else { return false }
            state.runningCount += 1
            return true
        }
        guard mayTry else { return nil }
        let faults = varve_thread_major_faults()
        let value = body()
        let waited = varve_thread_major_faults() != faults
        let onClosed: CheckedContinuation<Void, Never>? = state.withLockedValue { state in
            state.policy.ended(found: value != nil, waited: waited)
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
