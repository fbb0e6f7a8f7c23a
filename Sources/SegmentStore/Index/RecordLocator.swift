// SPDX-License-Identifier: Apache-2.0

package import SegmentFormat

/// Where a record is.
package struct RecordLocator: Hashable, Sendable {
    package let segment: SegmentID
    package let offset: UInt64
    package let type: RecordType
    package let extent: RecordExtent

    package init(segment: SegmentID, offset: UInt64, type: RecordType, extent: RecordExtent) {
        self.segment = segment
        self.offset = offset
        self.type = type
        self.extent = extent
    }

    init(_ header: RecordHeader) {
        self.init(segment: header.segment, offset: header.offset, type: header.type, extent: header.extent)
    }

    init(_ entry: FooterEntry, in segment: SegmentID) {
        self.init(segment: segment, offset: entry.offset, type: entry.type, extent: entry.extent)
    }

    package var place: SegmentPlace { SegmentPlace(segment: segment, offset: offset) }

    /// The number of bytes of a locator in the index.
    static let byteCount = 32

    /// Segment, offset, payload length, metadata length, type, three zeros; little endian.
    var words: (UInt64, UInt64, UInt64, UInt64) {
        let last = UInt64(extent.metadataByteCount) | UInt64(type.rawValue) << 32
        return (
            segment.rawValue.littleEndian, offset.littleEndian, extent.payloadByteCount.littleEndian, last.littleEndian
        )
    }

    /// `nil` when the lengths are over their limits.
    init?(words: (UInt64, UInt64, UInt64, UInt64)) {
        let payloadByteCount = UInt64(littleEndian: words.2)
        let last = UInt64(littleEndian: words.3)
        let metadataByteCount = UInt32(truncatingIfNeeded: last)
        guard payloadByteCount <= SegmentLayout.maximumPayloadByteCount,
            metadataByteCount <= SegmentLayout.maximumMetadataByteCount
        else { return nil }
        self.init(
            segment: SegmentID(rawValue: UInt64(littleEndian: words.0)),
            offset: UInt64(littleEndian: words.1),
            type: RecordType(rawValue: UInt8(truncatingIfNeeded: last >> 32)),
            extent: RecordExtent(payloadByteCount: payloadByteCount, metadataByteCount: metadataByteCount)
        )
    }
}
