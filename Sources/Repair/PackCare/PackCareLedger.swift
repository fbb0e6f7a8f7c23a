// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Placement
package import ReplicationProtocol

/// What the coordinator needs of the catalog to have packs proven and removed: the catalog, or a stand-in in tests.
package protocol PackCareLedger: Sendable {
    func duePackReadings(limit: Int, term: Term) async throws(CatalogError) -> [DuePackReading]
    func endReading(
        of pack: ColdPack,
        by node: NodeID?,
        isDamaged: Bool,
        failure: String?,
        term: Term
    ) async throws(CatalogError)
    func note(_ pack: ColdPack, isOffline: Bool) async throws(CatalogError)
    func postponeReading(
        of pack: ColdPack,
        by delay: Duration,
        attempts: Int,
        term: Term
    ) async throws(CatalogError)
    func markPacks(grace: Duration, limit: Int, term: Term) async throws(CatalogError) -> Int
    func rewritePack(
        asHigh high: UInt64,
        low: UInt64,
        createdAtMilliseconds: Int64,
        term: Term
    ) async throws(CatalogError) -> Bool
    func repack(limit: Int, term: Term) async throws(CatalogError) -> Repacking
    func beginPackRemovals(limit: Int, term: Term) async throws(CatalogError) -> [ColdPack]
    func noteRemoved(_ pack: ColdPack, by node: NodeID, term: Term) async throws(CatalogError)
    func postponeRemoval(
        of pack: ColdPack,
        by delay: Duration,
        note: String,
        term: Term
    ) async throws(CatalogError)
}

extension Catalog: PackCareLedger {}

/// A storage node that reads packs, and removes them: a connection, or a stand-in in tests.
package protocol PackCarePeer: Sendable {
    var id: NodeID { get }
    var name: String { get }
    func verifyPack(_ request: VerifyPackRequest) async throws(ReplicationError)
    func removePack(_ request: RemovePackRequest) async throws(ReplicationError)
}

/// What a leader has to know of the cluster to have packs proven and removed.
package struct PackCareView: Sendable {
    package let stamp: OrderStamp
    /// The members that answer, in the order of their ids.
    package let peers: [any PackCarePeer]

    package init(stamp: OrderStamp, peers: [any PackCarePeer]) {
        self.stamp = stamp
        self.peers = peers.sorted { $0.id < $1.id }
    }
}

/// How much of it is done at once, and when.
package struct PackCareLimits: Hashable, Sendable {
    /// Packs that are read at once by request.
    package var readingsAtOnce = 2
    /// After so many failures in turn a reading has ended, and the pack is out of reach.
    package var attempts = 3
    /// How long a pack is left alone that could not be read, or not be removed.
    package var readingPause = Duration.seconds(5)
    package var removalPause = Duration.seconds(300)

    /// Whether packs are removed from their stores at all.
    package var removes = false
    /// How long a pack has been marked before it goes.
    package var grace = Duration.seconds(7 * 86_400)
    /// How often packs are looked for that are to go.
    package var markInterval = Duration.seconds(300)
    package var marksAtOnce = 256
    /// Packs that are removed by one order of the catalog, for which stores wait while their records are looked at.
    package var removalsAtOnce = 4
    /// Packs that are made anew without what was deleted, of one look.
    package var rewritesAtOnce = 8
    /// Studies in packs only that are on their way back to be packed anew, without those that wait for media.
    package var repackingsAtOnce = 4

    package init() {}
}
