// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import ReplicationProtocol

/// Finding out what a node has lost, and letting it forget what it has back.
extension ReplicationClient {
    /// The records that the peer misses because of damage, from a place in its list on.
    public func damage(
        from first: DamageCursor = .start,
        limit: Int = DamageRequest.maximumCount,
        priority: RequestPriority = .repair,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> DamageReport {
        guard (1...DamageRequest.maximumCount).contains(limit) else {
            throw ReplicationError(
                .invalidRequest,
                "a limit of \(limit); 1 ... \(DamageRequest.maximumCount) are allowed"
            )
        }
        return try await ask(priority, timeout) {
            .damage(DamageRequest(first: first, limit: limit, timeoutMilliseconds: $0))
        } read: {
            if case .damageResult(let report) = $0 { .answer(report) } else { .unexpected }
        }
    }

    /// Has the peer forget, durably, the damage that misses nothing any more; returns how many damaged ranges are left.
    ///
    /// `reconciled`: the `unnamed` of the list that was read before the peer was compared with others and given all that
    /// it lacked; `nil` when it was not.
    public func healed(
        _ stamp: OrderStamp,
        reconciled: UInt64?,
        priority: RequestPriority = .repair,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> UInt64 {
        try await ask(priority, timeout) {
            .healed(HealedRequest(stamp: stamp, reconciled: reconciled, timeoutMilliseconds: $0))
        } read: {
            if case .healedResult(let remainingCount) = $0 { .answer(remainingCount) } else { .unexpected }
        }
    }
}
