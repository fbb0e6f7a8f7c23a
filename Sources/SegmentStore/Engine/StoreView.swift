// SPDX-License-Identifier: Apache-2.0

import Checksums
import Logging
package import NIOCore
package import Placement
package import SegmentFormat

/// The part of an open store that any thread may use: it reads and checks records and changes none.
///
/// Blocks; every call is one step and leaves nothing behind it but notes in `facts`.
package struct StoreView: Sendable {
    let configuration: SegmentStore.Configuration
    let disk: any Disk
    let clock: StoreClock
    let files: SegmentFiles
    let index: any RecordIndex
    let reader: RecordReader
    let facts: StoreFacts
    let segments: SegmentTable
    let logger: Logger

    // MARK: Reading

    /// Metadata, length and digest of a record; `nil` when it is not known, `.deleted` when a tombstone hides it.
    package func head(_ id: RecordID) throws(SegmentStoreError) -> RecordInfo? {
        guard let locator = try locator(of: id) else { return nil }
        return try reading(id, at: locator) { (locator) throws(SegmentStoreError) in try reader.head(id, at: locator) }
    }

    /// As ``head(_:)``, and the beginning of the payload's `range` up to `limit` bytes; `nil` when the record is not known.
    package func open(
        _ id: RecordID,
        range: Range<UInt64>,
        limit: Int,
        isPastCache: Bool = false
    ) throws(SegmentStoreError) -> (info: RecordInfo, bytes: ByteBuffer)? {
        guard let locator = try locator(of: id) else { return nil }
        var reader = reader
        reader.isPastCache = isPastCache
        return try reading(id, at: locator) { [reader] (locator) throws(SegmentStoreError) in
            try reader.open(id, at: locator, range: range, limit: limit)
        }
    }

    /// As ``head(_:)`` when it needs no disk; `nil` when it does, and when anything is wrong or the record is not there.
    package func headInMemory(_ id: RecordID) -> RecordInfo? {
        guard let locator = try? locator(of: id) else { return nil }
        var reader = reader
        reader.isInMemory = true
        return try? reader.head(id, at: locator)
    }

    /// As ``open(_:range:limit:)`` when it needs no disk; `nil` when it does, and when anything is wrong: then ask that.
    ///
    /// A part of the index that is not in memory makes it wait all the same.
    package func openInMemory(
        _ id: RecordID,
        range: Range<UInt64>,
        limit: Int
    ) -> (info: RecordInfo, bytes: ByteBuffer)? {
        guard let locator = try? locator(of: id) else { return nil }
        var reader = reader
        reader.isInMemory = true
        return try? reader.open(id, at: locator, range: range, limit: limit)
    }

    /// The bytes of a record's payload in `range`, or all of them; every block that is touched is checked.
    package func read(
        _ id: RecordID,
        range: Range<Int>? = nil,
        isPastCache: Bool = false
    ) throws(SegmentStoreError) -> ByteBuffer {
        let locator = try requiredLocator(of: id)
        var reader = reader
        reader.isPastCache = isPastCache
        return try reading(id, at: locator) { [reader] (locator) throws(SegmentStoreError) in
            try reader.read(id, at: locator, range: range)
        }
    }

    /// Checks all of a record as it is on the disk, past the page cache: header, metadata, every block, and the SHA-256 of
    /// the payload.
    package func verify(_ id: RecordID) throws(SegmentStoreError) {
        let locator = try requiredLocator(of: id)
        var reader = reader
        reader.isPastCache = true
        try reading(id, at: locator) { (locator) throws(SegmentStoreError) in
            _ = try reader.verify(id, at: locator, includesDigest: true)
        }
    }

    /// At most `limit` ids of `group`, in order, beginning after `previous`.
    package func list(
        group: PlacementGroup,
        after previous: RecordID? = nil,
        limit: Int
    ) throws(SegmentStoreError) -> [RecordID] {
        guard limit > 0 else { return [] }
        do {
            return try index.list(group: group, after: previous, limit: limit)
        } catch {
            throw Self.indexError(error)
        }
    }

    /// Where a record is; `nil` when it is not known, and `.deleted` when a tombstone hides it.
    func locator(of id: RecordID) throws(SegmentStoreError) -> RecordLocator? {
        let lookup = try lookUp(id)
        guard !lookup.standing.isDeleted else { throw Self.deletedError(id) }
        return lookup.locator
    }

    func lookUp(_ id: RecordID) throws(SegmentStoreError) -> IndexLookup {
        do {
            return try index.lookUp(id)
        } catch {
            throw Self.indexError(error)
        }
    }

    static func deletedError(_ id: RecordID) -> SegmentStoreError {
        SegmentStoreError(.deleted, "the record is deleted", record: id)
    }

    private func requiredLocator(of id: RecordID) throws(SegmentStoreError) -> RecordLocator {
        guard let locator = try locator(of: id) else {
            throw SegmentStoreError(.notFound, "no record with this id is known", record: id)
        }
        return locator
    }

    /// Runs `body` with the place of a record, once more when the record was moved meanwhile.
    private func reading<Value>(
        _ id: RecordID,
        at first: RecordLocator,
        _ body: (RecordLocator) throws(SegmentStoreError) -> Value
    ) throws(SegmentStoreError) -> Value {
        let result = Result { () throws(SegmentStoreError) in try body(first) }
        if case .success(let value) = result { return value }
        // A segment that was compacted may be gone between looking up and reading.
        let now = try requiredLocator(of: id)
        if now != first {
            return try noting(id, at: now) { () throws(SegmentStoreError) in try body(now) }
        }
        return try noting(id, at: first) { () throws(SegmentStoreError) in try result.get() }
    }

    /// Runs `body`, and remembers the record as damaged when its bytes are not what they should be.
    func noting<Value>(
        _ id: RecordID,
        at locator: RecordLocator,
        _ body: () throws(SegmentStoreError) -> Value
    ) throws(SegmentStoreError) -> Value {
        do {
            return try body()
        } catch {
            if error.code == .checksumMismatch || error.code == .readFailed, noteDamage(id, at: locator) {
                logger.error("record is damaged", metadata: ["reason": "\(error)"])
            }
            throw error
        }
    }

    /// Notes that a record was found damaged; returns whether that is news.
    @discardableResult
    func noteDamage(_ id: RecordID, at locator: RecordLocator) -> Bool {
        // What failed because its segment went to the trash meanwhile is sound where it is now.
        guard segments.entry(of: locator.segment) != nil else { return false }
        return facts.noteDamage(id, at: locator)
    }

    static func indexError(_ failure: IndexFailure) -> SegmentStoreError {
        SegmentStoreError(.readFailed, "\(failure); restart the node to have the index rebuilt")
    }

    // MARK: Comparing

    /// How a record that is to be stored compares with the stored one of its id.
    enum Comparison: Sendable {
        /// The same payload, and sound.
        case same
        /// Another payload, and sound.
        case other(SHA256Digest)
        /// What is stored can't be relied on: the new one takes its place.
        case damaged
    }

    /// Checks the record that is stored and compares its digest with `digest`.
    func compare(_ digest: SHA256Digest, with record: IndexedRecord) -> Comparison {
        do {
            // Where damage was found, neither the checksums alone are to be believed nor the page cache.
            let isSuspect = facts.isQuarantined(record.locator)
            var reader = reader
            reader.isPastCache = isSuspect
            let stored = try reader.verify(record.id, at: record.locator, includesDigest: isSuspect)
            return stored == digest ? .same : .other(stored)
        } catch {
            noteDamage(record.id, at: record.locator)
            return .damaged
        }
    }

    // MARK: State

    /// Closes files and index; nothing may use them any more.
    func close() {
        files.closeAll()
        index.close()
    }

    /// The segments that hold records, in order.
    package var segmentIDs: [SegmentID] {
        segments.all.filter { $0.entry.end > UInt64(SegmentHeader.byteCount) }.map(\.segment)
    }

    /// How the store is now.
    package var status: StoreStatus {
        let facts = facts.current
        var freeBytes: UInt64 = 0
        var space = DiskSpace.ample
        var reason = facts.writeFailure?.description
        var hasFailed = reason != nil
        do {
            freeBytes = try disk.freeByteCount(at: configuration.directory)
            space = DiskSpace(freeBytes: freeBytes, configuration)
            reason = reason ?? space.reason(configuration)
        } catch {
            hasFailed = true
            reason = reason ?? "free space is unknown: \(error)"
        }
        if facts.isClosed {
            hasFailed = true
            reason = "store is closed"
        }
        return StoreStatus(
            recordCount: facts.recordCount,
            usedBytes: facts.usedBytes,
            freeBytes: freeBytes,
            acceptsWrites: reason == nil,
            acceptsAmendments: !hasFailed && space.accepts(isAmendment: true),
            reason: reason,
            quarantinedRanges: facts.quarantined,
            isUncertain: facts.isUncertain,
            highestTerm: facts.highestTerm,
            oldestUnchecked: .seconds(oldestUncheckedSeconds),
            trash: facts.trash.sorted { $0.key < $1.key }.map { segment, time in
                TrashedSegment(
                    segment: segment,
                    retiredAtMilliseconds: time,
                    purgeableAtMilliseconds: time + configuration.trashGrace.milliseconds
                )
            },
            batchCount: facts.batchCount,
            writtenRecordCount: facts.writtenRecordCount
        )
    }

    /// Marks the store as write-failed after a failure outside the engine's own steps.
    func failWriting(_ what: String, segment: SegmentID) -> SegmentStoreError {
        let error = SegmentStoreError(
            .writeFailed,
            "\(what); the store takes no more records: check the disk, then restart the node",
            segment: segment
        )
        facts.update { $0.writeFailure = $0.writeFailure ?? error }
        logger.error("segment store takes no more records", metadata: ["reason": "\(error)"])
        return error
    }
}
