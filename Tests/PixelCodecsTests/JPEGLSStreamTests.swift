// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs
import Testing

/// What CharLS 2.4.1 must never be shown, and what it refuses without need.
@Suite struct JPEGLSStreamTests {
    private let grey = PixelFormat(rows: 13, columns: 21, bitsAllocated: 16, bitsStored: 12)
    private let planes = PixelFormat(
        rows: 9,
        columns: 7,
        samplesPerPixel: 3,
        bitsAllocated: 8,
        bitsStored: 8,
        isPlanar: true,
        photometric: .rgb
    )

    @Test("a stray zero byte before EOI is mended")
    func strayZero() throws {
        let frame = grey.makeFrame(.smooth)
        let encoded = try PixelCodec.jpegLS.encode(frame, format: grey)
        let stray = encoded.mutated { $0.insert(0, at: $0.count - 2) }
        #expect(try PixelCodec.jpegLS.decode(stray, format: grey) == frame)
        #expect(try PixelCodec.jpegLS.prove(stray, equals: frame, format: grey))
        let two = encoded.mutated { $0.insert(contentsOf: [1, 0], at: $0.count - 2) }
        #expect(throws: CodecError.self) { try PixelCodec.jpegLS.decode(two, format: grey) }
    }

    @Test("dimensions given a second time are refused (GHSA-mqrg-gfc8-73ff)")
    func oversizeDimensions() throws {
        let encoded = try PixelCodec.jpegLS.encode(grey.makeFrame(.smooth), format: grey)
        // LSE type 4: Wxy 4, then height and width of 32 bits each, right after SOI.
        let segment: [UInt8] = [0xFF, 0xF8, 0, 12, 4, 4, 0, 1, 0, 0, 0, 1, 0, 0]
        expectRefusal(encoded.mutated { $0.insert(contentsOf: segment, at: 2) }, grey, .unsupported)
    }

    @Test("a later scan of another interleave mode is refused")
    func mixedInterleave() throws {
        let encoded = try PixelCodec.jpegLS.encode(planes.makeFrame(.smooth), format: planes)
        let bytes = Array(encoded.readableBytesView)
        let scans = bytes.indices.dropLast().filter { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xDA }
        #expect(scans.count == 3)
        for mode in [UInt8(1), 2] {
            // FF DA, length 8, one component, its id and table, NEAR, ILV.
            let mixed = encoded.mutated { $0[scans[1] + 8] = mode }
            expectRefusal(mixed, planes, .unsupported)
            expectRefusal(encoded.mutated { $0[scans[0] + 8] = mode }, planes, .unsupported)
        }
        expectRefusal(encoded.mutated { $0.removeSubrange(scans[2]..<$0.count - 2) }, planes, .corruptStream)
    }

    @Test("another JPEG process is named as such")
    func otherProcess() throws {
        let encoded = try PixelCodec.jpegLS.encode(grey.makeFrame(.smooth), format: grey)
        let offset = try #require(encoded.readableBytesView.firstIndex(of: 0xF7))
        expectRefusal(encoded.mutated { $0[offset] = 0xC3 }, grey, .mismatch)
    }

    @Test("the stream's precision is bits stored, or bits allocated when bits above are set")
    func precision() throws {
        func precision(_ stored: Int, _ content: Content, isSigned: Bool = false) throws -> UInt8? {
            let format = PixelFormat(rows: 8, columns: 8, bitsAllocated: 16, bitsStored: stored, isSigned: isSigned)
            let bytes = try Array(PixelCodec.jpegLS.encode(format.makeFrame(content), format: format).readableBytesView)
            let offset = bytes.indices.dropLast().first { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xF7 }
            return offset.map { bytes[$0 + 4] }
        }
        #expect(try precision(12, .smooth) == 12)
        #expect(try precision(16, .smooth) == 16)
        #expect(try precision(12, .dirty) == 16)
        // Negative samples: with or without sign extension the exact bits, to every reader.
        #expect(try precision(12, .signExtended, isSigned: true) == 16)
        #expect(try precision(12, .zero, isSigned: true) == 12)
        // Samples of up to 8 bits would be one byte each to a reader.
        #expect(try precision(8, .smooth) == 9)
    }

    @Test("signed samples of a stream with fewer bits than allocated come back sign extended")
    func signExtension() throws {
        var format = PixelFormat(rows: 1, columns: 3, bitsAllocated: 16, bitsStored: 12)
        let encoded = try PixelCodec.jpegLS.encode(ByteBuffer(bytes: [0xFF, 0x0F, 0, 8, 0xFF, 7]), format: format)
        format.isSigned = true
        let expected = ByteBuffer(bytes: [0xFF, 0xFF, 0, 0xF8, 0xFF, 7])
        #expect(try PixelCodec.jpegLS.decode(encoded, format: format) == expected)
    }

    private func expectRefusal(_ stream: ByteBuffer, _ format: PixelFormat, _ code: CodecError.Code) {
        do {
            _ = try PixelCodec.jpegLS.decode(stream, format: format)
            Issue.record("it was decoded")
        } catch {
            #expect(error.code == code, "\(error)")
        }
    }
}
