// SPDX-License-Identifier: Apache-2.0

package import Placement
package import SegmentFormat

/// From record id to place: a cache that a scan of the segments rebuilds.
///
/// One thread writes; any thread reads. What one call writes becomes visible as a whole or not at all.
package protocol RecordIndex: AnyObject, Sendable {
    /// Ends all use; no other call may be running or follow.
    func close()
    /// Writes everything to the disk.
    func sync() throws(IndexFailure)
    /// The number of records.
    func count() throws(IndexFailure) -> Int
    /// Where the records of `ids` are, each `nil` when unknown.
    func locators(of ids: [RecordID]) throws(IndexFailure) -> [RecordLocator?]
    /// Notes where records are, and that all records of `segment` before `end` are known now.
    func insert(
        _ entries: [(id: RecordID, locator: RecordLocator)],
        segment: SegmentID,
        indexedUpTo end: UInt64
    ) throws(IndexFailure)
    /// Up to where the records of `segment` are known.
    func indexedEnd(of segment: SegmentID) throws(IndexFailure) -> UInt64?
    /// At most `limit` ids of `group` in order, after `previous`.
    func list(group: PlacementGroup, after previous: RecordID?, limit: Int) throws(IndexFailure) -> [RecordID]
}

extension RecordIndex {
    func locator(of id: RecordID) throws(IndexFailure) -> RecordLocator? {
        try locators(of: [id]).first ?? nil
    }
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
