// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Repair
import ReplicationProtocol
import ReplicationTransport

extension ConnectedPeer: PackPeer, RecallPeer {
    /// How long a node may say nothing: a store that gathers parts, or has to load a tape, takes its time.
    fileprivate static let patience = TimeAmount.minutes(10)

    func buildPack(_ request: BuildPackRequest) async throws(ReplicationError) -> BuiltPack {
        try await client.buildPack(request, timeout: Self.patience)
    }

    func recall(_ request: RecallRequest) async throws(ReplicationError) -> [RecallOutcome] {
        try await client.recall(request, timeout: Self.patience)
    }

    func verifyPack(_ request: VerifyPackRequest) async throws(ReplicationError) {
        try await client.verifyPack(request, timeout: Self.patience)
    }
}

extension ConnectedPeer: PackCarePeer {
    func removePack(_ request: RemovePackRequest) async throws(ReplicationError) {
        try await client.removePack(request, timeout: Self.patience)
    }
}
