// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs
import Testing

/// Streams from outside: damaged, cut short, or made to hurt.
///
/// None may trap, hang, or write past a frame.
@Suite struct HostileStreamTests {
    static let formats = [
        PixelFormat(rows: 13, columns: 21, bitsAllocated: 16, bitsStored: 12),
        PixelFormat(rows: 13, columns: 21, bitsAllocated: 8, bitsStored: 8),
        PixelFormat(rows: 9, columns: 7, samplesPerPixel: 3, bitsAllocated: 8, bitsStored: 8, photometric: .rgb),
        PixelFormat(
            rows: 9,
            columns: 7,
            samplesPerPixel: 3,
            bitsAllocated: 16,
            bitsStored: 16,
            isPlanar: true,
            photometric: .rgb
        ),
    ]

    @Test("cut short at every byte", arguments: PixelCodec.encoders, formats)
    func truncated(codec: PixelCodec, format: PixelFormat) throws {
        let encoded = try codec.encode(format.makeFrame(.smooth), format: format)
        // Without its last two bytes (EOC) a JPEG 2000 stream may still be whole.
        for byteCount in 0..<encoded.readableBytes - 2 {
            let part = try #require(encoded.getSlice(at: 0, length: byteCount))
            #expect(throws: CodecError.self, "\(codec) \(format.label) \(byteCount)") {
                try codec.decode(part, format: format)
            }
        }
    }

    @Test("random bytes changed", arguments: PixelCodec.encoders, formats)
    func mutated(codec: PixelCodec, format: PixelFormat) throws {
        var generator = SeededGenerator(7)
        let encoded = try codec.encode(format.makeFrame(.smooth), format: format)
        let scratch = CodecScratch()
        for round in 0..<600 {
            let changed = encoded.mutated { bytes in
                // Half of the changes go to the headers, where they hurt.
                let reach = round % 2 == 0 ? min(bytes.count, 100) : bytes.count
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    bytes[Int.random(in: 0..<reach, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
                }
            }
            if let decoded = try? codec.decode(changed, format: format, scratch: scratch) {
                #expect(decoded.readableBytes == format.frameByteCount, "seed \(SeededGenerator.seed)")
            }
        }
    }

    @Test("rubbish", arguments: PixelCodec.encoders)
    func rubbish(codec: PixelCodec) throws {
        var generator = SeededGenerator(9)
        let format = Self.formats[0]
        for byteCount in 0..<300 {
            var bytes = (0..<byteCount).map { _ in UInt8.random(in: 0...255, using: &generator) }
            if byteCount > 4 { bytes.replaceSubrange(0..<2, with: codec == .jpegLS ? [0xFF, 0xD8] : [0xFF, 0x4F]) }
            #expect(throws: CodecError.self) { try codec.decode(ByteBuffer(bytes: bytes), format: format) }
        }
    }

    // RLE streams name no dimensions.
    @Test(
        "a stream of other dimensions, samples or bits is refused",
        arguments: PixelCodec.encoders.filter { $0 != .rle }
    )
    func mismatch(codec: PixelCodec) throws {
        let format = PixelFormat(rows: 13, columns: 21, bitsAllocated: 16, bitsStored: 12)
        let frame = format.makeFrame(.smooth)
        let encoded = try codec.encode(frame, format: format)
        var others = Array(repeating: format, count: 5)
        others[0].rows = 12
        others[1].columns = 22
        (others[2].rows, others[2].columns) = (21, 13)
        others[3].samplesPerPixel = 3
        (others[4].bitsAllocated, others[4].bitsStored, others[4].highBit) = (8, 8, 7)
        for other in others {
            #expect { try codec.decode(encoded, format: other) } throws: { ($0 as? CodecError)?.code == .mismatch }
            #expect(try !codec.prove(encoded, equals: other.makeFrame(.zero), format: other))
        }
    }

    @Test("the other codec's stream")
    func otherCodec() throws {
        let format = Self.formats[0]
        let frame = format.makeFrame(.smooth)
        for (codec, other) in [
            (PixelCodec.jpegLS, PixelCodec.jpeg2000), (.jpeg2000, .jpegLS), (.htj2k, .jpegLS), (.jpegLS, .htj2k),
        ] {
            let encoded = try codec.encode(frame, format: format)
            #expect { try other.decode(encoded, format: format) } throws: {
                ($0 as? CodecError)?.code == .corruptStream
            }
        }
    }
}
