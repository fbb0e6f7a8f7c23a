// SPDX-License-Identifier: Apache-2.0

import CPlatform
import NIOCore

/// A few threads for blocking work: one hop an operation, however many system calls it makes.
final class DiskThreadPool: Sendable {
    private struct State {
        var jobs = CircularBuffer<@Sendable () -> Void>()
        var threadCount: Int
        var isClosing = false
        var onClosed: [@Sendable () -> Void] = []
    }

    private let monitor: Monitor<State>
    private let queueLimit: Int

    /// `isBackground`: the threads give way to all others.
    init(
        name: String,
        threadCount: Int,
        queueLimit: Int,
        isBackground: Bool = false
    ) throws(SegmentStoreError) {
        self.queueLimit = queueLimit
        self.monitor = Monitor(State(threadCount: 0))
        for index in 0..<max(1, threadCount) {
            let monitor = monitor
            try startDiskThread(name: "\(name)-\(index)") {
                if isBackground { varve_thread_make_background() }
                Self.work(monitor)
            }
            monitor.withLock { $0.threadCount += 1 }
        }
    }

    /// Runs `body` on one of the threads.
    func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws(SegmentStoreError) -> Value
    ) async throws(SegmentStoreError) -> Value {
        let result: Result<Value, SegmentStoreError> = await withCheckedContinuation { continuation in
            let refusal = submit { continuation.resume(returning: Result(catching: body)) }
            if let refusal { continuation.resume(returning: .failure(refusal)) }
        }
        return try result.get()
    }

    /// Has `job` run on one of the threads; returns why it won't be.
    func submit(_ job: @escaping @Sendable () -> Void) -> SegmentStoreError? {
        var refusal: SegmentStoreError?
        monitor.withLockSignalling { state in
            if state.isClosing {
                refusal = SegmentStoreError(.closed, "store is closed")
            } else if state.jobs.count >= queueLimit {
                refusal = SegmentStoreError(.overloaded, "\(queueLimit) operations wait for a disk thread")
            } else {
                state.jobs.append(job)
            }
            return refusal == nil
        }
        return refusal
    }

    /// Finishes what was submitted, ends the threads, and then returns.
    func close() async {
        await withCheckedContinuation { continuation in
            let isClosed = monitor.withLock { state in
                state.isClosing = true
                if state.threadCount > 0 { state.onClosed.append { continuation.resume() } }
                return state.threadCount == 0
            }
            monitor.broadcast()
            if isClosed { continuation.resume() }
        }
    }

    private static func work(_ monitor: Monitor<State>) {
        while true {
            let job: (@Sendable () -> Void)? = monitor.wait { state -> (@Sendable () -> Void)?? in
                if let job = state.jobs.popFirst() { return .some(job) }
                return state.isClosing ? .some(nil) : nil
            }
            guard let job else { break }
            job()
        }
        let onClosed = monitor.withLock { state in
            state.threadCount -= 1
            return state.threadCount == 0 ? state.onClosed : []
        }
        for resume in onClosed { resume() }
    }
}
