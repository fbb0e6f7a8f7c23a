// SPDX-License-Identifier: Apache-2.0

package import Catalog
import Checksums
package import Logging
import Placement
import ReplicationProtocol

/// Takes one move as far as it goes now, step by step, under one coordinator's term.
///
/// Every step is entered in the catalog before the next begins. It may be cut off anywhere, and begun again by another.
package struct MoveRun: Sendable {
    /// What a step came to.
    private enum Outcome: Equatable {
        case next
        case over
    }

    let ledger: any MoveLedger
    let view: MoveView
    let limits: MoveLimits
    let logger: Logger
    /// Milliseconds since 1970.
    let now: @Sendable () -> Int64

    package init(
        ledger: any MoveLedger,
        view: MoveView,
        limits: MoveLimits = MoveLimits(),
        logger: Logger,
        now: @escaping @Sendable () -> Int64
    ) {
        self.ledger = ledger
        self.view = view
        self.limits = limits
        self.logger = logger
        self.now = now
    }

    private var term: Term { view.stamp.term }

    /// Works on the move until it has to wait, needs a person or is done.
    ///
    /// A step of a move is a fraction of a study's bytes read or written at least; there are a few for each pack.
    package func run(_ move: PackMove) async throws(CatalogError) {
        while !Task.isCancelled {
            let packs = try await ledger.packs(ofMove: move.id)
            let outcome: Outcome
            let step = MovePlan.next(move, packs, dropsCopies: limits.dropsCopies)
            switch step {
            case .select: outcome = try await select(move)
            case .build(let pack): outcome = try await build(pack, move, step)
            case .verify(let pack): outcome = try await verify(pack, move, step)
            case .count:
                try await ledger.countPacks(
                    ofMove: move.id,
                    takesOver: move.drops && limits.dropsCopies,
                    term: term
                )
                logger.notice("a study is read from packs from now on, should its copies fail", metadata: facts(move))
                // How long they have to stand the catalog says when it is asked next.
                outcome = .over
            case .stand: outcome = .over
            case .drop: outcome = try await drop(packs, move)
            case .finish:
                try await ledger.finish(
                    move: move.id,
                    note: "\(packs.count) packs were read back twice; the copies on storage nodes are kept",
                    term: term
                )
                logger.notice("a study is in packs", metadata: facts(move))
                outcome = .over
            }
            guard outcome == .next else { return }
        }
    }

    private func select(_ move: PackMove) async throws(CatalogError) -> Outcome {
        let parts = MovePlan.parts(try await ledger.movableRecords(of: move.id), limits: limits)
        guard !parts.isEmpty else {
            if move.drops, limits.dropsCopies {
                // Packs of earlier orders serve this one, as far as nodes have copies of what is in them.
                try await ledger.countPacks(ofMove: move.id, takesOver: true, term: term)
                guard try await ledger.packs(ofMove: move.id).isEmpty else { return .over }
            }
            let note = "there was nothing to be packed: every instance is in a pack of the tier, or the study is gone"
            try await ledger.finish(move: move.id, note: note, term: term)
            return .over
        }
        var generator = SystemRandomNumberGenerator()
        try await ledger.planPacks(
            parts.map { (high: generator.next(), low: generator.next(), records: $0) },
            ofMove: move.id,
            createdAtMilliseconds: now(),
            term: term
        )
        return .next
    }

    private func build(_ pack: ColdPack, _ move: PackMove, _ step: MovePlan.Step) async throws(CatalogError) -> Outcome
    {
        let sources = try await ledger.sources(ofPack: pack)
        guard sources.reduce(0, { $0 + $1.instanceCount }) == pack.instanceCount else {
            // Deleted meanwhile: what is left goes into another pack, or nothing does.
            try await replace(pack, "some of its instances are not in the archive any more")
            return .next
        }
        let answering = Set(view.peers.keys)
        guard let choice = MovePlan.builder(of: sources, answering: answering, attempt: move.attemptCount),
            let peer = view.peers[choice.node]
        else {
            return try await wait(move, "no storage node that answers has any of its instances")
        }
        let request = BuildPackRequest(
            reference: reference(pack),
            stamp: view.stamp,
            part: UInt32(clamping: pack.part),
            partCount: UInt32(clamping: pack.partCount),
            createdAtMilliseconds: pack.createdAtMilliseconds,
            sources: choice.others.prefix(BuildPackRequest.maximumSourceCount).compactMap { node in
                view.peers[node].flatMap { peer in
                    UInt16(exactly: peer.port).map {
                        BuildPackRequest.Source(nodeID: node, host: peer.host, port: $0)
                    }
                }
            },
            records: try await ledger.records(ofPack: pack)
        )
        let result = await Self.caught { () async throws(ReplicationError) in try await peer.buildPack(request) }
        switch result {
        case .success(let built):
            try await ledger.noteBuilt(
                pack,
                byteCount: Int64(clamping: built.byteCount),
                digest: built.digest,
                by: peer.id,
                term: term
            )
            return .next
        case .failure(let error):
            return try await failed(error, step, pack, move, by: peer, writer: peer.id)
        }
    }

    /// Has the catalog count copies no more; the nodes are told as of any other copy that is dropped.
    private func drop(_ packs: [ColdPack], _ move: PackMove) async throws(CatalogError) -> Outcome {
        switch try await ledger.dropPackedCopies(ofMove: move.id, limit: limits.dropsAtOnce, term: term) {
        case .dropped: return .next
        case .done:
            try await ledger.finish(
                move: move.id,
                note: "\(packs.count) packs were read back twice; the copies on storage nodes are dropped",
                term: term
            )
            logger.notice("a study is in packs only", metadata: facts(move))
            return .over
        case .recalled:
            try await ledger.finish(
                move: move.id,
                note: "\(packs.count) packs were read back twice; the study is recalled, so no more copies are dropped",
                term: term
            )
            return .over
        case .held(let hold):
            // Not a failure, however long it takes.
            try await ledger.postpone(
                move: move.id,
                by: limits.heldPause,
                attempts: move.attemptCount,
                note: "hold \(hold) keeps the copies on storage nodes; they are dropped when it is released",
                term: term
            )
            return .over
        case .unproven(let high, let low):
            guard let pack = packs.first(where: { ($0.idHigh, $0.idLow) == (high, low) }) else { return .over }
            return try await verify(pack, move, .verify(pack), byAnother: true)
        }
    }

    /// `byAnother`: not by its writer, unless there is no other node.
    private func verify(
        _ pack: ColdPack,
        _ move: PackMove,
        _ step: MovePlan.Step,
        byAnother: Bool = false
    ) async throws(CatalogError) -> Outcome {
        guard let digest = pack.digest else {
            try await replace(pack, "the catalog does not know its SHA-256")
            return .next
        }
        var answering = Set(view.peers.keys)
        if byAnother, let writer = pack.writer, view.members.contains(where: { $0 != writer }) {
            answering.remove(writer)
        }
        let node = MovePlan.verifier(writtenBy: pack.writer, answering: answering, attempt: move.attemptCount)
        guard let node, let peer = view.peers[node] else {
            return try await wait(move, "no storage node answers that may read it")
        }
        let request = VerifyPackRequest(
            reference: reference(pack),
            stamp: view.stamp,
            byteCount: UInt64(max(0, pack.byteCount)),
            digest: digest
        )
        var result = await Self.caught { () async throws(ReplicationError) in try await peer.verifyPack(request) }
        // What is only read again after a long time is not worth being restored for that.
        if case .failure(let error) = result, error.code == .offline, move.doneAtMilliseconds == nil,
            let reference = request.reference.restoring
        {
            var restoring = request
            restoring.reference = reference
            let request = restoring
            result = await Self.caught { () async throws(ReplicationError) in try await peer.verifyPack(request) }
        }
        switch result {
        case .success:
            try await ledger.noteSound(pack, by: peer.id, term: term)
            return .next
        case .failure(let error):
            return try await failed(error, step, pack, move, by: peer, writer: pack.writer)
        }
    }

    private func failed(
        _ error: ReplicationError,
        _ step: MovePlan.Step,
        _ pack: ColdPack,
        _ move: PackMove,
        by peer: any PackPeer,
        writer: NodeID?
    ) async throws(CatalogError) -> Outcome {
        let setback = MovePlan.setback(
            error,
            of: step,
            by: peer.id,
            writtenBy: writer,
            attempt: move.attemptCount,
            limits: limits
        )
        let note = "\(peer.name): \(error)"
        switch setback {
        case .rest: return .over
        case .wait: return try await wait(move, note)
        case .waitForMedium:
            if pack.state == .counted { try await ledger.note(pack, isOffline: true) }
            try await ledger.postpone(
                move: move.id,
                by: move.doneAtMilliseconds == nil ? limits.mediumPause : limits.mediumRecheckPause,
                attempts: move.attemptCount,
                note: "waits for medium: \(note)",
                term: term
            )
            return .over
        case .replace:
            logger.error(
                "a pack is not what was put into it, and is made anew",
                metadata: facts(move).merging(["node": "\(peer.name)", "reason": "\(error.code)"]) { first, _ in first }
            )
            guard try await replace(pack, note) else {
                logger.error(
                    "a pack with the only copies of images is damaged and needs a person",
                    metadata: facts(move)
                )
                try await ledger.postpone(
                    move: move.id,
                    by: nil,
                    attempts: move.attemptCount + 1,
                    note: "nothing is left to make the pack anew from; restore its file from a backup: \(note)",
                    term: term
                )
                return .over
            }
            // Counts as a failure: a store that damages whatever is put there needs a person.
            return try await wait(move, "the pack before was given up: \(note)")
        }
    }

    @discardableResult
    private func replace(_ pack: ColdPack, _ note: String) async throws(CatalogError) -> Bool {
        var generator = SystemRandomNumberGenerator()
        return try await ledger.replace(
            pack,
            byHigh: generator.next(),
            low: generator.next(),
            createdAtMilliseconds: now(),
            note: note,
            term: term
        )
    }

    private func wait(_ move: PackMove, _ note: String) async throws(CatalogError) -> Outcome {
        let attempts = move.attemptCount + 1
        let pause = limits.pause(afterAttempt: attempts)
        if pause == nil {
            logger.error(
                "a study cannot be moved and needs a person; 'varve tier moves' tells which, and why",
                metadata: facts(move)
            )
        }
        try await ledger.postpone(move: move.id, by: pause, attempts: attempts, note: note, term: term)
        return .over
    }

    private func reference(_ pack: ColdPack) -> PackReference {
        PackReference(
            pack: ReferenceID(high: pack.idHigh, low: pack.idLow),
            studyInstanceUID: pack.studyInstanceUID,
            place: pack.place
        )
    }

    private func facts(_ move: PackMove) -> Logger.Metadata {
        ["move": "\(move.id)", "tier": "\(move.tier)"]
    }

    private static func caught<Value: Sendable>(
        _ body: () async throws(ReplicationError) -> Value
    ) async -> Result<Value, ReplicationError> {
        do throws(ReplicationError) {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }
}
