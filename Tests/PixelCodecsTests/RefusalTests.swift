// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs
import Testing

/// What a codec can't carry is refused with a reason and stays native.
@Suite struct RefusalTests {
    static let refused: [PixelFormat] = [
        PixelFormat(rows: 8, columns: 8, bitsAllocated: 1, bitsStored: 1),
        PixelFormat(rows: 8, columns: 8, bitsAllocated: 12, bitsStored: 12),
        PixelFormat(rows: 8, columns: 8, bitsAllocated: 32, bitsStored: 32),
        PixelFormat(rows: 8, columns: 8, bitsAllocated: 64, bitsStored: 64),
        PixelFormat(rows: 8, columns: 8, bitsAllocated: 16, bitsStored: 0),
        PixelFormat(rows: 8, columns: 8, bitsAllocated: 8, bitsStored: 9),
        PixelFormat(rows: 8, columns: 8, bitsAllocated: 16, bitsStored: 12, highBit: 10),
        PixelFormat(rows: 8, columns: 8, bitsAllocated: 16, bitsStored: 12, highBit: 16),
        PixelFormat(rows: 0, columns: 8, bitsAllocated: 8, bitsStored: 8),
        PixelFormat(rows: 8, columns: -1, bitsAllocated: 8, bitsStored: 8),
        PixelFormat(rows: 65_536, columns: 1, bitsAllocated: 8, bitsStored: 8),
        PixelFormat(rows: 65_535, columns: 65_535, bitsAllocated: 16, bitsStored: 16),
        PixelFormat(rows: .max, columns: .max, bitsAllocated: .max, bitsStored: .min, highBit: .min),
        PixelFormat(rows: 8, columns: 8, samplesPerPixel: 2, bitsAllocated: 8, bitsStored: 8),
        PixelFormat(rows: 8, columns: 8, samplesPerPixel: 3, bitsAllocated: 8, bitsStored: 8),
        PixelFormat(rows: 8, columns: 8, bitsAllocated: 8, bitsStored: 8, photometric: .rgb),
        PixelFormat(
            rows: 8,
            columns: 8,
            samplesPerPixel: 3,
            bitsAllocated: 8,
            bitsStored: 8,
            photometric: .ybrSubsampled
        ),
        PixelFormat(rows: 8, columns: 8, samplesPerPixel: 3, bitsAllocated: 8, bitsStored: 8, photometric: .other),
    ]

    @Test("formats that stay native", arguments: PixelCodec.encoders, refused)
    func format(codec: PixelCodec, format: PixelFormat) {
        // RLE alone carries 32 bits.
        if codec == .rle, format.bitsAllocated == 32 { return }
        #expect(codec.refusal(of: format) != nil)
        #expect(CodecPool.canEncode(format, codec: codec) == codec.refusal(of: format))
        #expect { try codec.encode(ByteBuffer(), format: format) } throws: { ($0 as? CodecError)?.code == .unsupported }
    }

    @Test("a frame of the wrong byte count", arguments: PixelCodec.encoders)
    func byteCount(codec: PixelCodec) {
        let format = PixelFormat(rows: 3, columns: 3, bitsAllocated: 16, bitsStored: 12)
        for byteCount in [0, 9, 17, 19] {
            let frame = ByteBuffer(repeating: 0, count: byteCount)
            #expect { try codec.encode(frame, format: format) } throws: { ($0 as? CodecError)?.code == .invalidInput }
            #expect { try codec.prove(frame, equals: frame, format: format) } throws: {
                ($0 as? CodecError)?.code == .invalidInput
            }
        }
    }

    @Test("JPEG-LS leaves signed samples native whose upper bits are no sign: readers would see other numbers")
    func misleadingSigns() throws {
        let format = PixelFormat(rows: 1, columns: 4, bitsAllocated: 16, bitsStored: 12, isSigned: true)
        func frame(_ samples: [UInt16]) -> ByteBuffer {
            samples.reduce(into: ByteBuffer()) { $0.writeInteger($1, endianness: .little) }
        }
        // Bit 11 says negative, the four bits above it say nothing.
        #expect(throws: CodecError.self) { try PixelCodec.jpegLS.encode(frame([1, 0x0FFF, 2, 3]), format: format) }
        #expect(throws: CodecError.self) { try PixelCodec.jpegLS.encode(frame([1, 0x7FFF, 2, 3]), format: format) }
        let negative = frame([1, 0xFFFF, 0xF800, 0x07FF])
        let encoded = try PixelCodec.jpegLS.encode(negative, format: format)
        #expect(try PixelCodec.jpegLS.decode(encoded, format: format) == negative)
    }

    @Test("the colour transform is JPEG 2000's and HTJ2K's, and for RGB only")
    func colourTransform() {
        let options = PixelCodec.EncodingOptions(usesReversibleColourTransform: true)
        var format = PixelFormat(
            rows: 3,
            columns: 3,
            samplesPerPixel: 3,
            bitsAllocated: 8,
            bitsStored: 8,
            photometric: .rgb
        )
        #expect(PixelCodec.jpeg2000.refusal(of: format, options: options) == nil)
        #expect(PixelCodec.htj2k.refusal(of: format, options: options) == nil)
        #expect(PixelCodec.jpegLS.refusal(of: format, options: options) != nil)
        format.photometric = .ybrFull
        #expect(PixelCodec.jpeg2000.refusal(of: format, options: options) != nil)
        #expect(PixelCodec.htj2k.refusal(of: format, options: options) != nil)
    }

    @Test("frame byte counts")
    func frameByteCount() {
        #expect(PixelFormat(rows: 3, columns: 5, bitsAllocated: 1, bitsStored: 1).frameByteCount == 2)
        #expect(PixelFormat(rows: 512, columns: 512, bitsAllocated: 16, bitsStored: 12).frameByteCount == 524_288)
        #expect(PixelFormat(rows: .max, columns: 2, bitsAllocated: 8, bitsStored: 8).frameByteCount == .max)
        #expect(PixelFormat(rows: -1, columns: 2, bitsAllocated: 8, bitsStored: 8).frameByteCount == 0)
    }
}
