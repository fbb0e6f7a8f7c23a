// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import Placement
public import ReplicationProtocol

/// What a coordinator orders.
///
/// Orders are idempotent: one whose outcome is not known is given again. `.staleTerm` means that another coordinator has
/// taken over, `.staleEpoch` that a newer map is in force.
extension ReplicationClient {
    /// Adds an amendment; returns when it is durable.
    ///
    /// `.conflict` when its term and number are taken by another, `.held` for the tombstone of a record that is held.
    public func amend(
        _ amendment: RecordAmendment,
        _ stamp: OrderStamp,
        priority: RequestPriority = .foreground,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> PutOutcome {
        guard amendment.payload.readableBytes <= RecordAmendment.maximumPayloadByteCount else {
            throw ReplicationError(
                .tooLarge,
                "\(amendment.payload.readableBytes) bytes; an amendment has at most \(RecordAmendment.maximumPayloadByteCount)"
            )
        }
        return try await ask(priority, timeout) {
            .amend(AmendRequest(amendment, stamp, timeoutMilliseconds: $0))
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

    /// Lets the peer destroy segments that it retired before a moment.
    public func purge(
        permit: ReferenceID,
        _ stamp: OrderStamp,
        retiredBeforeMilliseconds: UInt64,
        maximumSegmentCount: UInt64,
        priority: RequestPriority = .foreground,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> PurgeResult {
        try await ask(priority, timeout) {
            let request = PurgeRequest(
                permit: permit,
                stamp: stamp,
                retiredBeforeMilliseconds: retiredBeforeMilliseconds,
                maximumSegmentCount: maximumSegmentCount,
                timeoutMilliseconds: $0
            )
            return .purgePermit(request)
        } read: {
            if case .purgeResult(let result) = $0 { .answer(result) } else { .unexpected }
        }
    }

    /// Has the peer let copies go that are surplus; what became of each, in their order.
    ///
    /// Not repeated by itself: an order whose outcome is not known is followed by another of a higher `sequence`, of the same
    /// or of no records. `.invalidRequest` when the peer has had a later one.
    public func drop(
        _ items: [DropRequest.Item],
        permit: ReferenceID,
        _ stamp: OrderStamp,
        sequence: UInt64,
        priority: RequestPriority = .repair,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> [RecordDropOutcome] {
        guard items.count <= DropRequest.maximumCount else {
            throw ReplicationError(
                .invalidRequest,
                "\(items.count) records; an order has at most \(DropRequest.maximumCount)"
            )
        }
        return try await ask(priority, timeout) {
            let request = DropRequest(
                permit: permit,
                stamp: stamp,
                sequence: sequence,
                items: items,
                timeoutMilliseconds: $0
            )
            return .drop(request)
        } read: {
            guard case .dropResult(let outcomes) = $0, outcomes.count == items.count else { return .unexpected }
            return .answer(outcomes)
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
