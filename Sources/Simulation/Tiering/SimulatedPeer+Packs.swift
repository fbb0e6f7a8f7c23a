// SPDX-License-Identifier: Apache-2.0

import PackFormat
import Placement
import Repair
import ReplicationProtocol

/// A storage node as the real moving of studies speaks to it.
extension SimulatedPeer: PackPeer {
    func buildPack(_ request: BuildPackRequest) async throws(ReplicationError) -> BuiltPack {
        world.note(
            "\(name) is to build a pack of \(request.records.count) records, term \(request.stamp.term.rawValue)"
        )
        return try await ask(timeout: Limits.packTimeout) { [self] reply in
            guard let work else { return reply(.failure(Self.noStore)) }
            work.build(request, reply)
        }
    }

    /// What is proven here may not be spoiled before it is entered (``SimulatedLedger/noteSound(_:by:term:)``).
    func verifyPack(_ request: VerifyPackRequest) async throws(ReplicationError) {
        world.note("\(name) is to read pack \(request.reference.pack), term \(request.stamp.term.rawValue)")
        let id = PackID(high: request.reference.pack.high, low: request.reference.pack.low)
        coordinator.moves.store?.proofBegins(id)
        do throws(ReplicationError) {
            try await ask(timeout: Limits.packTimeout) { [self] (reply: @escaping StorageProcess.Answer<Void>) in
                guard let work else { return reply(.failure(Self.noStore)) }
                work.verify(request, reply)
            }
        } catch {
            coordinator.moves.store?.proofEnds(id)
            throw error
        }
    }

    /// In the node's life when the order comes.
    private var work: PackWork? {
        let moves = coordinator.moves
        guard let store = moves.store else { return nil }
        return PackWork(
            node,
            store,
            others: { [coordinator] in coordinator.process($0) },
            proven: { moves.oracle?.proven($0, by: $1, since: $2) }
        )
    }

    private static let noStore = ReplicationError(.unsupported, "this node makes no packs")
}
