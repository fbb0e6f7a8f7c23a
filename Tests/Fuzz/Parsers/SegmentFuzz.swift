// SPDX-License-Identifier: Apache-2.0

import Checksums
import FuzzHarness
import NIOCore
import Placement
import SegmentFormat

/// What a storage node reads from its own disk: segments, manifests, amendments, whatever became of them.
///
/// Input: one byte that says what follows. Checksums are made here, so that the mutator need not guess them.
enum SegmentFuzz {
    static let target = FuzzTarget("segment", seeds: seeds, run: run)

    private static let cluster = ClusterID(high: 1, low: 2)
    private static let node = NodeID(high: 3, low: 4)
    private static let segment = SegmentID(rawValue: 5)
    private static let headerByteCount = UInt64(SegmentHeader.byteCount)

    static func run(_ input: ByteBuffer) {
        var bytes = input
        switch bytes.takeByte() % 4 {
        case 0: self.replay(&bytes)
        case 1: self.scan(self.records(&bytes))
        case 2: self.scan(bytes)
        default: self.decode(&bytes)
        }
    }

    // MARK: Manifests

    /// Blocks of at most 8 entries: how many bytes each, then their bytes as they are.
    private static func replay(_ bytes: inout ByteBuffer) {
        var manifest = ByteBuffer()
        var sequence: UInt64 = 0
        while bytes.readableBytes > 0 {
            let step = bytes.takeByte()
            let entries = bytes.readSlice(length: min(Int(step % 9) * 48, bytes.readableBytes)) ?? ByteBuffer()
            var block = ManifestBlock(sequence: sequence, cluster: self.cluster, node: self.node, entries: []).encoded()
            block.setInteger(UInt32(step % 9), at: 12, endianness: .little)
            block.setBuffer(entries, at: 64)
            self.seal(&block)
            if let decoded = try? ManifestBlock(decoding: block) {
                let again = try? ManifestBlock(decoding: decoded.encoded())
                FuzzTarget.check(again == decoded, "a manifest block decodes to another")
            }
            manifest.writeImmutableBuffer(block)
            // Gaps in the numbers, too.
            sequence = sequence &+ (step > 250 ? UInt64.max / 2 : 1)
        }
        // Errors are what a manifest of another node or version is for.
        _ = try? ManifestState(replaying: manifest, cluster: self.cluster, node: self.node)
    }

    private static func seal(_ block: inout ByteBuffer) {
        block.setInteger(UInt32(0), at: 8)
        block.setInteger(CRC32C.checksum(of: block), at: 8, endianness: .little)
    }

    // MARK: Segments

    /// Records as they are written, then flipped bits: type, payload length, metadata length, batch; place and bit.
    private static func records(_ bytes: inout ByteBuffer) -> ByteBuffer {
        var segment = ByteBuffer()
        var batchOffset = self.headerByteCount
        for number in 0..<(bytes.takeByte() % 8) {
            guard
                let (type, payloadCount, metadataCount, batch) = bytes.readMultipleIntegers(
                    as: (UInt8, UInt16, UInt8, UInt8).self
                ), let id = RecordID(high: 1, low: UInt64(number))
            else { break }
            let payload = ByteBuffer(repeating: type, count: Int(payloadCount % 9000))
            let image = try? RecordImage(
                id: id,
                type: RecordType(rawValue: type),
                metadata: ByteBuffer(repeating: batch, count: Int(metadataCount)),
                payload: payload,
                payloadDigest: SHA256Hasher.digest(of: payload),
                mapEpoch: MapEpoch(rawValue: 1),
                writtenAtMilliseconds: 1
            )
            guard let image else { break }
            if batch & 1 != 0 {
                segment.writeRepeatingByte(0, count: -segment.readableBytes & (SegmentLayout.blockByteCount - 1))
                batchOffset = self.headerByteCount + UInt64(segment.readableBytes)
            }
            let parts = image.parts(
                cluster: self.cluster,
                segment: self.segment,
                offset: self.headerByteCount + UInt64(segment.readableBytes),
                batchOffset: batchOffset
            )
            for part in [parts.head, parts.payload, parts.tail] { segment.writeImmutableBuffer(part) }
        }
        while let (place, value) = bytes.readMultipleIntegers(as: (UInt16, UInt8).self), segment.readableBytes > 0 {
            let index = Int(place) % segment.readableBytes
            segment.setInteger((segment.getInteger(at: index) as UInt8? ?? 0) ^ value, at: index)
        }
        return segment
    }

    /// Scans what follows a segment's header; what it says lies within the file, in order, and it comes to an end.
    private static func scan(_ content: ByteBuffer) {
        let end = self.headerByteCount + UInt64(content.readableBytes)
        var scanner = SegmentScanner(
            cluster: self.cluster,
            segment: self.segment,
            fileByteCount: end,
            windowByteCount: 16_384,
            includesDigests: true
        )
        var last = self.headerByteCount
        for _ in 0..<10_000 {
            switch scanner.next() {
            case .read(let offset, let byteCount):
                FuzzTarget.check(offset >= self.headerByteCount && offset < end, "a read of nothing, at \(offset)")
                let index = Int(offset - self.headerByteCount)
                let count = min(byteCount, content.readableBytes - index)
                scanner.received(content.getSlice(at: content.readerIndex + index, length: count) ?? ByteBuffer())
            case .findData(let offset): scanner.receivedData(at: offset < end ? offset : nil)
            case .record(let header):
                FuzzTarget.check(header.offset >= last, "records out of order")
                FuzzTarget.check(header.cluster == self.cluster && header.segment == self.segment, "a strange record")
                last = header.offset + header.extent.byteCount
                FuzzTarget.check(last <= end, "a record beyond the end")
            case .finished(let result):
                FuzzTarget.check(result.end <= end + UInt64(SegmentLayout.blockByteCount), "an end beyond the end")
                var before: UInt64 = 0
                for range in result.unreadable.map(\.range) {
                    FuzzTarget.check(range.lowerBound >= before && !range.isEmpty, "ranges out of order")
                    before = range.upperBound
                }
                return
            }
        }
        FuzzTarget.fail("a scan of \(content.readableBytes) bytes does not end")
    }

    // MARK: Parts

    private static func decode(_ bytes: inout ByteBuffer) {
        let type = RecordType(rawValue: bytes.takeByte())
        guard let subject = RecordID(high: 1, low: 1) else { return }
        if let note = try? DropNote(decoding: bytes) {
            FuzzTarget.check((try? DropNote(decoding: note.encoded())) == note, "a drop note decodes to another")
        }
        if let amendment = try? Amendment(decoding: bytes, subject: subject, type: type) {
            let again = try? Amendment(decoding: amendment.encoded(), subject: subject, type: type)
            FuzzTarget.check(again == amendment, "an amendment decodes to another")
        }
        var block = bytes.readSlice(length: min(SegmentFooter.blockByteCount, bytes.readableBytes)) ?? ByteBuffer()
        block.writeRepeatingByte(0, count: SegmentFooter.blockByteCount - block.readableBytes)
        self.seal(&block)
        if let footer = try? SegmentFooter(decodingBlock: block) { _ = try? footer.entries(decoding: bytes) }
        if let header = try? SegmentHeader(decoding: block) {
            FuzzTarget.check((try? SegmentHeader(decoding: header.encoded())) == header, "a header decodes to another")
        }
        guard var record = block.getSlice(at: 0, length: RecordHeader.byteCount) else { return }
        self.seal(&record)
        if let header = try? RecordHeader(decoding: record) {
            var again = ByteBuffer()
            header.encode(into: &again)
            FuzzTarget.check((try? RecordHeader(decoding: again)) == header, "a record's header decodes to another")
        }
    }

    private static func seeds(_ files: [ByteBuffer]) -> [ByteBuffer] {
        var seeds: [ByteBuffer] = []
        let range = UnreadableRange(range: 4096..<8192, kind: .damaged, record: RecordID(high: 1, low: 9))
        let entries: [ManifestEntry] = [
            .reserved(below: self.segment), .created(self.segment), .unreadable(self.segment, range),
            .healed(self.segment, range), .sealed(self.segment, .shared, footerOffset: 8192),
            .drops, .sound(self.segment, range), .retired(self.segment, atMilliseconds: 7), .term(Term(rawValue: 3)),
            .closed,
        ]
        var manifest = ByteBuffer(integer: UInt8(0))
        let block = ManifestBlock(sequence: 0, cluster: self.cluster, node: self.node, entries: entries).encoded()
        manifest.writeInteger(UInt8(8))
        manifest.writeImmutableBuffer(block.getSlice(at: 64, length: 8 * 48) ?? ByteBuffer())
        seeds.append(manifest)
        // Three records in two batches, the second with a flipped bit.
        var records = ByteBuffer(integer: UInt8(1))
        records.writeInteger(UInt8(3))
        for (count, batch) in [(100, 1), (5000, 0), (300, 1)] {
            records.writeMultipleIntegers(UInt8(1), UInt16(count), UInt8(10), UInt8(batch))
        }
        records.writeMultipleIntegers(UInt16(1000), UInt8(4))
        seeds.append(records)
        guard let subject = RecordID(high: 1, low: 1) else { return seeds }
        let hold = Amendment(
            subject: subject,
            kind: .hold,
            order: Amendment.Order(term: Term(rawValue: 1), sequence: 2),
            reference: Amendment.Reference(high: 1, low: 2),
            issuedAtMilliseconds: 3
        )
        seeds.append(self.seed(3, hold.recordType, hold.encoded()))
        let note = DropNote(
            term: Term(rawValue: 1),
            permit: Amendment.Reference(high: 1, low: 2),
            places: [SegmentPlace(segment: self.segment, offset: 4096)]
        )
        seeds.append(self.seed(3, .drop, note.encoded()))
        let entry = FooterEntry(
            id: subject,
            type: .instance,
            offset: 4096,
            extent: RecordExtent(payloadByteCount: 10, metadataByteCount: 10)
        )
        let footer = try? SegmentFooter.encoded(
            cluster: self.cluster,
            segment: self.segment,
            offset: 8192,
            entries: [entry]
        )
        if let footer { seeds.append(self.seed(3, .instance, footer.getSlice(at: 0, length: 4000) ?? ByteBuffer())) }
        let header = SegmentHeader(
            segment: self.segment,
            segmentClass: .shared,
            cluster: self.cluster,
            node: self.node,
            createdAtMilliseconds: 1
        )
        seeds.append(self.seed(3, .instance, header.encoded().getSlice(at: 0, length: 100) ?? ByteBuffer()))
        return seeds
    }

    private static func seed(_ kind: UInt8, _ type: RecordType, _ bytes: ByteBuffer) -> ByteBuffer {
        var seed = ByteBuffer(bytes: [kind, type.rawValue])
        seed.writeImmutableBuffer(bytes)
        return seed
    }
}
