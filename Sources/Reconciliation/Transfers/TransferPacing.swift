// SPDX-License-Identifier: Apache-2.0

public import Placement

/// Spreads copies over time, so that no node takes more bytes a second than it may.
///
/// Times are readings of a clock that only goes forward.
public struct TransferPacing: Sendable {
    private let bytesPerSecond: Int64
    private var freeAt: [NodeID: Duration] = [:]

    /// `bytesPerSecond` is for each node that takes copies; 0 is without limit.
    public init(bytesPerSecond: Int64) {
        self.bytesPerSecond = max(0, bytesPerSecond)
    }

    /// How long a copy of so many bytes has to wait; the time that it may take is reserved.
    ///
    /// A copy is begun when those before it have had their time, whether they took it or not.
    public mutating func reserve(byteCount: Int64, at target: NodeID, now: Duration) -> Duration {
        guard bytesPerSecond > 0 else { return .zero }
        let start = max(now, freeAt[target] ?? now)
        freeAt[target] = start + .seconds(Double(max(0, byteCount)) / Double(bytesPerSecond))
        return start - now
    }
}
