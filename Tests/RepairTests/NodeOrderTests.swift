// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Reconciliation
import Repair
import Testing

@Suite struct NodeOrderTests {
    private static let nodes = (1...4).map { NodeID(high: 1, low: UInt64($0)) }
    private let group = PlacementGroup(studyInstanceUID: "1.2.3")

    /// Four nodes with two copies of everything; `standings` are those of the first ones, the others are up.
    private func rules(_ standings: [NodeStanding], copies: Int = 2, host: String? = nil) -> NodeOrderRules {
        let (map, conditions) = scene(standings, host: host)
        return NodeOrderRules(map: map, conditions: conditions, copies: copies)
    }

    private func scene(
        _ standings: [NodeStanding],
        host: String? = nil
    ) -> (map: PlacementMap, conditions: [NodeCondition]) {
        let conditions = Self.nodes.enumerated().map { index, node in
            NodeCondition(
                node: node,
                standing: index < standings.count ? standings[index] : NodeStanding(health: .up)
            )
        }
        let members = conditions.enumerated().map { index, condition in
            StorageMember(
                id: condition.node,
                name: "storage-\(index + 1)",
                host: "127.0.0.1",
                port: 1,
                domain: FailureDomain(host: host ?? "host-\(index)"),
                state: condition.standing.state
            )
        }
        return (PlacementMap(epoch: MapEpoch(rawValue: 1), members: members), conditions)
    }

    private func order(_ kind: NodeOrder.Kind, seconds: Int64 = 0) -> NodeOrder {
        NodeOrder(id: 1, node: Self.nodes[0], kind: kind, seconds: seconds, requestedBy: "me", reason: "why")
    }

    private func decide(
        _ rules: NodeOrderRules,
        _ order: NodeOrder,
        service: NodeService,
        holders: [[NodeID]] = [],
        trashed: [TrashedCopies] = []
    ) async throws(CatalogError) -> NodeOrderRules.Decision {
        let placed = holders.enumerated().map { index, nodes in
            PlacedGroup(placement: Int32(index), nodes: nodes, group: group)
        }
        return try await rules.decide(order, service: service) {
            () async throws(CatalogError) in
            placed
        } trashed: {
            () async throws(CatalogError) in
            trashed
        }
    }

    @Test func `a node is drained when enough hosts are left`() async throws {
        let all = rules([])
        #expect(
            try await decide(all, order(.drain), service: .inService)
                == .carriedOut(service: .draining, note: "draining")
        )
        #expect(
            try await decide(all, order(.drain), service: .draining)
                == .carriedOut(service: .draining, note: "draining already")
        )
        let out = NodeStanding(health: .out)
        let draining = NodeStanding(health: .up, service: .draining)
        for standings in [
            [NodeStanding(health: .up), out, draining], [NodeStanding(health: .down), draining, draining],
        ] {
            let decision = try await decide(rules(standings), order(.drain), service: .inService)
            #expect(
                decision
                    == .refused("1 hosts would be left in service for 2 copies: add a storage node first")
            )
        }
        // Hosts count, not nodes.
        guard case .refused = try await decide(rules([], host: "one"), order(.drain), service: .inService) else {
            Issue.record("all copies would be on one host")
            return
        }
    }

    @Test func `only a draining node is taken back`() async throws {
        #expect(
            try await decide(rules([]), order(.undrain), service: .draining)
                == .carriedOut(service: .inService, note: "in service again")
        )
        #expect(
            try await decide(rules([]), order(.undrain), service: .inService)
                == .refused("the node is not draining")
        )
    }

    @Test func `a node in service is not removed`() async throws {
        for health in [NodeStanding.Health.up, .suspect, .down] {
            let decision = try await decide(rules([NodeStanding(health: health)]), order(.remove), service: .inService)
            guard case .refused(let reason) = decision else {
                Issue.record("\(health): \(decision)")
                continue
            }
            #expect(reason.contains("drain it first"))
        }
    }

    @Test(arguments: [NodeService.draining, .inService])
    func `a node is removed when all that it has is elsewhere`(service: NodeService) async throws {
        let (first, second, third, fourth) = (Self.nodes[0], Self.nodes[1], Self.nodes[2], Self.nodes[3])
        let leaving = NodeStanding(health: service == .draining ? .up : .out, service: service)
        let safe = [[first, second, third], [second, third], [first, third, fourth]]
        #expect(
            try await decide(rules([leaving]), order(.remove), service: service, holders: safe)
                == .carriedOut(service: .removed, note: "removed")
        )
        #expect(
            try await decide(rules([leaving]), order(.remove), service: service)
                == .carriedOut(service: .removed, note: "removed")
        )
        let away = [
            // One that has been silent for some seconds may be gone for good.
            NodeStanding(health: .suspect),
            NodeStanding(health: .down), NodeStanding(health: .out), NodeStanding(health: .up, service: .draining),
        ]
        for (holders, other) in [([first, second], NodeStanding(health: .up))]
            + away.map({ ([first, second, third], $0) })
        {
            let decision = try await decide(
                rules([leaving, other]),
                order(.remove),
                service: service,
                holders: safe.suffix(1) + [holders]
            )
            guard case .refused(let reason) = decision else {
                Issue.record("\(other): \(decision)")
                continue
            }
            #expect(reason.contains("1 placement groups have fewer than 2 copies"))
        }
    }

    @Test func `the last copy of what may be undeleted keeps its node, unless that is out`() async throws {
        let (first, second, third) = (Self.nodes[0], Self.nodes[1], Self.nodes[2])
        let trashed = [
            TrashedCopies(nodes: [first, second], instanceCount: 3),
            TrashedCopies(nodes: [first, third], instanceCount: 4),
            TrashedCopies(nodes: [second], instanceCount: 50),
        ]
        let draining = NodeStanding(health: .up, service: .draining)
        let out = NodeStanding(health: .out)
        let cases: [(standings: [NodeStanding], service: NodeService, lastCount: Int)] = [
            ([draining], .draining, 0),
            // One that does not answer now may come back.
            ([draining, NodeStanding(health: .down)], .draining, 0),
            ([draining, out], .draining, 3),
            ([draining, NodeStanding(health: .up, service: .removed), out], .draining, 7),
            ([out, out], .inService, 3),
        ]
        for (standings, service, lastCount) in cases {
            let decision = try await decide(rules(standings), order(.remove), service: service, trashed: trashed)
            switch decision {
            case .refused(let reason):
                #expect(service == .draining && lastCount > 0)
                #expect(reason.hasPrefix("\(lastCount) instances in the trash have their last copy on this node"))
            case .carriedOut(let service, let note):
                #expect(service == .removed)
                let loss = "removed; \(lastCount) instances in the trash had their last copy there"
                #expect(note == (lastCount == 0 ? "removed" : loss))
            }
            if service == .draining, lastCount > 0, case .carriedOut = decision { Issue.record("\(standings)") }
        }
    }

    @Test func `a removed node stays removed`() async throws {
        let again = try await decide(rules([]), order(.remove), service: .removed)
        #expect(again == .carriedOut(service: .removed, note: "removed already"), "asked twice")
        for kind in NodeOrder.Kind.allCases where kind != .remove {
            guard case .refused = try await decide(rules([]), order(kind), service: .removed) else {
                Issue.record("\(kind)")
                continue
            }
        }
    }

    @Test func `what an order would leave is what the coordinator makes of it`() {
        let rules = [
            (NodeOrder.Kind.drain, NodeStanding(health: .up), NodeState.draining),
            (.drain, NodeStanding(health: .out), .out),
            (.undrain, NodeStanding(health: .up, service: .draining), .up),
            (.undrain, NodeStanding(health: .down, service: .draining), .down),
            (.maintenance, NodeStanding(health: .up), .up),
        ]
        for (kind, standing, state) in rules {
            let (map, conditions) = scene([standing])
            let after = OrderPreview.after(kind, of: Self.nodes[0], map, conditions)
            #expect(after.map[Self.nodes[0]]?.state == state, "\(kind)")
            #expect(after.map.members.dropFirst() == map.members.dropFirst())
            #expect(after.conditions.count == 4 && after.conditions.dropFirst() == conditions.dropFirst())
            #expect(after.conditions[0].standing.state == state)
        }
        let (map, conditions) = scene([NodeStanding(health: .up, service: .draining)])
        let after = OrderPreview.after(.remove, of: Self.nodes[0], map, conditions)
        #expect(after.map.members.map(\.id) == Array(Self.nodes.dropFirst()))
        #expect(after.conditions.map(\.node) == Array(Self.nodes.dropFirst()))
    }

    @Test func `a node is judged by what is written down, one that drains by whether it answers`() {
        func condition(_ state: NodeState, _ acceptsWrites: Bool?) -> NodeCondition {
            var member = scene([]).map.members[0]
            member.state = state
            return NodeCondition(
                NodeRecord(member: member, service: state == .draining ? .draining : .inService),
                acceptsWrites: acceptsWrites
            )
        }
        #expect(condition(.up, nil).acceptsWrites && condition(.up, nil).standing.health == .up)
        #expect(!condition(.up, false).acceptsWrites && !condition(.down, nil).acceptsWrites)
        #expect(condition(.draining, true).standing == NodeStanding(health: .up, service: .draining))
        #expect(condition(.draining, nil).standing == NodeStanding(health: .down, service: .draining))
        #expect(condition(.out, nil).standing.health == .out)
    }

    @Test func `maintenance changes nothing else`() async throws {
        #expect(
            try await decide(rules([]), order(.maintenance, seconds: 600), service: .draining)
                == .carriedOut(service: nil, note: "not declared out for 10 minutes from when it was asked for")
        )
        #expect(
            try await decide(rules([]), order(.endOfMaintenance), service: .inService)
                == .carriedOut(service: nil, note: "maintenance ended")
        )
    }
}
