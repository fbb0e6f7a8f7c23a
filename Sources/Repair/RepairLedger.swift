// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Placement
package import Reconciliation
package import ReplicationProtocol

/// What the coordinator needs of the catalog to have copies made: the catalog, or a stand-in in tests.
package protocol RepairLedger: Sendable {
    func placedGroups() async throws(CatalogError) -> [PlacedGroup]
    func replaceRepairBacklog(
        _ differences: [RepairDifference],
        copies: Int,
        term: Term
    ) async throws(CatalogError)
    func countRepairBacklog(limit: Int, term: Term) async throws(CatalogError) -> Int
    func enqueueRepairs(
        of difference: RepairDifference,
        after: RecordID?,
        limit: Int,
        waitingLimit: Int,
        term: Term
    ) async throws(CatalogError) -> EnqueuedRepairs
    func claimRepairs(term: Term, limit: Int, held: [RecordID]) async throws(CatalogError) -> [RepairItem]
    func countRepairs(_ repairs: [CountedRepair], term: Term) async throws(CatalogError) -> Int
    func dropRepairs(_ records: [RecordID], term: Term) async throws(CatalogError)
    func postponeRepairs(_ repairs: [PostponedRepair], term: Term) async throws(CatalogError)
    func noteRepairRate(items: Double, bytes: Double, alarm: String, term: Term) async throws(CatalogError)
    func placementNumber(of nodes: [NodeID]) async throws(CatalogError) -> Int32
}

/// A storage node that gives and takes copies: a connection, or a stand-in in tests.
package protocol RepairPeer: Sendable {
    var id: NodeID { get }
    var name: String { get }
    /// Has the node fetch a record from another; returns when it is durable there, and its digest has been compared.
    ///
    /// A copy that it has already, and finds whole, is as good.
    func fetch(_ id: RecordID, from source: any RepairPeer, _ stamp: OrderStamp) async throws(ReplicationError)
    var host: String { get }
    var port: Int { get }
}

/// What a leader's repair has to know of the cluster at a moment.
package struct RepairView: Sendable {
    package let stamp: OrderStamp
    package let planner: Planner
    /// The members that answer.
    package let peers: [NodeID: any RepairPeer]
    /// Nodes that serve nobody: copies between two of them are made as fast as they can.
    package let idle: Set<NodeID>
    /// Changes with whatever the planner knows.
    package let version: Int

    package init(
        stamp: OrderStamp,
        planner: Planner,
        peers: [any RepairPeer],
        idle: Set<NodeID> = [],
        version: Int
    ) {
        self.stamp = stamp
        self.planner = planner
        self.peers = Dictionary(peers.map { ($0.id, $0) }) { first, _ in first }
        self.idle = idle
        self.version = version
    }

    /// Whether nobody waits for either node.
    func isIdle(_ target: NodeID, _ source: NodeID) -> Bool { idle.contains(target) && idle.contains(source) }
}

/// Why repair cannot go on now.
package enum RepairObstacle: Error, Sendable, Equatable {
    /// Another coordinator leads.
    case staleTerm
    /// The catalog does not answer.
    case catalog(String)

    init(_ error: CatalogError) {
        self = error.code == .staleTerm ? .staleTerm : .catalog("\(error)")
    }
}

extension Catalog: RepairLedger {}
