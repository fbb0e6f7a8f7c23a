// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import ReplicationProtocol

/// What was ordered and not confirmed: by a coordinator that died, or because an answer was lost.
extension SurplusDropper {
    private static var unconfirmedAtOnce: Int { 256 }

    /// Finds out what became of what was ordered and not confirmed: it is gone, or is counted again; of what is in cold packs
    /// only the copy is dropped now, as long as a pack is sound.
    func settle(_ term: Term) async throws(RepairObstacle) {
        guard let view = view(), view.stamp.term == term else { return }
        do throws(CatalogError) {
            while !Task.isCancelled {
                let nodes = view.peers.keys.sorted()
                var open = try await ledger.unconfirmedDrops(of: nodes, limit: Self.unconfirmedAtOnce, term: term)
                let left = Self.unconfirmedAtOnce - open.count
                if left > 0 { open += try await ledger.coldDrops(of: nodes, limit: left, term: term) }
                var isAllAsked = true
                for (node, drops) in Dictionary(grouping: open, by: \.node).sorted(by: { $0.key < $1.key }) {
                    guard let peer = view.peers[node] else { continue }
                    // A copy there is being looked at, to be counted: asked in the next round.
                    guard gate.enter(node) else {
                        isAllAsked = false
                        continue
                    }
                    defer { gate.leave(node) }
                    try await settle(drops, on: peer, view.stamp)
                }
                guard open.count == Self.unconfirmedAtOnce, isAllAsked else { return }
            }
        } catch {
            throw RepairObstacle(error)
        }
    }

    /// What became of copies that a node was to drop.
    private struct Settlement {
        var gone: [RecordID] = []
        var present: [UnconfirmedDrop] = []
        /// In cold packs only, and to be dropped now.
        var cold: [(drop: UnconfirmedDrop, item: DropRequest.Item)] = []
        var postponed: [PostponedRepair] = []
    }

    private func settle(
        _ drops: [UnconfirmedDrop],
        on node: any SurplusPeer,
        _ stamp: OrderStamp
    ) async throws(CatalogError) {
        var settlement = Settlement()
        do throws(ReplicationError) {
            try await look(at: drops, on: node, stamp, &settlement)
        } catch {
            try Self.throwIfStale(error)
            settlement.cold = []
            settlement.postponed = drops.map { self.postponed($0, "\(node.name): \(error)") }
        }
        // What is said of the packs since they were looked at counts: it may be the last good copy.
        let proven = try await ledger.beginColdDrops(settlement.cold.map(\.drop.record), term: stamp.term)
        for (drop, _) in settlement.cold where !proven.contains(drop.record) {
            settlement.postponed.append(postponed(drop, "no pack of it was read whole of late; that is done first"))
        }
        settlement.cold.removeAll { !proven.contains($0.drop.record) }
        do throws(ReplicationError) {
            try await drop(settlement.cold, on: node, stamp, &settlement)
        } catch {
            try Self.throwIfStale(error)
            settlement.postponed += settlement.cold.map { self.postponed($0.drop, "\(node.name): \(error)") }
        }
        if !settlement.gone.isEmpty { try await ledger.finishDrops(settlement.gone, on: node.id, term: stamp.term) }
        if !settlement.present.isEmpty {
            let restored = try await restoration(settlement.present.map { ($0.record, $0.nodes) }, node.id)
            try await ledger.restoreDrops(restored, on: node.id, term: stamp.term)
        }
        try await postpone(settlement.postponed, on: node, stamp.term)
    }

    private static func throwIfStale(_ error: ReplicationError) throws(CatalogError) {
        if error.code == .staleTerm { throw CatalogError(.staleTerm, "another coordinator leads") }
    }

    /// Asks the node for each of the copies.
    private func look(
        at drops: [UnconfirmedDrop],
        on node: any SurplusPeer,
        _ stamp: OrderStamp,
        _ settlement: inout Settlement
    ) async throws(ReplicationError) {
        // From here on nothing takes effect that was ordered before.
        _ = try await tell(node, [], stamp)
        for drop in drops {
            do throws(ReplicationError) {
                guard let digest = try await node.digest(of: drop.record) else {
                    settlement.gone.append(drop.record)
                    continue
                }
                if drop.isCold, drop.isInSoundPack {
                    settlement.cold.append(
                        (
                            drop,
                            DropRequest.Item(recordID: drop.record, payloadDigest: digest, isHeldElsewhere: false)
                        )
                    )
                    continue
                }
                // It may be the last good one: its packs are in doubt.
                if drop.isCold { try await node.verify(drop.record) }
                settlement.present.append(drop)
            } catch {
                // Damaged, it is there, and counts as any other damaged one.
                guard error.code != .corrupt || drop.isCold else {
                    settlement.present.append(drop)
                    continue
                }
                settlement.postponed.append(self.postponed(drop, "\(node.name): \(error)"))
            }
        }
    }

    /// Has the node drop copies of what is in cold packs only.
    private func drop(
        _ cold: [(drop: UnconfirmedDrop, item: DropRequest.Item)],
        on node: any SurplusPeer,
        _ stamp: OrderStamp,
        _ settlement: inout Settlement
    ) async throws(ReplicationError) {
        guard !cold.isEmpty else { return }
        let outcomes = try await tell(node, cold.map(\.item), stamp)
        for ((drop, _), outcome) in zip(cold, outcomes) {
            switch outcome {
            case .dropped, .absent: settlement.gone.append(drop.record)
            case .deleted, .held, .differs, .damaged:
                settlement.postponed.append(
                    PostponedRepair(
                        record: drop.record,
                        pause: Self.deletedPause,
                        attemptCount: drop.attemptCount + 1,
                        note: outcome.reason(node.name)
                    )
                )
            }
        }
    }

    /// The instances' copies, and that on `node` with them.
    func restoration(
        _ counted: [(record: RecordID, nodes: [NodeID])],
        _ node: NodeID
    ) async throws(CatalogError) -> [CountedRepair] {
        var restored: [CountedRepair] = []
        for (record, nodes) in counted {
            let old = try await ledger.placementNumber(of: nodes.sorted())
            let new = try await ledger.placementNumber(of: Set(nodes + [node]).sorted())
            restored.append(CountedRepair(record: record, placement: old, newPlacement: new))
        }
        return restored
    }

    private func postponed(_ drop: UnconfirmedDrop, _ note: String) -> PostponedRepair {
        PostponedRepair(
            record: drop.record,
            pause: limits.passingPause,
            attemptCount: drop.attemptCount,
            note: note
        )
    }
}
