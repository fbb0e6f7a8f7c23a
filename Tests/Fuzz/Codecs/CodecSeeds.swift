// SPDX-License-Identifier: Apache-2.0

import FuzzHarness
import NIOCore
import PixelCodecs

/// Streams made by our own encoders of small frames, and formats for the lossless target.
enum CodecSeeds {
    private static let formats = [
        PixelFormat(rows: 7, columns: 5, bitsAllocated: 8, bitsStored: 8),
        PixelFormat(rows: 16, columns: 16, bitsAllocated: 16, bitsStored: 12),
        PixelFormat(rows: 9, columns: 8, bitsAllocated: 16, bitsStored: 16, isSigned: true),
        PixelFormat(rows: 6, columns: 6, samplesPerPixel: 3, bitsAllocated: 8, bitsStored: 8, photometric: .rgb),
        PixelFormat(
            rows: 6,
            columns: 6,
            samplesPerPixel: 3,
            bitsAllocated: 8,
            bitsStored: 8,
            isPlanar: true,
            photometric: .ybrFull
        ),
        PixelFormat(rows: 1, columns: 1, bitsAllocated: 8, bitsStored: 1),
    ]

    static func make(_ codec: PixelCodec) -> [ByteBuffer] {
        self.formats.compactMap { format in
            // A format that the codec refuses gives no seed.
            guard let encoded = try? codec.encode(self.frame(format), format: format) else { return nil }
            var seed = FormatReader.write(format)
            seed.writeImmutableBuffer(encoded)
            return seed
        }
    }

    static var frames: [ByteBuffer] {
        self.formats.flatMap { format in
            PixelCodec.allCases.indices.map { codec in
                var seed = ByteBuffer(integer: UInt8(codec))
                seed.writeImmutableBuffer(FormatReader.write(format))
                seed.writeImmutableBuffer(self.frame(format))
                return seed
            }
        }
    }

    /// A slope with some noise, within the stored bits.
    private static func frame(_ format: PixelFormat) -> ByteBuffer {
        var frame = ByteBuffer()
        let limit = UInt32(1) << UInt32(format.bitsStored)
        for index in 0..<UInt32(format.rows * format.columns * format.samplesPerPixel) {
            let value = (index * 3 &+ (index &* 2_654_435_761) >> 28) % limit
            if format.bitsAllocated == 16 {
                frame.writeInteger(UInt16(value), endianness: .little)
            } else {
                frame.writeInteger(UInt8(value))
            }
        }
        return frame
    }
}
