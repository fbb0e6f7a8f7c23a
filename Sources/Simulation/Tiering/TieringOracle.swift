// SPDX-License-Identifier: Apache-2.0

import Catalog
import NIOCore
import PackFormat
import Placement
import SegmentFormat

/// What must hold of studies in packs: no copy on a node goes before a pack that has it was proven, and then the pack stays.
///
/// It looks into the store past everything that can fail, and knows of every reading of a whole pack.
final class TieringOracle {
    /// A node that read a whole pack and found it sound.
    private struct Proof {
        let node: NodeID
        let began: Int64
        let ended: Int64
    }

    /// For so long an order may be on its way that was given when a pack was not in doubt yet.
    private static let longestOrder: Int64 = 4_000_000

    private let world: World
    private let oracle: Oracle
    private let moves: MoveModel
    private let store: ColdStoreModel
    private var proofs: [String: [Proof]] = [:]
    /// Studies whose orders were cancelled, by move.
    private var cancelled: Set<Int> = []
    /// When a record was in a sound pack last, as the catalog has it.
    private var provenAt: [RecordID: Int64] = [:]
    /// Packs that the catalog reads from.
    private(set) var packCount = 0
    /// Instances whose copies on nodes were counted no more.
    private(set) var coldCount = 0
    /// Reads that packs have served.
    private(set) var coldReadCount = 0

    init(_ oracle: Oracle, _ moves: MoveModel, _ store: ColdStoreModel) {
        self.world = oracle.world
        self.oracle = oracle
        self.moves = moves
        self.store = store
    }

    private var catalog: CatalogModel { moves.catalog }

    private func key(_ id: PackID, _ pack: MoveModel.Pack) -> String { ColdStoreModel.key(of: id, study: pack.study) }

    private func instance(of row: CatalogModel.Entry) -> Instance? {
        oracle.candidates(row.instance).first { $0.recordID == row.recordID }
    }

    // MARK: While it runs

    func proven(_ key: String, by node: NodeID, since began: Int64) {
        world.note("\(oracle.nodes[node]?.name ?? "") has read all of \(key)")
        proofs[key, default: []].append(Proof(node: node, began: began, ended: world.now))
    }

    func cancelled(_ move: Int) { cancelled.insert(move) }

    /// The catalog reads from a pack from now on.
    func counted(_ id: PackID, _ pack: MoveModel.Pack) {
        packCount += 1
        world.mix(UInt64(pack.records.count))
        world.note("pack \(id) is counted")
        if proofs[key(id, pack), default: []].isEmpty {
            world.violate("pack \(id) is counted, and nobody has read all of it")
        }
    }

    /// The copies of an instance on nodes are counted no more: it is in a pack only.
    func dropBegun(_ row: CatalogModel.Entry, _ id: PackID, _ pack: MoveModel.Pack, _ move: Int, under term: Term) {
        coldCount += 1
        let (record, key) = (row.recordID, key(id, pack))
        world.mix(record.low ^ 4)
        world.note("\(record) is in pack \(id) only, term \(term.rawValue)")
        provenAt[record] = world.now
        for node in row.nodes { oracle.release(record, on: node) }
        if term != catalog.term {
            world.violate("copies are dropped under term \(term.rawValue) after \(catalog.term.rawValue) has begun")
        }
        if moves.holds[row.study] != nil { world.violate("copies of \(record) are dropped, whose study is held") }
        if cancelled.contains(move) { world.violate("copies are dropped for move \(move), which was cancelled") }
        let end = moves.moves[move].soaksUntil ?? .max
        let hasOthers = catalog.map.members.contains { $0.id != pack.writer }
        let isProven = proofs[key, default: []].contains { proof in
            proof.ended >= end && (proof.node != pack.writer || !hasOthers)
        }
        if !isProven {
            world.violate(
                "copies of \(record) are dropped, and its pack was not read by another node when it had stood"
            )
        }
        guard !oracle.doomed.contains(record), let instance = instance(of: row) else { return }
        if !store.isSound(key) { world.violate("copies of \(record) are dropped, and its pack is damaged") }
        if store.payload(of: record, in: key) != instance.payload {
            world.violate("copies of \(record) are dropped, and its pack has other bytes")
        }
    }

    /// The catalog reads from a pack no more.
    func givenUp(_ id: PackID, _ pack: MoveModel.Pack) {
        guard pack.state == .counted else { return }
        for row in catalog.live where pack.records.contains(row.recordID) && row.nodes.isEmpty {
            world.violate("pack \(id) is given up, which has the only copy of \(row.recordID)")
        }
    }

    /// A node has let a copy go.
    func dropped(_ record: RecordID, on node: NodeID, isHeldThere: Bool) {
        guard let row = catalog.live.first(where: { $0.recordID == record }), row.nodes.isEmpty else { return }
        if isHeldThere { world.violate("\(oracle.nodes[node]?.name ?? "") drops \(record), which it is told to hold") }
        guard !oracle.doomed.contains(record) else { return }
        if !isInPack(record) {
            world.violate("\(oracle.nodes[node]?.name ?? "") drops \(record), which is in no sound pack")
        }
        if !moves.hasSoundPack(record), world.now - provenAt[record, default: 0] > Self.longestOrder {
            world.violate("\(oracle.nodes[node]?.name ?? "") drops \(record), whose packs have long been in doubt")
        }
    }

    /// A client has read an instance out of a pack.
    func readFromPack() { coldReadCount += 1 }

    /// Whether a record can be read from a pack that the catalog counts, by what lies in the store.
    func isInPack(_ record: RecordID) -> Bool {
        moves.packs.contains { id, pack in
            pack.state == .counted && pack.records.contains(record) && store.isSound(key(id, pack))
        }
    }

    func isLeftToPack(_ row: CatalogModel.Entry) -> Bool { oracle.isLeftToPack(row) }

    /// Looks at everything that is in packs only.
    func inspect() {
        for row in catalog.live where row.nodes.isEmpty {
            if moves.hasSoundPack(row.recordID) { provenAt[row.recordID] = world.now }
            guard !oracle.doomed.contains(row.recordID), !isInPack(row.recordID) else { continue }
            return world.violate("\(row.instance) is counted on no node, and is in no sound pack")
        }
    }

    // MARK: What may go wrong

    /// Packs that may be spoiled: those that are not the only copy of anything, not on the way to become it, and not being proven.
    ///
    /// Of the rest one would be the last copy: the store is trusted with it, as disks of sound nodes are.
    var expendable: [String] {
        moves.sortedPacks.compactMap { id, pack in
            let key = key(id, pack)
            guard store.objects[key] != nil, !store.isBeingProven(id) else { return nil }
            guard pack.state == .counted else { return pack.state == .givenUp ? nil : key }
            let rows = catalog.rows.values.joined().filter { pack.records.contains($0.recordID) }
            guard rows.allSatisfy({ $0.nodes.count >= world.plan.acknowledgements }) else { return nil }
            let move = moves.moves[pack.move]
            let mayDrop = !move.keepsHot && !move.isSettled && move.soaksUntil != nil
            if mayDrop, let read = pack.verifiedAt, let end = move.soaksUntil, read >= end { return nil }
            return key
        }
    }

    // MARK: In the end

    /// What is still to be done about packs; nil when all that was ordered is done.
    var unsettled: String? {
        if !moves.holds.isEmpty { return "studies are held" }
        for (index, move) in moves.moves.enumerated() where move.state != .done && !move.isSettled {
            return "move \(index) is not done: \(move.state), \(move.note)"
        }
        for (id, pack) in moves.sortedPacks where pack.state == .counted && pack.verifiedAt == nil {
            return "pack \(id) is in doubt: \(moves.moves[pack.move].note)"
        }
        return nil
    }

    /// Everything that is in packs only can be read out of one, and no pack that is read from is anything else than was put into it.
    func check() {
        inspect()
        for (id, pack) in moves.sortedPacks where pack.state == .counted {
            let key = key(id, pack)
            for row in catalog.live where pack.records.contains(row.recordID) && row.nodes.isEmpty {
                guard !oracle.doomed.contains(row.recordID), let instance = instance(of: row), store.isSound(key) else {
                    continue
                }
                if store.payload(of: row.recordID, in: key) != instance.payload {
                    world.violate("pack \(id) has other bytes of \(row.instance)")
                }
            }
        }
    }
}
