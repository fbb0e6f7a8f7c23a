// SPDX-License-Identifier: Apache-2.0

import Catalog
import Logging
import NIOConcurrencyHelpers
import Placement
import Reconciliation
import Repair
import ReplicationProtocol

/// A catalog's instances and repair queue, in memory, under a term in office.
final class MemoryRepairLedger: RepairLedger {
    struct Item {
        var kind: UInt8
        var living: Int
        var state = 1
        var attempts = 0
        var note = ""
        /// Of `State.clock`.
        var due = Duration.zero
    }

    struct State {
        var term = Term(rawValue: 5)
        var clock = Duration.zero
        var placements: [[NodeID]] = []
        var instances: [RecordID: Int32] = [:]
        /// All records that were ever entered, by group and ascending.
        var records: [PlacementGroup: [RecordID]] = [:]
        var items: [RecordID: Item] = [:]
        var backlog: [RepairDifference] = []
        var countedCount = 0
        /// Copies that were left of what was counted, in that order.
        var countedLiving: [Int] = []
        /// Statements until one fails, or the process is as good as dead.
        var failsIn = Int.max
    }

    let state = NIOLockedValueBox(State())

    /// Enters an instance with copies on `nodes`.
    func enter(_ record: RecordID, on nodes: [NodeID]) {
        state.withLockedValue { state in
            state.instances[record] = Self.number(nodes, &state)
            let group = state.records[record.group, default: []]
            let index = group.firstIndex { record < $0 } ?? group.endIndex
            state.records[record.group, default: []].insert(record, at: index)
        }
    }

    func nodes(of record: RecordID) -> [NodeID]? {
        state.withLockedValue { state in state.instances[record].map { state.placements[Int($0)] } }
    }

    private static func number(_ nodes: [NodeID], _ state: inout State) -> Int32 {
        let sorted = nodes.sorted()
        if let found = state.placements.firstIndex(of: sorted) { return Int32(found) }
        state.placements.append(sorted)
        return Int32(state.placements.count - 1)
    }

    private func perform<Value>(
        _ term: Term? = nil,
        _ body: (inout State) -> Value
    ) throws(CatalogError) -> Value {
        let result = state.withLockedValue { state -> Result<Value, CatalogError> in
            if let term, term != state.term { return .failure(CatalogError(.staleTerm, "over")) }
            guard state.failsIn > 0 else { return .failure(CatalogError(.unavailable, "away")) }
            state.failsIn -= 1
            return .success(body(&state))
        }
        return try result.get()
    }

    func placedGroups() async throws(CatalogError) -> [PlacedGroup] {
        try perform { state in
            var groups: Set<PlacedGroup> = []
            for (record, placement) in state.instances {
                groups.insert(
                    PlacedGroup(placement: placement, nodes: state.placements[Int(placement)], group: record.group)
                )
            }
            return groups.sorted { ($0.placement, $0.group) < ($1.placement, $1.group) }
        }
    }

    func replaceRepairBacklog(
        _ differences: [RepairDifference],
        copies: Int,
        term: Term
    ) async throws(CatalogError) {
        try perform(term) { $0.backlog = differences }
    }

    func countRepairBacklog(limit: Int, term: Term) async throws(CatalogError) -> Int { 0 }

    func enqueueRepairs(
        of difference: RepairDifference,
        after: RecordID?,
        limit: Int,
        waitingLimit: Int,
        term: Term
    ) async throws(CatalogError) -> EnqueuedRepairs {
        try perform(term) { state in
            let page = (state.records[difference.group] ?? []).filter { record in
                state.instances[record] == difference.placement && after.map { $0 < record } ?? true
            }.prefix(limit)
            for record in page {
                if state.items[record] == nil {
                    state.items[record] = Item(kind: difference.kind, living: difference.livingCount)
                } else if state.items[record]?.state == 1 {
                    state.items[record]?.living = difference.livingCount
                }
            }
            return .upTo(page.last, count: page.count)
        }
    }

    func claimRepairs(term: Term, limit: Int, held: [RecordID]) async throws(CatalogError) -> [RepairItem] {
        try perform(term) { state in
            let due = state.items.filter { $0.value.state < 3 && $0.value.due <= state.clock && !held.contains($0.key) }
            let first = due.sorted { ($0.value.living, $0.key) < ($1.value.living, $1.key) }.prefix(limit)
            return first.map { record, item in
                state.items[record]?.state = 2
                let placement = state.instances[record]
                return RepairItem(
                    record: record,
                    kind: item.kind,
                    livingCount: item.living,
                    byteCount: 1000,
                    attemptCount: item.attempts,
                    placement: placement,
                    nodes: placement.map { state.placements[Int($0)] } ?? []
                )
            }
        }
    }

    func countRepairs(_ repairs: [CountedRepair], term: Term) async throws(CatalogError) -> Int {
        try perform(term) { state in
            for repair in repairs {
                if let item = state.items.removeValue(forKey: repair.record) { state.countedLiving.append(item.living) }
                guard state.instances[repair.record] == repair.placement else { continue }
                state.instances[repair.record] = repair.newPlacement
                state.countedCount += 1
            }
            return repairs.count
        }
    }

    func dropRepairs(_ records: [RecordID], term: Term) async throws(CatalogError) {
        try perform(term) { state in
            for record in records { state.items[record] = nil }
        }
    }

    func postponeRepairs(_ repairs: [PostponedRepair], term: Term) async throws(CatalogError) {
        try perform(term) { state in
            for repair in repairs {
                state.items[repair.record]?.state = repair.pause == nil ? 3 : 1
                state.items[repair.record]?.attempts = repair.attemptCount
                state.items[repair.record]?.note = repair.note
                state.items[repair.record]?.due = state.clock + (repair.pause ?? .zero)
            }
        }
    }

    func noteRepairRate(items: Double, bytes: Double, alarm: String, term: Term) async throws(CatalogError) {}

    func placementNumber(of nodes: [NodeID]) async throws(CatalogError) -> Int32 {
        try perform { Self.number(nodes, &$0) }
    }
}

/// A storage node with records in memory.
final class MemoryRepairNode: RepairPeer {
    struct State {
        var records: Set<RecordID> = []
        var damaged: Set<RecordID> = []
        var deleted: Set<RecordID> = []
        var isAway = false
        var isFull = false
        var term = Term(rawValue: 0)
        var fetchCount = 0
        var running = 0
        var mostRunning = 0
    }

    let id: NodeID
    let name: String
    let host = "127.0.0.1"
    let port = 1
    let state = NIOLockedValueBox(State())

    init(_ number: UInt64) {
        id = NodeID(high: 1, low: number)
        name = "storage-\(number)"
    }

    func hasWhole(_ id: RecordID) async throws(ReplicationError) -> Bool {
        let result = state.withLockedValue { state -> Result<Bool, ReplicationError> in
            if state.isAway { return .failure(ReplicationError(.notConnected, "away")) }
            if state.damaged.contains(id) { return .failure(ReplicationError(.corrupt, "damaged")) }
            return .success(state.records.contains(id))
        }
        return try result.get()
    }

    func fetch(_ id: RecordID, from source: any RepairPeer, _ stamp: OrderStamp) async throws(ReplicationError) {
        if let failure = admit(id, stamp) { throw failure }
        defer { state.withLockedValue { $0.running -= 1 } }
        guard let other = source as? MemoryRepairNode else { throw ReplicationError(.internal, "who is that") }
        other.state.withLockedValue { state in
            state.running += 1
            state.mostRunning = max(state.mostRunning, state.running)
        }
        defer { other.state.withLockedValue { $0.running -= 1 } }
        await Task.yield()
        if (try? await hasWhole(id)) == true { return }
        let isThere = try await other.hasWhole(id)
        guard isThere else { throw ReplicationError(.notFound, "the source does not have the record") }
        state.withLockedValue { state in
            state.records.insert(id)
            state.damaged.remove(id)
            state.fetchCount += 1
        }
    }

    private func admit(_ id: RecordID, _ stamp: OrderStamp) -> ReplicationError? {
        state.withLockedValue { state in
            if state.isAway { return ReplicationError(.notConnected, "away") }
            if stamp.term < state.term { return ReplicationError(.staleTerm, "another leads") }
            if state.isFull { return ReplicationError(.diskFull, "full") }
            if state.deleted.contains(id) { return ReplicationError(.conflict, "deleted") }
            state.term = max(state.term, stamp.term)
            state.running += 1
            state.mostRunning = max(state.mostRunning, state.running)
            return nil
        }
    }
}

/// A cluster whose copies are made.
struct RepairScene {
    let ledger = MemoryRepairLedger()
    let nodes: [MemoryRepairNode]
    let copies: Int
    let plan = RepairPlan()
    let view = NIOLockedValueBox<RepairView?>(nil)
    let executor: RepairExecutor

    init(nodes count: UInt64 = 5, copies: Int = 3, limits: RepairLimits = RepairScene.limits) {
        nodes = (1...count).map { MemoryRepairNode($0) }
        self.copies = copies
        let view = view
        executor = RepairExecutor(
            ledger: ledger,
            plan: plan,
            limits: limits,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            view: { view.withLockedValue { $0 } }
        )
        look()
    }

    static var limits: RepairLimits {
        var limits = RepairLimits()
        limits.bytesPerSecond = 0
        return limits
    }

    func map(_ out: Set<NodeID> = []) -> PlacementMap {
        PlacementMap(
            epoch: MapEpoch(rawValue: 1),
            members: nodes.map { node in
                StorageMember(
                    id: node.id,
                    name: node.name,
                    host: node.host,
                    port: node.port,
                    domain: FailureDomain(host: node.name),
                    state: out.contains(node.id) ? .out : .up
                )
            }
        )
    }

    /// Looks at the nodes: those that are away are out.
    func look(version: Int = 1) {
        let away = Set(nodes.filter { $0.state.withLockedValue { $0.isAway } }.map(\.id))
        let conditions = nodes.map { node in
            NodeCondition(
                node: node.id,
                standing: NodeStanding(health: away.contains(node.id) ? .out : .up),
                acceptsWrites: !node.state.withLockedValue { $0.isFull }
            )
        }
        let term = ledger.state.withLockedValue { $0.term }
        let map = map(away)
        view.withLockedValue {
            $0 = RepairView(
                stamp: OrderStamp(term: term, mapEpoch: map.epoch),
                planner: Planner(map: map, copies: copies, nodes: conditions),
                peers: nodes.filter { !away.contains($0.id) },
                version: version
            )
        }
    }

    /// Stores instances where they are wanted.
    func store(_ count: Int, groups: Int = 16) -> [RecordID] {
        let map = map()
        return (0..<count).compactMap { number in
            guard let record = RecordID(high: UInt64(number % groups) << 48, low: UInt64(number)) else { return nil }
            let holders = map.holders(of: record.group, copies: copies)
            for node in nodes where holders.contains(node.id) {
                node.state.withLockedValue { _ = $0.records.insert(record) }
            }
            ledger.enter(record, on: holders)
            return record
        }
    }

    /// Surveys and makes copies until nothing is due.
    @discardableResult
    func repair(rounds: Int = 6) async -> RepairObstacle? {
        for _ in 0..<rounds {
            guard let view = view.withLockedValue({ $0 }) else { return nil }
            do throws(RepairObstacle) {
                plan.replace(try await RepairSurvey(ledger: ledger, copies: copies).run(view))
            } catch {
                return error
            }
            let (count, obstacle) = await executor.drain()
            if let obstacle { return obstacle }
            if count == 0 { return nil }
        }
        return nil
    }

    /// Records with fewer copies than wanted that can be read, or that the catalog has where they are not.
    func incomplete(_ records: [RecordID]) -> [RecordID] {
        records.filter { record in
            let counted = ledger.nodes(of: record) ?? []
            let living = nodes.filter { node in
                counted.contains(node.id) && node.state.withLockedValue { !$0.isAway && $0.records.contains(record) }
            }
            return living.count < copies
        }
    }
}
