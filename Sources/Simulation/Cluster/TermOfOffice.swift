// SPDX-License-Identifier: Apache-2.0

import Catalog
import Logging
import Placement
import Reconciliation
import Repair
import ReplicationProtocol
import SegmentStore

/// One coordinator from its takeover to its end: the real `Membership`, `NodeOrderRules`, `RepairWorker` and `ComparisonWorker` over the models of
/// catalog and nodes. Follows `Leadership.lead` and `ClusterMembership` step by step.
///
/// One that has been followed goes on until the catalog tells it, or is dead at once.
// Safety: made, used and let go of on its world's one thread, where `WorldExecutor` runs the tasks that have it.
final class TermOfOffice: @unchecked Sendable {
    private static let logger = Logger(label: "repair") { _ in SwiftLogNoOpLogHandler() }

    let term: Term
    private let world: World
    private let catalog: CatalogModel
    private let ledger: LedgerModel
    private let access: SimulatedLedger
    private unowned let coordinator: CoordinatorModel
    private let worker: RepairWorker
    private var comparison: ComparedNodes
    private let mover: MoveWorker?
    private var membership: Membership
    private var weights: CapacityWeights
    private var registered: [NodeID: StorageMember] = [:]
    /// What nodes said last.
    private var acceptsWrites: [NodeID: Bool] = [:]
    /// How all nodes stand that have not been removed, at the last beat.
    private(set) var conditions: [NodeCondition] = []
    /// Whether so much is missing that none of it is declared out.
    private(set) var isMassLoss = false
    private var isOver = false
    private var tasks: [Task<Void, Never>] = []
    /// How long it waits between two beats.
    private var pause: Int64 = 150_000

    init(
        _ coordinator: CoordinatorModel,
        _ ledger: LedgerModel,
        _ moves: MoveModel,
        _ catalog: CatalogModel,
        in world: World
    ) {
        self.world = world
        self.catalog = catalog
        self.ledger = ledger
        self.coordinator = coordinator
        self.term = catalog.term
        self.access = SimulatedLedger(ledger, moves, catalog)
        self.membership = Membership(limits: world.plan.membership, at: .microseconds(world.now))
        self.weights = CapacityWeights(limits: world.plan.membership)
        let gate = CountingGate()
        self.worker = RepairWorker(
            ledger: access,
            surplus: access,
            gate: gate,
            permitPrefix: catalog.term.rawValue,
            copies: world.plan.copies,
            limits: world.plan.repair,
            interval: .microseconds(pause),
            clock: world.repairClock,
            logger: Self.logger
        )
        self.comparison = ComparedNodes(
            access,
            gate: world.has(.countBesideDropping) ? CountingGate() : gate,
            interval: .microseconds(pause),
            in: world
        )
        let clock = world.clock
        self.mover = world.plan.tiering.map { [access, pause] tiering in
            MoveWorker(
                ledger: access,
                limits: tiering.limits,
                interval: .microseconds(pause),
                clock: world.repairClock,
                logger: Self.logger,
                now: { 1_800_000_000_000 + clock.now / 1000 }
            )
        }
        tasks.append(Task(executorPreference: world.executor) { [self] in await lead() })
        if let mover { tasks.append(Task(executorPreference: world.executor) { await mover.run() }) }
        if !world.has(.neverRepair) {
            tasks.append(Task(executorPreference: world.executor) { [worker] in await worker.run() })
        }
        if !world.has(.neverCompare) {
            let comparison = comparison.worker
            tasks.append(Task(executorPreference: world.executor) { await comparison.run() })
        }
        world.atEnd { [self] in die() }
    }

    // MARK: Its end

    /// Nothing of it happens any more, but what nodes are doing for it.
    func die() {
        access.isClosed = true
        end()
    }

    /// It does not hear for a while that another leads.
    func linger() { pause = world.time(150_000...1_500_000) }

    private func end() {
        isOver = true
        worker.rest()
        comparison.rest()
        mover?.update(nil)
        for task in tasks { task.cancel() }
        tasks = []
    }

    // MARK: Beats

    private func lead() async {
        while !isOver {
            do throws(CatalogError) {
                try await beat()
            } catch {
                if error.code == .staleTerm {
                    world.note("the coordinator of term \(term.rawValue) hears that another leads")
                    end()
                }
            }
            await world.sleep(pause)
        }
    }

    private func beat() async throws(CatalogError) {
        // The lease.
        try await catalog.ask(under: term) {}
        await world.sleep(world.time(300...3_000))
        let records = try await catalog.ask { [catalog] in catalog.nodeRecords }
        guard !isOver else { return }
        let current = try await catalog.ask { [catalog] in catalog.map }
        guard !isOver else { return }
        let answering = coordinator.answering
        let members = judge(answering, records, inForce: current)
        for member in members where registered[member.id] != member {
            try await catalog.ask(under: term) { [catalog] in catalog.register(member) }
            registered[member.id] = member
        }
        let map = try await publish(members.filter { $0.state != .removed }, replacing: current)
        guard !isOver else { return }
        let stamp = OrderStamp(term: term, mapEpoch: map.epoch)
        let peers = coordinator.peers(conditions, map)
        worker.update(map, conditions, stamp, peers: peers, alarm: "")
        comparison.update(map, stamp, answering: answering, peers: peers)
        mover?.update(MoveView(stamp: stamp, peers: peers, members: Set(map.members.map(\.id))))
        try await decideOrder(records, map)
    }

    /// All that are known, those included that were removed, in their state now.
    private func judge(
        _ answering: [StorageProcess],
        _ records: [NodeRecord],
        inForce map: PlacementMap
    ) -> [StorageMember] {
        let now = Duration.microseconds(world.now)
        for record in records {
            membership.expect(
                record.member.id,
                service: record.service,
                health: record.health,
                for: record.stateAge,
                at: now
            )
        }
        for node in answering {
            _ = membership.answered(node.store.id, at: now)
            weights.told(node.store.id, node.saidWeight, at: now)
            acceptsWrites[node.store.id] = node.store.engine?.status.acceptsWrites ?? false
        }
        let judgement = membership.judge(at: now)
        isMassLoss = judgement.massLoss != nil
        for change in judgement.changes {
            let name = coordinator.process(change.node)?.name ?? ""
            world.note("term \(term.rawValue): \(name) is \(change.now.health), \(change.now.service)")
        }
        conditions = membership.nodes.compactMap { node in
            guard let standing = membership.standing(of: node), standing.service != .removed else { return nil }
            return NodeCondition(
                node: node,
                standing: standing,
                acceptsWrites: acceptsWrites[node] ?? false,
                isSteady: membership.isSteady(node)
            )
        }
        let members = membership.nodes.compactMap { node -> StorageMember? in
            guard let standing = membership.standing(of: node), var member = coordinator.process(node)?.member else {
                return nil
            }
            member.state = standing.state
            return member
        }
        let weighed = weights.weights(of: members.filter { $0.state != .removed }, inForce: map, at: now)
        return members.map { member in
            var member = member
            member.weight = weighed[member.id] ?? member.weight
            return member
        }
    }

    /// Publishes a new epoch when the members differ from the map's; returns the map in force.
    private func publish(
        _ members: [StorageMember],
        replacing current: PlacementMap
    ) async throws(CatalogError) -> PlacementMap {
        let next = PlacementMap(epoch: MapEpoch(rawValue: current.epoch.rawValue + 1), members: members)
        guard !next.members.isEmpty, next.members != current.members else { return current }
        let isTaken = try await catalog.ask(under: term) { [catalog] in catalog.publish(next) }
        return isTaken ? next : current
    }

    /// Decides one of what operators have asked for; the next beat acts on it.
    private func decideOrder(_ records: [NodeRecord], _ map: PlacementMap) async throws(CatalogError) {
        let open = try await catalog.ask { [catalog] in catalog.openOrder }
        guard let order = open, let record = records.first(where: { $0.member.id == order.node }) else { return }
        let rules = NodeOrderRules(map: map, conditions: believed(beside: order.node), copies: world.plan.copies)
        var placed: [PlacedGroup] = []
        if order.kind == .remove { placed = try await catalog.ask { [ledger] in ledger.placedGroups } }
        let decision = try await rules.decide(order, service: record.service) { [placed] in placed }
        let name = record.member.name
        switch decision {
        case .carriedOut(let service, let note):
            try await catalog.ask(under: term) { [self] in
                catalog.decide(order, service: service, isRefused: false, note: note)
                world.note("\(order.kind) of \(name) is carried out: \(note)")
                // Asked for again, it is nothing new.
                if service == .removed, record.service != .removed { coordinator.removed(order.node, placed) }
            }
        case .refused(let reason):
            try await catalog.ask(under: term) { [self] in
                catalog.decide(order, service: nil, isRefused: true, note: reason)
                world.note("\(order.kind) of \(name) is refused: \(reason)")
            }
        }
    }

    /// How the nodes stand, for what may be removed; for whoever makes this mistake, what is gone is there.
    private func believed(beside node: NodeID) -> [NodeCondition] {
        guard world.has(.removeBesideDown) else { return conditions }
        return conditions.map { condition in
            var condition = condition
            if condition.node != node { condition.standing.health = .up }
            return condition
        }
    }
}

extension NodeRecord {
    /// How the node was when it was written down; as `ClusterMembership` reads it.
    fileprivate var health: NodeStanding.Health {
        switch member.state {
        case .down: .down
        case .out: .out
        case .up: .up
        case .suspect, .draining, .removed: .suspect
        }
    }
}
