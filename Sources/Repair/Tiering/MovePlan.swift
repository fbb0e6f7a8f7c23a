// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Placement
package import ReplicationProtocol

/// What is to be done next with a study that is to go into packs: a function of what the catalog knows durably, and of
/// nothing that a process remembers.
///
/// select, build, place, verify by reading back, count (the catalog reads from the packs), let them stand, verify again.
/// What fails waits, or a pack is given up and made anew under another name, which is one step back. Whether a
/// copy may go is decided where it is done, in one transaction of the catalog.
package enum MovePlan {
    package enum Step: Equatable, Sendable {
        /// Decide which records go into which pack.
        case select
        case build(ColdPack)
        /// Read it back, whole.
        case verify(ColdPack)
        /// All packs are sound: from now on they are read from.
        case count
        /// They have to stand for a while.
        case stand
        /// All have been read again: the copies on storage nodes are counted no more, as far as the catalog finds them proven.
        case drop
        case finish
    }

    /// What comes of a step that failed.
    package enum Setback: Equatable, Sendable {
        /// Later, or by another node.
        case wait
        /// Until a medium is there; no failure.
        case waitForMedium
        /// The pack is not what it should be.
        case replace
        /// Another coordinator leads.
        case rest
    }

    /// The next step of a move that has these packs; those that were given up are not among them.
    package static func next(_ move: PackMove, _ packs: [ColdPack], dropsCopies: Bool = false) -> Step {
        guard !packs.isEmpty else { return .select }
        if let planned = packs.first(where: { $0.state == .planned }) { return .build(planned) }
        if let placed = packs.first(where: { $0.state == .placed }) { return .verify(placed) }
        guard let soakLeft = move.soakLeft, packs.allSatisfy({ $0.state == .counted }) else { return .count }
        if let doubted = packs.first(where: { $0.verifiedAtMilliseconds == nil }) { return .verify(doubted) }
        if soakLeft > .zero { return .stand }
        if let standing = packs.first(where: { !$0.isVerifiedAgain }) { return .verify(standing) }
        return move.drops && dropsCopies ? .drop : .finish
    }

    /// What comes of a failure to build or to verify.
    package static func setback(
        _ error: ReplicationError,
        of step: Step,
        by node: NodeID,
        writtenBy writer: NodeID?,
        attempt: Int,
        limits: MoveLimits
    ) -> Setback {
        switch (error.code, step) {
        case (.staleTerm, _), (.staleEpoch, _): return .rest
        case (.offline, _): return .waitForMedium
        case (.conflict, .build): return .replace
        // An earlier order of the same pack: what it left is damaged.
        case (.corrupt, .build), (.corrupt, .verify): return .replace
        case (.notFound, .verify): return node == writer || attempt >= limits.absences ? .replace : .wait
        default: return .wait
        }
    }

    /// Who builds a pack, and whom it may ask for what it lacks: the node that has most of it, and at each new attempt the next.
    ///
    /// `nil` when no node that answers has any of it.
    package static func builder(
        of sources: [PackSource],
        answering: Set<NodeID>,
        attempt: Int
    ) -> (node: NodeID, others: [NodeID])? {
        var amounts: [NodeID: Int64] = [:]
        for source in sources {
            // An instance without bytes counts, too.
            for node in source.nodes { amounts[node, default: 0] += max(1, source.byteCount) }
        }
        let ranked = amounts.filter { answering.contains($0.key) }
            .sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map(\.key)
        guard !ranked.isEmpty else { return nil }
        let node = ranked[attempt % ranked.count]
        return (node, ranked.filter { $0 != node })
    }

    /// Who reads a pack back: another node than its writer where there is one, so that it is known to be in the store and not in
    /// the writer's memory only; at each new attempt the next.
    package static func verifier(writtenBy writer: NodeID?, answering: Set<NodeID>, attempt: Int) -> NodeID? {
        let others = answering.filter { $0 != writer }.sorted()
        let ranked = others + answering.filter { $0 == writer }
        return ranked.isEmpty ? nil : ranked[attempt % ranked.count]
    }

    /// Which records go into which pack, in their order.
    package static func parts(_ records: [MovableRecord], limits: MoveLimits) -> [[RecordID]] {
        var parts: [[RecordID]] = []
        var byteCount: Int64 = 0
        for record in records {
            let isFull = parts.last.map { part in
                part.count >= limits.recordsAPack || byteCount + record.byteCount > limits.bytesAPack
            }
            if isFull ?? true {
                parts.append([])
                byteCount = 0
            }
            parts[parts.count - 1].append(record.record)
            byteCount += record.byteCount
        }
        return parts
    }
}
