// SPDX-License-Identifier: Apache-2.0

import Checksums
import Logging
package import NIOCore
import Placement
import SegmentFormat

/// A large record on its way into a segment of its own, as steps that block.
///
/// One owner at a time. Until the engine has committed it the record is not visible; one that is dropped without
/// `discard` leaves a file that the next start removes.
package struct LargeRecord: Sendable {
    /// How many bytes may be in the page cache before they are synced, so that the last sync does not take long.
    private static let syncByteCount: UInt64 = 32 << 20

    /// Whether the record is stored already: then bytes are checked and dropped.
    package let isAlreadyStored: Bool

    let view: StoreView
    private(set) var header: RecordHeader
    private let metadata: ByteBuffer
    private let replaced: RecordLocator?
    private var file: (any DiskFile)?
    private var blocks = BlockChecksums()
    private var hasher = SHA256Hasher()
    private var writtenByteCount: UInt64 = 0
    private var syncedByteCount: UInt64 = 0

    init(
        view: StoreView,
        header: RecordHeader,
        metadata: ByteBuffer,
        isAlreadyStored: Bool,
        replaced: RecordLocator?
    ) {
        self.view = view
        self.header = header
        self.metadata = metadata
        self.isAlreadyStored = isAlreadyStored
        self.replaced = replaced
    }

    private var payloadStart: UInt64 { header.offset + header.extent.payloadOffset }

    /// Makes the file of the segment that the record will be in.
    mutating func open(as segment: SegmentID) throws(SegmentStoreError) {
        header.segment = segment
        if let failure = view.facts.current.writeFailure { throw failure }
        let byteCount = header.offset + header.extent.paddedByteCount + 4 * UInt64(SegmentLayout.blockByteCount)
        let segmentHeader = SegmentHeader(
            segment: segment,
            segmentClass: .large,
            cluster: header.cluster,
            node: view.configuration.nodeID,
            createdAtMilliseconds: view.clock.wallMilliseconds()
        )
        var head = ByteBuffer()
        header.encode(into: &head)
        head.writeImmutableBuffer(metadata)
        do {
            let free = try view.disk.freeByteCount(at: view.configuration.directory)
            let limit = view.configuration.softLimitFreeBytes
            guard free > limit, free - limit > byteCount else {
                throw DiskSpace.low.error(header.id, view.configuration)
            }
            let file = try view.disk.createFile(view.files.path(of: segment))
            do {
                try file.allocate(0..<byteCount)
            } catch {
                if error.isFull { throw error }
            }
            try file.write([segmentHeader.encoded(), head], at: 0)
            try view.disk.syncDirectory(view.files.directory)
            self.file = file
        } catch let error as SegmentStoreError {
            throw error
        } catch let error as DiskError {
            discard()
            if error.isFull { throw StoreEngine.fullError(header.id) }
            throw view.failWriting("a large segment could not be made: \(error)", segment: segment)
        } catch {
            throw view.failWriting("a large segment could not be made: \(error)", segment: segment)
        }
    }

    /// Adds the readable bytes of `bytes` to the payload; they are written when it returns, not durable.
    package mutating func write(_ bytes: ByteBuffer) throws(SegmentStoreError) {
        let end = writtenByteCount + UInt64(bytes.readableBytes)
        guard end <= header.payloadByteCount else {
            throw SegmentStoreError(.invalid, "more bytes arrived than were declared", record: header.id)
        }
        hasher.update(bytes)
        blocks.update(bytes)
        do throws(DiskError) {
            try file?.write([bytes], at: payloadStart + writtenByteCount)
            writtenByteCount = end
            if end - syncedByteCount >= Self.syncByteCount {
                try file?.sync()
                syncedByteCount = end
            }
        } catch {
            throw writeError(error)
        }
    }

    /// Checks length and digest, writes the segment's end and makes it durable; `nil` when the record was stored already.
    func finish() throws(SegmentStoreError) -> LargeSegment? {
        guard writtenByteCount == header.payloadByteCount else {
            throw SegmentStoreError(.invalid, "fewer bytes arrived than were declared", record: header.id)
        }
        guard hasher.digest() == header.payloadDigest else {
            throw SegmentStoreError(
                .digestMismatch,
                "payload is not what was declared; send it again",
                record: header.id
            )
        }
        guard let file else { return nil }
        let footerOffset = Self.blockEnd(header.offset + header.extent.paddedByteCount)
        do {
            let buffers = try ending(footerOffset: footerOffset)
            let start = header.offset + header.extent.tableOffset
            let end = start + UInt64(buffers.reduce(0) { $0 + $1.readableBytes })
            try file.write(buffers, at: start)
            try file.cutReserve(at: end)
            try file.sync()
            return LargeSegment(
                segment: header.segment,
                footerOffset: footerOffset,
                byteCount: end,
                locator: RecordLocator(header)
            )
        } catch let error as DiskError {
            throw writeError(error)
        } catch {
            throw SegmentStoreError(.invalid, "large record can't be laid out: \(error)", record: header.id)
        }
    }

    private static func blockEnd(_ offset: UInt64) -> UInt64 {
        let mask = UInt64(SegmentLayout.blockByteCount) - 1
        return (offset + mask) & ~mask
    }

    /// What follows the payload: table and trailer, padding, footer.
    private func ending(footerOffset: UInt64) throws(SegmentFormatError) -> [ByteBuffer] {
        let recordEnd = header.offset + header.extent.paddedByteCount
        var tail = ByteBuffer()
        RecordTrailer.encode(blockChecksums: blocks.table, extent: header.extent, into: &tail)
        tail.writeRepeatingByte(0, count: Int(header.extent.paddedByteCount - header.extent.byteCount))
        var buffers = [tail]
        if footerOffset > recordEnd {
            let padding = try RecordImage.padding(
                byteCount: Int(footerOffset - recordEnd),
                writtenAtMilliseconds: header.writtenAtMilliseconds
            )
            let parts = padding.parts(
                cluster: header.cluster,
                segment: header.segment,
                offset: recordEnd,
                batchOffset: header.batchOffset
            )
            buffers += [parts.head, parts.payload, parts.tail]
        }
        let entry = FooterEntry(id: header.id, type: header.type, offset: header.offset, extent: header.extent)
        buffers.append(
            try SegmentFooter.encoded(
                cluster: header.cluster,
                segment: header.segment,
                offset: footerOffset,
                entries: [entry]
            )
        )
        return buffers
    }

    /// What makes the record known, once `segment` is durable.
    func put(_ segment: LargeSegment) -> Put {
        Put(
            id: header.id,
            type: header.type,
            digest: header.payloadDigest,
            content: .large(segment),
            replaced: replaced
        )
    }

    /// Removes the file where the record did not come to be, and passes the result on.
    func settle(_ result: Result<AppendOutcome, SegmentStoreError>?) throws(SegmentStoreError) -> AppendOutcome {
        switch result {
        case .success(let outcome):
            if outcome == .alreadyStored { discard() }
            return outcome
        case .failure(let error):
            // After another failure the file stays: the next start sees whether it is whole.
            if [.conflict, .full, .deleted].contains(error.code) { discard() }
            throw error
        case nil:
            throw SegmentStoreError(.invalid, "large record was not answered", record: header.id)
        }
    }

    /// Removes what was written of a record that does not come to be.
    package func discard() {
        guard !isAlreadyStored, header.segment.rawValue > 0 else { return }
        do {
            try view.files.remove(header.segment)
        } catch {
            view.logger.warning(
                "unfinished large record could not be removed; the next start removes it",
                metadata: ["segment": "\(header.segment)", "reason": "\(error)"]
            )
        }
    }

    /// A failed write or sync of a large record fails the store like any other.
    private func writeError(_ error: DiskError) -> SegmentStoreError {
        if error.isFull { return StoreEngine.fullError(header.id) }
        return view.failWriting("a large record could not be written: \(error)", segment: header.segment)
    }
}

extension StoreView {
    /// Looks whether a large record is stored already, and prepares to write it.
    func large(_ record: NewLargeRecord) throws(SegmentStoreError) -> LargeRecord {
        guard record.payloadByteCount <= SegmentLayout.maximumPayloadByteCount,
            let metadataByteCount = UInt32(exactly: record.metadata.readableBytes),
            metadataByteCount <= SegmentLayout.maximumMetadataByteCount
        else { throw SegmentStoreError(.tooLarge, "record's metadata or payload is over its limit", record: record.id) }
        let offset = UInt64(SegmentHeader.byteCount)
        let header = RecordHeader(
            type: record.type,
            cluster: configuration.clusterID,
            segment: SegmentID(rawValue: 0),
            offset: offset,
            batchOffset: offset,
            id: record.id,
            payloadByteCount: record.payloadByteCount,
            metadataByteCount: metadataByteCount,
            metadataChecksum: CRC32C.checksum(of: record.metadata),
            writtenAtMilliseconds: record.writtenAtMilliseconds,
            mapEpoch: record.mapEpoch,
            payloadDigest: record.payloadDigest
        )
        var isStored = false
        var replaced: RecordLocator?
        if let locator = try locator(of: record.id) {
            switch compare(record.payloadDigest, with: IndexedRecord(id: record.id, locator: locator)) {
            case .same: isStored = true
            case .damaged: replaced = locator
            case .other:
                throw SegmentStoreError(.conflict, "another payload is stored under this id", record: record.id)
            }
        }
        return LargeRecord(
            view: self,
            header: header,
            metadata: record.metadata,
            isAlreadyStored: isStored,
            replaced: replaced
        )
    }
}
