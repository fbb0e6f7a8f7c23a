// SPDX-License-Identifier: Apache-2.0

import Healing
import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport

/// A storage node behind a connection.
struct ConnectedPeer: HealingPeer {
    let id: NodeID
    let name: String
    let address: NodeAddress
    let client: ReplicationClient

    var host: String { address.host }
    var port: Int { address.port }

    func damage(from first: DamageCursor) async throws(ReplicationError) -> DamageReport {
        // Goes through an index of millions when a segment without a footer is damaged.
        try await client.damage(from: first, timeout: .minutes(5))
    }

    func pull(_ id: RecordID, from source: any HealingPeer, _ stamp: OrderStamp) async throws(ReplicationError) {
        _ = try await client.pull(id, stamp, from: source.id, host: source.host, port: source.port)
    }

    func healed(_ stamp: OrderStamp, reconciled: UInt64?) async throws(ReplicationError) -> UInt64 {
        try await client.healed(stamp, reconciled: reconciled, timeout: .minutes(5))
    }

    func list(_ group: PlacementGroup, after: RecordID?, limit: Int) async throws(ReplicationError) -> [RecordID] {
        try await client.list(group: group, after: after, limit: limit, priority: .repair)
    }

    func amendments(
        from first: RecordID,
        firstOrder: RecordAmendment.Order,
        to last: RecordID
    ) async throws(ReplicationError) -> AmendmentPage {
        try await client.amendments(from: first, firstOrder: firstOrder, to: last, priority: .repair)
    }

    func amend(_ amendment: RecordAmendment, _ stamp: OrderStamp) async throws(ReplicationError) {
        _ = try await client.amend(amendment, stamp, priority: .repair)
    }
}
