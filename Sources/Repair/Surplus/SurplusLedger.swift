// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Checksums
package import Placement
package import Reconciliation
package import ReplicationProtocol

/// What the coordinator needs of the catalog to have surplus copies dropped: the catalog, or a stand-in in tests.
package protocol SurplusLedger: Sendable {
    func surplusRecords(
        placement: Int32,
        group: PlacementGroup,
        node: NodeID,
        after: RecordID?,
        limit: Int
    ) async throws(CatalogError) -> [SurplusRecord]
    func beginDrops(
        _ records: [RecordID],
        on node: NodeID,
        from placement: Int32,
        to newPlacement: Int32,
        term: Term
    ) async throws(CatalogError) -> [RecordID]
    func finishDrops(_ records: [RecordID], on node: NodeID, term: Term) async throws(CatalogError)
    func unconfirmedDrops(of nodes: [NodeID], limit: Int, term: Term) async throws(CatalogError) -> [UnconfirmedDrop]
    /// The same of what is in cold packs only.
    func coldDrops(of nodes: [NodeID], limit: Int, term: Term) async throws(CatalogError) -> [UnconfirmedDrop]
    /// Those of `records`, in cold packs only, copies of which may be dropped at this moment, because a pack proves them.
    func beginColdDrops(_ records: [RecordID], term: Term) async throws(CatalogError) -> Set<RecordID>
    func restoreDrops(_ restored: [CountedRepair], on node: NodeID, term: Term) async throws(CatalogError)
    func postponeDrops(_ drops: [PostponedRepair], on node: NodeID, term: Term) async throws(CatalogError)
    func placementNumber(of nodes: [NodeID]) async throws(CatalogError) -> Int32
}

/// A storage node with surplus copies, or with those that stay: a connection, or a stand-in in tests.
package protocol SurplusPeer: Sendable {
    var id: NodeID { get }
    var name: String { get }
    /// The digest that the node has written down for a record's payload; nil when it does not have the record.
    func digest(of id: RecordID) async throws(ReplicationError) -> SHA256Digest?
    /// Has the node read all of a record and compare it with its checksums and digest.
    func verify(_ id: RecordID) async throws(ReplicationError)
    /// What the node knows to be said about records of one group, a page of it.
    func amendments(
        from first: RecordID,
        firstOrder: RecordAmendment.Order,
        to last: RecordID
    ) async throws(ReplicationError) -> AmendmentPage
    /// Has the node let copies go; what became of each, durably.
    func drop(
        _ items: [DropRequest.Item],
        permit: ReferenceID,
        _ stamp: OrderStamp,
        sequence: UInt64
    ) async throws(ReplicationError) -> [RecordDropOutcome]
}

/// What a leader has to know of the cluster to have copies dropped.
package struct SurplusView: Sendable {
    package let stamp: OrderStamp
    package let planner: Planner
    /// The members that answer.
    package let peers: [NodeID: any SurplusPeer]

    package init(stamp: OrderStamp, planner: Planner, peers: [any SurplusPeer]) {
        self.stamp = stamp
        self.planner = planner
        self.peers = Dictionary(peers.map { ($0.id, $0) }) { first, _ in first }
    }
}

extension Catalog: SurplusLedger {}
