// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Work that waits for a thread, first come first served, bounded, each piece with a deadline.
///
/// Threads take work out; `expire` answers what has waited past its deadline, so that callers are not held up by
/// threads that are.
final class WorkQueue<Item: Sendable>: Sendable {
    fileprivate struct State {
        var items: [Item] = []
        /// Items before this position have been taken.
        var head = 0
        var isClosed = false
        var runningThreadCount = 0
        var closeWaiters: [CheckedContinuation<Void, Never>] = []
    }

    private let monitor = Monitor(State())
    /// Whether the queue is closed: apart, so that a sleeping thread is never woken in place of one that waits for work.
    private let closing = Monitor(false)
    private let limit: Int
    private let deadline: @Sendable (Item) -> NIODeadline

    enum Refusal: Error {
        case full
        case closed
    }

    init(limit: Int, deadline: @escaping @Sendable (Item) -> NIODeadline) {
        self.limit = limit
        self.deadline = deadline
    }

    /// Adds an item, or says why not.
    func add(_ item: Item) -> Refusal? {
        let refusal: Refusal? = monitor.withLock { state in
            if state.isClosed { return .closed }
            if state.items.count - state.head >= limit { return .full }
            state.items.append(item)
            return nil
        }
        if refusal == nil { monitor.signal() }
        return refusal
    }

    /// Waits for items and takes those that `select` returns out of the waiting ones; `nil` once the queue is closed
    /// and empty.
    ///
    /// `select` gets the waiting items and returns the positions to take, ascending, at least one.
    func take(_ select: (ArraySlice<Item>) -> [Int]) -> [Item]? {
        let taken: [Item]? = monitor.wait { state -> [Item]?? in
            let waiting = state.items[state.head...]
            guard !waiting.isEmpty else { return state.isClosed ? .some(nil) : nil }
            let positions = select(waiting)
            let taken = positions.map { state.items[$0] }
            state.remove(positions)
            return .some(taken)
        }
        return taken
    }

    /// Takes out what has waited past its deadline.
    func expired(now: NIODeadline) -> [Item] {
        monitor.withLock { state in
            let positions = state.items.indices.dropFirst(state.head).filter { deadline(state.items[$0]) <= now }
            guard !positions.isEmpty else { return [] }
            let taken = positions.map { state.items[$0] }
            state.remove(Array(positions))
            return taken
        }
    }

    // MARK: end

    /// Refuses new items; those that wait are still taken.
    func close() {
        monitor.withLock { $0.isClosed = true }
        monitor.broadcast()
        closing.withLock { $0 = true }
        closing.broadcast()
    }

    /// Sleeps until the deadline; returns false at once when the queue is closed.
    func pause(until deadline: NIODeadline) -> Bool {
        closing.wait(until: deadline) { isClosed in isClosed ? true : nil } == nil
    }

    func threadStarted() {
        monitor.withLock { $0.runningThreadCount += 1 }
    }

    func threadEnded() {
        let waiters = monitor.withLock { state in
            state.runningThreadCount -= 1
            guard state.runningThreadCount == 0 else { return [CheckedContinuation<Void, Never>]() }
            defer { state.closeWaiters = [] }
            return state.closeWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when every thread has ended.
    func waitForThreads() async {
        await withCheckedContinuation { continuation in
            let isDone = monitor.withLock { state in
                if state.runningThreadCount > 0 { state.closeWaiters.append(continuation) }
                return state.runningThreadCount == 0
            }
            if isDone { continuation.resume() }
        }
    }
}

extension WorkQueue.State {
    /// Removes items at ascending positions.
    fileprivate mutating func remove(_ positions: [Int]) {
        // Nearly always a prefix: then only the head moves.
        if let last = positions.last, last == head + positions.count - 1 {
            head = last + 1
        } else {
            for position in positions.reversed() { items.remove(at: position) }
        }
        if head == items.count {
            items.removeAll(keepingCapacity: true)
            head = 0
        } else if head > 4096 {
            items.removeSubrange(..<head)
            head = 0
        }
    }
}
