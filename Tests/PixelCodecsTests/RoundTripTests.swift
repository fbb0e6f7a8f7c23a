// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs
import Testing

/// What comes back equals what went in, every allocated bit of it.
@Suite struct RoundTripTests {
    static let shapes = [(1, 1), (1, 7), (5, 1), (3, 5), (17, 31), (64, 33)]

    @Test("grey, by bits stored", arguments: PixelCodec.encoders, [8, 16])
    func grey(codec: PixelCodec, allocated: Int) throws {
        let scratch = CodecScratch()
        for stored in 1...allocated {
            for highBit in Set([stored - 1, allocated - 1]) {
                for isSigned in [false, true] {
                    for (rows, columns) in Self.shapes {
                        let format = PixelFormat(
                            rows: rows,
                            columns: columns,
                            bitsAllocated: allocated,
                            bitsStored: stored,
                            highBit: highBit,
                            isSigned: isSigned
                        )
                        try roundTrip(format, codec, scratch)
                    }
                }
            }
        }
    }

    @Test("colour, by planar configuration", arguments: PixelCodec.encoders, [8, 16])
    func colour(codec: PixelCodec, allocated: Int) throws {
        let scratch = CodecScratch()
        for stored in [1, 7, 8, 10, 12, 16] where stored <= allocated {
            for isPlanar in [false, true] {
                for photometric in [Photometric.rgb, .ybrFull] {
                    for (rows, columns) in Self.shapes {
                        let format = PixelFormat(
                            rows: rows,
                            columns: columns,
                            samplesPerPixel: 3,
                            bitsAllocated: allocated,
                            bitsStored: stored,
                            isPlanar: isPlanar,
                            photometric: photometric
                        )
                        try roundTrip(format, codec, scratch)
                    }
                }
            }
        }
    }

    @Test("the reversible colour transform", arguments: [PixelCodec.jpeg2000, .htj2k], [8, 16])
    func colourTransform(codec: PixelCodec, allocated: Int) throws {
        let options = PixelCodec.EncodingOptions(usesReversibleColourTransform: true)
        for (rows, columns) in Self.shapes {
            for isPlanar in [false, true] {
                let format = PixelFormat(
                    rows: rows,
                    columns: columns,
                    samplesPerPixel: 3,
                    bitsAllocated: allocated,
                    bitsStored: allocated,
                    isPlanar: isPlanar,
                    photometric: .rgb
                )
                try roundTrip(format, codec, CodecScratch(), options: options)
            }
        }
    }

    @Test("palette indices are carried as they are", arguments: PixelCodec.encoders)
    func palette(codec: PixelCodec) throws {
        var format = PixelFormat(rows: 9, columns: 11, bitsAllocated: 8, bitsStored: 8)
        format.photometric = .palette
        try roundTrip(format, codec, CodecScratch())
    }

    @Test("a frame inside a larger buffer, at an odd offset", arguments: PixelCodec.encoders)
    func slice(codec: PixelCodec) throws {
        let format = PixelFormat(rows: 8, columns: 9, bitsAllocated: 16, bitsStored: 12)
        let frame = format.makeFrame(.smooth)
        var larger = ByteBuffer(bytes: [1, 2, 3])
        larger.writeImmutableBuffer(frame)
        larger.writeInteger(UInt8(4))
        let slice = try #require(larger.getSlice(at: 3, length: frame.readableBytes))
        let encoded = try codec.encode(slice, format: format)
        var padded = ByteBuffer(bytes: [9])
        padded.writeImmutableBuffer(encoded)
        padded.moveReaderIndex(forwardBy: 1)
        #expect(try codec.decode(padded, format: format) == frame)
    }

    @Test("one byte of padding after the stream changes nothing", arguments: PixelCodec.encoders)
    func padding(codec: PixelCodec) throws {
        let format = PixelFormat(rows: 8, columns: 9, bitsAllocated: 16, bitsStored: 12)
        let frame = format.makeFrame(.smooth)
        var encoded = try codec.encode(frame, format: format)
        encoded.writeInteger(UInt8(0))
        #expect(try codec.prove(encoded, equals: frame, format: format))
    }

    @Test("the other planar configuration of the same stream", arguments: PixelCodec.encoders)
    func planarConfiguration(codec: PixelCodec) throws {
        var format = PixelFormat(
            rows: 3,
            columns: 5,
            samplesPerPixel: 3,
            bitsAllocated: 8,
            bitsStored: 8,
            photometric: .rgb
        )
        let pixels = format.makeFrame(.noise)
        let bytes = Array(pixels.readableBytesView)
        let planes = ByteBuffer(bytes: (0..<3).flatMap { sample in (0..<15).map { bytes[$0 * 3 + sample] } })
        let encoded = try codec.encode(pixels, format: format)
        format.isPlanar = true
        #expect(try codec.decode(encoded, format: format) == planes)
        let encodedPlanes = try codec.encode(planes, format: format)
        format.isPlanar = false
        #expect(try codec.decode(encodedPlanes, format: format) == pixels)
    }

    @Test("a proof notices one changed bit", arguments: PixelCodec.encoders)
    func proofNoticesDifference(codec: PixelCodec) throws {
        let format = PixelFormat(rows: 16, columns: 16, bitsAllocated: 16, bitsStored: 16)
        let frame = format.makeFrame(.smooth)
        let encoded = try codec.encode(frame, format: format)
        #expect(try codec.prove(encoded, equals: frame, format: format))
        for offset in [0, 255, 511] {
            let other = frame.mutated { $0[offset] ^= 0x10 }
            #expect(try !codec.prove(encoded, equals: other, format: format))
            #expect(try !codec.proveFresh(encoded, equals: other, format: format))
        }
        #expect(try !codec.prove(ByteBuffer(), equals: frame, format: format))
    }

    private func roundTrip(
        _ format: PixelFormat,
        _ codec: PixelCodec,
        _ scratch: CodecScratch,
        contents: [Content] = Content.allCases,
        options: PixelCodec.EncodingOptions = .init()
    ) throws {
        for content in contents {
            let frame = format.makeFrame(content)
            #expect(codec.refusal(of: format) == nil)
            let result = Result { () throws(CodecError) in
                try codec.encode(frame, format: format, options: options, scratch: scratch)
            }
            if case .failure(let error) = result, error.code == .unsupported, codec == .jpegLS, format.isSigned,
                format.bitsStored < format.bitsAllocated, content != .zero, content != .signExtended
            {
                // What is above Bits Stored is no sign: such frames stay native (RefusalTests).
                continue
            }
            let encoded = try result.get()
            let decoded = try codec.decode(encoded, format: format, scratch: scratch)
            #expect(decoded == frame, "\(codec) \(format.label) \(content) seed \(SeededGenerator.seed)")
            #expect(try codec.prove(encoded, equals: frame, format: format, scratch: scratch))
            #expect(
                try codec.proveFresh(encoded, equals: frame, format: format, options: options, scratch: scratch)
            )
        }
    }
}
