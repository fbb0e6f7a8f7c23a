// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Logging
package import Placement
package import ReplicationProtocol

/// Where permits to destroy are written down before they are given: the catalog, or a stand-in in tests.
package protocol PurgeLedger: Sendable {
    /// Throws `.staleTerm` when another coordinator leads.
    func issuePurgePermit(_ permit: PurgePermit, term: Term) async throws(CatalogError)
    /// Notes what a node did with a permit; one that destroyed nothing is forgotten.
    func notePurge(
        _ permit: PurgePermit,
        destroyed: Int64,
        remaining: Int64,
        note: String,
        term: Term
    ) async throws(CatalogError)
}

/// A storage node whose trash is emptied: a connection, or a stand-in in tests.
package protocol PurgePeer: Sendable {
    var id: NodeID { get }
    var name: String { get }
    func purge(
        _ permit: PurgePermit,
        _ stamp: OrderStamp,
        maximumSegmentCount: UInt64
    ) async throws(ReplicationError) -> PurgeResult
}

/// Lets each storage node destroy the segments that have been in its trash for long enough.
///
/// The only step of the archive that can't be taken back: so a permit is in the catalog before it is given, a node does
/// little by one, and each node sees for itself that the time is over (docs/decisions/0067-emptying-the-trash.md).
package struct PurgeRound: Sendable {
    /// Segments that a node destroys by one permit: what a mistake costs at most before the next round.
    package static let segmentLimit: UInt64 = 16

    private let ledger: any PurgeLedger
    private let stamp: OrderStamp
    private let logger: Logger

    package init(ledger: any PurgeLedger, stamp: OrderStamp, logger: Logger) {
        self.ledger = ledger
        self.stamp = stamp
        self.logger = logger
    }

    /// Gives a permit to one node after another for what was retired before `retiredBeforeMilliseconds` (since 1970); whether
    /// a node has more of it.
    ///
    /// What a node refuses is left to the next round. Throws what the catalog says: without it there is no permit.
    package func run(
        _ peers: [any PurgePeer],
        retiredBeforeMilliseconds: Int64,
        using generator: inout some RandomNumberGenerator
    ) async throws(CatalogError) -> Bool {
        var hasMore = false
        for peer in peers where !Task.isCancelled {
            let permit = PurgePermit(
                high: generator.next(),
                low: generator.next(),
                node: peer.id,
                retiredBeforeMilliseconds: retiredBeforeMilliseconds
            )
            try await ledger.issuePurgePermit(permit, term: stamp.term)
            let (destroyed, remaining, note) = try await give(permit, to: peer)
            try await ledger.notePurge(
                permit,
                destroyed: destroyed,
                remaining: remaining,
                note: note,
                term: stamp.term
            )
            if destroyed > 0 && remaining > 0 { hasMore = true }
        }
        return hasMore
    }

    private func give(
        _ permit: PurgePermit,
        to peer: any PurgePeer
    ) async throws(CatalogError) -> (destroyed: Int64, remaining: Int64, note: String) {
        do throws(ReplicationError) {
            let result = try await peer.purge(permit, stamp, maximumSegmentCount: Self.segmentLimit)
            let destroyed = Int64(clamping: result.purgedSegmentCount)
            if destroyed > 0 {
                logger.notice(
                    "segments in the trash were destroyed",
                    metadata: ["node": "\(peer.name)", "permit": "\(permit)", "segments": "\(destroyed)"]
                )
            }
            return (destroyed, Int64(clamping: result.remainingSegmentCount), "")
        } catch {
            if error.code == .staleTerm { throw CatalogError(.staleTerm, "\(peer.name): \(error)") }
            // What it has done by then is in its manifest, under this permit.
            logger.warning(
                "a storage node's trash could not be emptied",
                metadata: ["node": "\(peer.name)", "permit": "\(permit)", "reason": "\(error)"]
            )
            return (0, 0, "\(error)")
        }
    }
}
