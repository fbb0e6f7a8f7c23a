// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Repair

/// Surplus copies that are being dropped: what the functions of `Migration14Surplus` do.
extension LedgerModel {
    struct DropKey: Hashable {
        let record: RecordID
        let node: NodeID
    }

    struct Drop {
        enum State {
            /// Put off.
            case waiting
            /// Counted no more, and the node has not said that it is gone.
            case ordered
            case needsPerson
        }

        var state: State
        var attemptCount = 0
        var due: Int64
    }

    func surplus(
        of placement: Int32,
        _ group: PlacementGroup,
        _ node: NodeID,
        after: RecordID?,
        limit: Int
    ) -> [SurplusRecord] {
        let due = catalog.live.filter { row in
            guard row.recordID.group == group, number(of: row.nodes) == placement,
                after.map({ row.recordID > $0 }) ?? true
            else { return false }
            guard let drop = drops[DropKey(record: row.recordID, node: node)] else { return true }
            return drop.state == .waiting && drop.due <= world.now
        }
        return due.prefix(limit).map { row in
            let attempts = drops[DropKey(record: row.recordID, node: node)]?.attemptCount ?? 0
            return SurplusRecord(record: row.recordID, byteCount: 2_000, attemptCount: attempts)
        }
    }

    /// Counts the copies on a node no more; of which instances.
    func begin(_ records: [RecordID], on node: NodeID, from old: Int32, to new: Int32) -> [RecordID] {
        var begun: [RecordID] = []
        for row in catalog.live where records.contains(row.recordID) && number(of: row.nodes) == old {
            let left = placements[Int(new)]
            guard left == row.nodes.filter({ $0 != node }).sorted(), !left.isEmpty else {
                world.violate("a copy is to be dropped on a node that is not one of those that are counted")
                return begun
            }
            if !world.has(.dropCounted) { catalog.place(row, on: left) }
            var drop = drops[DropKey(record: row.recordID, node: node)] ?? Drop(state: .ordered, due: world.now)
            (drop.state, drop.due) = (.ordered, world.now)
            drops[DropKey(record: row.recordID, node: node)] = drop
            begun.append(row.recordID)
            dropBegun(row.recordID, node, left)
        }
        return begun
    }

    func finish(_ records: [RecordID], on node: NodeID) {
        for record in records where drops[DropKey(record: record, node: node)]?.state == .ordered {
            drops[DropKey(record: record, node: node)] = nil
        }
    }

    func unconfirmed(of nodes: [NodeID], limit: Int) -> [UnconfirmedDrop] {
        for key in drops.keys where catalog.service(of: key.node) == .removed { drops[key] = nil }
        let open = drops.filter { key, drop in
            drop.state == .ordered && drop.due <= world.now && nodes.contains(key.node)
        }
        let sorted = open.sorted { left, right in
            (left.key.node, left.value.due, left.key.record) < (right.key.node, right.value.due, right.key.record)
        }
        let rows = catalog.live
        return sorted.compactMap { key, drop in
            // Of what is in the trash nothing, and what is in packs only is asked for apart.
            guard let row = rows.first(where: { $0.recordID == key.record }), !row.nodes.isEmpty else { return nil }
            return UnconfirmedDrop(
                record: key.record,
                node: key.node,
                attemptCount: drop.attemptCount,
                placement: number(of: row.nodes),
                nodes: row.nodes.sorted()
            )
        }.prefix(limit).map { $0 }
    }

    /// The copies on a node turned out to be there: they are counted again.
    func restore(_ restored: [CountedRepair], on node: NodeID) {
        for repair in restored {
            guard let row = catalog.live.first(where: { $0.recordID == repair.record }) else { continue }
            var nodes = row.nodes
            if number(of: nodes) == repair.placement {
                nodes = placements[Int(repair.newPlacement)]
                catalog.place(row, on: nodes)
                world.note("the copy of \(repair.record) is counted again")
                dropRestored(repair.record, node)
            }
            guard nodes.contains(node), drops[DropKey(record: repair.record, node: node)]?.state == .ordered else {
                continue
            }
            drops[DropKey(record: repair.record, node: node)] = nil
        }
    }

    func postponeDrops(_ postponed: [PostponedRepair], on node: NodeID) {
        for repair in postponed {
            let key = DropKey(record: repair.record, node: node)
            var drop = drops[key] ?? Drop(state: .waiting, due: world.now)
            let isLeft = repair.pause == nil
            if drop.state != .ordered { drop.state = isLeft ? .needsPerson : .waiting }
            drop.attemptCount = repair.attemptCount
            let pause = repair.pause ?? (drop.state == .ordered ? .seconds(1) : .zero)
            let longest = world.plan.tiering == nil ? Int64.max : Limits.longestPutOff
            drop.due = world.now + min(Int64(pause / .microseconds(1)), longest)
            drops[key] = drop
        }
    }
}

extension SimulatedLedger: SurplusLedger {
    func surplusRecords(
        placement: Int32,
        group: PlacementGroup,
        node: NodeID,
        after: RecordID?,
        limit: Int
    ) async throws(CatalogError) -> [SurplusRecord] {
        // Small, so that there is more than one page.
        try await ask { [ledger] in ledger.surplus(of: placement, group, node, after: after, limit: limit) }
    }

    func beginDrops(
        _ records: [RecordID],
        on node: NodeID,
        from placement: Int32,
        to newPlacement: Int32,
        term: Term
    ) async throws(CatalogError) -> [RecordID] {
        try await ask(under: term) { [ledger] in ledger.begin(records, on: node, from: placement, to: newPlacement) }
    }

    func finishDrops(_ records: [RecordID], on node: NodeID, term: Term) async throws(CatalogError) {
        try await ask(under: term) { [ledger] in ledger.finish(records, on: node) }
    }

    func unconfirmedDrops(
        of nodes: [NodeID],
        limit: Int,
        term: Term
    ) async throws(CatalogError) -> [UnconfirmedDrop] {
        try await ask(under: term) { [ledger] in ledger.unconfirmed(of: nodes, limit: limit) }
    }

    func restoreDrops(_ restored: [CountedRepair], on node: NodeID, term: Term) async throws(CatalogError) {
        try await ask(under: term) { [ledger] in ledger.restore(restored, on: node) }
    }

    func postponeDrops(_ drops: [PostponedRepair], on node: NodeID, term: Term) async throws(CatalogError) {
        try await ask(under: term) { [ledger] in ledger.postponeDrops(drops, on: node) }
    }
}
