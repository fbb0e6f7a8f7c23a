// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs
import Testing

/// Headers that would cost OpenJPEG memory, containers, and the sign.
@Suite struct JPEG2000StreamTests {
    private let format = PixelFormat(rows: 200, columns: 300, bitsAllocated: 16, bitsStored: 12)

    // Offsets in a stream that begins SOC, SIZ, with one component.
    private let imageWidth = 8
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

    @Test("a number of tile-parts that is too low is put right, one that is too high says that some are missing")
    func tilePartCounts() throws {
        let frame = format.makeFrame(.noise)
        let encoded = try PixelCodec.jpeg2000.encode(frame, format: format)
        for (declared, expected) in [(1, 3), (2, 3), (3, 3), (0, 3)] {
            let parts = try split(encoded, into: expected, declaring: declared)
            #expect(try PixelCodec.jpeg2000.decode(parts, format: format) == frame, "\(declared) of \(expected)")
        }
        expectRefusal(try split(encoded, into: 3, declaring: 4), .corruptStream)
        // A part lost, with EOC after the others.
        expectRefusal(try split(encoded, into: 3, declaring: 3, dropping: 2), .corruptStream)
        expectRefusal(try split(encoded, into: 3, declaring: 3, dropping: 1), .corruptStream)
        // Nobody says how many parts there are, and EOC does not say that these were all.
        let open = try split(encoded, into: 3, declaring: 0)
        expectRefusal(try #require(open.getSlice(at: 0, length: open.readableBytes - 2)), .corruptStream)
    }

    @Test("a tile that is missing is no empty tile")
    func missingTile() throws {
        // Widths that all six resolutions halve evenly: either tile may then hold the same packets.
        let tile = PixelFormat(rows: 64, columns: 128, bitsAllocated: 16, bitsStored: 12)
        let image = PixelFormat(rows: 64, columns: 256, bitsAllocated: 16, bitsStored: 12)
        let frame = tile.makeFrame(.smooth)
        let stream = try PixelCodec.jpeg2000.encode(frame, format: tile)
        let start = try startOfTilePart(stream)
        let left = stream.mutated { $0.replaceSubrange(imageWidth..<imageWidth + 4, with: [0, 0, 1, 0]) }
        let both = left.mutated { bytes in
            var part = Array(bytes[start..<bytes.count - 2])
            part[5] = 1
            bytes.insert(contentsOf: part, at: bytes.count - 2)
        }
        let decoded = try PixelCodec.jpeg2000.decode(both, format: image)
        for row in 0..<64 {
            let expected = frame.getSlice(at: row * 256, length: 256)
            #expect(decoded.getSlice(at: row * 512, length: 256) == expected)
            #expect(decoded.getSlice(at: row * 512 + 256, length: 256) == expected)
        }
        #expect {
            try PixelCodec.jpeg2000.decode(left, format: image)
        } throws: {
            ($0 as? CodecError)?.code == .corruptStream
        }
    }

    @Test("a last tile-part without a length ends with EOC, which may be padded")
    func unboundedTilePart() throws {
        let frame = format.makeFrame(.noise)
        let encoded = try PixelCodec.jpeg2000.encode(frame, format: format)
        let start = try startOfTilePart(encoded)
        let unbounded = encoded.mutated { $0.replaceSubrange(start + 6..<start + 10, with: [0, 0, 0, 0]) }
        #expect(try PixelCodec.jpeg2000.decode(unbounded, format: format) == frame)
        #expect(try PixelCodec.jpeg2000.decode(unbounded.mutated { $0.append(0) }, format: format) == frame)
        for lost in [1, 2, 3, 100, 1_000] {
            let part = try #require(unbounded.getSlice(at: 0, length: unbounded.readableBytes - lost))
            expectRefusal(part, .corruptStream)
        }
    }

    /// Where SOT is in a stream with one tile-part.
    private func startOfTilePart(_ stream: ByteBuffer) throws -> Int {
        let bytes = Array(stream.readableBytesView)
        return try #require(bytes.indices.dropLast(12).first { bytes[$0...].starts(with: [0xFF, 0x90, 0, 10, 0, 0]) })
    }

    /// The stream's only tile-part as `count` of them, cut anywhere, which OpenJPEG puts together again.
    private func split(
        _ stream: ByteBuffer,
        into count: Int,
        declaring declared: Int,
        dropping dropped: Int? = nil
    ) throws -> ByteBuffer {
        let bytes = Array(stream.readableBytesView)
        let start = try startOfTilePart(stream)
        let data = try #require(bytes.indices.dropFirst(start).first { bytes[$0...].starts(with: [0xFF, 0x93]) }) + 2
        var result = ByteBuffer(bytes: bytes[..<start])
        let body = bytes[data..<bytes.count - 2]
        for part in 0..<count where part != dropped {
            let slice = body.dropFirst(body.count * part / count).prefix(
                body.count * (part + 1) / count - body.count * part / count
            )
            result.writeBytes([0xFF, 0x90, 0, 10, 0, 0])
            result.writeInteger(UInt32(slice.count + 14))
            result.writeBytes([UInt8(part), UInt8(declared), 0xFF, 0x93])
            result.writeBytes(slice)
        }
        result.writeBytes([0xFF, 0xD9])
        return result
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
