// SPDX-License-Identifier: Apache-2.0

import Placement
import Reconciliation
import Repair
import ReplicationProtocol

extension Situation {
    /// What speaks for and against the word of each node that answers.
    var answers: [NodeTrust.Answer] {
        nodes.map { peer, status, incarnation in
            let standing = conditions.first { $0.node == peer.id }?.standing
            return NodeTrust.Answer(
                node: peer.id,
                incarnation: incarnation,
                isSure: !status.isUncertain && (status.scrub?.quarantinedCount ?? 0) == 0
                    && standing?.isInMaintenance == false
            )
        }
    }

    /// What is compared: all members, of which the word of some counts.
    func comparisonView(_ trusted: Set<NodeID>) -> ComparisonView {
        ComparisonView(
            stamp: stamp,
            members: Dictionary(map.members.map { ($0.id, $0.name) }) { first, _ in first },
            peers: peers,
            trusted: trusted
        )
    }
}

extension ConnectedPeer: ComparisonPeer {}
