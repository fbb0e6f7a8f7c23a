// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import DICOM
import Ingest
import NIOCore
import Testing

@Suite struct WatchedContentTests {
    private static let shape = MadeInstance.Shape(name: "two frames", frames: 2, surplus: [1, 2], hasTail: true)

    /// A Part 10 stream in Explicit VR Little Endian, and the value of its pixel data.
    private static func file() throws -> (ByteBuffer, pixels: ByteBuffer) {
        let made = try MadeInstance.asReceived(shape, MadeInstance.dataSet(shape), .explicitVRLittleEndian)
        var value = MadeInstance.frames(shape).reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) }
        value.writeBytes(shape.surplus)
        return (made.payload, value)
    }

    private static func verdict(
        _ expected: WatchedContent.Expected,
        _ file: ByteBuffer,
        piece: Int
    ) -> Bool? {
        var content = WatchedContent(expected)
        var rest = file
        while let bytes = rest.readSlice(length: min(piece, rest.readableBytes)), bytes.readableBytes > 0 {
            content.add(bytes)
        }
        return content.finish()
    }

    private static func expectations() throws -> [WatchedContent.Expected] {
        let (file, pixels) = try file()
        return [
            .file(SHA256Hasher.digest(of: file), transferSyntax: "1.2.840.10008.1.2.1"),
            .pixelData(SHA256Hasher.digest(of: pixels)),
        ]
    }

    @Test(arguments: [1, 7, 1_000, 3_000, 1 << 20])
    func `the same bytes are the same, in whatever pieces they come`(piece: Int) throws {
        let (file, _) = try Self.file()
        for expected in try Self.expectations() { #expect(Self.verdict(expected, file, piece: piece) == true) }
    }

    @Test func `a changed, missing or further byte is not the same`() throws {
        let (file, pixels) = try Self.file()
        let all = try Self.expectations()[0]
        for place in 0..<file.readableBytes {
            var changed = file
            changed.setInteger(file.getInteger(at: place, as: UInt8.self).map { $0 ^ 0x10 } ?? 0, at: place)
            #expect(Self.verdict(all, changed, piece: 2_000) == false, "byte \(place)")
        }
        var longer = file
        longer.writeInteger(UInt8(0))
        #expect(Self.verdict(all, longer, piece: 2_000) == false)
        // Of pixel data, every byte of the value.
        let value = try Self.expectations()[1]
        let header = try Part10.readHeader(file)
        var dataSet = file
        dataSet.moveReaderIndex(forwardBy: header.dataSetOffset)
        let location = try #require(try PixelDataLocation.find(in: dataSet, transferSyntax: .explicitVRLittleEndian))
        let start = header.dataSetOffset + location.valueOffset
        #expect(location.byteCount == pixels.readableBytes)
        for place in [start, start + pixels.readableBytes / 2, start + pixels.readableBytes - 1] {
            var changed = file
            changed.setInteger(file.getInteger(at: place, as: UInt8.self).map { $0 ^ 0x10 } ?? 0, at: place)
            #expect(Self.verdict(value, changed, piece: 2_000) == false, "byte \(place)")
        }
        for end in stride(from: 0, to: start + pixels.readableBytes, by: 13) {
            let cut = try #require(file.getSlice(at: 0, length: end))
            #expect(Self.verdict(value, cut, piece: 2_000) == false, "cut at \(end)")
        }
    }

    @Test func `a header that is too long to be kept is not judged`() throws {
        var header = MadeInstance.header(Self.shape)
        header.set(
            DataElement(
                tag: Tag(0x0009, 0x1001),
                vr: .ob,
                value: .bytes(ByteBuffer(repeating: 7, count: WatchedContent.maximumHeadByteCount + 2))
            )
        )
        let (file, pixels) = try Self.file()
        var long = try #require(file.getSlice(at: 0, length: Part10.readHeader(file).dataSetOffset))
        long.writeImmutableBuffer(try DataSetWriter.write(header, transferSyntax: .explicitVRLittleEndian))
        let expected = WatchedContent.Expected.pixelData(SHA256Hasher.digest(of: pixels))
        #expect(Self.verdict(expected, long, piece: 1 << 20) == nil)
    }

    @Test func `what is no DICOM at all is not the same`() throws {
        let text = ByteBuffer(string: String(repeating: "nothing like it ", count: 10_000))
        for expected in try Self.expectations() { #expect(Self.verdict(expected, text, piece: 999) == false) }
        for expected in try Self.expectations() { #expect(Self.verdict(expected, ByteBuffer(), piece: 1) == false) }
    }

    @Test func `it is asked for as it arrived, where it can be had so`() throws {
        let (digest, pixels) = (SHA256Digest(words: (1, 1, 1, 1)), SHA256Digest(words: (2, 2, 2, 2)))
        func expected(_ received: TransferSyntax, _ stored: TransferSyntax) throws -> WatchedContent.Expected? {
            WatchedContent.Expected(
                try .sample(digest: digest, pixels: pixels, received: received, stored: stored)
            )
        }
        let explicit = TransferSyntax.explicitVRLittleEndian.uid.string
        #expect(
            try expected(.explicitVRLittleEndian, .jpegLSLossless) == .file(digest, transferSyntax: explicit)
        )
        #expect(
            try expected(.rleLossless, .rleLossless)
                == .file(digest, transferSyntax: TransferSyntax.rleLossless.uid.string)
        )
        let implicit = try expected(.implicitVRLittleEndian, .jpegLSLossless)
        #expect(implicit == .pixelData(pixels) && implicit?.transferSyntax == explicit)
    }
}
