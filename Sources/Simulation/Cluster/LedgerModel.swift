// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Repair

/// The repair queue as a model: what the functions of `Migration12Repair` do, beside the rows of ``CatalogModel``.
final class LedgerModel {
    enum State {
        case waiting, takenUp, needsPerson
    }

    struct Item {
        var placement: Int32
        var kind: UInt8
        var living: Int
        var state = State.waiting
        var attemptCount = 0
        var due: Int64
        var note = ""
    }

    let catalog: CatalogModel
    /// By record.
    private(set) var items: [RecordID: Item] = [:]
    /// The sets of nodes; the number of one is its place.
    private(set) var placements: [[NodeID]] = []
    /// Copies that are surplus, and what became of dropping them.
    var drops: [DropKey: Drop] = [:]
    /// Copies that were not where the catalog says.
    var missing: [DropKey: Missing] = [:]
    /// How far the comparison is, and the groups that a run has records in.
    var position = Position()
    var groups: [PlacementGroup] = []
    /// Told what comes of the comparison.
    var comparisonOracle: ComparisonOracle?
    /// Told when a copy is counted: the record, the node that has it, and the term it is counted under.
    var counted: (RecordID, NodeID, Term) -> Void = { _, _, _ in }
    /// Told when a copy is counted no more, and which are; and when it is counted again.
    var dropBegun: (RecordID, NodeID, [NodeID]) -> Void = { _, _, _ in }
    var dropRestored: (RecordID, NodeID) -> Void = { _, _ in }

    var world: World { catalog.world }

    init(_ catalog: CatalogModel) { self.catalog = catalog }

    /// The number of a set of nodes, which is given one if it has none.
    func number(of nodes: [NodeID]) -> Int32 {
        let sorted = nodes.sorted()
        if let index = placements.firstIndex(of: sorted) { return Int32(index) }
        placements.append(sorted)
        return Int32(placements.count - 1)
    }

    var placedGroups: [PlacedGroup] {
        var groups: Set<PlacedGroup> = []
        for row in catalog.live where !row.nodes.isEmpty {
            let number = number(of: row.nodes)
            groups.insert(
                PlacedGroup(placement: number, nodes: placements[Int(number)], group: row.recordID.group)
            )
        }
        return groups.sorted { ($0.placement, $0.group) < ($1.placement, $1.group) }
    }

    func enqueue(_ difference: RepairDifference, after: RecordID?, limit: Int) -> EnqueuedRepairs {
        let page = catalog.live.filter { row in
            row.recordID.group == difference.group && number(of: row.nodes) == difference.placement
                && after.map { row.recordID > $0 } ?? true
        }.prefix(limit)
        for row in page {
            var item =
                items[row.recordID]
                ?? Item(
                    placement: difference.placement,
                    kind: difference.kind,
                    living: difference.livingCount,
                    due: world.now
                )
            guard item.state != .takenUp else { continue }
            if item.state == .needsPerson, item.placement != difference.placement {
                item.state = .waiting
                item.attemptCount = 0
            }
            item.placement = difference.placement
            item.kind = difference.kind
            item.living = difference.livingCount
            items[row.recordID] = item
        }
        return .upTo(page.last?.recordID, count: page.count)
    }

    func claim(limit: Int, held: [RecordID]) -> [RepairItem] {
        let due = items.filter { record, item in
            item.state != .needsPerson && item.due <= world.now && !held.contains(record)
        }
        // As uuid_hash, in no order of groups.
        let first = due.sorted { left, right in
            (left.value.living, left.value.kind, left.key.low &* 0x9E37_79B9_7F4A_7C15, left.key)
                < (right.value.living, right.value.kind, right.key.low &* 0x9E37_79B9_7F4A_7C15, right.key)
        }.prefix(limit)
        let rows = catalog.live
        return first.map { record, item in
            items[record]?.state = .takenUp
            let row = rows.first { $0.recordID == record }
            return RepairItem(
                record: record,
                kind: item.kind,
                livingCount: item.living,
                byteCount: 2_000,
                attemptCount: item.attemptCount,
                placement: row.map { number(of: $0.nodes) },
                nodes: row?.nodes.sorted() ?? []
            )
        }
    }

    /// An instance that was deleted, or whose copies are elsewhere now, is left as it is.
    func count(_ repairs: [CountedRepair], under term: Term) -> Int {
        var count = 0
        for repair in repairs {
            items[repair.record] = nil
            guard let row = catalog.live.first(where: { $0.recordID == repair.record }),
                number(of: row.nodes) == repair.placement
            else { continue }
            let nodes = placements[Int(repair.newPlacement)]
            // Never a copy on a node that may be dropping it.
            guard !nodes.contains(where: { drops[DropKey(record: repair.record, node: $0)]?.state == .ordered }) else {
                continue
            }
            catalog.place(row, on: nodes)
            count += 1
            for node in nodes where !row.nodes.contains(node) { counted(repair.record, node, term) }
        }
        return count
    }

    func drop(_ records: [RecordID]) {
        for record in records { items[record] = nil }
    }

    func postpone(_ repairs: [PostponedRepair]) {
        for repair in repairs {
            items[repair.record]?.state = repair.pause == nil ? .needsPerson : .waiting
            items[repair.record]?.attemptCount = repair.attemptCount
            items[repair.record]?.due = world.now + Int64((repair.pause ?? .zero) / .microseconds(1))
            items[repair.record]?.note = repair.note
        }
    }

    /// An operator has what needed a person tried again.
    func retry() {
        for record in items.keys.sorted() where items[record]?.state == .needsPerson {
            items[record]?.state = .waiting
            items[record]?.attemptCount = 0
            items[record]?.due = world.now
        }
    }
}

/// The ledger as the real executor and survey of one coordinator ask it.
// Safety: made, used and let go of on its world's one thread, where `WorldExecutor` runs the tasks that have it.
final class SimulatedLedger: RepairLedger, @unchecked Sendable {
    let ledger: LedgerModel
    let moves: MoveModel
    private let catalog: CatalogModel
    /// The coordinator is dead: what it does from now on does not happen.
    var isClosed = false

    init(_ ledger: LedgerModel, _ moves: MoveModel, _ catalog: CatalogModel) {
        self.ledger = ledger
        self.moves = moves
        self.catalog = catalog
    }

    func ask<Value: Sendable>(
        under term: Term? = nil,
        _ body: @escaping () -> Value
    ) async throws(CatalogError) -> Value {
        guard !isClosed else { throw CatalogError(.closed, "the coordinator is dead") }
        return try await catalog.ask(under: term, body)
    }

    func placedGroups() async throws(CatalogError) -> [PlacedGroup] {
        try await ask { [ledger] in ledger.placedGroups }
    }

    func replaceRepairBacklog(_: [RepairDifference], copies: Int, term: Term) async throws(CatalogError) {
        try await ask(under: term) {}
    }

    func countRepairBacklog(limit: Int, term: Term) async throws(CatalogError) -> Int { 0 }

    func enqueueRepairs(
        of difference: RepairDifference,
        after: RecordID?,
        limit: Int,
        waitingLimit: Int,
        term: Term
    ) async throws(CatalogError) -> EnqueuedRepairs {
        try await ask(under: term) { [ledger] in ledger.enqueue(difference, after: after, limit: limit) }
    }

    func claimRepairs(term: Term, limit: Int, held: [RecordID]) async throws(CatalogError) -> [RepairItem] {
        try await ask(under: term) { [ledger] in ledger.claim(limit: limit, held: held) }
    }

    func countRepairs(_ repairs: [CountedRepair], term: Term) async throws(CatalogError) -> Int {
        let isChecked = !catalog.world.has(.countUnderOldTerm)
        return try await ask(under: isChecked ? term : nil) { [ledger] in ledger.count(repairs, under: term) }
    }

    func dropRepairs(_ records: [RecordID], term: Term) async throws(CatalogError) {
        try await ask(under: term) { [ledger] in ledger.drop(records) }
    }

    func postponeRepairs(_ repairs: [PostponedRepair], term: Term) async throws(CatalogError) {
        try await ask(under: term) { [ledger] in ledger.postpone(repairs) }
    }

    func noteRepairRate(items: Double, bytes: Double, alarm: String, term: Term) async throws(CatalogError) {}

    func placementNumber(of nodes: [NodeID]) async throws(CatalogError) -> Int32 {
        try await ask { [ledger] in ledger.number(of: nodes) }
    }
}
