// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Placement
package import Reconciliation

/// What an order about a node would do, if it were given now; changes nothing.
///
/// Judges by what the coordinator in office has written down, with its rules and its planner.
package struct OrderPreview: Sendable {
    /// How long is counted before the rest is estimated.
    private static let patience = Duration.seconds(5)
    /// As long as some sets take less than this, more are counted at once; at most so many.
    private static let quick = Duration.milliseconds(200)
    private static let setsAtOnce = 256

    private let catalog: Catalog
    private let map: PlacementMap
    private let conditions: [NodeCondition]
    private let copies: Int

    /// Previews in a cluster whose nodes are as `conditions` say.
    package init(catalog: Catalog, map: PlacementMap, conditions: [NodeCondition], copies: Int) {
        self.catalog = catalog
        self.map = map
        self.conditions = conditions
        self.copies = copies
    }

    /// Why the order would be refused, if it would be, and what would move.
    package func run(
        _ kind: NodeOrder.Kind,
        of node: NodeID,
        service: NodeService
    ) async throws(CatalogError) -> (refusal: String?, forecast: MovementForecast) {
        let placed = try await catalog.placedGroups()
        let order = NodeOrder(id: 0, node: node, kind: kind, requestedBy: "", reason: "")
        let rules = NodeOrderRules(map: map, conditions: conditions, copies: copies)
        let decision = try await rules.decide(order, service: service) {
            () async throws(CatalogError) in
            placed
        } trashed: {
            () async throws(CatalogError) in
            try await catalog.trashedCopies()
        }
        var refusal: String?
        if case .refused(let reason) = decision { refusal = reason }
        let sets = placed.map { ActualSet(placement: $0.placement, group: $0.group, nodes: $0.nodes) }
        let after = Self.after(kind, of: node, map, conditions)
        var forecast = MovementForecast(
            of: sets,
            from: Planner(map: map, copies: copies, nodes: conditions),
            to: Planner(map: after.map, copies: copies, nodes: after.conditions)
        )
        try await count(&forecast)
        return (refusal, forecast)
    }

    /// The map and the nodes as an order would leave them.
    package static func after(
        _ kind: NodeOrder.Kind,
        of node: NodeID,
        _ map: PlacementMap,
        _ conditions: [NodeCondition]
    ) -> (map: PlacementMap, conditions: [NodeCondition]) {
        let service: NodeService
        switch kind {
        case .drain: service = .draining
        case .undrain: service = .inService
        case .remove: service = .removed
        case .maintenance, .endOfMaintenance: return (map, conditions)
        }
        var conditions = conditions
        for index in conditions.indices where conditions[index].node == node {
            conditions[index].standing.service = service
        }
        let state = conditions.first { $0.node == node }?.standing.state
        let members = map.members.compactMap { member -> StorageMember? in
            guard member.id == node, let state else { return member }
            var member = member
            member.state = state
            return state == .removed ? nil : member
        }
        conditions.removeAll { $0.standing.service == .removed }
        return (PlacementMap(epoch: MapEpoch(rawValue: map.epoch.rawValue + 1), members: members), conditions)
    }

    /// Counts the instances of the sets that move: all, if that is done soon.
    private func count(_ forecast: inout MovementForecast) async throws(CatalogError) {
        let clock = ContinuousClock()
        let end = clock.now + Self.patience
        var next = 0
        var most = 1
        while next < forecast.moves.count, next == 0 || clock.now < end {
            let begin = clock.now
            let part = Array(next..<min(next + most, forecast.moves.count))
            let amounts = try await catalog.amounts(of: part.map { forecast.moves[$0].set.placedGroup })
            for (index, amount) in zip(part, amounts) {
                forecast.count(.init(copyCount: amount.instanceCount, byteCount: amount.byteCount), at: index)
            }
            next += part.count
            if begin.duration(to: clock.now) < Self.quick { most = min(most * 2, Self.setsAtOnce) }
        }
    }
}

extension ActualSet {
    fileprivate var placedGroup: PlacedGroup { PlacedGroup(placement: placement, nodes: nodes, group: group) }
}

extension NodeCondition {
    /// How a node stands, by what the coordinator has written down of it and what it says itself; `acceptsWrites` is nil when it
    /// does not answer.
    package init(_ record: NodeRecord, acceptsWrites: Bool?) {
        let health: NodeStanding.Health =
            switch record.member.state {
            case .up: .up
            case .suspect: .suspect
            case .down: .down
            case .out, .removed: .out
            // How it answers is not written down.
            case .draining: acceptsWrites == nil ? .down : .up
            }
        self.init(
            node: record.member.id,
            standing: NodeStanding(
                health: health,
                service: record.service,
                isInMaintenance: record.maintenanceLeft != nil
            ),
            acceptsWrites: acceptsWrites ?? (record.member.state == .up)
        )
    }
}
