// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The bounded queue between callers and codec threads: a mutex, a condition, and a ring of closures.
///
/// NIO's locks have no plain condition to wait on; this is the one place that needs it.
///
/// Safety: every stored property is read and written under `mutex` only; the C objects live at fixed addresses from
/// `init` to `deinit`.
final class JobQueue: @unchecked Sendable {
    /// A job is called exactly once: with a thread's scratch memory to run, or with nil when the pool shuts down.
    typealias Job = @Sendable (CodecScratch?) -> Void

    enum Admission {
        case accepted
        case full
        case closed
    }

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private let limit: Int
    private var jobs: [Job?]
    private var head = 0
    private var count = 0
    private var isClosed = false

    init(limit: Int) {
        self.limit = limit
        jobs = Array(repeating: nil, count: limit)
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    var waitingCount: Int {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return count
    }

    func push(_ job: @escaping Job) -> Admission {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        if isClosed { return .closed }
        if count == limit { return .full }
        jobs[(head + count) % limit] = job
        count += 1
        pthread_cond_signal(condition)
        return .accepted
    }

    /// Waits for a job; nil when the queue was closed.
    func pop() -> Job? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while count == 0, !isClosed { pthread_cond_wait(condition, mutex) }
        return isClosed ? nil : takeFirst()
    }

    /// Turns away new jobs, wakes all threads, and gives back the jobs that never began.
    func close() -> [Job] {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        isClosed = true
        pthread_cond_broadcast(condition)
        var rest: [Job] = []
        while count > 0 { if let job = takeFirst() { rest.append(job) } }
        return rest
    }

    private func takeFirst() -> Job? {
        defer {
            jobs[head] = nil
            head = (head + 1) % limit
            count -= 1
        }
        return jobs[head]
    }
}
