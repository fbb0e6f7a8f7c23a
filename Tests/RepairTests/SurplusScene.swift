// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import Logging
import NIOConcurrencyHelpers
import Placement
import Reconciliation
import Repair
import ReplicationProtocol
import Testing

/// A catalog and storage nodes in memory, and all that happens to them in its order.
final class SurplusWorld: Sendable {
    struct Node {
        /// What it has, damaged or not, and the order that stored it.
        var records: Set<RecordID> = []
        var damaged: Set<RecordID> = []
        var amendments: [RecordID: [RecordAmendment]] = [:]
        var isAway = false
        var term = Term(rawValue: 0)
        var sequence: UInt64 = 0
        /// Orders that are carried out, but whose answer is lost.
        var losesAnswers = false
        /// Orders that do not arrive, and are kept for later.
        var delays = false
        var delayed: [(items: [DropRequest.Item], stamp: OrderStamp, sequence: UInt64)] = []
        var isUncertain = false
    }

    struct State {
        var term = Term(rawValue: 5)
        var clock = Duration.zero
        var placements: [[NodeID]] = []
        var instances: [RecordID: Int32] = [:]
        var unconfirmed: [RecordID: [NodeID]] = [:]
        var putOff: [RecordID: PostponedRepair] = [:]
        var nodes: [NodeID: Node] = [:]
        var log: [String] = []
        /// When so many copies have been read, the node that read the last of them is away.
        var readsUntilAway = Int.max
        var byteCount: Int64 = 1000
        /// Happens when a node is told to drop, or asked what it has dropped.
        var whenTold: (@Sendable (NodeID) -> Void)?
        /// What a cold pack holds that was sound when it was read last; and that proves it at this moment.
        var packed: Set<RecordID> = []
        var proven: Set<RecordID> = []
        /// Happens right before it is asked what packs prove.
        var beforeProof: (@Sendable (inout State) -> Void)?
        /// Steps until the process is as good as dead.
        var stepsLeft = Int.max
    }

    let ids: [NodeID]
    let state: NIOLockedValueBox<State>

    init(nodes count: UInt64) {
        ids = (1...count).map { NodeID(high: 1, low: $0) }
        var state = State()
        for id in ids { state.nodes[id] = Node() }
        self.state = NIOLockedValueBox(state)
    }

    static func number(of nodes: [NodeID], _ state: inout State) -> Int32 {
        let sorted = nodes.sorted()
        if let found = state.placements.firstIndex(of: sorted) { return Int32(found) }
        state.placements.append(sorted)
        return Int32(state.placements.count - 1)
    }

    static func digest(of record: RecordID) -> SHA256Digest { SHA256Digest(words: (record.high, record.low, 0, 0)) }

    /// Enters an instance that is counted, and is, on these nodes.
    func store(_ record: RecordID, on nodes: [NodeID]) {
        state.withLockedValue { state in
            state.instances[record] = Self.number(of: nodes, &state)
            for node in nodes { state.nodes[node]?.records.insert(record) }
        }
    }

    func counted(_ record: RecordID) -> [NodeID] {
        state.withLockedValue { state in state.instances[record].map { state.placements[Int($0)] } ?? [] }
    }

    /// The nodes that have it whole.
    func whole(_ record: RecordID) -> [NodeID] {
        state.withLockedValue { state in
            ids.filter {
                state.nodes[$0]?.records.contains(record) == true && state.nodes[$0]?.damaged.contains(record) == false
            }
        }
    }

    func step<Value>(
        _ what: String,
        _ body: (inout State) -> Value
    ) throws(CatalogError) -> Value {
        let result = state.withLockedValue { state -> Result<Value, CatalogError> in
            guard state.stepsLeft > 0 else { return .failure(CatalogError(.unavailable, "away")) }
            state.stepsLeft -= 1
            state.log.append(what)
            return .success(body(&state))
        }
        return try result.get()
    }

    func change<Value>(
        _ term: Term,
        _ what: String,
        _ body: (inout State) -> Value
    ) throws(CatalogError) -> Value {
        guard state.withLockedValue({ $0.term == term }) else { throw CatalogError(.staleTerm, "over") }
        return try step(what, body)
    }
}

extension SurplusWorld: SurplusLedger {
    func surplusRecords(
        placement: Int32,
        group: PlacementGroup,
        node: NodeID,
        after: RecordID?,
        limit: Int
    ) async throws(CatalogError) -> [SurplusRecord] {
        try step("page") { state in
            let found = state.instances.filter { record, number in
                number == placement && record.group == group && after.map { record > $0 } ?? true
                    && state.unconfirmed[record] == nil && state.putOff[record]?.pause != .some(.seconds(1 << 40))
            }
            return found.keys.sorted().prefix(limit).map {
                SurplusRecord(
                    record: $0,
                    byteCount: state.byteCount,
                    attemptCount: state.putOff[$0]?.attemptCount ?? 0
                )
            }
        }
    }

    func beginDrops(
        _ records: [RecordID],
        on node: NodeID,
        from placement: Int32,
        to newPlacement: Int32,
        term: Term
    ) async throws(CatalogError) -> [RecordID] {
        try change(term, "begin") { state in
            let moved = records.filter { state.instances[$0] == placement }
            for record in moved {
                state.instances[record] = newPlacement
                state.unconfirmed[record, default: []].append(node)
            }
            return moved
        }
    }

    func finishDrops(_ records: [RecordID], on node: NodeID, term: Term) async throws(CatalogError) {
        try change(term, "finish") { state in
            for record in records {
                state.unconfirmed[record]?.removeAll { $0 == node }
                if state.unconfirmed[record]?.isEmpty == true { state.unconfirmed[record] = nil }
            }
        }
    }

    func unconfirmedDrops(of nodes: [NodeID], limit: Int, term: Term) async throws(CatalogError) -> [UnconfirmedDrop] {
        try change(term, "unconfirmed") { state in
            var found: [UnconfirmedDrop] = []
            for (record, open) in state.unconfirmed.sorted(by: { $0.key < $1.key }) {
                guard let number = state.instances[record], !state.placements[Int(number)].isEmpty else { continue }
                for node in open where nodes.contains(node) && found.count < limit {
                    found.append(
                        UnconfirmedDrop(
                            record: record,
                            node: node,
                            attemptCount: 0,
                            placement: number,
                            nodes: state.placements[Int(number)]
                        )
                    )
                }
            }
            return found
        }
    }

    func restoreDrops(_ restored: [CountedRepair], on node: NodeID, term: Term) async throws(CatalogError) {
        try change(term, "restore") { state in
            for repair in restored where state.instances[repair.record] == repair.placement {
                state.instances[repair.record] = repair.newPlacement
                state.unconfirmed[repair.record]?.removeAll { $0 == node }
                if state.unconfirmed[repair.record]?.isEmpty == true { state.unconfirmed[repair.record] = nil }
            }
        }
    }

    func postponeDrops(_ drops: [PostponedRepair], on node: NodeID, term: Term) async throws(CatalogError) {
        try change(term, "postpone") { state in
            for drop in drops { state.putOff[drop.record] = drop }
        }
    }

    func placementNumber(of nodes: [NodeID]) async throws(CatalogError) -> Int32 {
        try step("number") { Self.number(of: nodes, &$0) }
    }
}

/// A connection to one of the nodes.
struct SurplusTestPeer: SurplusPeer {
    let id: NodeID
    let world: SurplusWorld

    var name: String { "storage-\(id.low)" }

    private func ask<Value>(
        _ what: String,
        _ body: (inout SurplusWorld.Node) -> Result<Value, ReplicationError>
    ) throws(ReplicationError) -> Value {
        let result = world.state.withLockedValue { state -> Result<Value, ReplicationError> in
            guard state.stepsLeft > 0, var node = state.nodes[id], !node.isAway else {
                return .failure(ReplicationError(.notConnected, "away"))
            }
            state.stepsLeft -= 1
            state.log.append("\(what) \(name)")
            defer { state.nodes[id] = node }
            if what == "verify" {
                state.readsUntilAway -= 1
                if state.readsUntilAway == 0 { node.isAway = true }
            }
            return body(&node)
        }
        return try result.get()
    }

    func digest(of record: RecordID) async throws(ReplicationError) -> SHA256Digest? {
        try ask("head") { node -> Result<SHA256Digest?, ReplicationError> in
            .success(node.records.contains(record) ? SurplusWorld.digest(of: record) : nil)
        }
    }

    func verify(_ record: RecordID) async throws(ReplicationError) {
        try ask("verify") { node -> Result<Void, ReplicationError> in
            if !node.records.contains(record) { return .failure(ReplicationError(.notFound, "not there")) }
            return node.damaged.contains(record) ? .failure(ReplicationError(.corrupt, "damaged")) : .success(())
        }
    }

    func amendments(
        from first: RecordID,
        firstOrder: RecordAmendment.Order,
        to last: RecordID
    ) async throws(ReplicationError) -> AmendmentPage {
        try ask("amendments") { node -> Result<AmendmentPage, ReplicationError> in
            let all = node.amendments.filter { first <= $0.key && $0.key <= last }.sorted { $0.key < $1.key }
            return .success(AmendmentPage(all.flatMap(\.value), hasMore: false, isComplete: true))
        }
    }

    func drop(
        _ items: [DropRequest.Item],
        permit: ReferenceID,
        _ stamp: OrderStamp,
        sequence: UInt64
    ) async throws(ReplicationError) -> [RecordDropOutcome] {
        await Task.yield()
        world.state.withLockedValue { $0.whenTold }?(id)
        return try ask(items.isEmpty ? "barrier" : "drop") { node -> Result<[RecordDropOutcome], ReplicationError> in
            if node.delays, !items.isEmpty {
                node.delayed.append((items, stamp, sequence))
                return .failure(ReplicationError(.outcomeUnknown, "the connection was lost"))
            }
            let outcome = Self.carryOut(items, stamp, sequence, &node)
            if node.losesAnswers, !items.isEmpty {
                return .failure(ReplicationError(.outcomeUnknown, "the connection was lost"))
            }
            return outcome
        }
    }

    /// As `NodeStore` does it.
    static func carryOut(
        _ items: [DropRequest.Item],
        _ stamp: OrderStamp,
        _ sequence: UInt64,
        _ node: inout SurplusWorld.Node
    ) -> Result<[RecordDropOutcome], ReplicationError> {
        if stamp.term < node.term { return .failure(ReplicationError(.staleTerm, "another leads")) }
        if stamp.term > node.term { (node.term, node.sequence) = (stamp.term, 0) }
        if sequence <= node.sequence { return .failure(ReplicationError(.invalidRequest, "too late")) }
        node.sequence = sequence
        if node.isUncertain, !items.isEmpty { return .failure(ReplicationError(.unknown, "not sure")) }
        return .success(
            items.map { item in
                if !node.records.contains(item.recordID) { return .absent }
                if node.damaged.contains(item.recordID) { return .damaged }
                if node.amendments[item.recordID] != nil, !item.isHeldElsewhere { return .held }
                node.records.remove(item.recordID)
                return .dropped
            }
        )
    }
}

/// A coordinator that has copies dropped, over a world that outlives it.
struct SurplusScene {
    let world: SurplusWorld
    let copies: Int
    let plan = SurplusPlan()
    let gate = CountingGate()
    let dropper: SurplusDropper

    init(_ world: SurplusWorld, copies: Int = 2) {
        self.world = world
        self.copies = copies
        var limits = RepairLimits()
        limits.bytesPerSecond = 0
        dropper = SurplusDropper(
            ledger: world,
            plan: plan,
            limits: limits,
            gate: gate,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        ) { [world, copies] in Self.view(world, copies) }
    }

    static func map(_ world: SurplusWorld) -> PlacementMap {
        PlacementMap(
            epoch: MapEpoch(rawValue: 1),
            members: world.ids.map { id in
                StorageMember(
                    id: id,
                    name: "storage-\(id.low)",
                    host: "127.0.0.1",
                    port: 1,
                    domain: FailureDomain(host: "host-\(id.low)")
                )
            }
        )
    }

    static func view(_ world: SurplusWorld, _ copies: Int) -> SurplusView {
        let map = map(world)
        let (term, away) = world.state.withLockedValue { state in
            (state.term, Set(state.nodes.filter { $0.value.isAway }.map(\.key)))
        }
        let conditions = world.ids.map { id in
            NodeCondition(node: id, standing: NodeStanding(health: away.contains(id) ? .down : .up))
        }
        return SurplusView(
            stamp: OrderStamp(term: term, mapEpoch: map.epoch),
            planner: Planner(map: map, copies: copies, nodes: conditions),
            peers: world.ids.filter { !away.contains($0) }.map { SurplusTestPeer(id: $0, world: world) }
        )
    }

    /// Surveys, and drops what can be dropped.
    @discardableResult
    func run(rounds: Int = 4, while mayGoOn: @escaping @Sendable () -> Bool = { true }) async -> RepairObstacle? {
        for _ in 0..<rounds {
            let sets = world.state.withLockedValue { state in
                Set(
                    state.instances.map { record, number in
                        ActualSet(placement: number, group: record.group, nodes: state.placements[Int(number)])
                    }
                ).sorted { ($0.placement, $0.group) < ($1.placement, $1.group) }
            }
            plan.replace(Self.view(world, copies).planner.plan(sets))
            if let obstacle = await dropper.run(while: mayGoOn).obstacle { return obstacle }
        }
        return nil
    }

    /// Stores instances where they are wanted, and on all other nodes, too, of `extra` of them.
    static func store(_ world: SurplusWorld, _ count: Int, extra: Int = 1, copies: Int = 2) -> [RecordID] {
        let map = map(world)
        return (0..<count).compactMap { number in
            guard let record = RecordID(high: UInt64(number % 4) << 48, low: UInt64(number + 1)) else { return nil }
            let wanted = map.holders(of: record.group, copies: copies)
            world.store(record, on: wanted + world.ids.filter { !wanted.contains($0) }.prefix(extra))
            return record
        }
    }
}
