// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Reconciliation
import Repair
import ReplicationProtocol
import SegmentFormat
import SegmentStore

/// The coordinators: the one in office, which has copies made, and what all of them do about records, damage and trash.
///
/// What is done with nodes and copies is the real code (``TermOfOffice``); orders about records are a model. They pass the
/// fence of a node and not its protocol.
final class CoordinatorModel {
    private let world: World
    private let nodes: [StorageProcess]
    private let catalog: CatalogModel
    let ledger: LedgerModel
    let moves: MoveModel
    private var current: TermOfOffice?
    private var sequence: UInt64 = 0
    /// The groups that records of this run are in.
    var groups: Set<PlacementGroup> = [] {
        didSet { ledger.groups = groups.sorted() }
    }
    /// Percent of messages between it and the nodes that are lost.
    var lossPercent = 0.0
    /// Nodes that no coordinator reaches, by number.
    var cut: Set<Int> = []
    private(set) var healer: HealerModel?
    /// Told when a node is removed, and where the copies were by which that was judged.
    var removed: (NodeID, [PlacedGroup]) -> Void = { _, _ in }

    init(world: World, nodes: [StorageProcess], catalog: CatalogModel) {
        self.world = world
        self.nodes = nodes
        self.catalog = catalog
        self.ledger = LedgerModel(catalog)
        self.moves = MoveModel(ledger)
        if world.plan.tiering != nil { moves.store = ColdStoreModel(world) }
        current = TermOfOffice(self, ledger, moves, catalog, in: world)
        permitPurges()
        healer = HealerModel(self, nodes: nodes, catalog: catalog, in: world)
    }

    var term: Term { catalog.term }

    /// Lets go of what refers to it.
    func end() {
        healer = nil
        current = nil
        removed = { _, _ in }
        ledger.counted = { _, _, _ in }
        ledger.comparisonOracle = nil
        ledger.dropBegun = { _, _, _ in }
        ledger.dropRestored = { _, _ in }
        moves.oracle = nil
    }

    // MARK: Office

    /// Another coordinator takes over; the one before is dead, or does not know it yet.
    func takeOver() {
        guard !catalog.isAway else { return }
        catalog.term = Term(rawValue: catalog.term.rawValue + 1)
        if world.chance(50) { current?.die() } else { current?.linger() }
        world.note("a coordinator takes over with term \(catalog.term.rawValue)")
        current = TermOfOffice(self, ledger, moves, catalog, in: world)
    }

    /// How the nodes stand, as the one in office knows.
    var conditions: [NodeCondition] { current?.conditions ?? [] }

    /// Whether so much is missing that none of it is declared out.
    var isMassLoss: Bool { current?.isMassLoss ?? false }

    func health(of node: StorageProcess) -> NodeStanding.Health? {
        conditions.first { $0.node == node.store.id }?.standing.health
    }

    func isUp(_ node: StorageProcess) -> Bool { catalog.map[node.store.id] != nil && health(of: node) == .up }

    func process(_ id: NodeID) -> StorageProcess? { nodes.first { $0.store.id == id } }

    /// The nodes that answer when they are asked whether they live.
    var answering: [StorageProcess] {
        nodes.filter { node in
            node.isMember && node.isRunning && !node.isPaused && !loses(node, "the status of \(node.name)")
        }
    }

    /// The members that answered at the last beat.
    func peers(_ conditions: [NodeCondition], _ map: PlacementMap) -> [SimulatedPeer] {
        nodes.filter { node in
            map[node.store.id] != nil
                && conditions.contains { $0.node == node.store.id && $0.standing.health == .up }
        }.map { SimulatedPeer($0, self) }
    }

    /// Whether a message to or from a node gets lost.
    func loses(_ node: StorageProcess, _ what: @autoclosure () -> String) -> Bool {
        if cut.contains(node.store.number) { return true }
        guard world.chance(lossPercent) else { return false }
        world.count(.orderLost, what())
        return true
    }

    /// What is still to be done about copies; nil when all are where they are wanted and the queue is empty.
    var unsettled: String? {
        if catalog.openOrder != nil { return "an order is not decided" }
        let planner = Planner(map: catalog.map, copies: world.plan.copies, nodes: conditions)
        for row in catalog.live where !(moves.oracle?.isLeftToPack(row) ?? false) {
            let set = ActualSet(placement: ledger.number(of: row.nodes), group: row.recordID.group, nodes: row.nodes)
            guard let difference = planner.difference(of: set) else { continue }
            if difference.kind == .surplus { continue }
            return "\(row.recordID) is to be brought where it is wanted: \(difference.step)"
        }
        for (key, drop) in ledger.drops where drop.state == .ordered {
            guard let node = process(key.node), !node.isLost,
                let row = catalog.live.first(where: { $0.recordID == key.record }),
                !(row.nodes.isEmpty && keepsCold(key.record, node))
            else { continue }
            return "\(node.name) has not said what became of \(key.record), which it was to drop"
        }
        guard let (record, item) = ledger.items.min(by: { $0.key < $1.key }) else { return nil }
        return "\(ledger.items.count) in the queue: \(record) is \(item.state), \(item.note)"
    }

    /// Whether a node keeps a copy of what is in packs only: it is told to, or not sure of what it has and drops nothing, until a person
    /// has seen to it.
    private func keepsCold(_ record: RecordID, _ node: StorageProcess) -> Bool {
        node.holds(record) || node.store.engine?.status.isUncertain ?? true
    }

    // MARK: Orders about records

    /// What was compacted away is removed for good when its time in the trash is over.
    private func permitPurges() {
        world.after(world.time(200_000...1_500_000)) { [self] in
            if let node = world.pick(nodes), node.isRunning, !loses(node, "a permit for \(node.name)") {
                sequence += 1
                let stamp = OrderStamp(term: term, mapEpoch: catalog.map.epoch)
                node.purge(Amendment.Reference(high: 2, low: sequence), stamp)
            }
            permitPurges()
        }
    }

    /// A new order about a record.
    func order(_ kind: Amendment.Kind, _ subject: RecordID, term: Term? = nil, reference: UInt64 = 1) -> Amendment {
        sequence += 1
        return Amendment(
            subject: subject,
            kind: kind,
            order: .init(term: term ?? self.term, sequence: sequence),
            reference: .init(high: 1, low: reference),
            issuedAtMilliseconds: world.now / 1000
        )
    }
}
