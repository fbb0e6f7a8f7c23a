// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import PackFormat
import Placement
import Repair

/// The ledger as the real moving of one coordinator asks it.
extension SimulatedLedger: MoveLedger {
    func dueMoves(limit: Int) async throws(CatalogError) -> [PackMove] {
        try await ask { [moves] in moves.due(limit: limit) }
    }

    func packs(ofMove move: Int64) async throws(CatalogError) -> [ColdPack] {
        try await ask { [moves] in moves.packs(ofMove: move) }
    }

    func movableRecords(of move: Int64) async throws(CatalogError) -> [MovableRecord] {
        try await ask { [moves] in moves.movable(move) }
    }

    func planPacks(
        _ packs: [(high: UInt64, low: UInt64, records: [RecordID])],
        ofMove move: Int64,
        createdAtMilliseconds: Int64,
        term: Term
    ) async throws(CatalogError) {
        try await ask(under: term) { [moves] in
            moves.plan(packs.map(\.records), ofMove: move, created: createdAtMilliseconds)
        }
    }

    func records(ofPack pack: ColdPack) async throws(CatalogError) -> [RecordID] {
        try await ask { [moves] in moves.packs[MoveModel.id(of: pack)]?.records ?? [] }
    }

    func sources(ofPack pack: ColdPack) async throws(CatalogError) -> [PackSource] {
        try await ask { [moves] in moves.sources(of: MoveModel.id(of: pack)) }
    }

    func noteBuilt(
        _ pack: ColdPack,
        byteCount: Int64,
        digest: SHA256Digest,
        by node: NodeID,
        term: Term
    ) async throws(CatalogError) {
        try await ask(under: term) { [moves] in
            moves.noteBuilt(MoveModel.id(of: pack), byteCount: byteCount, digest: digest, by: node)
        }
    }

    /// Nothing that is simulated is decided by it.
    func note(_ pack: ColdPack, isOffline: Bool) async throws(CatalogError) {}

    /// What a node has proven may be spoiled again when it is entered, or will not be any more.
    func noteSound(_ pack: ColdPack, by node: NodeID?, term: Term) async throws(CatalogError) {
        let id = MoveModel.id(of: pack)
        do throws(CatalogError) {
            try await ask(under: term) { [moves] in moves.noteSound(id, digest: pack.digest, by: node) }
        } catch {
            moves.world.after(Limits.longestStatement) { [moves] in moves.store?.proofEnds(id) }
            throw error
        }
        moves.store?.proofEnds(id)
    }

    func replace(
        _ pack: ColdPack,
        byHigh high: UInt64,
        low: UInt64,
        createdAtMilliseconds: Int64,
        note: String,
        term: Term
    ) async throws(CatalogError) -> Bool {
        try await ask(under: term) { [moves] in
            moves.giveUp(MoveModel.id(of: pack), created: createdAtMilliseconds, note)
        }
    }

    func dropPackedCopies(ofMove move: Int64, limit: Int, term: Term) async throws(CatalogError) -> PackedDrop {
        let isChecked = !moves.world.has(.dropPackedUnderOldTerm)
        return try await ask(under: isChecked ? term : nil) { [moves] in
            moves.drop(ofMove: move, limit: limit, under: term)
        }
    }

    func recheckPacks(olderThan age: Duration, limit: Int, term: Term) async throws(CatalogError) -> Int {
        try await ask(under: term) { [moves] in moves.recheck(olderThan: age, limit: limit) }
    }

    func countPacks(ofMove move: Int64, takesOver: Bool, term: Term) async throws(CatalogError) {
        try await ask(under: term) { [moves] in moves.count(move) }
    }

    func finish(move: Int64, note: String, term: Term) async throws(CatalogError) {
        try await ask(under: term) { [moves] in moves.finish(move, note) }
    }

    func postpone(
        move: Int64,
        by delay: Duration?,
        attempts: Int,
        note: String,
        term: Term
    ) async throws(CatalogError) {
        try await ask(under: term) { [moves] in moves.postpone(move, by: delay, attempts: attempts, note) }
    }

    func coldDrops(of nodes: [NodeID], limit: Int, term: Term) async throws(CatalogError) -> [UnconfirmedDrop] {
        try await ask(under: term) { [moves] in moves.coldDrops(of: nodes, limit: limit) }
    }

    func beginColdDrops(_ records: [RecordID], term: Term) async throws(CatalogError) -> Set<RecordID> {
        try await ask(under: term) { [moves] in moves.beginColdDrops(records) }
    }

    func orderColdDrop(_ record: RecordID, on node: NodeID, term: Term) async throws(CatalogError) -> Bool {
        try await ask(under: term) { [moves] in moves.orderColdDrop(record, on: node) }
    }
}
