// SPDX-License-Identifier: Apache-2.0

package import Placement
package import ReplicationProtocol

/// What healing asks of the catalog.
package protocol HealingCatalog: Sendable {
    /// The records of which the catalog says that a node has a copy, after one of them, in order; at most `limit`.
    func records(on node: NodeID, after: RecordID?, limit: Int) async throws -> [RecordID]
    /// Those of `ids` that no row names.
    func unknown(among ids: [RecordID]) async throws -> [RecordID]
}

/// What healing asks of a storage node; a connection to it, or a test's idea of one.
package protocol HealingPeer: Sendable {
    var id: NodeID { get }
    /// What operators call it.
    var name: String { get }
    /// Where other nodes reach it.
    var host: String { get }
    var port: Int { get }

    func damage(from first: DamageCursor) async throws(ReplicationError) -> DamageReport
    /// Has the node fetch a record from another.
    func pull(_ id: RecordID, from source: any HealingPeer, _ stamp: OrderStamp) async throws(ReplicationError)
    func healed(_ stamp: OrderStamp, reconciled: UInt64?) async throws(ReplicationError) -> UInt64
    /// At most `limit` ids of a group, in order, after one of them.
    func list(_ group: PlacementGroup, after: RecordID?, limit: Int) async throws(ReplicationError) -> [RecordID]
    /// The amendments of a range of records, from a certain one of the first record on.
    func amendments(
        from first: RecordID,
        firstOrder: RecordAmendment.Order,
        to last: RecordID
    ) async throws(ReplicationError) -> AmendmentPage
    func amend(_ amendment: RecordAmendment, _ stamp: OrderStamp) async throws(ReplicationError)
}
