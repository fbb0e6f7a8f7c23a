// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import SegmentFormat

/// Reads the list of records at the end of a sealed segment.
struct FooterReader: Sendable {
    let files: SegmentFiles
    let cluster: ClusterID

    /// The footer of `segment` that begins at `offset`; `nil` when neither of its blocks, or the table, is sound.
    func footer(of segment: SegmentID, at offset: UInt64) -> (block: SegmentFooter, entries: [FooterEntry])? {
        // An unreadable footer is answered by a scan, whatever the reason.
        guard let file = try? files.file(of: segment), let end = try? file.byteCount() else { return nil }
        let size = SegmentFooter.blockByteCount
        // Either block will do.
        for place in [offset, end - min(end, UInt64(size))] {
            guard let block = try? SegmentFooter(decodingBlock: file.read(at: place, byteCount: size)),
                block.segment == segment, block.cluster == cluster, block.offset == offset,
                let table = try? file.read(at: block.tableOffset, byteCount: block.tableByteCount),
                let entries = try? block.entries(decoding: table)
            else { continue }
            return (block, entries)
        }
        return nil
    }

    /// Whether both blocks of a footer and its table are sound on the disk.
    func isWhole(_ segment: SegmentID, at offset: UInt64) -> Bool {
        guard let file = try? files.file(of: segment), let end = try? file.byteCount(),
            let byteCount = Int(exactly: end - min(end, offset)), byteCount >= 2 * SegmentFooter.blockByteCount,
            let bytes = try? file.readPastCache(at: offset, byteCount: byteCount),
            let block = try? SegmentFooter(decodingBlock: bytes), block.byteCount == byteCount,
            let table = bytes.getSlice(at: SegmentFooter.blockByteCount, length: block.tableByteCount),
            (try? block.entries(decoding: table)) != nil
        else { return false }
        let size = SegmentFooter.blockByteCount
        return bytes.getSlice(at: 0, length: size) == bytes.getSlice(at: byteCount - size, length: size)
    }
}
