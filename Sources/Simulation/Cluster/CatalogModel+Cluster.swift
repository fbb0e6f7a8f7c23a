// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import ReplicationProtocol

/// What the coordinator in office keeps in the catalog, and what operators leave there for it.
extension CatalogModel {
    /// A storage node as it is registered.
    struct NodeRow {
        var member: StorageMember
        var service = NodeService.inService
        /// Since when it is in its state.
        var since: Int64
    }

    /// Has a task wait for a statement.
    func ask<Value: Sendable>(
        under term: Term? = nil,
        _ body: @escaping () -> Value
    ) async throws(CatalogError) -> Value {
        let result: Result<Value, Failure>
        do throws(ReplicationError) {
            result = try await world.calls.call(in: world, timeout: Limits.catalogTimeout) { answer in
                perform(under: term, body) { answer(.success($0)) }
            }
        } catch {
            throw CatalogError(.outcomeUnknown, "no answer in time")
        }
        do throws(Failure) {
            return try result.get()
        } catch {
            throw CatalogError(error.code, "the simulated one")
        }
    }

    // MARK: Nodes and map

    /// The nodes, by id, as `Catalog.nodeRecords`.
    var nodeRecords: [NodeRecord] {
        nodes.values.sorted { $0.member.id < $1.member.id }.map { row in
            NodeRecord(member: row.member, service: row.service, stateAge: .microseconds(world.now - row.since))
        }
    }

    func register(_ member: StorageMember) {
        guard let known = nodes[member.id] else {
            nodes[member.id] = NodeRow(member: member, since: world.now)
            return
        }
        nodes[member.id]?.member = member
        if known.member.state != member.state { nodes[member.id]?.since = world.now }
    }

    /// Compare-and-set: only the next epoch is taken; whether it was.
    func publish(_ map: PlacementMap) -> Bool {
        guard map.epoch.rawValue == self.map.epoch.rawValue + 1 else { return false }
        self.map = map
        return true
    }

    func service(of node: NodeID) -> NodeService { nodes[node]?.service ?? .inService }

    // MARK: Orders of operators

    /// An operator asks for something; no answer when the catalog is away.
    func enter(_ kind: NodeOrder.Kind, _ node: NodeID) {
        guard !isAway else { return }
        orders.append(
            NodeOrder(id: Int64(orders.count), node: node, kind: kind, requestedBy: "operator", reason: "simulation")
        )
    }

    var openOrder: NodeOrder? { orders.first { $0.decidedAtMilliseconds == nil } }

    func decide(_ order: NodeOrder, service: NodeService?, isRefused: Bool, note: String) {
        guard let index = orders.firstIndex(where: { $0.id == order.id }),
            orders[index].decidedAtMilliseconds == nil
        else { return }
        orders[index].decidedAtMilliseconds = world.now / 1000
        orders[index].isRefused = isRefused
        orders[index].note = note
        if !isRefused, let service { nodes[order.node]?.service = service }
    }
}

extension CatalogModel.Failure {
    fileprivate var code: CatalogError.Code {
        switch self {
        case .unavailable: .unavailable
        case .outcomeUnknown: .outcomeUnknown
        case .timedOut: .timedOut
        case .staleTerm: .staleTerm
        }
    }
}
