// SPDX-License-Identifier: Apache-2.0

import Placement
import ReplicationProtocol
import SegmentFormat
import SegmentStore

/// The coordinator: it watches nodes, publishes maps, orders deletions and holds, permits purges, and has damage healed.
///
/// A model: states by silence as `Membership` has them, a new epoch for each change, orders with its term. Its orders pass the
/// fence of a node and not its protocol.
final class CoordinatorModel {
    private let world: World
    private let nodes: [StorageProcess]
    private let catalog: CatalogModel
    private var lastAnswer: [Int64]
    private var forced: [Int: NodeState] = [:]
    private(set) var term = Term(rawValue: 1)
    private var sequence: UInt64 = 0
    /// The groups that records of this run are in.
    var groups: Set<PlacementGroup> = []
    /// Percent of messages between it and the nodes that are lost.
    var lossPercent = 0.0
    private(set) var healer: HealerModel?

    init(world: World, nodes: [StorageProcess], catalog: CatalogModel) {
        self.world = world
        self.nodes = nodes
        self.catalog = catalog
        self.lastAnswer = nodes.map { _ in 0 }
        watch()
        permitPurges()
        healer = HealerModel(self, nodes: nodes, catalog: catalog, in: world)
    }

    private func watch() {
        world.after(150_000) { [self] in
            for (number, node) in nodes.enumerated() where node.isRunning && !node.isPaused {
                lastAnswer[number] = world.now
            }
            publish()
            watch()
        }
    }

    /// What was compacted away is removed for good when its time in the trash is over.
    private func permitPurges() {
        world.after(world.time(200_000...1_500_000)) { [self] in
            if let node = world.pick(nodes), node.isRunning, !loses("a permit for \(node.name)") {
                sequence += 1
                let stamp = OrderStamp(term: term, mapEpoch: catalog.map.epoch)
                node.purge(Amendment.Reference(high: 2, low: sequence), stamp)
            }
            permitPurges()
        }
    }

    /// Whether a message to or from a node gets lost.
    func loses(_ what: @autoclosure () -> String) -> Bool {
        guard world.chance(lossPercent) else { return false }
        world.count(.orderLost, what())
        return true
    }

    /// Lets go of what refers to it.
    func end() { healer = nil }

    func state(_ number: Int) -> NodeState {
        if let state = forced[number] { return state }
        let silence = world.now - lastAnswer[number]
        return silence >= 2_000_000 ? .down : silence >= 500_000 ? .suspect : .up
    }

    private func publish() {
        let members = nodes.enumerated().map { number, node in
            var member = node.member
            member.state = state(number)
            return member
        }
        guard members != catalog.map.members else { return }
        catalog.publish(PlacementMap(epoch: MapEpoch(rawValue: catalog.map.epoch.rawValue + 1), members: members))
    }

    /// An operator takes a node out, or has it emptied; nil ends it.
    func force(_ number: Int, _ state: NodeState?) { forced[number] = state }

    func takeOver() { term = Term(rawValue: term.rawValue + 1) }

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
