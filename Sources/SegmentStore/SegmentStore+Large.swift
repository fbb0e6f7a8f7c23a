// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import NIOCore
public import Placement
public import SegmentFormat

extension SegmentStore {
    /// Begins a record of any size, whose payload is then handed over piece by piece.
    ///
    /// Fails with `.conflict` when another payload is stored under this id, and with `.full` when the whole record
    /// would bring the disk below its soft limit. Of two that store the same record at once, one stores it.
    public func beginLarge(
        id: RecordID,
        type: RecordType,
        metadata: ByteBuffer,
        payloadByteCount: UInt64,
        payloadDigest: SHA256Digest,
        mapEpoch: MapEpoch,
        writtenAtMilliseconds: Int64? = nil
    ) async throws(SegmentStoreError) -> LargeRecordWriter {
        let record = NewLargeRecord(
            id: id,
            type: type,
            metadata: metadata,
            payloadByteCount: payloadByteCount,
            payloadDigest: payloadDigest,
            mapEpoch: mapEpoch,
            writtenAtMilliseconds: writtenAtMilliseconds ?? view.clock.wallMilliseconds()
        )
        let large = try await bulk.run { [view] () throws(SegmentStoreError) in try view.large(record) }
        if large.isAlreadyStored { return LargeRecordWriter(store: self, record: large) }
        let segment = try await perform { (engine) throws(SegmentStoreError) in try engine.takeSegmentID() }
        let opened = try await bulk.run { () throws(SegmentStoreError) in
            var large = large
            try large.open(as: segment)
            return large
        }
        return LargeRecordWriter(store: self, record: opened)
    }
}
