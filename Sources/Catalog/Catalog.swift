// SPDX-License-Identifier: Apache-2.0

public import Logging
import NIOCore

/// The catalog: what the cluster knows of its studies, instances, copies and nodes, in Postgres.
///
/// Safe to use from any task. libpq blocks, so connections live on threads of their own: one (or a few) that commits
/// instances in batches, a pool for everything else. Every call ends by its deadline, whatever Postgres does. Call
/// `shutdown()` before letting go.
public final class Catalog: Sendable {
    let configuration: Configuration
    private let logger: Logger
    private let targets: [ConnectionTarget]
    private let entries: WorkQueue<PendingEntry>
    private let jobs: WorkQueue<QueryJob>

    /// How often waiting work is checked against its deadline.
    private static let expiryInterval = TimeAmount.milliseconds(250)

    /// Starts the threads; they connect when they first have something to do.
    ///
    /// Throws `.configuration` for a connection string that cannot be read.
    public init(configuration: Configuration, logger: Logger) throws(CatalogError) {
        self.configuration = configuration
        self.logger = logger
        self.targets = try ConnectionTarget.targets(
            connectionString: configuration.connectionString,
            applicationName: configuration.applicationName
        )
        self.entries = WorkQueue(limit: configuration.maximumQueuedEntryCount) { $0.deadline }
        self.jobs = WorkQueue(limit: configuration.maximumQueuedQueryCount) { $0.deadline }
        do {
            try startThreads()
        } catch {
            entries.close()
            jobs.close()
            throw error
        }
    }

    deinit {
        entries.close()
        jobs.close()
    }

    /// Refuses new work, finishes what was taken on, closes the connections.
    public func shutdown() async {
        entries.close()
        jobs.close()
        await entries.waitForThreads()
        await jobs.waitForThreads()
    }

    // MARK: threads

    private func startThreads() throws(CatalogError) {
        let (entries, jobs, logger) = (entries, jobs, logger)
        let (targets, configuration) = (targets, configuration)
        for _ in 0..<configuration.committerCount {
            try start("varve-commit", entries) {
                let session = CatalogSession(
                    targets: targets,
                    configuration: configuration,
                    purpose: .commits,
                    logger: logger,
                    pause: { entries.pause(until: $0) }
                )
                Committer(queue: entries, session: session, maximumBatchCount: configuration.maximumBatchCount).run()
            }
        }
        for _ in 0..<configuration.poolSize {
            try start("varve-catalog", jobs) {
                let session = CatalogSession(
                    targets: targets,
                    configuration: configuration,
                    purpose: .queries,
                    logger: logger,
                    pause: { jobs.pause(until: $0) }
                )
                while let job = jobs.take({ [$0.startIndex] })?.first { job.run(session) }
                session.disconnect()
            }
        }
        // Answers what waits too long while the threads above are held up. Ends with the queues.
        try start("varve-expiry", jobs) {
            while jobs.pause(until: .now() + Self.expiryInterval) {
                let now = NIODeadline.now()
                let late = CatalogError(.unavailable, "Postgres was busy or out of reach until the deadline")
                for entry in entries.expired(now: now) { entry.fail(late) }
                for job in jobs.expired(now: now) { job.fail(late) }
            }
        }
    }

    private func start<Item>(
        _ name: String,
        _ queue: WorkQueue<Item>,
        _ body: @escaping @Sendable () -> Void
    ) throws(CatalogError) {
        queue.threadStarted()
        let started = BlockingThread.start(name: name) {
            body()
            queue.threadEnded()
        }
        guard started else {
            queue.threadEnded()
            throw CatalogError(.configuration, "the system has no thread left for the catalog's connections")
        }
    }

    // MARK: work

    /// Enters an instance that is durable on its nodes, together with others that wait; returns when it is committed.
    ///
    /// Safe to repeat, also after `.outcomeUnknown`: the same record again is `.committed` again. Attributes of a
    /// patient, study or series that is there already stay as they came first, except that empty ones are filled. A
    /// study keeps the patient it came with.
    public func commit(_ entry: InstanceEntry) async throws(CatalogError) -> CommitOutcome {
        let prepared = try PreparedEntry(entry)
        let deadline = NIODeadline.now() + TimeAmount(configuration.commitTimeout)
        let entries = entries
        let result = await withCheckedContinuation { continuation in
            let pending = PendingEntry(prepared, deadline: deadline, continuation: continuation)
            if let refusal = entries.add(pending) { pending.fail(refusal.error) }
        }
        return try result.get()
    }

    /// Runs `body` on a thread of the pool.
    func perform<Value: Sendable>(
        _ kind: QueryKind,
        _ body: @escaping @Sendable (PostgresConnection, NIODeadline) throws(PostgresFailure) -> Value
    ) async throws(CatalogError) -> Value {
        let deadline = NIODeadline.now() + TimeAmount(configuration.queryTimeout)
        let jobs = jobs
        let result: Result<Value, CatalogError> = await withCheckedContinuation { continuation in
            let job = QueryJob(
                deadline: deadline,
                run: { session in
                    do throws(CatalogError) {
                        continuation.resume(returning: .success(try session.perform(kind, deadline: deadline, body)))
                    } catch {
                        continuation.resume(returning: .failure(error))
                    }
                },
                fail: { continuation.resume(returning: .failure($0)) }
            )
            if let refusal = jobs.add(job) { job.fail(refusal.error) }
        }
        return try result.get()
    }

    /// Runs `body` on a thread and a connection of its own, with the time a migration may take.
    func performMigration<Value: Sendable>(
        _ body: @escaping @Sendable (PostgresConnection, NIODeadline) throws(PostgresFailure) -> Value
    ) async throws(CatalogError) -> Value {
        let (targets, configuration, logger, jobs) = (targets, configuration, logger, jobs)
        let result: Result<Value, CatalogError> = await withCheckedContinuation { continuation in
            let work: @Sendable () -> Void = {
                let session = CatalogSession(
                    targets: targets,
                    configuration: configuration,
                    purpose: .migrations,
                    logger: logger,
                    pause: { jobs.pause(until: $0) }
                )
                do throws(CatalogError) {
                    // Reaching Postgres at all gets no more time than any question.
                    let limit = NIODeadline.now() + TimeAmount(configuration.queryTimeout)
                    _ = try session.perform(.repeatable, deadline: limit) { _, _ throws(PostgresFailure) in true }
                    let deadline = NIODeadline.now() + TimeAmount(configuration.migrationTimeout)
                    continuation.resume(returning: .success(try session.perform(.once, deadline: deadline, body)))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
                session.disconnect()
            }
            if !BlockingThread.start(name: "varve-migrate", work) {
                let error = CatalogError(.configuration, "the system has no thread left for a migration")
                continuation.resume(returning: .failure(error))
            }
        }
        return try result.get()
    }
}

extension WorkQueue.Refusal {
    fileprivate var error: CatalogError {
        switch self {
        case .full: CatalogError(.overloaded, "too much work waits for Postgres already; try again later")
        case .closed: CatalogError(.closed, "the catalog has been shut down")
        }
    }
}
