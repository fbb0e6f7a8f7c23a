// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import SegmentFormat

/// The segment that batches are appended to; owned by the writer thread.
struct ActiveSegment {
    let id: SegmentID
    let file: any DiskFile
    /// Where the next batch begins.
    private(set) var position = UInt64(SegmentHeader.byteCount)
    private(set) var entries: [FooterEntry] = []
    /// Up to where space is reserved; `nil` when the file system reserves none.
    var allocatedEnd: UInt64?

    /// A segment is sealed at this many records, so that its list stays small in memory.
    static let maximumEntryCount = 65_536

    init(id: SegmentID, file: any DiskFile, allocatedEnd: UInt64?) {
        self.id = id
        self.file = file
        self.allocatedEnd = allocatedEnd
    }

    /// How many of `puts` fit from the front, with the footer; an empty segment takes one of any size.
    func fittingCount(_ puts: ArraySlice<Put>, segmentByteCount: UInt64) -> Int {
        var end = position
        var count = 0
        for put in puts {
            end += put.byteCount
            let isWithin = end + UInt64(SegmentLayout.blockByteCount) <= segmentByteCount
            let isFirst = entries.isEmpty && count == 0
            guard isFirst || (isWithin && entries.count + count < Self.maximumEntryCount) else { break }
            count += 1
        }
        return count
    }

    /// Notes that a batch with `records` is durable and ends at `end`.
    mutating func appended(_ records: [FooterEntry], end: UInt64) {
        entries += records
        position = end
    }
}

/// The bytes of a batch, in the order in which they go to the disk.
struct BatchImage {
    private(set) var buffers: [ByteBuffer] = []
    private(set) var entries: [FooterEntry] = []
    private(set) var end: UInt64

    /// Lays out the records of `puts` from `offset`, a multiple of 4 KiB, and fills the rest up to the next one.
    init(
        _ puts: ArraySlice<Put>,
        cluster: ClusterID,
        segment: SegmentID,
        offset: UInt64,
        writtenAtMilliseconds: Int64
    ) throws(SegmentFormatError) {
        let images = puts.compactMap { put -> RecordImage? in
            guard case .image(let image) = put.content else { return nil }
            return image
        }
        try self.init(
            images,
            cluster: cluster,
            segment: segment,
            offset: offset,
            writtenAtMilliseconds: writtenAtMilliseconds
        )
    }

    /// Lays out `images` from `offset`, a multiple of 4 KiB, and fills the rest up to the next one.
    init(
        _ images: [RecordImage],
        cluster: ClusterID,
        segment: SegmentID,
        offset: UInt64,
        writtenAtMilliseconds: Int64
    ) throws(SegmentFormatError) {
        self.end = offset
        buffers.reserveCapacity(3 * images.count + 3)
        for image in images {
            entries.append(FooterEntry(id: image.id, type: image.type, offset: end, extent: image.extent))
            add(image, cluster: cluster, segment: segment, batchOffset: offset)
        }
        let rest = Int(end % UInt64(SegmentLayout.blockByteCount))
        if rest > 0 {
            let padding = try RecordImage.padding(
                byteCount: SegmentLayout.blockByteCount - rest,
                writtenAtMilliseconds: writtenAtMilliseconds
            )
            add(padding, cluster: cluster, segment: segment, batchOffset: offset)
        }
    }

    private mutating func add(_ image: RecordImage, cluster: ClusterID, segment: SegmentID, batchOffset: UInt64) {
        let parts = image.parts(cluster: cluster, segment: segment, offset: end, batchOffset: batchOffset)
        buffers.append(parts.head)
        buffers.append(parts.payload)
        buffers.append(parts.tail)
        end += image.extent.paddedByteCount
    }
}
