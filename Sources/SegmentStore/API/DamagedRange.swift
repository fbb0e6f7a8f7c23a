// SPDX-License-Identifier: Apache-2.0

public import Placement

/// What is known of a damaged range of a segment: what to fetch from other nodes.
public struct DamagedRange: Hashable, Sendable {
    public var quarantined: QuarantinedRange
    /// The records that were there and are not stored soundly elsewhere in this store, in order.
    public var missing: [RecordID]
    /// Whether `missing` names all; else only a comparison with a peer tells what is missing.
    public var isComplete: Bool
}
