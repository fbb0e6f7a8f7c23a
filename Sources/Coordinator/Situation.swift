// SPDX-License-Identifier: Apache-2.0

import Placement
import Reconciliation
import ReplicationProtocol

/// What a leader knows of the cluster, told to those who work for it.
struct Situation: Sendable {
    let observations: [NodeWatcher.Observation]
    /// How the nodes stand that have not been removed, by id.
    let conditions: [NodeCondition]
    let map: PlacementMap
    let term: Term
    /// What operators have to know; empty when there is nothing.
    let alarm: String

    var stamp: OrderStamp { OrderStamp(term: term, mapEpoch: map.epoch) }

    /// The members that answer.
    var peers: [ConnectedPeer] { nodes.map(\.peer) }

    /// The nodes that serve nobody.
    var idle: Set<NodeID> {
        Set(observations.compactMap { $0.isIdle ? $0.identity?.nodeID : nil })
    }

    /// The members that answer, and what they said last.
    var nodes: [(peer: ConnectedPeer, status: NodeStatusReport, incarnation: UInt64)] {
        observations.compactMap { observation in
            guard let identity = observation.identity, let status = observation.status, map[identity.nodeID] != nil,
                conditions.contains(where: { $0.node == identity.nodeID && $0.standing.health == .up })
            else { return nil }
            let peer = ConnectedPeer(
                id: identity.nodeID,
                name: observation.name,
                address: observation.address,
                client: observation.client
            )
            return (peer, status, identity.incarnation)
        }
    }
}
