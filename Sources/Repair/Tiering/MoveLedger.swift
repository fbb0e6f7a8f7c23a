// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Checksums
package import Placement
package import ReplicationProtocol

/// What the coordinator needs of the catalog to have studies moved: the catalog, or a stand-in in tests.
package protocol MoveLedger: Sendable {
    func dueMoves(limit: Int) async throws(CatalogError) -> [PackMove]
    func packs(ofMove move: Int64) async throws(CatalogError) -> [ColdPack]
    func movableRecords(of move: Int64) async throws(CatalogError) -> [MovableRecord]
    func planPacks(
        _ packs: [(high: UInt64, low: UInt64, records: [RecordID])],
        ofMove move: Int64,
        createdAtMilliseconds: Int64,
        term: Term
    ) async throws(CatalogError)
    func records(ofPack pack: ColdPack) async throws(CatalogError) -> [RecordID]
    func sources(ofPack pack: ColdPack) async throws(CatalogError) -> [PackSource]
    func noteBuilt(
        _ pack: ColdPack,
        byteCount: Int64,
        digest: SHA256Digest,
        by node: NodeID,
        term: Term
    ) async throws(CatalogError)
    func note(_ pack: ColdPack, isOffline: Bool) async throws(CatalogError)
    func noteSound(_ pack: ColdPack, by node: NodeID?, term: Term) async throws(CatalogError)
    func replace(
        _ pack: ColdPack,
        byHigh high: UInt64,
        low: UInt64,
        createdAtMilliseconds: Int64,
        note: String,
        term: Term
    ) async throws(CatalogError) -> Bool
    func dropPackedCopies(ofMove move: Int64, limit: Int, term: Term) async throws(CatalogError) -> PackedDrop
    func recheckPacks(olderThan age: Duration, limit: Int, term: Term) async throws(CatalogError) -> Int
    func countPacks(ofMove move: Int64, takesOver: Bool, term: Term) async throws(CatalogError)
    func finish(move: Int64, note: String, term: Term) async throws(CatalogError)
    func postpone(
        move: Int64,
        by delay: Duration?,
        attempts: Int,
        note: String,
        term: Term
    ) async throws(CatalogError)
}

extension Catalog: MoveLedger {}

/// A storage node that builds and reads packs: a connection, or a stand-in in tests.
package protocol PackPeer: Sendable {
    var id: NodeID { get }
    var name: String { get }
    var host: String { get }
    var port: Int { get }
    func buildPack(_ request: BuildPackRequest) async throws(ReplicationError) -> BuiltPack
    func verifyPack(_ request: VerifyPackRequest) async throws(ReplicationError)
}

/// What a leader's moving has to know of the cluster at a moment.
package struct MoveView: Sendable {
    package let stamp: OrderStamp
    /// The members that answer.
    package let peers: [NodeID: any PackPeer]
    /// All members of the map.
    package let members: Set<NodeID>

    package init(stamp: OrderStamp, peers: [any PackPeer], members: Set<NodeID>) {
        self.stamp = stamp
        self.members = members
        self.peers = Dictionary(peers.map { ($0.id, $0) }) { first, _ in first }
    }
}
