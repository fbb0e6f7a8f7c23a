// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import ReplicationProtocol

/// What a coordinator orders of cold packs.
extension ReplicationClient {
    /// Has the peer write records into a pack; returns when the pack is durable in its store, under its name.
    ///
    /// Idempotent: a pack that an earlier order has made is read and told again. `timeout` is the time the peer may go without
    /// saying anything. Cancelling the task stops the work; the pack may be there all the same.
    public func buildPack(
        _ request: BuildPackRequest,
        priority: RequestPriority = .repair,
        timeout: TimeAmount? = nil,
        progress: @escaping @Sendable (PullProgress) -> Void = { _ in }
    ) async throws(ReplicationError) -> BuiltPack {
        try Self.check(request.reference)
        guard (1...BuildPackRequest.maximumRecordCount).contains(request.records.count),
            request.sources.count <= BuildPackRequest.maximumSourceCount
        else {
            throw ReplicationError(
                .invalidRequest,
                "a pack of \(request.records.count) records from \(request.sources.count) nodes; there may be"
                    + " \(BuildPackRequest.maximumRecordCount) and \(BuildPackRequest.maximumSourceCount)"
            )
        }
        return try await ask(priority, timeout) { _ in
            .buildPack(request)
        } read: {
            switch $0 {
            case .pullProgress(let step):
                progress(step)
                return .progress
            case .buildPackResult(let pack): return .answer(pack)
            default: return .unexpected
            }
        }
    }

    /// Has the peer read a pack whole from its store and prove every digest in it; `.corrupt` says what is wrong,
    /// `.notFound` that the store is there and the pack is not.
    public func verifyPack(
        _ request: VerifyPackRequest,
        priority: RequestPriority = .repair,
        timeout: TimeAmount? = nil,
        progress: @escaping @Sendable (PullProgress) -> Void = { _ in }
    ) async throws(ReplicationError) {
        try Self.check(request.reference)
        let _: Void = try await ask(priority, timeout) { _ in
            .verifyPack(request)
        } read: {
            switch $0 {
            case .pullProgress(let step):
                progress(step)
                return .progress
            case .verifyPackResult: return .answer(())
            default: return .unexpected
            }
        }
    }

    /// Has the peer store records that a pack has; returns what became of each, in their order, when that is durable there.
    ///
    /// Idempotent: what the peer has whole already is as good. `.corrupt` says that the pack can't be read at all, `.notFound`
    /// that the store is there and the pack is not. `timeout` is the time the peer may go without saying anything.
    public func recall(
        _ request: RecallRequest,
        priority: RequestPriority = .repair,
        timeout: TimeAmount? = nil,
        progress: @escaping @Sendable (PullProgress) -> Void = { _ in }
    ) async throws(ReplicationError) -> [RecallOutcome] {
        try Self.check(request.reference)
        guard (1...RecallRequest.maximumRecordCount).contains(request.records.count) else {
            throw ReplicationError(
                .invalidRequest,
                "\(request.records.count) records are to be recalled; there may be \(RecallRequest.maximumRecordCount)"
            )
        }
        let outcomes: [RecallOutcome] = try await ask(priority, timeout) { _ in
            .recall(request)
        } read: {
            switch $0 {
            case .pullProgress(let step):
                progress(step)
                return .progress
            case .recallResult(let outcomes): return .answer(outcomes)
            default: return .unexpected
            }
        }
        guard outcomes.count == request.records.count else {
            throw ReplicationError(
                .protocolViolation,
                "\(outcomes.count) outcomes of \(request.records.count) records that were to be recalled"
            )
        }
        return outcomes
    }

    /// Has the peer remove a pack from its store; one that is not there has been removed.
    public func removePack(
        _ request: RemovePackRequest,
        priority: RequestPriority = .repair,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) {
        try Self.check(request.reference)
        let _: Void = try await ask(priority, timeout) { _ in
            .removePack(request)
        } read: {
            switch $0 {
            case .removePackResult: return .answer(())
            default: return .unexpected
            }
        }
    }

    /// What is longer would be cut on its way.
    private static func check(_ reference: PackReference) throws(ReplicationError) {
        guard (1...PackReference.maximumStudyByteCount).contains(reference.studyInstanceUID.utf8.count),
            (1...PackReference.maximumPlaceByteCount).contains(reference.place.utf8.count)
        else {
            throw ReplicationError(.invalidRequest, "a study UID or place that is empty or too long for an order")
        }
    }
}
