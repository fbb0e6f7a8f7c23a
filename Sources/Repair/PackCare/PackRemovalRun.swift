// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Logging
import Placement
import ReplicationProtocol

/// Has packs removed from their stores: of what was deleted for good, and what was given up.
///
/// In this order, so that a crash anywhere loses nothing that is wanted and leaves nothing unknown: a mark, which goes when
/// it is not true any more; after its grace one look at all that is true of the pack, in one transaction alone, from which on nobody
/// reads from it; the node's order, which may be given twice; its end, entered.
package struct PackRemovalRun: Sendable {
    private let ledger: any PackCareLedger
    private let view: PackCareView
    private let limits: PackCareLimits
    private let logger: Logger
    /// Milliseconds since 1970.
    private let now: @Sendable () -> Int64

    package init(
        ledger: any PackCareLedger,
        view: PackCareView,
        limits: PackCareLimits,
        logger: Logger,
        now: @escaping @Sendable () -> Int64
    ) {
        self.ledger = ledger
        self.view = view
        self.limits = limits
        self.logger = logger
        self.now = now
    }

    /// Looks for packs that are to go, and has those made anew of which a part was deleted.
    package func mark() async throws(CatalogError) {
        let count = try await ledger.markPacks(grace: limits.grace, limit: limits.marksAtOnce, term: view.stamp.term)
        if count > 0 { logger.notice("packs are to be removed from their stores", metadata: ["packs": "\(count)"]) }
        // Before packs are made anew of what nodes have: a study that came back for it goes again.
        let repacking = try await ledger.repack(limit: limits.repackingsAtOnce, term: view.stamp.term)
        if repacking != Repacking() {
            logger.notice(
                "packs of studies in packs only are made anew without what was deleted of them",
                metadata: ["recalled": "\(repacking.recalledCount)", "packed": "\(repacking.movedCount)"]
            )
        }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<limits.rewritesAtOnce where !Task.isCancelled {
            let isRewritten = try await ledger.rewritePack(
                asHigh: generator.next(),
                low: generator.next(),
                createdAtMilliseconds: now(),
                term: view.stamp.term
            )
            guard isRewritten else { return }
            logger.notice("a pack is made anew without what was deleted of it")
        }
    }

    /// Removes what is due.
    package func remove() async throws(CatalogError) {
        for pack in try await ledger.beginPackRemovals(limit: limits.removalsAtOnce, term: view.stamp.term) {
            guard !Task.isCancelled else { return }
            try await remove(pack)
        }
    }

    private func remove(_ pack: ColdPack) async throws(CatalogError) {
        let request = RemovePackRequest(reference: PackReference(pack), stamp: view.stamp)
        var reasons: [String] = []
        for peer in view.peers {
            guard let failure = await Self.failure(of: request, by: peer) else {
                try await ledger.noteRemoved(pack, by: peer.id, term: view.stamp.term)
                logger.notice(
                    "a pack was removed from its store",
                    metadata: ["pack": "\(pack.nameInLogs)", "tier": "\(pack.tier)", "node": "\(peer.name)"]
                )
                return
            }
            if failure.code == .staleTerm { throw CatalogError(.staleTerm, "another coordinator leads") }
            // Another may reach the store, or be allowed to use it.
            reasons.append("\(peer.name): \(failure)")
        }
        let note = reasons.isEmpty ? "no storage node answers" : reasons.joined(separator: "; ")
        logger.warning(
            "a pack could not be removed from its store now",
            metadata: ["pack": "\(pack.nameInLogs)", "tier": "\(pack.tier)"]
        )
        try await ledger.postponeRemoval(of: pack, by: limits.removalPause, note: note, term: view.stamp.term)
    }

    private static func failure(of request: RemovePackRequest, by peer: any PackCarePeer) async -> ReplicationError? {
        do throws(ReplicationError) {
            try await peer.removePack(request)
            return nil
        } catch {
            return error
        }
    }
}
