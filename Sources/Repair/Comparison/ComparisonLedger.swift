// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Checksums
package import Placement
package import ReplicationProtocol

/// What the coordinator needs of the catalog to compare it with the nodes: the catalog, or a stand-in in tests.
package protocol ComparisonLedger: Sendable {
    func namedCopies(
        in range: ClosedRange<RecordID>,
        after: RecordID?,
        limit: Int
    ) async throws(CatalogError) -> [NamedCopies]
    func explain(_ records: [RecordID]) async throws(CatalogError) -> (trashed: Int, orphans: Int)
    func comparisonPosition() async throws(CatalogError) -> ComparisonPosition
    func noteComparison(of group: PlacementGroup, _ counts: ComparisonCounts, term: Term) async throws(CatalogError)
    func reportMissing(_ copies: [(record: RecordID, node: NodeID)]) async throws(CatalogError)
    func missingCopies(on nodes: [NodeID], limit: Int, term: Term) async throws(CatalogError) -> [MissingCopy]
    func settleMissing(_ copy: MissingCopy, term: Term) async throws(CatalogError)
    func uncount(
        _ copy: MissingCopy,
        from placement: Int32,
        to newPlacement: Int32,
        note: String,
        term: Term
    ) async throws(CatalogError) -> Bool
    func recount(
        _ record: RecordID,
        on node: NodeID,
        from placement: Int32,
        to newPlacement: Int32,
        term: Term
    ) async throws(CatalogError) -> Bool
    func postponeMissing(
        _ copy: MissingCopy,
        isLost: Bool,
        pause: Duration,
        note: String,
        term: Term
    ) async throws(CatalogError)
    func placementNumber(of nodes: [NodeID]) async throws(CatalogError) -> Int32
    /// Has a node told to drop a copy of what is in cold packs only; false when no pack is known to be sound.
    func orderColdDrop(_ record: RecordID, on node: NodeID, term: Term) async throws(CatalogError) -> Bool
}

extension ComparisonLedger {
    /// For ledgers that know of no packs.
    package func orderColdDrop(
        _ record: RecordID,
        on node: NodeID,
        term: Term
    ) async throws(CatalogError) -> Bool { false }
}

/// A storage node that is compared: a connection, or a stand-in in tests.
package protocol ComparisonPeer: Sendable {
    var id: NodeID { get }
    var name: String { get }
    /// At most `limit` ids of a group, in order, after one of them.
    func list(_ group: PlacementGroup, after: RecordID?, limit: Int) async throws(ReplicationError) -> [RecordID]
    /// The digest that the node has written down for a record's payload; nil when it does not have the record.
    func digest(of id: RecordID) async throws(ReplicationError) -> SHA256Digest?
    /// Has the node read all of a record and compare it with its checksums and digest.
    func verify(_ id: RecordID) async throws(ReplicationError)
}

/// What a leader has to know of the cluster to compare its nodes with the catalog.
package struct ComparisonView: Sendable {
    package let stamp: OrderStamp
    /// All members of the map by name, whether they answer or not.
    package let members: [NodeID: String]
    /// Those that answer.
    package let peers: [NodeID: any ComparisonPeer]
    /// Those whose word counts when they say that they do not have something.
    package let trusted: Set<NodeID>

    package init(
        stamp: OrderStamp,
        members: [NodeID: String],
        peers: [any ComparisonPeer],
        trusted: Set<NodeID>
    ) {
        self.stamp = stamp
        self.members = members
        self.peers = Dictionary(peers.map { ($0.id, $0) }) { first, _ in first }
        self.trusted = trusted
    }
}

extension Catalog: ComparisonLedger {}
