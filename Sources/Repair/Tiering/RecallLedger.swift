// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Placement
package import ReplicationProtocol

/// What the coordinator needs of the catalog to have studies come back: the catalog, or a stand-in in tests.
package protocol RecallLedger: Sendable {
    func dueRecalls(limit: Int) async throws(CatalogError) -> [StudyRecall]
    func recallableRecords(of recall: Int64) async throws(CatalogError) -> [RecallableRecord]
    func packs(ofStudy study: String) async throws(CatalogError) -> [ColdPack]
    func placementNumber(of nodes: [NodeID]) async throws(CatalogError) -> Int32
    func countRecalled(
        _ records: [RecalledRecord],
        ofRecall recall: Int64,
        term: Term
    ) async throws(CatalogError) -> CountedRecall
    func finish(recall: Int64, note: String, term: Term) async throws(CatalogError) -> Bool
    func postpone(
        recall: Int64,
        by delay: Duration?,
        attempts: Int,
        note: String,
        term: Term
    ) async throws(CatalogError)
    /// Puts a recall off until media are there; no failure, whose pause grows with the time that it has waited.
    func waitForMedia(
        recall: Int64,
        packs: [RecallableRecord.Pack],
        pauses: ClosedRange<Duration>,
        note: String,
        term: Term
    ) async throws(CatalogError)
    func note(_ pack: ColdPack, isOffline: Bool) async throws(CatalogError)
    func doubt(_ pack: ColdPack, note: String) async throws(CatalogError)
}

extension Catalog: RecallLedger {}

/// A storage node that reads packs and gives copies to others: a connection, or a stand-in in tests.
package protocol RecallPeer: RepairPeer {
    /// Has the node store records of a pack; what became of each is told when that is durable there.
    func recall(_ request: RecallRequest) async throws(ReplicationError) -> [RecallOutcome]
}

/// What a leader's recalls have to know of the cluster at a moment.
package struct RecallView: Sendable {
    package let stamp: OrderStamp
    /// The members that answer.
    package let peers: [NodeID: any RecallPeer]
    package let map: PlacementMap
    /// Copies that are wanted.
    package let copies: Int
    /// Nodes that serve nobody.
    package let idle: Set<NodeID>

    package init(
        stamp: OrderStamp,
        peers: [any RecallPeer],
        map: PlacementMap,
        copies: Int,
        idle: Set<NodeID> = []
    ) {
        self.stamp = stamp
        self.map = map
        self.copies = max(1, copies)
        self.idle = idle
        self.peers = Dictionary(peers.map { ($0.id, $0) }) { first, _ in first }
    }
}
