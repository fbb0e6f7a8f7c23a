// SPDX-License-Identifier: Apache-2.0

public import Placement

/// That a storage node may destroy what it put into its trash before a moment.
public struct PurgePermit: Hashable, Sendable, CustomStringConvertible {
    /// Its id, by chance, which the node keeps with what it did.
    public let high: UInt64
    public let low: UInt64
    public let node: NodeID
    /// Since 1970.
    public let retiredBeforeMilliseconds: Int64

    public init(high: UInt64, low: UInt64, node: NodeID, retiredBeforeMilliseconds: Int64) {
        self.high = high
        self.low = low
        self.node = node
        self.retiredBeforeMilliseconds = retiredBeforeMilliseconds
    }

    /// The id as a UUID.
    public var description: String { "\(NodeID(high: high, low: low))" }
}
