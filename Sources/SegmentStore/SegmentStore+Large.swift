// SPDX-License-Identifier: Apache-2.0

public import Checksums
import Logging
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
        guard payloadByteCount <= SegmentLayout.maximumPayloadByteCount,
            let metadataByteCount = UInt32(exactly: metadata.readableBytes),
            metadataByteCount <= SegmentLayout.maximumMetadataByteCount
        else { throw SegmentStoreError(.tooLarge, "record's metadata or payload is over its limit", record: id) }
        let offset = UInt64(SegmentHeader.byteCount)
        var header = RecordHeader(
            type: type,
            cluster: configuration.clusterID,
            segment: SegmentID(rawValue: 0),
            offset: offset,
            batchOffset: offset,
            id: id,
            payloadByteCount: payloadByteCount,
            metadataByteCount: metadataByteCount,
            metadataChecksum: CRC32C.checksum(of: metadata),
            writtenAtMilliseconds: writtenAtMilliseconds ?? wallClockMilliseconds(),
            mapEpoch: mapEpoch,
            payloadDigest: payloadDigest
        )
        let stored = try await bulk.run { () throws(SegmentStoreError) in try self.compareStored(id, payloadDigest) }
        if case .sound = stored { return LargeRecordWriter(store: self, header: header, file: nil, replaced: nil) }
        header.segment = try await reserveSegmentID()
        let file = try await bulk.run { [header] () throws(SegmentStoreError) in
            try self.makeLargeSegment(header, metadata: metadata)
        }
        var replaced: RecordLocator?
        if case .damaged(let locator) = stored { replaced = locator }
        return LargeRecordWriter(store: self, header: header, file: file, replaced: replaced)
    }

    private enum StoredRecord: Sendable {
        case none
        case sound
        case damaged(RecordLocator)
    }

    private func compareStored(_ id: RecordID, _ digest: SHA256Digest) throws(SegmentStoreError) -> StoredRecord {
        guard let locator = try locator(of: id) else { return .none }
        let stored: SHA256Digest
        do {
            stored = try reader.verify(id, at: locator, includesDigest: false)
        } catch {
            facts.noteDamage(locator)
            return .damaged(locator)
        }
        if stored == digest { return .sound }
        throw SegmentStoreError(.conflict, "a record with this id and another payload is stored", record: id)
    }

    private func makeLargeSegment(
        _ header: RecordHeader,
        metadata: ByteBuffer
    ) throws(SegmentStoreError) -> any DiskFile {
        if let failure = facts.current.writeFailure { throw failure }
        let byteCount = header.offset + header.extent.paddedByteCount + 4 * UInt64(SegmentLayout.blockByteCount)
        let segmentHeader = SegmentHeader(
            segment: header.segment,
            segmentClass: .large,
            cluster: configuration.clusterID,
            node: configuration.nodeID,
            createdAtMilliseconds: wallClockMilliseconds()
        )
        var head = ByteBuffer()
        header.encode(into: &head)
        head.writeImmutableBuffer(metadata)
        do {
            let free = try disk.freeByteCount(at: configuration.directory)
            let mayUseReserve = header.type == .tombstone || header.type == .amendment
            let limit = mayUseReserve ? 0 : configuration.softLimitFreeBytes
            guard free > limit, free - limit > byteCount else { throw SegmentWriter.fullError(header.id) }
            let file = try disk.createFile(files.path(of: header.segment))
            do {
                try file.allocate(0..<byteCount)
            } catch {
                if error.isFull { throw error }
            }
            try file.write([segmentHeader.encoded(), head], at: 0)
            try disk.syncDirectory(files.directory)
            return file
        } catch let error as SegmentStoreError {
            throw error
        } catch let error as DiskError {
            discardLarge(header.segment)
            if error.isFull { throw SegmentWriter.fullError(header.id) }
            throw failWriting("a large segment could not be made: \(error)", segment: header.segment)
        } catch {
            throw failWriting("a large segment could not be made: \(error)", segment: header.segment)
        }
    }

    private func reserveSegmentID() async throws(SegmentStoreError) -> SegmentID {
        let result: Result<SegmentID, SegmentStoreError> = await withCheckedContinuation { continuation in
            if !queue.submit(.reserveSegmentID(continuation)) {
                continuation.resume(returning: .failure(SegmentStoreError(.closed, "store is closed")))
            }
        }
        return try result.get()
    }

    /// Makes a large record known through the writer, which orders it with all other puts.
    func publish(
        _ large: LargeSegment,
        header: RecordHeader,
        replaced: RecordLocator?
    ) async throws(SegmentStoreError) -> AppendOutcome {
        try await withCheckedContinuation { continuation in
            queue.submit(
                Put(
                    id: header.id,
                    type: header.type,
                    digest: header.payloadDigest,
                    content: .large(large),
                    continuation: continuation,
                    replaced: replaced
                )
            )
        }.get()
    }

    /// Removes the file of a large record that did not come to be.
    func discardLarge(_ segment: SegmentID) {
        do {
            try files.remove(segment)
        } catch {
            logger.warning(
                "unfinished large record could not be removed; the next start removes it",
                metadata: ["segment": "\(segment)", "reason": "\(error)"]
            )
        }
    }

    /// Marks the store as write-failed after a failure outside the writer thread.
    func failWriting(_ what: String, segment: SegmentID) -> SegmentStoreError {
        let error = SegmentStoreError(
            .writeFailed,
            "\(what); the store takes no more records: check the disk, then restart the node",
            segment: segment
        )
        facts.update { $0.writeFailure = $0.writeFailure ?? error }
        logger.error("segment store takes no more records", metadata: ["reason": "\(error)"])
        return error
    }
}
