// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement
import SegmentFormat

/// Reads records and checks every byte it hands out.
///
/// Blocks; called on the disk threads, but for ``isInMemory``.
struct RecordReader: Sendable {
    let files: any SegmentFileSource
    let cluster: ClusterID
    let maximumByteCount: Int
    /// Whether bytes come from the disk whatever is in memory, and stay out of it.
    var isPastCache = false
    /// Whether only what is in memory is read; anything else fails at once.
    var isInMemory = false

    /// Whole records up to this size are read by one system call.
    private static let singleReadByteCount: UInt64 = 16 << 20

    /// The bytes of the payload in `range`, all of it when `nil`.
    func read(
        _ id: RecordID,
        at locator: RecordLocator,
        range: Range<Int>?
    ) throws(SegmentStoreError) -> ByteBuffer {
        guard let payloadByteCount = Int(exactly: locator.extent.payloadByteCount) else {
            throw SegmentStoreError(.tooLarge, "payload does not fit in memory", record: id)
        }
        let range = range ?? 0..<payloadByteCount
        guard range.lowerBound >= 0, range.upperBound <= payloadByteCount else {
            throw SegmentStoreError(
                .invalid,
                "range \(range) is not within the payload of \(payloadByteCount) bytes",
                record: id
            )
        }
        guard range.count <= maximumByteCount else {
            throw SegmentStoreError(.tooLarge, "one read returns at most \(maximumByteCount) bytes", record: id)
        }
        let place = Place(id: id, locator: locator)
        if range.count == payloadByteCount, locator.extent.byteCount <= Self.singleReadByteCount {
            let record = try bytes(place, at: 0, byteCount: locator.extent.byteCount)
            _ = try header(place, in: record)
            return try payload(place, in: record)
        }
        _ = try header(place, in: try bytes(place, at: 0, byteCount: UInt64(RecordHeader.byteCount)))
        if range.isEmpty { return ByteBuffer() }
        let tailByteCount = locator.extent.byteCount - locator.extent.tableOffset
        let table = try table(place, in: try bytes(place, at: locator.extent.tableOffset, byteCount: tailByteCount))
        let block = SegmentLayout.checksumBlockByteCount
        let firstBlock = range.lowerBound / block
        let start = firstBlock * block
        let end = min(payloadByteCount, (range.upperBound + block - 1) / block * block)
        let blocks = try bytes(place, at: locator.extent.payloadOffset + UInt64(start), byteCount: UInt64(end - start))
        try check(place, blocks, firstBlock: firstBlock, table: table)
        return try slice(place, of: blocks, at: UInt64(range.lowerBound - start), byteCount: range.count)
    }

    /// Header and metadata, and the beginning of the payload's `range`, up to `limit` bytes of it: small records by one
    /// system call.
    func open(
        _ id: RecordID,
        at locator: RecordLocator,
        range: Range<UInt64>,
        limit: Int
    ) throws(SegmentStoreError) -> (info: RecordInfo, bytes: ByteBuffer) {
        let place = Place(id: id, locator: locator)
        let payloadByteCount = locator.extent.payloadByteCount
        let wanted = range.clamped(to: 0..<payloadByteCount)
        guard wanted.count == Int(payloadByteCount), wanted.count <= limit else {
            let info = try head(id, at: locator)
            let end = min(wanted.upperBound, wanted.lowerBound + UInt64(limit))
            return (info, try read(id, at: locator, range: Int(wanted.lowerBound)..<Int(end)))
        }
        let record = try bytes(place, at: 0, byteCount: locator.extent.byteCount)
        return (try info(place, in: record), try payload(place, in: record))
    }

    /// Header and metadata.
    func head(_ id: RecordID, at locator: RecordLocator) throws(SegmentStoreError) -> RecordInfo {
        let place = Place(id: id, locator: locator)
        return try info(place, in: try bytes(place, at: 0, byteCount: locator.extent.payloadOffset))
    }

    /// What header and metadata at the beginning of `head` say.
    private func info(_ place: Place, in head: ByteBuffer) throws(SegmentStoreError) -> RecordInfo {
        let header = try header(place, in: head)
        let metadata = try slice(
            place,
            of: head,
            at: UInt64(RecordHeader.byteCount),
            byteCount: Int(header.metadataByteCount)
        )
        guard CRC32C.checksum(of: metadata) == header.metadataChecksum else {
            throw place.mismatch("the metadata's CRC32C is wrong")
        }
        return RecordInfo(
            id: place.id,
            type: header.type,
            metadata: metadata,
            payloadByteCount: header.payloadByteCount,
            payloadDigest: header.payloadDigest,
            mapEpoch: header.mapEpoch,
            writtenAtMilliseconds: header.writtenAtMilliseconds
        )
    }

    /// Checks every checksum of a record, and the digest when `includesDigest`; returns the digest it names.
    @discardableResult
    func verify(
        _ id: RecordID,
        at locator: RecordLocator,
        includesDigest: Bool
    ) throws(SegmentStoreError) -> SHA256Digest {
        let place = Place(id: id, locator: locator)
        let header = try header(place, in: try bytes(place, at: 0, byteCount: UInt64(RecordHeader.byteCount)))
        var verifier = RecordVerifier(header)
        var hasher = SHA256Hasher()
        while let need = verifier.need {
            let byteCount = need.mayBeSplit ? min(need.byteCount, 1 << 20) : need.byteCount
            let part = try bytes(place, at: need.offset, byteCount: UInt64(byteCount))
            let isPayload = need.offset >= locator.extent.payloadOffset && need.offset < locator.extent.tableOffset
            if includesDigest, isPayload { hasher.update(part) }
            verifier.received(part)
        }
        guard verifier.isSound else { throw place.mismatch("a CRC32C of the record is wrong") }
        if includesDigest, hasher.digest() != header.payloadDigest {
            throw place.mismatch("the payload's SHA-256 is wrong")
        }
        return header.payloadDigest
    }

    // MARK: Parts

    private struct Place {
        let id: RecordID
        let locator: RecordLocator

        func mismatch(_ what: String) -> SegmentStoreError {
            SegmentStoreError(
                .checksumMismatch,
                "\(what); read another copy",
                record: id,
                segment: locator.segment,
                offset: locator.offset
            )
        }

        func unreadable(_ what: String) -> SegmentStoreError {
            SegmentStoreError(
                .readFailed,
                "\(what); read another copy and check the disk",
                record: id,
                segment: locator.segment,
                offset: locator.offset
            )
        }
    }

    private func bytes(
        _ place: Place,
        at offset: UInt64,
        byteCount: UInt64
    ) throws(SegmentStoreError) -> ByteBuffer {
        if isInMemory {
            let file = files.openFile(of: place.locator.segment)
            guard let bytes = file?.readInMemory(at: place.locator.offset + offset, byteCount: Int(byteCount)) else {
                throw place.unreadable("it is not in memory")
            }
            return bytes
        }
        let buffer: ByteBuffer
        do throws(DiskError) {
            guard let file = try files.file(of: place.locator.segment) else {
                throw DiskError("open: no such segment file", number: 2)
            }
            let start = place.locator.offset + offset
            buffer =
                isPastCache
                ? try file.readPastCache(at: start, byteCount: Int(byteCount))
                : try file.read(at: start, byteCount: Int(byteCount))
        } catch {
            throw place.unreadable(error.description)
        }
        guard buffer.readableBytes == Int(byteCount) else { throw place.mismatch("the segment ends in the record") }
        return buffer
    }

    /// The payload of a whole record whose header has been checked.
    private func payload(_ place: Place, in record: ByteBuffer) throws(SegmentStoreError) -> ByteBuffer {
        let extent = place.locator.extent
        let payload = try slice(place, of: record, at: extent.payloadOffset, byteCount: Int(extent.payloadByteCount))
        let tail = try slice(
            place,
            of: record,
            at: extent.tableOffset,
            byteCount: Int(extent.byteCount - extent.tableOffset)
        )
        try check(place, payload, firstBlock: 0, table: try table(place, in: tail))
        return payload
    }

    private func header(_ place: Place, in buffer: ByteBuffer) throws(SegmentStoreError) -> RecordHeader {
        let header: RecordHeader
        do {
            header = try RecordHeader(decoding: buffer)
            try header.requirePlace(
                cluster: cluster,
                segment: place.locator.segment,
                offset: place.locator.offset
            )
        } catch {
            throw place.mismatch(error.message)
        }
        guard header.id == place.id, header.extent == place.locator.extent, header.type == place.locator.type else {
            throw place.mismatch("another record is where the index says")
        }
        return header
    }

    private func table(_ place: Place, in tail: ByteBuffer) throws(SegmentStoreError) -> [UInt32] {
        do {
            return try RecordTrailer.decode(tail, extent: place.locator.extent)
        } catch {
            throw place.mismatch(error.message)
        }
    }

    private func check(
        _ place: Place,
        _ blocks: ByteBuffer,
        firstBlock: Int,
        table: [UInt32]
    ) throws(SegmentStoreError) {
        let found = BlockChecksums.table(of: blocks)
        guard table.count >= firstBlock + found.count,
            table[firstBlock..<(firstBlock + found.count)].elementsEqual(found)
        else { throw place.mismatch("the CRC32C of a 64 KiB block is wrong") }
    }

    private func slice(
        _ place: Place,
        of buffer: ByteBuffer,
        at offset: UInt64,
        byteCount: Int
    ) throws(SegmentStoreError) -> ByteBuffer {
        guard let slice = buffer.getSlice(at: buffer.readerIndex + Int(offset), length: byteCount) else {
            throw place.mismatch("the record is shorter than it says")
        }
        return slice
    }
}
