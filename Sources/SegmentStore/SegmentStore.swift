// SPDX-License-Identifier: Apache-2.0

import Checksums
public import Logging
import NIOConcurrencyHelpers
import NIOCore
import Placement
package import SegmentFormat

/// The records of one disk: appended in batches, each durable before it is acknowledged, found through an index, and
/// checked at every read.
///
/// Any task may call any method at any time. Blocking work is done by the store's own threads: one that writes, a few
/// that read, a few that write large records. Ended by `close`; a process that is killed loses nothing acknowledged.
public final class SegmentStore: Sendable {
    let configuration: Configuration
    let files: SegmentFiles
    let index: RecordIndex
    let reader: RecordReader
    let bulk: DiskThreadPool
    let disk: any Disk
    let queue: WriterQueue
    let facts: StoreFacts
    let logger: Logger
    private let readers: DiskThreadPool
    /// Held until the store is closed.
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
        let recovered = try StoreRecovery(configuration: configuration, disk: disk, boot: boot, logger: logger).run()
        do {
            return try SegmentStore(configuration, recovered: recovered, disk: disk, logger: logger)
        } catch {
            recovered.index.close()
            throw error
        }
    }

    private init(
        _ configuration: Configuration,
        recovered: RecoveredStore,
        disk: any Disk,
        logger: Logger
    ) throws(SegmentStoreError) {
        self.configuration = configuration
        self.disk = disk
        self.logger = logger
        self.lock = NIOLockedValueBox(recovered.lock)
        self.files = recovered.files
        self.index = recovered.index
        self.facts = StoreFacts(recovered.facts)
        self.reader = RecordReader(
            files: recovered.files,
            cluster: configuration.clusterID,
            maximumByteCount: configuration.maximumReadByteCount
        )
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
        let writer = SegmentWriter(
            configuration: configuration,
            disk: disk,
            files: files,
            index: index,
            queue: queue,
            readers: readers,
            reader: reader,
            facts: facts,
            logger: logger,
            manifest: recovered.manifest,
            nextSegmentID: recovered.nextSegmentID
        )
        try startDiskThread(name: "varve-write") {
            var writer = writer
            writer.run()
        }
    }

    // MARK: Writing

    /// Stores a record and returns when it is durable: when the sync that covers it has returned.
    ///
    /// The same id with the same payload is success, however often and however many at once; with another payload it
    /// is `.conflict`. The checksums (and the digest, unless the caller has verified it) are computed on the calling
    /// task, so that the writer thread does nothing but write.
    public func append(_ record: NewRecord) async throws(SegmentStoreError) -> AppendOutcome {
        guard record.payload.readableBytes <= configuration.largeRecordByteCount else {
            throw SegmentStoreError(
                .tooLarge,
                "payload is over \(configuration.largeRecordByteCount) bytes; store it as a large record",
                record: record.id
            )
        }
        if !record.digestIsVerified, SHA256Hasher.digest(of: record.payload) != record.payloadDigest {
            throw SegmentStoreError(
                .digestMismatch,
                "payload is not what was declared; send it again",
                record: record.id
            )
        }
        let image: RecordImage
        do {
            image = try RecordImage(
                id: record.id,
                type: record.type,
                metadata: record.metadata,
                payload: record.payload,
                payloadDigest: record.payloadDigest,
                mapEpoch: record.mapEpoch,
                writtenAtMilliseconds: record.writtenAtMilliseconds
            )
        } catch {
            throw SegmentStoreError(.tooLarge, error.message, record: record.id)
        }
        return try await withCheckedContinuation { continuation in
            queue.submit(
                Put(
                    id: record.id,
                    type: record.type,
                    digest: record.payloadDigest,
                    content: .image(image),
                    continuation: continuation
                )
            )
        }.get()
    }

    // MARK: State

    /// How the store is now.
    public var status: StoreStatus {
        let facts = facts.current
        var freeBytes: UInt64 = 0
        var reason = facts.writeFailure?.description
        do {
            freeBytes = try disk.freeByteCount(at: configuration.directory)
            if reason == nil, freeBytes <= configuration.softLimitFreeBytes {
                reason = "free space is at or below the soft limit of \(configuration.softLimitFreeBytes) bytes"
            }
        } catch {
            reason = reason ?? "free space is unknown: \(error)"
        }
        if facts.isClosed { reason = "store is closed" }
        return StoreStatus(
            recordCount: facts.recordCount,
            usedBytes: facts.usedBytes,
            freeBytes: freeBytes,
            acceptsWrites: reason == nil,
            reason: reason,
            quarantinedRanges: facts.quarantined,
            isUncertain: facts.isUncertain,
            batchCount: facts.batchCount,
            writtenRecordCount: facts.writtenRecordCount
        )
    }

    /// How many records wait for the writer, those that are being written left out; for tests.
    package var waitingCount: Int { queue.waitingCount }

    /// Notes, durably, that what an unclean stop may have lost was compared with a peer and fetched.
    public func markReconciled() async throws(SegmentStoreError) {
        let result: Result<Void, SegmentStoreError> = await withCheckedContinuation { continuation in
            if !queue.submit(.markReconciled(continuation)) {
                continuation.resume(returning: .failure(SegmentStoreError(.closed, "store is closed")))
            }
        }
        try result.get()
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
        let isFirst = facts.current.isClosed == false
        facts.update { $0.isClosed = true }
        guard isFirst else { return }
        // Large records in progress fail now; they were not acknowledged.
        await bulk.close()
        await withCheckedContinuation { continuation in
            if !queue.submit(.close(clean: clean, continuation)) { continuation.resume() }
        }
        await readers.close()
        files.closeAll()
        index.close()
        lock.withLockedValue { $0 = nil }
    }

    /// Runs `body` on one of the reading threads.
    func onReader<Value: Sendable>(
        _ body: @escaping @Sendable () throws(SegmentStoreError) -> Value
    ) async throws(SegmentStoreError) -> Value {
        try await readers.run(body)
    }
}
