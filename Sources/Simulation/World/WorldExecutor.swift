// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import ReplicationProtocol

/// Runs the tasks of a world on its one thread, in the order in which they became ready, between two events.
///
/// With it asynchronous code of the cluster takes part in a run as it is, and does the same whenever the seed is.
final class WorldExecutor: TaskExecutor {
    private let jobs = NIOLockedValueBox<[UnownedJob]>([])

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        jobs.withLockedValue { $0.append(job) }
    }

    /// Runs what is ready, and what becomes ready by it.
    func drain() {
        while let job = jobs.withLockedValue({ $0.isEmpty ? nil : $0.removeFirst() }) {
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}

/// The answers that tasks of a world wait for.
final class OpenCalls {
    private var cancellations: [Int: () -> Void] = [:]
    private var nextNumber = 0
    private var isOver = false

    /// Waits for the first answer that `start` calls back with; after `timeout` microseconds for no answer any more.
    func call<Value: Sendable>(
        in world: World,
        timeout: Int64,
        _ start: (@escaping (Result<Value, ReplicationError>) -> Void) -> Void
    ) async throws(ReplicationError) -> Value {
        let result: Result<Value, ReplicationError> = await withCheckedContinuation { continuation in
            let number = nextNumber
            nextNumber += 1
            let answer: (Result<Value, ReplicationError>) -> Void = { [self] result in
                guard cancellations.removeValue(forKey: number) != nil else { return }
                continuation.resume(returning: result)
            }
            cancellations[number] = { answer(.failure(ReplicationError(.cancelled, "the run is over"))) }
            guard !isOver else { return cancellations[number]?() ?? () }
            world.after(timeout) { answer(.failure(ReplicationError(.deadlineExceeded, "no answer in time"))) }
            start(answer)
        }
        return try result.get()
    }

    /// Ends all that wait, and lets nothing wait any more.
    func end() {
        isOver = true
        for number in cancellations.keys.sorted() { cancellations[number]?() }
    }
}
