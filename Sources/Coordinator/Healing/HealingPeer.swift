// SPDX-License-Identifier: Apache-2.0

import NIOCore
package import Placement
package import ReplicationProtocol
import ReplicationTransport

/// What healing asks of a storage node; a connection to it, or a test's idea of one.
package protocol HealingPeer: Sendable {
    var id: NodeID { get }
    /// What operators call it.
    var name: String { get }
    /// Where other nodes reach it.
    var address: NodeAddress { get }

    func damage(from first: DamageCursor) async throws(ReplicationError) -> DamageReport
    /// Has the node fetch a record from another.
    func pull(_ id: RecordID, from source: any HealingPeer, _ stamp: OrderStamp) async throws(ReplicationError)
    func healed(_ stamp: OrderStamp, reconciled: UInt64?) async throws(ReplicationError) -> UInt64
    /// At most `limit` ids of a group, in order, after one of them.
    func list(_ group: PlacementGroup, after: RecordID?, limit: Int) async throws(ReplicationError) -> [RecordID]
    /// The amendments of a range of records, from a certain one of the first record on.
    func amendments(
        from first: RecordID,
        firstOrder: RecordAmendment.Order,
        to last: RecordID
    ) async throws(ReplicationError) -> AmendmentPage
    func amend(_ amendment: RecordAmendment, _ stamp: OrderStamp) async throws(ReplicationError)
}

/// A storage node behind a connection.
struct ConnectedPeer: HealingPeer {
    let id: NodeID
    let name: String
    let address: NodeAddress
    let client: ReplicationClient

    func damage(from first: DamageCursor) async throws(ReplicationError) -> DamageReport {
        // Goes through an index of millions when a segment without a footer is damaged.
        try await client.damage(from: first, timeout: .minutes(5))
    }

    func pull(_ id: RecordID, from source: any HealingPeer, _ stamp: OrderStamp) async throws(ReplicationError) {
        _ = try await client.pull(id, stamp, from: source.id, host: source.address.host, port: source.address.port)
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
