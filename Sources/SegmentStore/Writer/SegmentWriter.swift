// SPDX-License-Identifier: Apache-2.0

import Checksums
import Logging
import NIOCore
import Placement
import SegmentFormat

/// The writer thread of a store: takes puts in batches, makes each batch durable by one write and one sync, notes it
/// in the index, and only then answers.
///
/// Nothing here runs anywhere but on its thread. A failed write or sync is never tried again: from then on every put
/// fails, and reads go on.
struct SegmentWriter {
    let configuration: SegmentStore.Configuration
    let disk: any Disk
    let files: SegmentFiles
    let index: RecordIndex
    let queue: WriterQueue
    let readers: DiskThreadPool
    let reader: RecordReader
    let facts: StoreFacts
    let logger: Logger

    var manifest: ManifestFile
    var nextSegmentID: UInt64
    var active: ActiveSegment?
    /// Entries that may wait for the next manifest block.
    var pendingEntries: [ManifestEntry] = []
    var failure: SegmentStoreError?
    /// How many puts the next batch may expect: those just answered may come again.
    private var company = 1
    private var lastSyncNanoseconds: Int64 = 0

    init(
        configuration: SegmentStore.Configuration,
        disk: any Disk,
        files: SegmentFiles,
        index: RecordIndex,
        queue: WriterQueue,
        readers: DiskThreadPool,
        reader: RecordReader,
        facts: StoreFacts,
        logger: Logger,
        manifest: ManifestFile,
        nextSegmentID: UInt64
    ) {
        self.configuration = configuration
        self.disk = disk
        self.files = files
        self.index = index
        self.queue = queue
        self.readers = readers
        self.reader = reader
        self.facts = facts
        self.logger = logger
        self.manifest = manifest
        self.nextSegmentID = nextSegmentID
    }

    /// Works until a `close` command.
    mutating func run() {
        while true {
            let lastSync = lastSyncNanoseconds
            let work = queue.next(limits: configuration.groupCommit, company: company, lastSync: lastSync)
            switch work {
            case .batch(let puts): process(puts)
            case .command(.reserveSegmentID(let continuation)):
                continuation.resume(
                    returning: Result(catching: { () throws(SegmentStoreError) in try takeSegmentID() })
                )
            case .command(.markReconciled(let continuation)):
                continuation.resume(
                    returning: Result(catching: { () throws(SegmentStoreError) in try markReconciled() })
                )
            case .command(.close(let isClean, let continuation)):
                if isClean { closeInOrder() }
                continuation.resume()
                return
            }
        }
    }

    // MARK: Puts

    private mutating func process(_ puts: [Put]) {
        let fresh: [Put]
        do {
            fresh = try withoutKnown(puts)
        } catch {
            let failure = fail("index lookup failed, number \(error.number)")
            for put in puts { queue.finish(put, .failed(failure)) }
            return
        }
        // A large record's thread may have failed the store.
        if failure == nil { failure = facts.current.writeFailure }
        var images: [Put] = []
        var hasSpace: Bool?
        for put in fresh {
            if let failure {
                queue.finish(put, .failed(failure))
                continue
            }
            switch put.content {
            case .large(let large): publish(put, large)
            case .image:
                if hasSpace == nil { hasSpace = hasFreeSpace() }
                if hasSpace == true || put.mayUseReserve {
                    images.append(put)
                } else {
                    queue.finish(put, .failed(Self.fullError(put.id)))
                }
            }
        }
        var rest = images[...]
        while !rest.isEmpty {
            let count = writeSome(of: rest)
            rest = rest.dropFirst(count)
        }
        company = images.count + queue.waitingCount
    }

    /// The puts whose ids are not stored; the others go to a reading thread, which compares them.
    private func withoutKnown(_ puts: [Put]) throws(RecordIndex.Failure) -> [Put] {
        let locators = try index.locators(of: puts.map(\.id))
        var fresh: [Put] = []
        fresh.reserveCapacity(puts.count)
        for (put, locator) in zip(puts, locators) {
            if let locator, locator != put.replaced {
                compare(put, with: locator)
            } else {
                fresh.append(put)
            }
        }
        return fresh
    }

    /// Has the stored record checked and its digest compared; when it is damaged the put comes back to replace it.
    private func compare(_ put: Put, with locator: RecordLocator) {
        queue.beginComparing()
        let queue = queue
        let reader = reader
        let facts = facts
        let refusal = readers.submit {
            do {
                let stored = try reader.verify(put.id, at: locator, includesDigest: false)
                queue.endComparing(put, stored == put.digest ? .durable(wasThere: true) : .conflict(stored: stored))
            } catch {
                facts.noteDamage(locator)
                var put = put
                put.replaced = locator
                queue.resubmit(put)
            }
        }
        if let refusal { queue.endComparing(put, .failed(refusal)) }
    }

    /// Writes as many of `puts` as the active segment takes, in one batch, and answers them; returns how many.
    private mutating func writeSome(of puts: ArraySlice<Put>) -> Int {
        var count = active?.fittingCount(puts, segmentByteCount: configuration.segmentByteCount) ?? 0
        if count == 0 {
            do {
                if failure == nil, active != nil { try seal() }
                if failure == nil { try create() }
            } catch {
                for put in puts { queue.finish(put, .failed(error)) }
                return puts.count
            }
            count = active?.fittingCount(puts, segmentByteCount: configuration.segmentByteCount) ?? 0
        }
        guard failure == nil, count > 0 else {
            let failure = failure ?? fail("a new segment takes no record")
            for put in puts { queue.finish(put, .failed(failure)) }
            return puts.count
        }
        let batch = puts.prefix(count)
        do {
            try write(batch)
            for put in batch { queue.finish(put, .durable(wasThere: false)) }
        } catch {
            for put in batch { queue.finish(put, .failed(error)) }
        }
        return count
    }

    private mutating func write(_ batch: ArraySlice<Put>) throws(SegmentStoreError) {
        guard var segment = active else { throw fail("there is no active segment") }
        let image: BatchImage
        do {
            image = try BatchImage(
                batch,
                cluster: configuration.clusterID,
                segment: segment.id,
                offset: segment.position,
                writtenAtMilliseconds: wallClockMilliseconds()
            )
        } catch {
            throw SegmentStoreError(.invalid, error.message)
        }
        try reserve(upTo: image.end, in: &segment)
        active = segment
        do {
            try segment.file.write(image.buffers, at: segment.position)
        } catch {
            if error.isFull {
                // What was written of the batch stays where it is, behind the end of the segment.
                pendingEntries.append(.recovered(segment.id, end: segment.position))
                active = nil
                throw Self.fullError(nil)
            }
            throw fail("a batch could not be written: \(error)", segment: segment)
        }
        let start = monotonicNanoseconds()
        do {
            try segment.file.sync()
        } catch {
            throw fail("a batch could not be synced: \(error)", segment: segment)
        }
        lastSyncNanoseconds = monotonicNanoseconds() - start
        let entries = image.entries.map { (id: $0.id, locator: RecordLocator($0, in: segment.id)) }
        do {
            try index.insert(entries, segment: segment.id, indexedUpTo: image.end)
        } catch {
            throw fail("the index could not be written, number \(error.number)", segment: segment)
        }
        let writtenByteCount = image.end - segment.position
        segment.appended(image.entries, end: image.end)
        active = segment
        let replacedCount = batch.count { $0.replaced != nil }
        facts.update { facts in
            facts.recordCount += entries.count - replacedCount
            facts.writtenRecordCount += UInt64(entries.count)
            facts.usedBytes += writtenByteCount
            facts.batchCount += 1
        }
    }

    /// Makes a large record known whose segment is already durable.
    private mutating func publish(_ put: Put, _ large: LargeSegment) {
        do {
            try append([.sealed(large.segment, .large, footerOffset: large.footerOffset)])
            try index.insert(
                [(id: put.id, locator: large.locator)],
                segment: large.segment,
                indexedUpTo: large.footerOffset
            )
        } catch let error as SegmentStoreError {
            return queue.finish(put, .failed(error))
        } catch {
            return queue.finish(put, .failed(fail("the index could not be written: \(error)")))
        }
        facts.update { facts in
            facts.recordCount += put.replaced == nil ? 1 : 0
            facts.writtenRecordCount += 1
            facts.usedBytes += large.byteCount
        }
        queue.finish(put, .durable(wasThere: false))
    }
}
