// SPDX-License-Identifier: Apache-2.0

import Catalog
import PackFormat
import Placement

/// Instances that are in packs only: what the functions of `Migration21ColdInstances` do.
extension MoveModel {
    /// For so long the reading of a whole pack is proof enough to drop copies.
    private static let proofAge: Int64 = 20_000_000

    /// As `has_sound_pack`.
    func hasSoundPack(_ record: RecordID) -> Bool {
        packs.values.contains { $0.state == .counted && $0.verifiedAt != nil && $0.records.contains(record) }
    }

    /// As `drop_packed_copies`.
    func drop(ofMove move: Int64, limit: Int, under term: Term) -> PackedDrop {
        guard moves.indices.contains(Int(move)) else { return .done }
        let order = moves[Int(move)]
        guard order.state == .underWay, !order.keepsHot, !order.isSettled else { return .done }
        for cold in packs(ofMove: move) where cold.state == .counted {
            let id = Self.id(of: cold)
            guard let pack = packs[id] else { continue }
            let rows = catalog.live.filter { pack.records.contains($0.recordID) && !$0.nodes.isEmpty }
            guard !rows.isEmpty else { continue }
            if let hold = holds[order.study], !world.has(.dropPackedHeld) { return .held(hold) }
            guard isProven(pack, order) || world.has(.dropUnproven) else {
                return .unproven(high: cold.idHigh, low: cold.idLow)
            }
            for row in rows.prefix(limit) {
                catalog.place(row, on: [])
                ledger.drop([row.recordID])
                for node in row.nodes {
                    let key = LedgerModel.DropKey(record: row.recordID, node: node)
                    ledger.drops[key] = LedgerModel.Drop(state: .ordered, attemptCount: 0, due: world.now)
                }
                oracle?.dropBegun(row, id, pack, Int(move), under: term)
            }
            return .dropped(min(limit, rows.count))
        }
        return .done
    }

    private func isProven(_ pack: Pack, _ order: Move) -> Bool {
        guard let end = order.soaksUntil, end <= world.now else { return false }
        return isProven(pack, since: end)
    }

    /// Whether all of it was read lately, at `end` or after it, by another than its writer where there is one.
    private func isProven(_ pack: Pack, since end: Int64) -> Bool {
        guard let read = pack.verifiedAt, let reader = pack.verifiedBy, read >= end, read >= world.now - Self.proofAge
        else { return false }
        return reader != pack.writer || !catalog.map.members.contains { $0.id != pack.writer }
    }

    /// As `begin_cold_drops`; what is not proven is read again, here by its move and not by `PackCareWorker`.
    func beginColdDrops(_ records: [RecordID]) -> Set<RecordID> {
        var proven: Set<RecordID> = []
        var others: [Pack] = []
        for (_, pack) in sortedPacks where pack.state == .counted {
            let named = records.filter { pack.records.contains($0) }
            guard !named.isEmpty else { continue }
            if isProven(pack, since: moves[pack.move].soaksUntil ?? 0) {
                proven.formUnion(named)
            } else {
                others.append(pack)
            }
        }
        for pack in others where moves[pack.move].state == .done && !isMoving(pack.study) {
            change(pack.move) {
                ($0.state, $0.attemptCount, $0.due, $0.soaksUntil) = (.underWay, 0, world.now, world.now)
            }
        }
        return proven
    }

    /// As `cold_drops`.
    func coldDrops(of nodes: [NodeID], limit: Int) -> [UnconfirmedDrop] {
        let rows = catalog.live.filter(\.nodes.isEmpty)
        let open = ledger.drops.filter { key, drop in
            drop.state == .ordered && drop.due <= world.now && nodes.contains(key.node)
                && rows.contains { $0.recordID == key.record }
        }.sorted { left, right in
            (left.key.node, left.value.due, left.key.record) < (right.key.node, right.value.due, right.key.record)
        }
        return open.prefix(limit).map { key, drop in
            UnconfirmedDrop(
                record: key.record,
                node: key.node,
                attemptCount: drop.attemptCount,
                placement: ledger.number(of: []),
                nodes: [],
                isInSoundPack: hasSoundPack(key.record)
            )
        }
    }

    /// As `order_cold_drop`.
    func orderColdDrop(_ record: RecordID, on node: NodeID) -> Bool {
        guard catalog.live.contains(where: { $0.recordID == record && $0.nodes.isEmpty }), hasSoundPack(record) else {
            return false
        }
        let key = LedgerModel.DropKey(record: record, node: node)
        var drop = ledger.drops[key] ?? LedgerModel.Drop(state: .ordered, attemptCount: 0, due: world.now)
        drop.state = .ordered
        ledger.drops[key] = drop
        return true
    }

    /// As `give_up_pack`.
    func giveUp(_ id: PackID, created: Int64, _ note: String) -> Bool {
        guard let pack = packs[id], pack.state != .givenUp else { return true }
        let rows = catalog.rows.values.joined().filter { pack.records.contains($0.recordID) }
        if pack.state == .counted, rows.contains(where: \.nodes.isEmpty), !world.has(.giveUpOnly) {
            packs[id]?.verifiedAt = nil
            packs[id]?.note = note
            return false
        }
        world.note("pack \(id) is given up: \(note)")
        packs[id]?.state = .givenUp
        packs[id]?.note = note
        oracle?.givenUp(id, pack)
        let live = Set(catalog.live.map(\.recordID))
        let kept = pack.records.filter { live.contains($0) }
        guard !kept.isEmpty else { return true }
        packs[newID()] = Pack(
            study: pack.study,
            move: pack.move,
            created: created,
            part: pack.part,
            partCount: pack.partCount,
            records: kept
        )
        return true
    }
}
