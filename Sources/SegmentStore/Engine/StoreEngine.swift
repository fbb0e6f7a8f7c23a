// SPDX-License-Identifier: Apache-2.0

import Checksums
import Logging
package import NIOCore
package import Placement
package import SegmentFormat

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
    /// How long the last batch took to write and sync: past the page cache the disk's work is in the write.
    package internal(set) var lastBatchNanoseconds: Int64 = 0
    /// What keeps the directory locked for as long as the engine lives.
    private(set) var lock: (any AnyObject & Sendable)?

    var configuration: SegmentStore.Configuration { view.configuration }
    var disk: any Disk { view.disk }
    var files: SegmentFiles { view.files }
    var index: any RecordIndex { view.index }
    var facts: StoreFacts { view.facts }
    var segments: SegmentTable { view.segments }
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
            segments: SegmentTable(recovered.manifest.state(with: recovered.pendingEntries)),
            logger: environment.logger
        )
        self.manifest = recovered.manifest
        self.nextSegmentID = recovered.nextSegmentID
        self.pendingEntries = recovered.pendingEntries
        self.lock = recovered.lock
    }

    // MARK: Steps

    /// Stores records in as few batches as they fit; what has an answer without an error is durable.
    ///
    /// The same id with the same payload is success, with another payload `.conflict`, and `.deleted` when a tombstone
    /// hides it.
    package mutating func append(_ records: [NewRecord]) -> [Result<AppendOutcome, SegmentStoreError>] {
        let limits = configuration
        return run(records.map { record in Result { () throws(SegmentStoreError) in try Put(record, limits: limits) } })
    }

    /// Stores tombstones and other amendments that a coordinator of the term `authority` asks for.
    ///
    /// The term is durable before anything is done under it. `.staleTerm` when a higher one has been heard of (for
    /// what takes away), `.held` for the tombstone of a record that is held.
    package mutating func amend(
        _ amendments: [NewAmendment],
        under authority: Term
    ) -> [Result<AppendOutcome, SegmentStoreError>] {
        run(amendments.map { new in Result { () throws(SegmentStoreError) in try Put(new, under: authority) } })
    }

    private mutating func run(
        _ wanted: [Result<Put, SegmentStoreError>]
    ) -> [Result<AppendOutcome, SegmentStoreError>] {
        var owners: [Put.Key: Put] = [:]
        var puts: [Put] = []
        let keys = wanted.map { result -> (key: Put.Key, isFirst: Bool)? in
            guard case .success(let put) = result else { return nil }
            let isFirst = owners[put.key] == nil
            if isFirst {
                owners[put.key] = put
                puts.append(put)
            }
            return (put.key, isFirst)
        }
        var ends: [Put.Key: PutResult] = [:]
        put(puts) { put, result in ends[put.key] = result }
        return zip(wanted, keys).map { result, key in
            result.flatMap { put in
                guard let key, let end = ends[key.key], let owner = owners[key.key] else {
                    return .failure(SegmentStoreError(.invalid, "record was not answered", record: put.id))
                }
                if key.isFirst { return end.outcome(for: put) }
                return end.outcome(for: put, joining: owner)
            }
        }
    }

    /// Notes, durably, that a coordinator of this term is in office; lower ones are refused from now on.
    package mutating func observe(_ term: Term) throws(SegmentStoreError) {
        guard term > manifest.state.highestTerm else { return }
        try append([.term(term)])
        facts.update { $0.highestTerm = term }
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
        return try large.settle(end?.outcome(for: wanted))
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

    package func amendments(of id: RecordID) throws(SegmentStoreError) -> [StoredAmendment] {
        try view.amendments(of: id)
    }

    package func standing(of id: RecordID) throws(SegmentStoreError) -> RecordStanding { try view.standing(of: id) }

    package var status: StoreStatus { view.status }
}
