// SPDX-License-Identifier: Apache-2.0

package import Placement
package import SegmentFormat

/// From record id to place, and from record id to what was said about it: a cache that a scan of the segments rebuilds.
///
/// One thread writes; any thread reads. What one call writes becomes visible as a whole or not at all.
package protocol RecordIndex: AnyObject, Sendable {
    /// Ends all use; no other call may be running or follow.
    func close()
    /// Writes everything to the disk.
    func sync() throws(IndexFailure)
    /// The number of records that are stored and not deleted.
    func liveCount() throws(IndexFailure) -> Int
    /// What is known of each of `ids`.
    func lookUp(_ ids: [RecordID]) throws(IndexFailure) -> [IndexLookup]
    /// What was said about a record, in order.
    func amendments(of id: RecordID) throws(IndexFailure) -> [IndexedRecord]
    /// Notes where records are, and that all records of `segment` before `end` are known now.
    ///
    /// Returns by how much the number of live records changed.
    func insert(_ records: [IndexedRecord], segment: SegmentID, indexedUpTo end: UInt64) throws(IndexFailure) -> Int
    /// Points to other places, or to none, where the index points to the old ones still; these are known from then on as
    /// other places of the record.
    func move(_ moves: [IndexMove]) throws(IndexFailure)
    /// Forgets up to where a segment was indexed that is no more, and what is known of the places of `records`, all in it.
    func forget(_ segment: SegmentID, _ records: [IndexedRecord]) throws(IndexFailure)
    /// Notes where else the bytes of records are, beside the place that counts.
    func noteOthers(_ records: [IndexedRecord]) throws(IndexFailure)
    /// Where else the bytes of a record are; some of it may be in segments that are no more.
    func others(of id: RecordID) throws(IndexFailure) -> [RecordLocator]
    /// The places of each of `ids` that drop notes name.
    func drops(of ids: [RecordID]) throws(IndexFailure) -> [[DroppedPlace]]
    /// Up to where the records of `segment` are known.
    func indexedEnd(of segment: SegmentID) throws(IndexFailure) -> UInt64?
    /// At most `limit` ids of live records of `group` in order, after `previous`.
    func list(group: PlacementGroup, after previous: RecordID?, limit: Int) throws(IndexFailure) -> [RecordID]
    /// At most `limit` ids of `group` about which something was said, in order, after `previous`.
    func listAmended(group: PlacementGroup, after previous: RecordID?, limit: Int) throws(IndexFailure) -> [RecordID]
}

extension RecordIndex {
    func lookUp(_ id: RecordID) throws(IndexFailure) -> IndexLookup {
        try lookUp([id]).first ?? IndexLookup()
    }
}

/// A record with content, or one that says something about another.
package struct IndexedRecord: Hashable, Sendable {
    /// The record's id; that of its subject when it is an amendment.
    package var id: RecordID
    package var locator: RecordLocator
    package var amendment: Amendment?
    /// The places that it names, when it is a drop note.
    package var dropped: [SegmentPlace]

    package init(
        id: RecordID,
        locator: RecordLocator,
        amendment: Amendment? = nil,
        dropped: [SegmentPlace] = []
    ) {
        self.id = id
        self.locator = locator
        self.amendment = amendment
        self.dropped = dropped
    }

    /// Whether it is one with content.
    var hasContent: Bool { amendment == nil && locator.type != .drop }
}

/// A place that does not count any more, and the note that says so.
package struct DroppedPlace: Hashable, Sendable {
    package var place: SegmentPlace
    package var note: RecordLocator
}

/// A record whose place changes.
package struct IndexMove: Hashable, Sendable {
    /// The record at its old place.
    package var record: IndexedRecord
    /// The new place; `nil` when it has none.
    package var target: RecordLocator?
}

/// What an index knows of an id.
package struct IndexLookup: Hashable, Sendable {
    /// Where the record is; `nil` when it is not stored.
    package var locator: RecordLocator?
    package var standing = RecordStanding()

    var isLive: Bool { locator != nil && !standing.isDeleted }
}

/// Opens and removes the index of one store.
package protocol RecordIndexProvider: Sendable {
    /// Opens the index as it was left, or makes an empty one; fails when it is another store's or damaged.
    func open(for store: IndexOwner) throws(IndexFailure) -> any RecordIndex
    /// Removes the index, so that the next `open` makes an empty one.
    func remove() throws(IndexFailure)
}

/// The store that an index belongs to.
package struct IndexOwner: Hashable, Sendable {
    package let cluster: ClusterID
    package let node: NodeID

    package init(cluster: ClusterID, node: NodeID) {
        self.cluster = cluster
        self.node = node
    }
}

/// The failure of an index operation, by LMDB's number or errno.
package struct IndexFailure: Error, Sendable, CustomStringConvertible {
    package let operation: String
    package let number: Int32

    package init(_ operation: String, number: Int32) {
        self.operation = operation
        self.number = number
    }

    package var description: String { "index \(operation) failed, number \(number)" }
}
