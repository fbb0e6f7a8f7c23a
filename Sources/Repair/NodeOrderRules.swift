// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Placement
package import Reconciliation

/// Whether an operator's order about a node is carried out, and what is said of it.
///
/// Pure: the coordinator hands in what it knows, and does what is decided.
package struct NodeOrderRules: Sendable {
    /// What is decided.
    package enum Decision: Hashable, Sendable {
        /// The node's service becomes this; nil: only its maintenance changes, or nothing.
        case carriedOut(service: NodeService?, note: String)
        case refused(String)
    }

    private let conditions: [NodeID: NodeCondition]
    /// Where the members that are in service stand.
    private let domains: [NodeID: FailureDomain]
    private let copies: Int
    private let planner: Planner

    /// Judges by the map and the nodes' conditions.
    package init(map: PlacementMap, conditions: [NodeCondition], copies: Int) {
        self.conditions = Dictionary(conditions.map { ($0.node, $0) }) { first, _ in first }
        self.copies = copies
        self.planner = Planner(map: map, copies: copies, nodes: conditions)
        var domains: [NodeID: FailureDomain] = [:]
        for member in map.members where member.ownsGroups { domains[member.id] = member.domain }
        self.domains = domains
    }

    /// Decides on an order about a node in `service`; `placed` is where all copies are, and `trashed` where those of instances
    /// that may be undeleted; both are asked for when that counts.
    package func decide(
        _ order: NodeOrder,
        service: NodeService,
        placed: () async throws(CatalogError) -> [PlacedGroup],
        trashed: () async throws(CatalogError) -> [TrashedCopies] = { [] }
    ) async throws(CatalogError) -> Decision {
        if service == .removed {
            // Asked again by who did not hear the answer.
            if order.kind == .remove { return .carriedOut(service: .removed, note: "removed already") }
            return .refused("the node has been removed: give it an empty data directory")
        }
        switch order.kind {
        case .drain: return drain(order.node, service)
        case .undrain:
            guard service == .draining else { return .refused("the node is not draining") }
            return .carriedOut(service: .inService, note: "in service again")
        case .remove: return remove(order.node, service, try await placed(), try await trashed())
        case .maintenance:
            let minutes = (order.seconds + 59) / 60
            return .carriedOut(service: nil, note: "not declared out for \(minutes) minutes from when it was asked for")
        case .endOfMaintenance: return .carriedOut(service: nil, note: "maintenance ended")
        }
    }

    private func drain(_ node: NodeID, _ service: NodeService) -> Decision {
        guard service != .draining else { return .carriedOut(service: .draining, note: "draining already") }
        let hosts = Set(domains.filter { $0.key != node }.values).count
        guard hosts >= copies else {
            return .refused("\(hosts) hosts would be left in service for \(copies) copies: add a storage node first")
        }
        return .carriedOut(service: .draining, note: "draining")
    }

    private func remove(
        _ node: NodeID,
        _ service: NodeService,
        _ placed: [PlacedGroup],
        _ trashed: [TrashedCopies]
    ) -> Decision {
        let isOut = conditions[node]?.standing.health == .out
        guard service == .draining || isOut else {
            return .refused("the node is in service: drain it first, and wait until it holds nothing that is needed")
        }
        let unsafe = placed.filter { group in
            group.nodes.contains(node)
                && !planner.isSafe(
                    ActualSet(placement: group.placement, group: group.group, nodes: group.nodes),
                    without: node
                )
        }
        guard unsafe.isEmpty else {
            return .refused(
                "instances in \(Set(unsafe.map(\.group)).count) placement groups have fewer than \(copies) copies on other"
                    + " nodes that answer and stay; 'varve node show' says how much is left"
            )
        }
        let last = lastCopies(on: node, trashed)
        guard last == 0 || isOut else {
            return .refused(
                "\(last) instances in the trash have their last copy on this node; take back what has to stay ('varve study"
                    + " undelete'), or wait until they can't be taken back any more: 'varve study trash'"
            )
        }
        // Nobody waits for a node that burnt.
        let loss = last == 0 ? "" : "; \(last) instances in the trash had their last copy there"
        return .carriedOut(service: .removed, note: "removed\(loss)")
    }

    /// Instances in the trash that no other node has which is there and stays a member.
    private func lastCopies(on node: NodeID, _ trashed: [TrashedCopies]) -> Int {
        let others = conditions.values.filter { condition in
            condition.node != node && condition.standing.service != .removed && condition.standing.health != .out
        }
        let staying = Set(others.map(\.node))
        return trashed.filter { $0.nodes.contains(node) && staying.isDisjoint(with: $0.nodes) }
            .reduce(0) { $0 + $1.instanceCount }
    }
}
