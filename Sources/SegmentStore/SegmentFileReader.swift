// SPDX-License-Identifier: Apache-2.0

package import NIOCore
package import Placement
import SegmentFormat

/// Reads records from one segment file that is open already, such as one of a storage node on the same host.
///
/// Hands out nothing unchecked, as the store itself: header and place, and the CRC32C of every block that is touched. Waits for no
/// disk.
package struct SegmentFileReader: Sendable {
    private struct OneFile: SegmentFileSource {
        let segmentFile: any DiskFile

        func openFile(of segment: SegmentID) -> (any DiskFile)? { segmentFile }
        func file(of segment: SegmentID) throws(DiskError) -> (any DiskFile)? { segmentFile }
    }

    private let reader: RecordReader

    /// Reads at most `maximumByteCount` bytes of a payload at once.
    package init(_ file: any DiskFile, cluster: ClusterID, maximumByteCount: Int) {
        reader = RecordReader(
            files: OneFile(segmentFile: file),
            cluster: cluster,
            maximumByteCount: maximumByteCount,
            isInMemory: true
        )
    }

    /// The bytes of the payload in `range`, all of it when `nil`; `.readFailed` when they are not all in memory.
    package func read(
        _ id: RecordID,
        at locator: RecordLocator,
        range: Range<Int>?
    ) throws(SegmentStoreError) -> ByteBuffer {
        try reader.read(id, at: locator, range: range)
    }

    /// Header and metadata; `.readFailed` when they are not in memory.
    package func head(_ id: RecordID, at locator: RecordLocator) throws(SegmentStoreError) -> RecordInfo {
        try reader.head(id, at: locator)
    }
}
