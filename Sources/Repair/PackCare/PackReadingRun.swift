// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Logging
import Placement
import ReplicationProtocol

/// Has one pack read whole that somebody wants proven, and enters what came of it.
package struct PackReadingRun: Sendable {
    private let ledger: any PackCareLedger
    private let view: PackCareView
    private let limits: PackCareLimits
    private let logger: Logger

    package init(ledger: any PackCareLedger, view: PackCareView, limits: PackCareLimits, logger: Logger) {
        self.ledger = ledger
        self.view = view
        self.limits = limits
        self.logger = logger
    }

    package func run(_ due: DuePackReading) async throws(CatalogError) {
        let pack = due.pack
        guard let digest = pack.digest else {
            return try await end(pack, by: nil, isDamaged: true, "the catalog does not know its SHA-256")
        }
        guard let peer = reader(of: pack, attempt: due.attemptCount) else {
            return try await failed(due, by: nil, "no storage node answers that may read it")
        }
        let request = VerifyPackRequest(
            reference: PackReference(pack),
            stamp: view.stamp,
            byteCount: UInt64(max(0, pack.byteCount)),
            digest: digest
        )
        guard
            let failure = await Self.failure({ () async throws(ReplicationError) in try await peer.verifyPack(request) }
            )
        else {
            return try await ledger.endReading(
                of: pack,
                by: peer.id,
                isDamaged: false,
                failure: nil,
                term: view.stamp.term
            )
        }
        let reason = "\(peer.name): \(failure)"
        switch failure.code {
        case .staleTerm, .staleEpoch: return
        case .offline:
            // Nothing is proven, and nothing in doubt.
            try await ledger.note(pack, isOffline: true)
            try await end(pack, by: peer, isDamaged: false, reason)
        case .corrupt: try await end(pack, by: peer, isDamaged: true, reason)
        case .notFound:
            // Of others than its writer it may be a mount that lacks.
            guard peer.id == pack.writer || due.attemptCount + 1 >= limits.attempts else {
                return try await failed(due, by: peer, reason)
            }
            try await end(pack, by: peer, isDamaged: true, reason)
        default: try await failed(due, by: peer, reason)
        }
    }

    private static func failure(
        _ body: () async throws(ReplicationError) -> Void
    ) async -> ReplicationError? {
        do throws(ReplicationError) {
            try await body()
            return nil
        } catch {
            return error
        }
    }

    /// Another node than its writer where one answers, and at each new attempt the next.
    private func reader(of pack: ColdPack, attempt: Int) -> (any PackCarePeer)? {
        let ranked = view.peers.filter { $0.id != pack.writer } + view.peers.filter { $0.id == pack.writer }
        return ranked.isEmpty ? nil : ranked[attempt % ranked.count]
    }

    private func failed(
        _ due: DuePackReading,
        by peer: (any PackCarePeer)?,
        _ reason: String
    ) async throws(CatalogError) {
        let attempts = due.attemptCount + 1
        guard attempts < limits.attempts else { return try await end(due.pack, by: peer, isDamaged: false, reason) }
        try await ledger.postponeReading(
            of: due.pack,
            by: limits.readingPause,
            attempts: attempts,
            term: view.stamp.term
        )
    }

    private func end(
        _ pack: ColdPack,
        by peer: (any PackCarePeer)?,
        isDamaged: Bool,
        _ reason: String
    ) async throws(CatalogError) {
        logger.log(
            level: isDamaged ? .error : .warning,
            isDamaged ? "a pack is damaged or gone" : "a pack could not be read",
            metadata: ["pack": "\(pack.nameInLogs)", "tier": "\(pack.tier)"]
        )
        try await ledger.endReading(
            of: pack,
            by: peer?.id,
            isDamaged: isDamaged,
            failure: reason,
            term: view.stamp.term
        )
    }
}

extension PackReference {
    /// How nodes are told which pack is meant.
    init(_ pack: ColdPack) {
        self.init(
            pack: ReferenceID(high: pack.idHigh, low: pack.idLow),
            studyInstanceUID: pack.studyInstanceUID,
            place: pack.place
        )
    }
}

extension PackReference {
    /// The same for a node that is to have the pack restored when it is in an archive class; nil when it is in no bucket.
    ///
    /// A part of the place, which nodes that answer OFFLINE can read (ColdPlace).
    var restoring: PackReference? {
        let isBucket = place.hasPrefix("s3+")
        guard isBucket, !place.contains("restore=yes") else { return nil }
        var reference = self
        reference.place += place.contains("?") ? "&restore=yes" : "?restore=yes"
        guard reference.place.utf8.count <= Self.maximumPlaceByteCount else { return nil }
        return reference
    }
}

extension ColdPack {
    /// The id, as operators see it.
    var nameInLogs: String { "\(NodeID(high: idHigh, low: idLow))" }
}
