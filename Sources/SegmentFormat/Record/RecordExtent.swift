// SPDX-License-Identifier: Apache-2.0

/// Where the parts of a record are, counted from the record's first byte.
///
/// Made only of lengths within `SegmentLayout`'s limits, so no sum here can overflow.
public struct RecordExtent: Hashable, Sendable {
    public let payloadByteCount: UInt64
    public let metadataByteCount: UInt32

    /// The extent of a record with lengths that are within their limits.
    public init(payloadByteCount: UInt64, metadataByteCount: UInt32) {
        precondition(
            payloadByteCount <= SegmentLayout.maximumPayloadByteCount
                && metadataByteCount <= SegmentLayout.maximumMetadataByteCount,
            "lengths are checked where they enter"
        )
        self.payloadByteCount = payloadByteCount
        self.metadataByteCount = metadataByteCount
    }

    public var payloadOffset: UInt64 { UInt64(RecordHeader.byteCount) + UInt64(metadataByteCount) }
    /// Where the table of block checksums begins.
    public var tableOffset: UInt64 { payloadOffset + payloadByteCount }
    public var tableByteCount: UInt64 { 4 * SegmentLayout.checksumBlockCount(payloadByteCount: payloadByteCount) }
    public var trailerOffset: UInt64 { tableOffset + tableByteCount }
    /// The number of bytes of the whole record, without the gap after it.
    public var byteCount: UInt64 { trailerOffset + UInt64(RecordTrailer.byteCount) }
    /// The number of bytes of the record and of the gap that brings the next one to its alignment.
    public var paddedByteCount: UInt64 {
        let mask = UInt64(SegmentLayout.recordAlignment) - 1
        return (byteCount + mask) & ~mask
    }
}
