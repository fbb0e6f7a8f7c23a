// SPDX-License-Identifier: Apache-2.0

import Checksums
import Logging
package import NIOCore
package import Placement
import SegmentFormat

/// All that a store does, as plain steps that block: no threads, no waiting, no time or randomness of its own.
///
/// One thread at a time calls it. `SegmentStore` runs it on its writer thread and reads through `view` on others; a
/// simulation calls it directly, and drops it where a process is to die. Each step either returns or throws; what has
/// returned is durable. A failed write or sync is never tried again: from then on every put fails, and reads go on.
package struct StoreEngine {
    /// What may be used on any thread meanwhile.
    package let view: StoreView
    var manifest: ManifestFile
    var nextSegmentID: UInt64
    var active: ActiveSegment?
    /// Entries that may wait for the next manifest block.
    var pendingEntries: [ManifestEntry] = []
    var failure: SegmentStoreError?
    /// How long the last sync of a batch took.
    package internal(set) var lastSyncNanoseconds: Int64 = 0
    /// What keeps the directory locked for as long as the engine lives.
    private(set) var lock: (any AnyObject & Sendable)?

    var configuration: SegmentStore.Configuration { view.configuration }
    var disk: any Disk { view.disk }
    var files: SegmentFiles { view.files }
    var index: any RecordIndex { view.index }
    var facts: StoreFacts { view.facts }
    var logger: Logger { view.logger }

    /// Opens the store in a directory, or makes an empty one there; after an unclean stop it scans what was in use.
    package init(
        opening configuration: SegmentStore.Configuration,
        in environment: StoreEnvironment
    ) throws(SegmentStoreError) {
        let recovered = try StoreRecovery(configuration: configuration, environment: environment).run()
        self.view = StoreView(
            configuration: configuration,
            disk: environment.disk,
            clock: environment.clock,
            files: recovered.files,
            index: recovered.index,
            reader: RecordReader(
                files: recovered.files,
                cluster: configuration.clusterID,
                maximumByteCount: configuration.maximumReadByteCount
            ),
            facts: StoreFacts(recovered.facts),
            logger: environment.logger
        )
        self.manifest = recovered.manifest
        self.nextSegmentID = recovered.nextSegmentID
        self.lock = recovered.lock
    }

    // MARK: Steps

    /// Stores records in as few batches as they fit; what has an answer without an error is durable.
    ///
    /// The same id with the same payload is success, with another payload `.conflict`.
    package mutating func append(_ records: [NewRecord]) -> [Result<AppendOutcome, SegmentStoreError>] {
        var results: [Result<AppendOutcome, SegmentStoreError>?] = records.map { _ in nil }
        var owners: [RecordID: Int] = [:]
        var puts: [Put] = []
        for (place, record) in records.enumerated() where owners[record.id] == nil {
            do {
                puts.append(try Put(record, limits: configuration))
                owners[record.id] = place
            } catch {
                results[place] = .failure(error)
            }
        }
        var ends: [RecordID: PutResult] = [:]
        put(puts) { put, result in ends[put.id] = result }
        return records.enumerated().map { place, record in
            if let result = results[place] { return result }
            guard let owner = owners[record.id], let end = ends[record.id] else {
                return .failure(SegmentStoreError(.invalid, "record was not answered", record: record.id))
            }
            if owner == place { return end.outcome(for: record.id, digest: record.payloadDigest) }
            return end.outcome(for: record.id, digest: record.payloadDigest, joining: records[owner].payloadDigest)
        }
    }

    /// Begins a record of any size, whose payload is then handed over piece by piece and ended by `commit`.
    package mutating func beginLarge(_ record: NewLargeRecord) throws(SegmentStoreError) -> LargeRecord {
        var large = try view.large(record)
        if large.isAlreadyStored { return large }
        try large.open(as: try takeSegmentID())
        return large
    }

    /// Checks length and digest of a large record, makes it durable, and makes it known.
    package mutating func commit(_ large: LargeRecord) throws(SegmentStoreError) -> AppendOutcome {
        guard let segment = try large.finish() else { return .alreadyStored }
        let wanted = large.put(segment)
        var end: PutResult?
        put([wanted]) { _, result in end = result }
        return try large.settle(end?.outcome(for: wanted.id, digest: wanted.digest))
    }

    /// Notes, durably, that what an unclean stop may have lost was compared with a peer and fetched.
    package mutating func markReconciled() throws(SegmentStoreError) {
        try append([.reconciled])
        facts.update { $0.isUncertain = false }
    }

    /// Leaves the store so that the next start needs no scan; nothing may be called after it.
    package mutating func close() {
        closeInOrder()
        abandon()
    }

    /// Lets go of files and index and leaves everything as a killed process would.
    package mutating func abandon() {
        facts.update { $0.isClosed = true }
        view.close()
        lock = nil
    }

    /// The same engine for an owner who keeps the lock himself.
    func unlocked() -> StoreEngine {
        var engine = self
        engine.lock = nil
        return engine
    }

    // MARK: Reading

    package func head(_ id: RecordID) throws(SegmentStoreError) -> RecordInfo? { try view.head(id) }

    package func read(_ id: RecordID, range: Range<Int>? = nil) throws(SegmentStoreError) -> ByteBuffer {
        try view.read(id, range: range)
    }

    package func verify(_ id: RecordID) throws(SegmentStoreError) { try view.verify(id) }

    package func list(
        group: PlacementGroup,
        after previous: RecordID? = nil,
        limit: Int
    ) throws(SegmentStoreError) -> [RecordID] {
        try view.list(group: group, after: previous, limit: limit)
    }

    package var status: StoreStatus { view.status }
}
