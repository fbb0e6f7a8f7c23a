// SPDX-License-Identifier: Apache-2.0

import ColdStore
package import ReplicationProtocol

/// Cold packs: built and read by the node, so that their bytes never pass through a coordinator.
extension RecordService {
    package func buildPack(
        _ request: BuildPackRequest,
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws(ReplicationError) -> BuiltPack {
        let builder = PackBuilder(request: request, service: self, stores: try packStores(), progress: progress)
        return try await builder.build()
    }

    package func verifyPack(
        _ request: VerifyPackRequest,
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws(ReplicationError) {
        let check = PackCheck(reference: request.reference, stores: try packStores(), progress: progress)
        do throws(ColdStoreError) {
            try await check.prove(byteCount: request.byteCount, digest: request.digest)
        } catch {
            throw ReplicationError(error)
        }
    }

    package func removePack(_ request: RemovePackRequest) async throws(ReplicationError) {
        let removal = PackRemoval(reference: request.reference, stores: try packStores())
        do throws(ColdStoreError) {
            try await removal.remove()
        } catch {
            throw ReplicationError(error)
        }
    }

    package func recall(
        _ request: RecallRequest,
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws(ReplicationError) -> [RecallOutcome] {
        let recall = PackRecall(request: request, service: self, stores: try packStores(), progress: progress)
        return try await recall.run()
    }

    private func packStores() throws(ReplicationError) -> ColdStores {
        guard let stores else { throw ReplicationError(.unsupported, "this node makes no packs") }
        return stores
    }
}
