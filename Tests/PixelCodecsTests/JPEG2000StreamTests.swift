// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs
import Testing

/// Headers that would cost OpenJPEG memory, containers, and the sign.
@Suite struct JPEG2000StreamTests {
    private let format = PixelFormat(rows: 200, columns: 300, bitsAllocated: 16, bitsStored: 12)

    // Offsets in a stream that begins SOC, SIZ, with one component.
    private let tileWidth = 24
    private let tileHeight = 28

    @Test("too many tiles, precincts and layers are refused before anything is allocated")
    func limits() throws {
        let encoded = try PixelCodec.jpeg2000.encode(format.makeFrame(.smooth), format: format)
        let tiles = encoded.mutated { bytes in
            bytes.replaceSubrange(tileWidth..<tileWidth + 4, with: [0, 0, 0, 1])
            bytes.replaceSubrange(tileHeight..<tileHeight + 4, with: [0, 0, 0, 1])
        }
        expectRefusal(tiles, .limitExceeded)
        let bytes = Array(encoded.readableBytesView)
        let style = try #require(bytes.indices.dropLast().first { bytes[$0] == 0xFF && bytes[$0 + 1] == 0x52 })
        // FF 52, length, Scod, progression, layers.
        expectRefusal(encoded.mutated { $0[style + 6] = 0xFF }, .limitExceeded)
        let levels = Int(bytes[style + 9])
        let precincts = encoded.mutated { bytes in
            bytes[style + 3] += UInt8(levels + 1)
            bytes[style + 4] |= 1
            bytes.insert(contentsOf: Array(repeating: 0, count: levels + 1), at: style + 14)
        }
        // 80,000 precincts of one sample are within the cap: OpenJPEG decides, and must not trap.
        #expect(throws: CodecError.self) { try PixelCodec.jpeg2000.decode(precincts, format: format) }
    }

    @Test("a JP2 container is stepped over")
    func container() throws {
        let frame = format.makeFrame(.smooth)
        let stream = try PixelCodec.jpeg2000.encode(frame, format: format)
        var boxes = ByteBuffer(bytes: [0, 0, 0, 12, 0x6A, 0x50, 0x20, 0x20, 0x0D, 0x0A, 0x87, 0x0A])
        boxes.writeBytes([0, 0, 0, 8, 0x66, 0x72, 0x65, 0x65])
        boxes.writeInteger(UInt32(stream.readableBytes + 8))
        boxes.writeBytes([0x6A, 0x70, 0x32, 0x63])
        boxes.writeImmutableBuffer(stream)
        #expect(try PixelCodec.jpeg2000.decode(boxes, format: format) == frame)
        expectRefusal(boxes.mutated { $0[12] = 0xFF }, .corruptStream)
        expectRefusal(boxes.mutated { $0[15] = 4 }, .corruptStream)
    }

    @Test("sign and precision in SIZ")
    func sign() throws {
        func depth(_ stored: Int, _ content: Content, isSigned: Bool) throws -> UInt8 {
            let format = PixelFormat(rows: 8, columns: 8, bitsAllocated: 16, bitsStored: stored, isSigned: isSigned)
            let encoded = try PixelCodec.jpeg2000.encode(format.makeFrame(content), format: format)
            return try #require(encoded.getInteger(at: 42))
        }
        #expect(try depth(12, .smooth, isSigned: false) == 11)
        #expect(try depth(12, .dirty, isSigned: false) == 15)
        #expect(try depth(12, .signExtended, isSigned: true) == 0x80 | 11)
        // Clear upper bits are no sign extension: 16 bits carry them exactly.
        #expect(try depth(12, .smooth, isSigned: true) == 0x80 | 11 || depth(12, .smooth, isSigned: true) == 0x80 | 15)
        #expect(try depth(12, .dirty, isSigned: true) == 0x80 | 15)
        #expect(try depth(16, .noise, isSigned: true) == 0x80 | 15)
    }

    @Test("negative numbers in a format that says unsigned keep their stored bits only")
    func signMismatch() throws {
        var format = PixelFormat(rows: 1, columns: 2, bitsAllocated: 16, bitsStored: 12, isSigned: true)
        let encoded = try PixelCodec.jpeg2000.encode(ByteBuffer(bytes: [0xFF, 0xFF, 1, 0]), format: format)
        format.isSigned = false
        #expect(try PixelCodec.jpeg2000.decode(encoded, format: format) == ByteBuffer(bytes: [0xFF, 0x0F, 1, 0]))
    }

    private func expectRefusal(_ stream: ByteBuffer, _ code: CodecError.Code) {
        do {
            _ = try PixelCodec.jpeg2000.decode(stream, format: format)
            Issue.record("it was decoded")
        } catch {
            #expect(error.code == code, "\(error)")
        }
    }
}
