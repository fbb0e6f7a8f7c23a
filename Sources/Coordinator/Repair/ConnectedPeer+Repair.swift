// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement
import Repair
import ReplicationProtocol
import ReplicationTransport

extension ConnectedPeer: RepairPeer {
    func fetch(_ id: RecordID, from source: any RepairPeer, _ stamp: OrderStamp) async throws(ReplicationError) {
        _ = try await client.pull(id, stamp, from: source.id, host: source.host, port: source.port)
    }
}

extension RepairWorker {
    /// Tells what is known now; `nil` when another coordinator leads.
    func update(_ situation: Situation?) {
        guard let situation else { return rest() }
        update(
            situation.map,
            situation.conditions,
            situation.stamp,
            peers: situation.peers,
            idle: situation.idle,
            alarm: situation.alarm
        )
    }
}

extension ConnectedPeer: SurplusPeer {
    func digest(of id: RecordID) async throws(ReplicationError) -> SHA256Digest? {
        try await client.head(id, priority: .repair)?.payloadDigest
    }

    func verify(_ id: RecordID) async throws(ReplicationError) {
        try await client.verify(id, priority: .repair, timeout: .minutes(10))
    }

    func drop(
        _ items: [DropRequest.Item],
        permit: ReferenceID,
        _ stamp: OrderStamp,
        sequence: UInt64
    ) async throws(ReplicationError) -> [RecordDropOutcome] {
        try await client.drop(items, permit: permit, stamp, sequence: sequence, timeout: .minutes(2))
    }
}
