// SPDX-License-Identifier: Apache-2.0

public import Placement

/// A range of a segment that holds no readable record though something was written there.
public struct UnreadableRange: Hashable, Sendable {
    /// How it came about, as far as the bytes tell.
    public enum Kind: UInt8, Sendable {
        /// A write that was interrupted before it was acknowledged: nothing is lost.
        case torn = 1
        /// Records that may have been acknowledged: another node's copies are needed.
        case damaged = 2
    }

    public let range: Range<UInt64>
    public let kind: Kind
    /// The record that is there, when it is one and its id is known.
    public let record: RecordID?

    public init(range: Range<UInt64>, kind: Kind, record: RecordID? = nil) {
        self.range = range
        self.kind = kind
        self.record = record
    }
}
