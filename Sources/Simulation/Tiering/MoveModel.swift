// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import PackFormat
import Placement
import Repair

/// Moves, packs and holds as the catalog has them: what the functions of `Migration19Packs` do, and the statements of
/// `Catalog+Packs` and `Catalog+ColdStudies`.
///
/// It gives packs their ids itself, since those that the code draws would be others in each run of a seed.
final class MoveModel {
    struct Move {
        let study: String
        let keepsHot: Bool
        /// Microseconds.
        let soak: Int64
        var state = PackMove.State.underWay
        var attemptCount = 0
        var due: Int64
        var soaksUntil: Int64?
        var isSettled = false
        /// It has been done or cancelled before.
        var wasDone = false
        var note = ""
    }

    struct Pack {
        let study: String
        let move: Int
        let created: Int64
        let part: Int
        let partCount: Int
        let records: [RecordID]
        var byteCount: Int64 = 0
        var digest: SHA256Digest?
        var writer: NodeID?
        var verifiedAt: Int64?
        var verifiedBy: NodeID?
        var state = ColdPack.State.planned
        var note = ""
    }

    let ledger: LedgerModel
    /// By number.
    private(set) var moves: [Move] = []
    var packs: [PackID: Pack] = [:]
    /// The holds in force, by study.
    var holds: [String: Int64] = [:]
    var oracle: TieringOracle?
    /// Where the packs lie; nil in runs without tiering.
    var store: ColdStoreModel?

    var world: World { ledger.world }
    var catalog: CatalogModel { ledger.catalog }

    init(_ ledger: LedgerModel) { self.ledger = ledger }

    /// Packs by their ids, so that a seed does the same every time.
    var sortedPacks: [(id: PackID, pack: Pack)] {
        packs.sorted { $0.key < $1.key }.map { (id: $0.key, pack: $0.value) }
    }

    private func sortedPacks(of move: Int) -> [(id: PackID, pack: Pack)] {
        sortedPacks.filter { $0.pack.move == move && $0.pack.state != .givenUp }
            .sorted { ($0.pack.part, $0.id) < ($1.pack.part, $1.id) }
    }

    func change(_ move: Int, _ body: (inout Move) -> Void) {
        guard moves.indices.contains(move) else { return }
        body(&moves[move])
    }

    // MARK: Orders of people

    /// As `enter_pack_move`.
    func enter(_ study: String, keepsHot: Bool, soak: Int64) {
        guard catalog.live.contains(where: { $0.study == study }) else { return }
        if let open = moves.firstIndex(where: { $0.study == study && $0.state != .done }) {
            change(open) { ($0.state, $0.attemptCount, $0.due) = (.underWay, 0, world.now) }
            return
        }
        world.note("study \(study) is to be moved, as \(moves.count)")
        moves.append(Move(study: study, keepsHot: keepsHot, soak: soak, due: world.now))
    }

    /// As `cancel_pack_move`.
    func cancel(_ study: String) {
        guard let open = moves.firstIndex(where: { $0.study == study && $0.state != .done }) else { return }
        world.note("move \(open) is cancelled")
        change(open) { ($0.state, $0.wasDone, $0.note) = (.done, true, "cancelled") }
        for (id, pack) in packs where pack.move == open && pack.state.rawValue < ColdPack.State.counted.rawValue {
            packs[id]?.state = .givenUp
        }
    }

    /// A person has what needed one tried again.
    func retry() {
        for index in moves.indices where moves[index].state == .needsPerson {
            change(index) { ($0.state, $0.attemptCount, $0.due) = (.underWay, 0, world.now) }
        }
    }

    // MARK: What is read

    func due(limit: Int) -> [PackMove] {
        let due = moves.indices.filter { index in
            let move = moves[index]
            guard move.state == .underWay, move.due <= world.now else { return false }
            guard let end = move.soaksUntil, end > world.now else { return true }
            return sortedPacks(of: index).contains { $0.pack.state != .counted || $0.pack.verifiedAt == nil }
        }
        return due.sorted { (moves[$0].due, $0) < (moves[$1].due, $1) }.prefix(limit).map { index in
            let move = moves[index]
            return PackMove(
                id: Int64(index),
                studyInstanceUID: move.study,
                tier: "cold",
                place: ColdStoreModel.place,
                keepsHot: move.keepsHot,
                state: move.state,
                attemptCount: move.attemptCount,
                soakLeft: move.soaksUntil.map { .microseconds($0 - world.now) },
                note: move.note,
                drops: !move.keepsHot && !move.isSettled && (!move.wasDone || world.has(.dropCancelled))
            )
        }
    }

    func packs(ofMove move: Int64) -> [ColdPack] { sortedPacks(of: Int(move)).map { coldPack($0.id, $0.pack) } }

    func coldPack(_ id: PackID, _ pack: Pack) -> ColdPack {
        let (high, low) = Self.halves(of: id)
        let end = moves[pack.move].soaksUntil
        let isAgain = pack.verifiedAt.flatMap { read in end.map { read >= $0 } } ?? false
        return ColdPack(
            idHigh: high,
            idLow: low,
            move: Int64(pack.move),
            tier: "cold",
            place: ColdStoreModel.place,
            studyInstanceUID: pack.study,
            part: pack.part,
            partCount: pack.partCount,
            state: pack.state,
            createdAtMilliseconds: pack.created,
            byteCount: pack.byteCount,
            digest: pack.digest,
            writer: pack.writer,
            verifiedAtMilliseconds: pack.verifiedAt.map { $0 / 1000 },
            isVerifiedAgain: isAgain || (world.has(.dropUnproven) && pack.state == .counted),
            instanceCount: pack.records.count,
            note: pack.note
        )
    }

    private static func halves(of id: PackID) -> (UInt64, UInt64) {
        let digits = id.description.filter { $0 != "-" }
        return (UInt64(digits.prefix(16), radix: 16) ?? 0, UInt64(digits.suffix(16), radix: 16) ?? 0)
    }

    static func id(of pack: ColdPack) -> PackID { PackID(high: pack.idHigh, low: pack.idLow) }

    /// Instances of the move's study that are on nodes and in no pack.
    func movable(_ move: Int64) -> [MovableRecord] {
        guard moves.indices.contains(Int(move)) else { return [] }
        let study = moves[Int(move)].study
        let packed = Set(packs.values.filter { $0.study == study && $0.state != .givenUp }.flatMap(\.records))
        return catalog.live
            .filter { $0.study == study && !$0.nodes.isEmpty && !packed.contains($0.recordID) }
            .map { MovableRecord(record: $0.recordID, byteCount: 2_000) }
    }

    func sources(of id: PackID) -> [PackSource] {
        guard let pack = packs[id] else { return [] }
        let rows = catalog.live.filter { pack.records.contains($0.recordID) }
        return Dictionary(grouping: rows) { ledger.number(of: $0.nodes) }.sorted { $0.key < $1.key }.map { _, rows in
            PackSource(
                nodes: rows[0].nodes.sorted(),
                instanceCount: rows.count,
                byteCount: 2_000 * Int64(rows.count)
            )
        }
    }

    /// The packs that a record can be read from, the one that was read whole last first.
    func packs(holding record: RecordID) -> [ColdPack] {
        sortedPacks.filter { $0.pack.state == .counted && $0.pack.records.contains(record) }
            .sorted { ($1.pack.verifiedAt ?? -1, $0.id) < ($0.pack.verifiedAt ?? -1, $1.id) }
            .map { coldPack($0.id, $0.pack) }
    }

    // MARK: What coordinators enter

    func plan(_ parts: [[RecordID]], ofMove move: Int64, created: Int64) {
        let index = Int(move)
        guard moves.indices.contains(index), moves[index].state == .underWay, sortedPacks(of: index).isEmpty else {
            return
        }
        for (number, records) in parts.enumerated() {
            packs[newID()] = Pack(
                study: moves[index].study,
                move: index,
                created: created,
                part: number + 1,
                partCount: parts.count,
                records: records
            )
        }
        change(index) { $0.attemptCount = 0 }
    }

    func newID() -> PackID { PackID(high: world.random.next(), low: world.random.next()) }

    func noteBuilt(_ id: PackID, byteCount: Int64, digest: SHA256Digest, by node: NodeID) {
        guard packs[id]?.state == .planned else { return }
        packs[id]?.state = .placed
        packs[id]?.byteCount = byteCount
        packs[id]?.digest = digest
        packs[id]?.writer = node
        if world.has(.countUnread) {
            packs[id]?.state = .verified
            packs[id]?.verifiedAt = world.now
            packs[id]?.verifiedBy = node
        }
    }

    func noteSound(_ id: PackID, digest: SHA256Digest?, by node: NodeID?) {
        guard let pack = packs[id] else { return }
        if [.placed, .verified, .counted].contains(pack.state), pack.digest == digest {
            if pack.state == .placed { packs[id]?.state = .verified }
            packs[id]?.verifiedAt = world.now
            packs[id]?.verifiedBy = node
        }
        change(pack.move) { $0.attemptCount = 0 }
    }

    func count(_ move: Int64) {
        let index = Int(move)
        let open = sortedPacks(of: index)
        guard open.allSatisfy({ $0.pack.state.rawValue >= ColdPack.State.verified.rawValue }) else { return }
        for (id, pack) in open where pack.state == .verified {
            packs[id]?.state = .counted
            oracle?.counted(id, pack)
        }
        guard moves.indices.contains(index), moves[index].state == .underWay else { return }
        change(index) { ($0.attemptCount, $0.soaksUntil) = (0, world.now + $0.soak) }
    }

    func finish(_ move: Int64, _ note: String) {
        guard moves.indices.contains(Int(move)), moves[Int(move)].state == .underWay else { return }
        world.note("move \(move) ends: \(note)")
        change(Int(move)) {
            ($0.state, $0.attemptCount, $0.isSettled, $0.wasDone, $0.note) = (.done, 0, true, true, note)
        }
    }

    func postpone(_ move: Int64, by delay: Duration?, attempts: Int, _ note: String) {
        guard moves.indices.contains(Int(move)), moves[Int(move)].state == .underWay else { return }
        world.note("move \(move) waits: \(note)")
        change(Int(move)) {
            $0.state = delay == nil ? .needsPerson : .underWay
            $0.attemptCount = attempts
            $0.due = world.now + Int64((delay ?? .zero) / .microseconds(1))
            $0.note = note
        }
    }

    func isMoving(_ study: String) -> Bool { moves.contains { $0.study == study && $0.state != .done } }

    /// As `doubt_pack`.
    func doubt(_ id: PackID) {
        guard let pack = packs[id], pack.state == .counted else { return }
        world.note("pack \(id) is in doubt")
        packs[id]?.verifiedAt = nil
        guard moves[pack.move].state == .done, !isMoving(pack.study) else { return }
        change(pack.move) { ($0.state, $0.attemptCount, $0.due) = (.underWay, 0, world.now) }
    }

    /// As `recheck_packs`.
    func recheck(olderThan age: Duration, limit: Int) -> Int {
        let oldest = world.now - Int64(age / .microseconds(1))
        let old = sortedPacks.filter { _, pack in
            pack.state == .counted && moves[pack.move].state == .done && !isMoving(pack.study)
                && pack.verifiedAt.map { $0 < oldest } ?? true
        }.sorted { ($0.pack.verifiedAt ?? -1, $0.id) < ($1.pack.verifiedAt ?? -1, $1.id) }.prefix(limit)
        var taken = 0
        for (_, pack) in old.sorted(by: { $0.pack.move < $1.pack.move }) where !isMoving(pack.study) {
            change(pack.move) {
                ($0.state, $0.attemptCount, $0.due, $0.soaksUntil) = (.underWay, 0, world.now, world.now)
            }
            taken += 1
        }
        return taken
    }
}
