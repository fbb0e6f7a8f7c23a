// SPDX-License-Identifier: Apache-2.0

import Catalog
import Logging
import Placement
import Reconciliation
import ReplicationProtocol

/// What a leader makes of its nodes' answers and of what is written down of them.
///
/// Owned by the coordinator's one task; begins anew with each term.
struct ClusterMembership {
    private let logger: Logger
    private let start = ContinuousClock.now
    private var membership: Membership
    private var weights: CapacityWeights
    private var refused: Set<NodeID> = []
    /// What operators have to know; empty when there is nothing.
    private(set) var alarm = ""
    /// All nodes that have not been removed, by id, and how they stand.
    private(set) var conditions: [NodeCondition] = []

    init(limits: MembershipLimits, logger: Logger) {
        self.logger = logger
        self.membership = Membership(limits: limits, at: .zero)
        self.weights = CapacityWeights(limits: limits)
    }

    /// Judges the nodes; all that are known, those included that were removed, in their state now, and with the weights that the
    /// map after the one in force gives them.
    mutating func judge(
        _ observations: [NodeWatcher.Observation],
        _ records: [NodeRecord],
        inForce map: PlacementMap
    ) -> [StorageMember] {
        let now = ContinuousClock.now - start
        for record in records {
            membership.expect(
                record.member.id,
                service: record.service,
                domain: record.member.domain,
                health: record.health,
                for: record.stateAge,
                maintenanceUntil: record.maintenanceLeft.map { now + $0 },
                at: now
            )
        }
        var observed: [NodeID: NodeWatcher.Observation] = [:]
        for observation in observations {
            guard let identity = observation.identity else { continue }
            observed[identity.nodeID] = observation
            guard observation.isAnswering else { continue }
            if let capacity = observation.status?.capacity {
                weights.told(identity.nodeID, capacity.weight, at: now)
            }
            let isWelcome = membership.answered(identity.nodeID, at: now)
            if !isWelcome, refused.insert(identity.nodeID).inserted {
                logger.warning(
                    "a node that was removed answers; it is left out: give it an empty data directory to take it in anew",
                    metadata: ["node": "\(observation.name)", "id": "\(identity.nodeID)"]
                )
            }
        }
        let judgement = membership.judge(at: now)
        sound(judgement.massLoss, records)
        let known = Dictionary(records.map { ($0.member.id, $0.member) }) { first, _ in first }
        conditions = membership.nodes.compactMap { node in
            guard let standing = membership.standing(of: node), standing.service != .removed else { return nil }
            return NodeCondition(
                node: node,
                standing: standing,
                acceptsWrites: observed[node]?.status?.acceptsWrites ?? false,
                isSteady: membership.isSteady(node)
            )
        }
        let members = membership.nodes.compactMap { node -> StorageMember? in
            guard let standing = membership.standing(of: node) else { return nil }
            let weight = known[node]?.weight ?? CapacityWeights.unknown
            return observed[node].flatMap { StorageMember($0, weight: weight, state: standing.state) }
                ?? known[node].map { member in
                    var member = member
                    member.state = standing.state
                    return member
                }
        }
        let weighed = weights.weights(of: members.filter { $0.state != .removed }, inForce: map, at: now)
        return members.map { member in
            var member = member
            member.weight = weighed[member.id] ?? member.weight
            return member
        }
    }

    private mutating func sound(_ loss: Membership.MassLoss?, _ records: [NodeRecord]) {
        guard let loss else {
            if !alarm.isEmpty { logger.notice("no more of the cluster is missing than may be declared out") }
            alarm = ""
            return
        }
        let names = loss.nodes.map { node in
            records.first { $0.member.id == node }?.member.name ?? "\(node)"
        }
        let text =
            "\(loss.lostCount) of \(loss.nodeCount) storage nodes fell silent together, so none of them is declared out"
            + " (\(names.joined(separator: ", "))); drain those that do not come back"
        if text != alarm { logger.error("\(text)") }
        alarm = text
    }
}

extension NodeRecord {
    /// How the node was when it was written down.
    fileprivate var health: NodeStanding.Health {
        switch member.state {
        case .down: .down
        case .out: .out
        case .up: .up
        case .suspect, .draining, .removed: .suspect
        }
    }
}

extension StorageMember {
    /// The member that an observed node is; nil until it has said who it is.
    fileprivate init?(_ observation: NodeWatcher.Observation, weight: UInt32, state: NodeState) {
        guard let identity = observation.identity else { return nil }
        self.init(
            id: identity.nodeID,
            name: observation.name,
            host: observation.address.host,
            port: observation.address.port,
            domain: identity.domain,
            weight: weight,
            state: state
        )
    }
}
