// SPDX-License-Identifier: Apache-2.0

import Placement
import SegmentFormat
import SegmentStore

/// The coordinator as far as it exists: it watches nodes, publishes maps, and orders deletions and holds.
///
/// A model: states by silence as `NodeHealth` has them, a new epoch for each change, amendments with its term. There is no
/// message for amendments yet, so they reach the node's store directly.
final class CoordinatorModel {
    private let world: World
    private let nodes: [StorageProcess]
    private let catalog: CatalogModel
    private var lastAnswer: [Int64]
    private var forced: [Int: NodeState] = [:]
    private(set) var term = Term(rawValue: 1)
    private var sequence: UInt64 = 0
    private var isActive = true

    init(world: World, nodes: [StorageProcess], catalog: CatalogModel) {
        self.world = world
        self.nodes = nodes
        self.catalog = catalog
        self.lastAnswer = nodes.map { _ in 0 }
        watch()
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

    private func state(_ number: Int) -> NodeState {
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
