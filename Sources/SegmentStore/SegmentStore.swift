// SPDX-License-Identifier: Apache-2.0

public import Logging
import NIOConcurrencyHelpers
package import SegmentFormat

/// The records of one disk: appended in batches, each durable before it is acknowledged, found through an index, and
/// checked at every read.
///
/// Any task may call any method at any time. Blocking work is done by the store's own threads: one that writes, a few
/// that read, a few that write large records. Ended by `close`; a process that is killed loses nothing acknowledged.
public final class SegmentStore: Sendable {
    package let view: StoreView
    let bulk: DiskThreadPool
    let readers: DiskThreadPool
    /// For what can wait.
    let background: DiskThreadPool
    let queue: WriterQueue
    let compaction = NIOLockedValueBox(CompactionState())
    let memoryReads = MemoryReads()
    private let scrubber: Scrubber?
    /// What keeps the directory locked, until the store is closed.
    private let lock: NIOLockedValueBox<(any AnyObject & Sendable)?>

    /// Opens the store in a directory, or makes an empty one there; after an unclean stop it scans what was in use.
    ///
    /// Blocks: call it from a thread that may.
    public static func open(_ configuration: Configuration, logger: Logger) throws(SegmentStoreError) -> SegmentStore {
        try open(configuration, logger: logger, disk: RealDisk(), boot: .current())
    }

    /// Opens a store on `disk`, in the run of the operating system that `boot` names.
    package static func open(
        _ configuration: Configuration,
        logger: Logger,
        disk: any Disk,
        boot: BootID
    ) throws(SegmentStoreError) -> SegmentStore {
        let indexes = LMDBIndexProvider(
            directory: "\(configuration.directory)/index",
            mapByteCount: configuration.indexMapByteCount
        )
        let environment = StoreEnvironment(disk: disk, clock: .system, indexes: indexes, boot: boot, logger: logger)
        var engine = try StoreEngine(opening: configuration, in: environment)
        do {
            return try SegmentStore(engine)
        } catch {
            engine.abandon()
            throw error
        }
    }

    private init(_ engine: StoreEngine) throws(SegmentStoreError) {
        let configuration = engine.view.configuration
        self.view = engine.view
        self.lock = NIOLockedValueBox(engine.lock)
        self.queue = WriterQueue(
            recordLimit: configuration.maximumQueuedRecordCount,
            byteLimit: configuration.maximumQueuedByteCount
        )
        self.readers = try DiskThreadPool(
            name: "varve-read",
            threadCount: configuration.readThreads,
            queueLimit: configuration.maximumQueuedReadCount
        )
        self.bulk = try DiskThreadPool(
            name: "varve-bulk",
            threadCount: configuration.largeWriteThreads,
            queueLimit: configuration.maximumQueuedRecordCount
        )
        view.facts.setOnDamage { [queue] in
            // A step that fails has marked the store as failed; one that is not taken, because the store closes, is
            // made up for by closing.
            _ = queue.submit(.step { engine in try? engine.recordDamage() })
        }
        self.background = try DiskThreadPool(
            name: "varve-compact",
            threadCount: 1,
            queueLimit: 16,
            isBackground: true
        )
        self.scrubber = configuration.scrubDeadline == nil ? nil : Scrubber()
        // The writer's copy of the engine is the one that is used; it must not hold the lock beyond `close`.
        let writer = SegmentWriter(engine: engine.unlocked(), queue: queue, readers: readers)
        try startDiskThread(name: "varve-write") {
            var writer = writer
            writer.run()
        }
        guard let scrubber, let deadline = configuration.scrubDeadline else { return }
        try scrubber.start(view, deadlineSeconds: deadline / .seconds(1)) { [queue] segment in
            // Not taken when the store closes; then the segment is checked once more.
            _ = queue.submit(.step { engine in try? engine.noteScrubbed(segment) })
        }
    }

    // MARK: Writing

    /// Stores a record and returns when it is durable: when the sync that covers it has returned.
    ///
    /// The same id with the same payload is success, however often and however many at once; with another payload it
    /// is `.conflict`. The checksums (and the digest, unless the caller has verified it) are computed on the calling
    /// task, so that the writer thread does nothing but write.
    public func append(_ record: NewRecord) async throws(SegmentStoreError) -> AppendOutcome {
        try await submit(try Put(record, limits: view.configuration)).get()
    }

    /// Hands a put to the writer and waits for what becomes of it.
    func submit(_ put: Put) async -> Result<AppendOutcome, SegmentStoreError> {
        await withCheckedContinuation { queue.submit(put, $0) }
    }

    // MARK: State

    /// How the store is now.
    public var status: StoreStatus { view.status }

    /// Below this much free space records are not taken.
    package var softLimitFreeBytes: UInt64 { view.configuration.softLimitFreeBytes }

    /// How many records wait for the writer, those that are being written left out; for tests.
    package var waitingCount: Int { queue.waitingCount }

    /// How many other steps wait for the writer; for tests.
    package var waitingStepCount: Int { queue.waitingStepCount }

    /// Notes, durably, that what an unclean stop may have lost was compared with a peer and fetched.
    public func markReconciled() async throws(SegmentStoreError) {
        try await perform { (engine) throws(SegmentStoreError) in try engine.markReconciled() }
    }

    /// Has the writer thread take a step of the engine between two batches.
    func perform<Value: Sendable>(
        _ step: @escaping @Sendable (inout StoreEngine) throws(SegmentStoreError) -> Value
    ) async throws(SegmentStoreError) -> Value {
        let result: Result<Value, SegmentStoreError> = await withCheckedContinuation { continuation in
            let command = WriterQueue.Command.step { engine in
                continuation.resume(returning: Result { () throws(SegmentStoreError) in try step(&engine) })
            }
            if !queue.submit(command) {
                continuation.resume(returning: .failure(SegmentStoreError(.closed, "store is closed")))
            }
        }
        return try result.get()
    }

    /// Finishes what was accepted, seals the active segment and leaves the clean mark.
    public func close() async {
        await end(clean: true)
    }

    /// Ends the threads and leaves everything as a killed process would, for tests.
    package func abandon() async {
        await end(clean: false)
    }

    private func end(clean: Bool) async {
        let isFirst = view.facts.current.isClosed == false
        view.facts.update { $0.isClosed = true }
        guard isFirst else { return }
        await scrubber?.close()
        await background.close()
        // Large records in progress fail now; they were not acknowledged.
        await bulk.close()
        await withCheckedContinuation { continuation in
            if !queue.submit(.close(clean: clean, continuation)) { continuation.resume() }
        }
        await readers.close()
        await memoryReads.close()
        view.close()
        lock.withLockedValue { $0 = nil }
    }
}
