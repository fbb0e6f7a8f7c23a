// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers

/// Values that end in any order, for one task that takes them in the order of their indices.
final class OrderedValues<Value: Sendable>: Sendable {
    private struct State {
        /// Those that have not ended, whether it is known how they are given up or not.
        var open: Set<Int> = []
        var ended: [Int: Result<Value, any Error>] = [:]
        var running: [Int: RunningWork] = [:]
        var isCancelled = false
        var awaited: (index: Int, continuation: CheckedContinuation<Result<Value, any Error>, Never>)?
        var onAllEnded: CheckedContinuation<Void, Never>?
    }

    private let state = NIOLockedValueBox(State())

    /// The work of `index` is about to begin.
    func begun(_ index: Int) {
        state.withLockedValue { _ = $0.open.insert(index) }
    }

    /// The work of `index`, by which it is given up; it may have ended already.
    func running(_ index: Int, _ work: RunningWork) {
        let isCancelled = state.withLockedValue { state in
            guard state.open.contains(index) else { return false }
            if !state.isCancelled { state.running[index] = work }
            return state.isCancelled
        }
        if isCancelled { work.cancel() }
    }

    /// The work of `index` has ended.
    func ended(_ index: Int, _ result: Result<Value, any Error>) {
        let (awaiting, allEnded) = state.withLockedValue { state in
            state.running[index] = nil
            state.open.remove(index)
            var awaiting: CheckedContinuation<Result<Value, any Error>, Never>?
            if let awaited = state.awaited, awaited.index == index {
                awaiting = awaited.continuation
                state.awaited = nil
            } else {
                state.ended[index] = result
            }
            guard state.open.isEmpty else { return (awaiting, nil as CheckedContinuation<Void, Never>?) }
            defer { state.onAllEnded = nil }
            return (awaiting, state.onAllEnded)
        }
        awaiting?.resume(returning: result)
        allEnded?.resume()
    }

    /// Whether the value of `index` is there.
    func hasEnded(_ index: Int) -> Bool {
        state.withLockedValue { $0.ended[index] != nil }
    }

    /// The value of `index`, which has begun; once.
    func value(_ index: Int) async throws -> Value {
        let result = await withCheckedContinuation { continuation in
            let ended = state.withLockedValue { state in
                let ended = state.ended.removeValue(forKey: index)
                if ended == nil { state.awaited = (index, continuation) }
                return ended
            }
            if let ended { continuation.resume(returning: ended) }
        }
        return try result.get()
    }

    /// Gives up all that has begun, and what begins from now on.
    func cancelAll() {
        let works = state.withLockedValue { state in
            state.isCancelled = true
            defer { state.running = [:] }
            return Array(state.running.values)
        }
        for work in works { work.cancel() }
    }

    /// Returns when nothing runs any more; nothing may begin meanwhile.
    func allEnded() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLockedValue { state in
                if !state.open.isEmpty { state.onAllEnded = continuation }
                return state.open.isEmpty
            }
            if isOver { continuation.resume() }
        }
    }
}
