// SPDX-License-Identifier: Apache-2.0

/// The sizes and limits that the segment format is made of (`docs/formats/segment.md`).
public enum SegmentLayout {
    /// A batch of records, a footer and a manifest block begin at a multiple of this.
    ///
    /// Each batch is filled up to it, so that a block that was acknowledged is never written again.
    public static let blockByteCount = 4096
    /// A record begins at a multiple of this; the gap after the record before it is zero.
    public static let recordAlignment = 512
    /// The payload is covered by one CRC32C per this many bytes (the last block may be shorter).
    public static let checksumBlockByteCount = 1 << checksumBlockShift
    /// The logarithm of `checksumBlockByteCount`, as written in headers.
    public static let checksumBlockShift: UInt8 = 16
    /// The largest payload of a record: 1 TiB.
    public static let maximumPayloadByteCount: UInt64 = 1 << 40
    /// The largest metadata of a record: 16 MiB.
    public static let maximumMetadataByteCount: UInt32 = 16 << 20
    /// The largest number of records that a footer lists.
    public static let maximumFooterEntryCount: UInt32 = 1 << 20

    /// The next multiple of `alignment` (a power of two) at or after `offset`; `nil` when there is none in 64 bits.
    public static func aligned(_ offset: UInt64, to alignment: Int) -> UInt64? {
        let mask = UInt64(alignment) - 1
        let (sum, overflow) = offset.addingReportingOverflow(mask)
        return overflow ? nil : sum & ~mask
    }

    /// The number of checksum blocks of a payload.
    public static func checksumBlockCount(payloadByteCount: UInt64) -> UInt64 {
        (payloadByteCount >> UInt64(checksumBlockShift))
            + (payloadByteCount & UInt64(checksumBlockByteCount - 1) == 0 ? 0 : 1)
    }
}
