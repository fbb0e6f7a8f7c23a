// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import Placement
import SegmentFormat
import SegmentStore

/// Indexes with a deliberate mistake: what is indexed while a store starts is indexed without its tombstones.
final class ForgetfulIndexes: RecordIndexProvider {
    private let indexes: MemoryIndexProvider
    private let isStarting = NIOLockedValueBox(true)

    init(_ indexes: MemoryIndexProvider) { self.indexes = indexes }

    /// The store is open.
    func started() { isStarting.withLockedValue { $0 = false } }

    func open(for store: IndexOwner) throws(IndexFailure) -> any RecordIndex {
        ForgetfulIndex(try indexes.open(for: store)) { [isStarting] in isStarting.withLockedValue { $0 } }
    }

    func remove() throws(IndexFailure) { try indexes.remove() }
}

private final class ForgetfulIndex: RecordIndex {
    private let index: any RecordIndex
    private let isStarting: @Sendable () -> Bool

    init(_ index: any RecordIndex, isStarting: @escaping @Sendable () -> Bool) {
        self.index = index
        self.isStarting = isStarting
    }

    func close() { index.close() }

    func sync() throws(IndexFailure) { try index.sync() }

    func liveCount() throws(IndexFailure) -> Int { try index.liveCount() }

    func lookUp(_ ids: [RecordID]) throws(IndexFailure) -> [IndexLookup] { try index.lookUp(ids) }

    func amendments(of id: RecordID) throws(IndexFailure) -> [IndexedRecord] { try index.amendments(of: id) }

    func insert(
        _ records: [IndexedRecord],
        segment: SegmentID,
        indexedUpTo end: UInt64
    ) throws(IndexFailure) -> Int {
        let kept = isStarting() ? records.filter { $0.amendment == nil } : records
        return try index.insert(kept, segment: segment, indexedUpTo: end)
    }

    func move(_ moves: [IndexMove]) throws(IndexFailure) { try index.move(moves) }

    func forget(_ segment: SegmentID, _ records: [IndexedRecord]) throws(IndexFailure) {
        try index.forget(segment, records)
    }

    func noteOthers(_ records: [IndexedRecord]) throws(IndexFailure) { try index.noteOthers(records) }

    func others(of id: RecordID) throws(IndexFailure) -> [RecordLocator] { try index.others(of: id) }

    func drops(of ids: [RecordID]) throws(IndexFailure) -> [[DroppedPlace]] { try index.drops(of: ids) }

    func indexedEnd(of segment: SegmentID) throws(IndexFailure) -> UInt64? { try index.indexedEnd(of: segment) }

    func list(group: PlacementGroup, after previous: RecordID?, limit: Int) throws(IndexFailure) -> [RecordID] {
        try index.list(group: group, after: previous, limit: limit)
    }

    func listAmended(group: PlacementGroup, after previous: RecordID?, limit: Int) throws(IndexFailure) -> [RecordID] {
        try index.listAmended(group: group, after: previous, limit: limit)
    }
}
