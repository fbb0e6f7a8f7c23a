// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs
import Rendering
import Testing

@Suite("Pictures as files")
struct EncodingTests {
    private func slope(_ channels: Int, _ width: Int = 40, _ height: Int = 30) -> Picture {
        let samples = (0..<width * height * channels).map { UInt8($0 / channels % width * 4 + $0 % channels * 20) }
        return Picture(width: width, height: height, channelCount: channels, samples: samples)
    }

    @Test("JPEG decodes to about the picture, the nearer the higher the quality", arguments: [1, 3])
    func jpeg(channels: Int) throws {
        let picture = slope(channels)
        let format = PixelFormat(
            rows: 30,
            columns: 40,
            samplesPerPixel: channels,
            bitsAllocated: 8,
            bitsStored: 8,
            photometric: channels == 3 ? .ybrFull : .monochrome
        )
        var errors: [Int] = []
        for quality in [100, 10] {
            let encoded = try JPEGEncoder.encode(picture, quality: quality)
            #expect(Array(encoded.readableBytesView.prefix(3)) == [0xFF, 0xD8, 0xFF])
            let decoded = try PixelCodec.jpeg.decode(encoded, format: format)
            #expect(decoded.readableBytes == picture.samples.count)
            guard channels == 1 else { continue }
            errors.append(zip(decoded.readableBytesView, picture.samples).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) })
        }
        if channels == 1 { #expect(errors[0] < picture.samples.count && errors[0] < errors[1]) }
    }

    @Test("PNG has its signature, its size, and its end", arguments: [1, 3])
    func png(channels: Int) throws {
        var bytes = try PNGEncoder.encode(slope(channels))
        #expect(bytes.readBytes(length: 8) == [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])
        #expect(bytes.readInteger(as: UInt32.self) == 13 && bytes.readString(length: 4) == "IHDR")
        #expect(bytes.readInteger(as: UInt32.self) == 40 && bytes.readInteger(as: UInt32.self) == 30)
        #expect(bytes.readBytes(length: 5) == [8, channels == 3 ? 2 : 0, 0, 0, 0])
        #expect(bytes.readableBytesView.suffix(8) == [0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82])
    }
}
