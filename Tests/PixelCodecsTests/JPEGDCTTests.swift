// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs
import Testing

/// Baseline and extended JPEG against an encoder of the tests' own.
@Suite struct JPEGDCTTests {
    @discardableResult
    static func decode(
        _ bytes: [UInt8],
        _ format: PixelFormat,
        _ colour: JPEGDCTCodec.Colour = .stored
    ) throws -> (frame: ByteBuffer, photometric: Photometric) {
        var photometric = Photometric.other
        let frame = try decoded(format) { destination in
            photometric = try JPEGDCTCodec.decode(
                ByteBuffer(bytes: bytes),
                format: format,
                colour: colour,
                into: destination,
                scratch: CodecScratch()
            )
        }
        return (frame, photometric)
    }

    static func format(
        _ rows: Int,
        _ columns: Int,
        _ precision: Int,
        samples: Int = 1,
        isPlanar: Bool = false
    ) -> PixelFormat {
        PixelFormat(
            rows: rows,
            columns: columns,
            samplesPerPixel: samples,
            bitsAllocated: precision > 8 ? 16 : 8,
            bitsStored: precision,
            isPlanar: isPlanar,
            photometric: samples == 1 ? .monochrome : .ybrFull
        )
    }

    /// The largest distance between samples of two frames.
    static func distance(_ left: ByteBuffer, _ right: ByteBuffer, _ format: PixelFormat) -> Int {
        var (left, right, worst) = (left, right, 0)
        guard left.readableBytes == right.readableBytes else { return .max }
        while left.readableBytes > 0 {
            let pair =
                format.bitsAllocated == 8
                ? (Int(left.readInteger(as: UInt8.self) ?? 0), Int(right.readInteger(as: UInt8.self) ?? 0))
                : (
                    Int(left.readInteger(endianness: .little, as: UInt16.self) ?? 0),
                    Int(right.readInteger(endianness: .little, as: UInt16.self) ?? 0)
                )
            worst = max(worst, abs(pair.0 - pair.1))
        }
        return worst
    }

    static func encoder(_ format: PixelFormat) -> JPEGDCTEncoder {
        var encoder = JPEGDCTEncoder(rows: format.rows, columns: format.columns, precision: format.bitsStored)
        encoder.sampling = Array(repeating: (1, 1), count: format.samplesPerPixel)
        return encoder
    }

    @Test("grey of every content and shape", arguments: [8, 12], [(1, 1), (8, 8), (9, 17), (16, 3), (40, 33)])
    func grey(precision: Int, shape: (Int, Int)) throws {
        let format = Self.format(shape.0, shape.1, precision)
        for kind in 0..<3 {
            let planes = JPEGLosslessTests.planes(format, precision: precision, kind: kind)
            let bytes = Self.encoder(format).encode(planes)
            let (frame, photometric) = try Self.decode(bytes, format)
            #expect(photometric == .monochrome)
            #expect(Self.distance(frame, JPEGLosslessTests.frame(planes, format), format) <= 1, "kind \(kind)")
        }
    }

    @Test("restart intervals of any number of blocks", arguments: [8, 12], 1...9)
    func restarts(precision: Int, interval: Int) throws {
        let format = Self.format(20, 23, precision)
        let planes = JPEGLosslessTests.planes(format, precision: precision, kind: 1)
        var encoder = Self.encoder(format)
        encoder.restartInterval = interval
        let (frame, _) = try Self.decode(encoder.encode(planes), format)
        #expect(Self.distance(frame, JPEGLosslessTests.frame(planes, format), format) <= 1)
    }

    @Test("three components, interleaved or apart, into both layouts", arguments: [8, 12], [false, true])
    func components(precision: Int, isPlanar: Bool) throws {
        let format = Self.format(19, 21, precision, samples: 3, isPlanar: isPlanar)
        for isInterleaved in [false, true] {
            let planes = JPEGLosslessTests.planes(format, precision: precision, kind: 1)
            var encoder = Self.encoder(format)
            encoder.isInterleaved = isInterleaved
            let (frame, photometric) = try Self.decode(encoder.encode(planes), format)
            #expect(photometric == .ybrFull)
            #expect(Self.distance(frame, JPEGLosslessTests.frame(planes, format), format) <= 1)
        }
    }

    @Test("subsampled chroma comes back at full resolution", arguments: [8, 12], [(2, 1), (2, 2), (1, 2), (4, 1)])
    func subsampled(precision: Int, factors: (horizontal: Int, vertical: Int)) throws {
        for isPlanar in [false, true] {
            let format = Self.format(20, 22, precision, samples: 3, isPlanar: isPlanar)
            let grey = Self.format(20, 22, precision)
            let luma = JPEGLosslessTests.planes(grey, precision: precision, kind: 1)[0]
            func plane(_ value: Int, _ across: Int, _ down: Int) -> [Int] {
                Array(repeating: value, count: ((22 + across - 1) / across) * ((20 + down - 1) / down))
            }
            var encoder = Self.encoder(format)
            encoder.sampling[0] = factors
            encoder.isInterleaved = !isPlanar
            let (across, down) = factors
            let bytes = encoder.encode([luma, plane(90, across, down), plane(200, across, down)])
            let (frame, _) = try Self.decode(bytes, format)
            let expected = JPEGLosslessTests.frame([luma, plane(90, 1, 1), plane(200, 1, 1)], format)
            #expect(Self.distance(frame, expected, format) <= 1)
        }
    }

    @Test("chroma of 12 bits is enlarged as libjpeg does with 8 bits")
    func enlarged() throws {
        // A step in the chroma: between its two levels lie two samples, nearer to one and to the other.
        for (factors, isAcross) in [((2, 1), true), ((2, 2), true), ((1, 2), false)] {
            let format = Self.format(16, 16, 12, samples: 3)
            let (width, height) = (16 / factors.0, 16 / factors.1)
            let step = (0..<width * height).map { index in
                (isAcross ? index % width < width / 2 : index / width < height / 2) ? 1_000 : 2_000
            }
            var encoder = Self.encoder(format)
            encoder.sampling[0] = factors
            let flat = Array(repeating: 2_048, count: 256)
            var (frame, _) = try Self.decode(
                encoder.encode([flat, step, Array(repeating: 2_048, count: step.count)]),
                format
            )
            var chroma: [Int] = []
            while let pixel = frame.readMultipleIntegers(endianness: .little, as: (UInt16, UInt16, UInt16).self) {
                chroma.append(Int(pixel.1))
            }
            let line = isAcross ? Array(chroma[0..<16]) : (0..<16).map { chroma[$0 * 16] }
            let expected = Array(repeating: 1_000, count: 7) + [1_250, 1_750] + Array(repeating: 2_000, count: 7)
            #expect(zip(line, expected).allSatisfy { abs($0 - $1) <= 1 }, "\(line)")
        }
    }

    @Test("12-bit YCbCr as RGB")
    func deepColour() throws {
        let format = Self.format(8, 8, 12, samples: 3)
        let planes = [1_223, 1_358, 4_095].map { Array(repeating: $0, count: 64) }
        var (frame, photometric) = try Self.decode(Self.encoder(format).encode(planes), format, .rgb)
        #expect(photometric == .rgb)
        let first = frame.readMultipleIntegers(endianness: .little, as: (UInt16, UInt16, UInt16).self)
        let pixel = try #require(first)
        #expect(pixel.0 >= 4_090 && pixel.1 <= 4 && pixel.2 <= 4, "\(pixel)")
    }

    @Test("colour: what decides, and what comes out")
    func colour() throws {
        var format = Self.format(8, 8, 8, samples: 3)
        func plane(_ value: Int) -> [Int] { Array(repeating: value, count: 64) }
        func decode(
            _ marker: JPEGDCTEncoder.Marker,
            _ identifiers: [UInt8],
            _ photometric: Photometric,
            _ colour: JPEGDCTCodec.Colour
        ) throws -> (pixel: [UInt8], photometric: Photometric) {
            format.photometric = photometric
            var encoder = Self.encoder(format)
            (encoder.marker, encoder.identifiers) = (marker, identifiers)
            // Red in YCbCr.
            let (frame, result) = try Self.decode(encoder.encode([plane(76), plane(85), plane(255)]), format, colour)
            return (Array(frame.readableBytesView.prefix(3)), result)
        }
        let stored: [UInt8] = [76, 85, 255]
        let red: [UInt8] = [254, 0, 0]
        let numbers: [UInt8] = [1, 2, 3]
        for (marker, identifiers, photometric, isRGB) in [
            (JPEGDCTEncoder.Marker.none, numbers, Photometric.ybrFull, false),
            (.none, numbers, .ybrSubsampled, false),
            (.none, numbers, .other, false),
            (.none, numbers, .rgb, true),
            (.none, Array("RGB".utf8), .ybrFull, true),
            (.none, Array("rgb".utf8), .ybrFull, true),
            (.jfif, numbers, .rgb, false),
            (.adobe(0), numbers, .ybrFull, true),
            (.adobe(1), numbers, .rgb, false),
        ] {
            let asStored = try decode(marker, identifiers, photometric, .stored)
            #expect(asStored.pixel == stored && asStored.photometric == (isRGB ? .rgb : .ybrFull))
            let asRGB = try decode(marker, identifiers, photometric, .rgb)
            #expect(asRGB.pixel == (isRGB ? stored : red) && asRGB.photometric == .rgb)
        }
    }

    @Test("8-bit streams fill 16 allocated bits")
    func widened() throws {
        let format = PixelFormat(rows: 9, columns: 10, bitsAllocated: 16, bitsStored: 8)
        let planes = JPEGLosslessTests.planes(format, precision: 8, kind: 0)
        let encoder = JPEGDCTEncoder(rows: 9, columns: 10, precision: 8)
        let (frame, _) = try Self.decode(encoder.encode(planes), format)
        #expect(Self.distance(frame, JPEGLosslessTests.frame(planes, format), format) <= 1)
    }

    @Test("lines given by DNL, a spectral end of 0, no EOI, bytes behind EOI", arguments: [8, 12])
    func tolerated(precision: Int) throws {
        let format = Self.format(20, 23, precision)
        let planes = JPEGLosslessTests.planes(format, precision: precision, kind: 1)
        var encoders = Array(repeating: Self.encoder(format), count: 3)
        encoders[0].declaredRows = 0
        encoders[1].spectralEnd = 0
        encoders[2].hasEnd = false
        for encoder in encoders {
            for tail: [UInt8] in [[], [0], [0xFF, 0xD8, 0xFF]] where encoder.hasEnd || tail.count < 2 {
                let (frame, _) = try Self.decode(encoder.encode(planes) + tail, format)
                #expect(Self.distance(frame, JPEGLosslessTests.frame(planes, format), format) <= 1)
            }
        }
    }

    @Test("cut short at every byte", arguments: [8, 12])
    func truncated(precision: Int) throws {
        let format = Self.format(9, 10, precision)
        let bytes = Self.encoder(format).encode(JPEGLosslessTests.planes(format, precision: precision, kind: 0))
        for byteCount in 0..<bytes.count - 2 {
            #expect(throws: CodecError.self, "\(byteCount) of \(bytes.count)") {
                try Self.decode(Array(bytes[..<byteCount]), format)
            }
        }
    }

    @Test("streams that disagree with the format are refused before they are decoded")
    func mismatch() throws {
        let format = Self.format(8, 8, 8)
        func code(_ encoder: JPEGDCTEncoder, _ format: PixelFormat, samples: Int = 1) -> CodecError.Code? {
            do {
                let planes = Array(repeating: Array(repeating: 100, count: 64), count: samples)
                try Self.decode(encoder.encode(planes), format)
                return nil
            } catch { return (error as? CodecError)?.code }
        }
        let good = Self.encoder(format)
        #expect(code(good, format) == nil)
        #expect(code(good, Self.format(8, 9, 8)) == .mismatch)
        #expect(code(good, Self.format(9, 8, 8)) == .mismatch)
        #expect(code(good, Self.format(8, 8, 8, samples: 3)) == .mismatch)
        #expect(code(Self.encoder(Self.format(8, 8, 12)), format) == .mismatch)
        #expect(code(Self.encoder(Self.format(8, 8, 10)), Self.format(8, 8, 12)) == .unsupported)
        var arithmetic = good
        arithmetic.process = 0xC9
        #expect(code(arithmetic, format) == .unsupported)
        var lossless = good
        lossless.process = 0xC3
        #expect(code(lossless, format) == .mismatch)
        var subsampled = Self.encoder(Self.format(8, 8, 12, samples: 3))
        subsampled.sampling = [(3, 1), (2, 1), (1, 1)]
        #expect(code(subsampled, Self.format(8, 8, 12, samples: 3), samples: 3) == .unsupported)
    }
}
