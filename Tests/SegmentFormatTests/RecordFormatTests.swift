// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement
import SegmentFormat
import Testing

@Suite struct RecordFormatTests {
    static let header = RecordHeader(
        type: .instance,
        cluster: Fixture.cluster,
        segment: Fixture.segment,
        offset: 0x3000,
        batchOffset: 0x2000,
        id: RecordID(high: 0x0123_4567_89AB_CDEF, low: 0xFEDC_BA98_7654_3210) ?? zeroID,
        payloadByteCount: 0x0001_0203,
        metadataByteCount: 0x0405,
        metadataChecksum: 0xA1A2_A3A4,
        writtenAtMilliseconds: 0x0000_018B_CFE5_6800,
        mapEpoch: MapEpoch(rawValue: 0x0807_0605_0403_0201),
        payloadDigest: SHA256Digest(
            words: (0x2021_2223_2425_2627, 0x2829_2A2B_2C2D_2E2F, 0x3031_3233_3435_3637, 0x3839_3A3B_3C3D_3E3F)
        )
    )

    private static var zeroID: RecordID { preconditionFailure("the group is in range") }

    @Test func headerHasGoldenBytes() throws {
        var buffer = ByteBuffer()
        Self.header.encode(into: &buffer)
        #expect(Fixture.hexadecimal(buffer) == Golden.recordHeader)
        #expect(try RecordHeader(decoding: buffer) == Self.header)
    }

    @Test func trailerHasGoldenBytes() throws {
        let extent = RecordExtent(payloadByteCount: 65537, metadataByteCount: 10)
        var buffer = ByteBuffer()
        RecordTrailer.encode(blockChecksums: [0x0102_0304, 0xA0B0_C0D0], extent: extent, into: &buffer)
        #expect(Fixture.hexadecimal(buffer) == Golden.recordTrailer)
        #expect(try RecordTrailer.decode(buffer, extent: extent) == [0x0102_0304, 0xA0B0_C0D0])
    }

    @Test func paddingFillsEveryGap() throws {
        for byteCount in stride(from: 512, to: 4096, by: 512) {
            let image = try RecordImage.padding(byteCount: byteCount, writtenAtMilliseconds: 5)
            let parts = image.parts(cluster: Fixture.cluster, segment: Fixture.segment, offset: 8192, batchOffset: 4096)
            #expect(parts.head.readableBytes + parts.payload.readableBytes + parts.tail.readableBytes == byteCount)
            #expect(try RecordHeader(decoding: parts.head).type == .padding)
        }
        for byteCount in [0, 511, 700, 4096] {
            #expect(throws: SegmentFormatError.self) {
                try RecordImage.padding(byteCount: byteCount, writtenAtMilliseconds: 5)
            }
        }
    }

    @Test func extentsAreWhereTheyShouldBe() {
        let extent = RecordExtent(payloadByteCount: 131_073, metadataByteCount: 100)
        #expect(extent.payloadOffset == 260)
        #expect(extent.tableOffset == 131_333)
        #expect(extent.tableByteCount == 12)
        #expect(extent.byteCount == 131_361)
        #expect(extent.paddedByteCount == 131_584)
        let largest = RecordExtent(
            payloadByteCount: SegmentLayout.maximumPayloadByteCount,
            metadataByteCount: SegmentLayout.maximumMetadataByteCount
        )
        #expect(largest.paddedByteCount % 512 == 0)
    }

    @Test func headerCutShortAnywhereIsRefused() {
        var buffer = ByteBuffer()
        Self.header.encode(into: &buffer)
        for count in 0..<buffer.readableBytes {
            #expect(throws: SegmentFormatError.self) {
                try RecordHeader(decoding: buffer.getSlice(at: 0, length: count) ?? ByteBuffer())
            }
        }
    }

    @Test func everyBitOfAHeaderCounts() {
        var buffer = ByteBuffer()
        Self.header.encode(into: &buffer)
        for bit in 0..<(buffer.readableBytes * 8) {
            var bytes = Array(buffer.readableBytesView)
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: SegmentFormatError.self) { try RecordHeader(decoding: ByteBuffer(bytes: bytes)) }
        }
    }

    @Test func lengthsOverTheirLimitsAreRefusedThoughTheChecksumIsRight() throws {
        var tooLong = Self.header
        tooLong.payloadByteCount = SegmentLayout.maximumPayloadByteCount + 1
        var tooMuchMetadata = Self.header
        tooMuchMetadata.metadataByteCount = SegmentLayout.maximumMetadataByteCount + 1
        for header in [tooLong, tooMuchMetadata] {
            var buffer = ByteBuffer()
            header.encode(into: &buffer)
            let error = #expect(throws: SegmentFormatError.self) { try RecordHeader(decoding: buffer) }
            #expect(error?.code == .limitExceeded)
        }
        var late = Self.header
        late.batchOffset = late.offset + 512
        var buffer = ByteBuffer()
        late.encode(into: &buffer)
        #expect(throws: SegmentFormatError.self) { try RecordHeader(decoding: buffer) }
    }

    @Test func placeIsChecked() throws {
        try Self.header.requirePlace(cluster: Fixture.cluster, segment: Fixture.segment, offset: 0x3000)
        let foreign = #expect(throws: SegmentFormatError.self) {
            try Self.header.requirePlace(cluster: ClusterID(high: 9, low: 9), segment: Fixture.segment, offset: 0x3000)
        }
        #expect(foreign?.code == .foreign)
        let moved = #expect(throws: SegmentFormatError.self) {
            try Self.header.requirePlace(cluster: Fixture.cluster, segment: Fixture.segment, offset: 0x3200)
        }
        #expect(moved?.code == .misplaced)
    }

    @Test(arguments: [0, 1, 511, 65535, 65536, 65537, 200_000])
    func aRecordIsFoundSoundAndEachFlippedBitIsNoticed(payloadByteCount: Int) throws {
        let image = try Fixture.image(3, payload: payloadByteCount)
        let parts = image.parts(cluster: Fixture.cluster, segment: Fixture.segment, offset: 4096, batchOffset: 4096)
        let bytes = [parts.head, parts.payload, parts.tail].flatMap { Array($0.readableBytesView) }
        #expect(bytes.count % 512 == 0)
        #expect(try isSound(bytes))
        var generator = SeededGenerator.announced("aRecordIsFoundSoundAndEachFlippedBitIsNoticed")
        let recordByteCount = Int(image.extent.byteCount)
        for _ in 0..<60 {
            let bit = Int.random(in: 0..<(recordByteCount * 8), using: &generator)
            var flipped = bytes
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(try !isSound(flipped), "bit \(bit)")
        }
    }

    private func isSound(_ bytes: [UInt8]) throws -> Bool {
        let buffer = ByteBuffer(bytes: bytes)
        guard let header = try? RecordHeader(decoding: buffer) else { return false }
        var verifier = RecordVerifier(header)
        while let need = verifier.need {
            let count = need.mayBeSplit ? min(need.byteCount, 1000) : need.byteCount
            guard let part = buffer.getSlice(at: Int(need.offset), length: count) else { return false }
            verifier.received(part)
        }
        return verifier.isSound
    }

    @Test func blockChecksumsDoNotDependOnThePieces() {
        let payload = Fixture.bytes(200_001, seed: 4)
        let whole = BlockChecksums.table(of: payload)
        #expect(whole.count == 4)
        for step in [1_000, 65_536, 65_537, 131_072] {
            var checksums = BlockChecksums()
            var rest = payload
            while let part = rest.readSlice(length: min(step, rest.readableBytes)), part.readableBytes > 0 {
                checksums.update(part)
            }
            #expect(checksums.table == whole)
        }
    }
}
