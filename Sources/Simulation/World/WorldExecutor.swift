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
// Safety: made, used and let go of on its world's one thread; tasks are cancelled there, too.
final class OpenCalls: @unchecked Sendable {
    private var cancellations: [Int: () -> Void] = [:]
    private var nextNumber = 0
    private var isOver = false

    /// Waits for the first answer that `start` calls back with; after `timeout` microseconds, or when the task is cancelled,
    /// for no answer any more.
    func call<Value: Sendable>(
        in world: World,
        timeout: Int64,
        _ start: (@escaping (Result<Value, ReplicationError>) -> Void) -> Void
    ) async throws(ReplicationError) -> Value {
        let number = nextNumber
        nextNumber += 1
        let result: Result<Value, ReplicationError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer: (Result<Value, ReplicationError>) -> Void = { [self] result in
                    guard cancellations.removeValue(forKey: number) != nil else { return }
                    continuation.resume(returning: result)
                }
                cancellations[number] = { answer(.failure(ReplicationError(.cancelled, "nobody waits any more"))) }
                guard !isOver, !Task.isCancelled else { return cancel(number) }
                world.after(timeout) { answer(.failure(ReplicationError(.deadlineExceeded, "no answer in time"))) }
                start(answer)
            }
        } onCancel: {
            cancel(number)
        }
        return try result.get()
    }

    /// Waits for so many microseconds, or until the task is cancelled.
    func sleep(in world: World, for time: Int64) async {
        // Its end is that of a call that nobody answers; whether it came early is for the caller to see.
        _ = await Result<Void, ReplicationError> { () async throws(ReplicationError) in
            try await call(in: world, timeout: time) { _ in }
        }
    }

    private func cancel(_ number: Int) { cancellations[number]?() }

    /// Ends all that wait, and lets nothing wait any more.
    func end() {
        isOver = true
        for number in cancellations.keys.sorted() { cancellations[number]?() }
    }
}

extension Result where Failure == ReplicationError {
    init(_ body: () async throws(ReplicationError) -> Success) async {
        do throws(ReplicationError) {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}
