// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import Placement
public import ReplicationProtocol

/// What a coordinator orders.
///
/// Orders are idempotent: one whose outcome is not known is given again. `.staleTerm` means that another coordinator has
/// taken over, `.staleEpoch` that a newer map is in force.
extension ReplicationClient {
    /// Takes a record away from the peer; returns when that is durable.
    ///
    /// `.held` when a hold forbids it.
    public func tombstone(
        _ id: RecordID,
        _ stamp: OrderStamp,
        permit: PermitID,
        reason: TombstoneReason,
        priority: RequestPriority = .foreground,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> TombstoneOutcome {
        try await ask(priority, timeout) {
            let request = TombstoneRequest(
                recordID: id,
                stamp: stamp,
                permit: permit,
                reason: reason,
                timeoutMilliseconds: $0
            )
            return .tombstone(request)
        } read: {
            if case .tombstoneResult(let outcome) = $0 { .answer(outcome) } else { .unexpected }
        }
    }

    /// Adds an amendment; returns when it is durable.
    ///
    /// `.conflict` when its number is taken by another.
    public func amend(
        _ amendment: Amendment,
        mapEpoch: MapEpoch,
        priority: RequestPriority = .foreground,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> PutOutcome {
        guard amendment.payload.readableBytes <= Amendment.maximumPayloadByteCount else {
            throw ReplicationError(
                .tooLarge,
                "an amendment of \(amendment.payload.readableBytes) bytes; \(Amendment.maximumPayloadByteCount) are allowed"
            )
        }
        guard amendment.term != nil || !amendment.kind.removesProtection else {
            throw ReplicationError(.invalidRequest, "an amendment that takes protection away needs a term")
        }
        return try await ask(priority, timeout) {
            .amend(AmendRequest(amendment, mapEpoch: mapEpoch, timeoutMilliseconds: $0))
        } read: {
            if case .amendResult(let outcome) = $0 { .answer(outcome) } else { .unexpected }
        }
    }

    /// Has the peer fetch a record from another node; returns when it is durable there.
    ///
    /// `timeout` is the time the peer may go without saying anything. Cancelling the task stops the pull.
    public func pull(
        _ id: RecordID,
        recordType: UInt8 = 1,
        _ stamp: OrderStamp,
        from source: NodeID,
        host: String,
        port: Int,
        priority: RequestPriority = .repair,
        timeout: TimeAmount? = nil,
        progress: @escaping @Sendable (PullProgress) -> Void = { _ in }
    ) async throws(ReplicationError) -> PutOutcome {
        guard let portNumber = UInt16(exactly: port), host.utf8.count <= HelloIdentity.maximumTextByteCount else {
            throw ReplicationError(.invalidRequest, "\(host):\(port) is no address a node can be told")
        }
        return try await ask(priority, timeout) { _ in
            let request = PullRequest(
                recordID: id,
                recordType: recordType,
                stamp: stamp,
                sourceNodeID: source,
                host: host,
                port: portNumber
            )
            return .pull(request)
        } read: {
            switch $0 {
            case .pullProgress(let step):
                progress(step)
                return .progress
            case .pullResult(let outcome): return .answer(outcome)
            default: return .unexpected
            }
        }
    }

    /// Lets the peer destroy bytes that it retired before a moment.
    public func purge(
        permit: PermitID,
        _ stamp: OrderStamp,
        retiredBeforeMilliseconds: UInt64,
        maximumByteCount: UInt64,
        priority: RequestPriority = .foreground,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> PurgeResult {
        try await ask(priority, timeout) {
            let request = PurgeRequest(
                permit: permit,
                stamp: stamp,
                retiredBeforeMilliseconds: retiredBeforeMilliseconds,
                maximumByteCount: maximumByteCount,
                timeoutMilliseconds: $0
            )
            return .purgePermit(request)
        } read: {
            if case .purgeResult(let result) = $0 { .answer(result) } else { .unexpected }
        }
    }

    /// Tells the peer which map is in force; returns the highest term and epoch it knows then.
    public func announceMap(
        _ stamp: OrderStamp,
        isMember: Bool,
        priority: RequestPriority = .control,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> OrderStamp {
        try await ask(priority, timeout) {
            .map(MapRequest(stamp: stamp, isMember: isMember, timeoutMilliseconds: $0))
        } read: {
            if case .mapResult(let stamp) = $0 { .answer(stamp) } else { .unexpected }
        }
    }
}
