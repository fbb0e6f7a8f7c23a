// SPDX-License-Identifier: Apache-2.0

import Placement
import Reconciliation

extension NodeID {
    static func sample(_ number: Int) -> NodeID { NodeID(high: 0x5a5a, low: UInt64(number)) }
}

extension StorageMember {
    /// Each on a host of its own unless told otherwise.
    static func sample(_ number: Int, weight: UInt32 = 100, host: String? = nil) -> StorageMember {
        StorageMember(
            id: .sample(number),
            name: "storage-\(number)",
            host: "127.0.0.1",
            port: 7000 + number,
            domain: FailureDomain(host: host ?? "host-\(number)"),
            weight: weight
        )
    }
}

/// A cluster for the planner: members, how they stand, and the map that follows from it.
struct SampleCluster {
    var members: [StorageMember]
    var conditions: [NodeID: NodeCondition]
    let copies: Int

    init(nodes: Int, copies: Int) {
        self.members = (1...nodes).map { .sample($0) }
        self.copies = copies
        self.conditions = [:]
        for member in members { set(member.id, .up) }
    }

    mutating func set(
        _ node: NodeID,
        _ health: NodeStanding.Health,
        _ service: NodeService = .inService,
        maintenance: Bool = false,
        acceptsWrites: Bool = true
    ) {
        conditions[node] = NodeCondition(
            node: node,
            standing: NodeStanding(health: health, service: service, isInMaintenance: maintenance),
            acceptsWrites: acceptsWrites
        )
    }

    mutating func join(_ number: Int) {
        members.append(.sample(number))
        set(.sample(number), .up)
    }

    var map: PlacementMap {
        let members = members.compactMap { member -> StorageMember? in
            var member = member
            member.state = conditions[member.id]?.standing.state ?? .out
            return member.state == .removed ? nil : member
        }
        return PlacementMap(epoch: MapEpoch(rawValue: 1), members: members)
    }

    var planner: Planner {
        Planner(map: map, copies: copies, nodes: members.compactMap { conditions[$0.id] })
    }

    /// Every group where it is wanted.
    var homes: [ActualSet] {
        let map = map
        return PlacementGroup.all.map { group in
            ActualSet(placement: Int32(group.rawValue), group: group, nodes: map.holders(of: group, copies: copies))
        }
    }

    func living(_ set: ActualSet) -> Int {
        set.nodes.count { conditions[$0]?.standing.isLiving ?? false }
    }
}

extension Difference {
    var target: NodeID? {
        if case .copy(let target, _) = step { target } else { nil }
    }

    var sources: [NodeID] {
        if case .copy(_, let sources) = step { sources } else { [] }
    }
}
