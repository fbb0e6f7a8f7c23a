// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs
import Testing

/// JPEG lossless against an encoder of the tests' own: every predictor, precision and arrangement.
@Suite struct JPEGLosslessTests {
    static func decode(_ bytes: [UInt8], _ format: PixelFormat) throws -> ByteBuffer {
        try decoded(format) { destination in
            try JPEGLosslessCodec.decode(
                ByteBuffer(bytes: bytes),
                format: format,
                into: destination,
                scratch: CodecScratch()
            )
        }
    }

    /// Planes of samples: a ramp with noise, noise alone, or extremes.
    static func planes(_ format: PixelFormat, precision: Int, kind: Int) -> [[Int]] {
        var generator = SeededGenerator(31 + UInt64(kind))
        let top = (1 << precision) - 1
        return (0..<format.samplesPerPixel).map { component in
            (0..<format.rows * format.columns).map { index in
                switch kind {
                case 0: (index * 3 + component + Int.random(in: 0...2, using: &generator)) & top
                case 1: Int.random(in: 0...top, using: &generator)
                default: Bool.random(using: &generator) ? top : 0
                }
            }
        }
    }

    /// The native frame of `planes`.
    static func frame(_ planes: [[Int]], _ format: PixelFormat) -> ByteBuffer {
        var frame = ByteBuffer()
        func write(_ sample: Int) {
            if format.bitsAllocated == 8 {
                frame.writeInteger(UInt8(truncatingIfNeeded: sample))
            } else {
                frame.writeInteger(UInt16(truncatingIfNeeded: sample), endianness: .little)
            }
        }
        if format.isPlanar {
            for sample in planes.joined() { write(sample) }
        } else {
            for index in planes[0].indices {
                for plane in planes { write(plane[index]) }
            }
        }
        return frame
    }

    static func format(_ precision: Int, samples: Int = 1, isPlanar: Bool = false) -> PixelFormat {
        PixelFormat(
            rows: 9,
            columns: 13,
            samplesPerPixel: samples,
            bitsAllocated: precision > 8 ? 16 : 8,
            bitsStored: precision,
            isPlanar: isPlanar,
            photometric: samples == 1 ? .monochrome : .rgb
        )
    }

    @Test("every predictor and precision", arguments: 1...7, 2...16)
    func predictors(predictor: Int, precision: Int) throws {
        let format = Self.format(precision)
        for kind in 0..<3 {
            let planes = Self.planes(format, precision: precision, kind: kind)
            for (counts, isReversed) in [(JPEGLosslessEncoder.flat, false), (JPEGLosslessEncoder.skewed, kind > 0)] {
                var encoder = JPEGLosslessEncoder(rows: format.rows, columns: format.columns, precision: precision)
                encoder.predictor = predictor
                encoder.counts = counts
                if isReversed { encoder.categories.reverse() }
                let decoded = try Self.decode(encoder.encode(planes), format)
                #expect(decoded == Self.frame(planes, format), "kind \(kind), seed \(SeededGenerator.seed)")
            }
        }
    }

    @Test("three components, interleaved or apart, into both layouts", arguments: [8, 12, 16], [false, true])
    func components(precision: Int, isPlanar: Bool) throws {
        let format = Self.format(precision, samples: 3, isPlanar: isPlanar)
        for predictor in 1...7 {
            for isInterleaved in [false, true] {
                let planes = Self.planes(format, precision: precision, kind: predictor % 3)
                var encoder = JPEGLosslessEncoder(rows: format.rows, columns: format.columns, precision: precision)
                encoder.predictor = predictor
                encoder.isInterleaved = isInterleaved
                encoder.restartRows = predictor % 2 == 0 ? 2 : 0
                #expect(try Self.decode(encoder.encode(planes), format) == Self.frame(planes, format))
            }
        }
    }

    @Test("the prediction starts anew behind each restart marker", arguments: 1...10)
    func restarts(restartRows: Int) throws {
        let format = Self.format(12)
        let planes = Self.planes(format, precision: 12, kind: 0)
        for predictor in 1...7 {
            var encoder = JPEGLosslessEncoder(rows: format.rows, columns: format.columns, precision: 12)
            encoder.predictor = predictor
            encoder.restartRows = restartRows
            #expect(try Self.decode(encoder.encode(planes), format) == Self.frame(planes, format))
        }
    }

    @Test("the point transform drops low bits, which come back as zeros", arguments: 1...6)
    func pointTransform(bits: Int) throws {
        for precision in [8, 16] {
            let format = Self.format(precision)
            let planes = Self.planes(format, precision: precision, kind: 1)
            var encoder = JPEGLosslessEncoder(rows: format.rows, columns: format.columns, precision: precision)
            encoder.pointTransform = bits
            encoder.predictor = 7
            let expected = planes.map { $0.map { ($0 >> bits) << bits } }
            #expect(try Self.decode(encoder.encode(planes), format) == Self.frame(expected, format))
        }
    }

    @Test("a difference of 32,768 has no bits behind its code")
    func largestDifference() throws {
        let format = PixelFormat(rows: 2, columns: 2, bitsAllocated: 16, bitsStored: 16)
        let planes = [[0, 32_768, 0, 65_535]]
        let encoder = JPEGLosslessEncoder(rows: 2, columns: 2, precision: 16)
        #expect(try Self.decode(encoder.encode(planes), format) == Self.frame(planes, format))
    }

    @Test("one row, one column, one pixel", arguments: [(1, 1), (1, 40), (40, 1)])
    func small(rows: Int, columns: Int) throws {
        let format = PixelFormat(rows: rows, columns: columns, bitsAllocated: 16, bitsStored: 12)
        let planes = Self.planes(format, precision: 12, kind: 1)
        for predictor in 1...7 {
            var encoder = JPEGLosslessEncoder(rows: rows, columns: columns, precision: 12)
            encoder.predictor = predictor
            #expect(try Self.decode(encoder.encode(planes), format) == Self.frame(planes, format))
        }
    }

    @Test("signed samples are extended from the stream's precision, not when that is below Bits Stored")
    func signs() throws {
        func samples(stored: Int, precision: Int, _ values: [Int]) throws -> [Int16] {
            let format = PixelFormat(rows: 1, columns: 4, bitsAllocated: 16, bitsStored: stored, isSigned: true)
            let encoder = JPEGLosslessEncoder(rows: 1, columns: 4, precision: precision)
            let bytes = encoder.encode([values.map { $0 & ((1 << precision) - 1) }])
            var frame = try Self.decode(bytes, format)
            return values.indices.map { _ in frame.readInteger(endianness: .little) ?? 0 }
        }
        #expect(try samples(stored: 12, precision: 12, [-1, 5, -2_048, 2_047]) == [-1, 5, -2_048, 2_047])
        #expect(try samples(stored: 12, precision: 13, [-1, 5, -2_048, 2_047]) == [-1, 5, -2_048, 2_047])
        #expect(try samples(stored: 16, precision: 16, [-1, 5, -32_768, 2_047]) == [-1, 5, -32_768, 2_047])
        #expect(try samples(stored: 16, precision: 12, [4_095, 5, 2_048, 2_047]) == [4_095, 5, 2_048, 2_047])
    }

    @Test("streams of 8 bits and less fill 16 allocated bits too")
    func widened() throws {
        let format = PixelFormat(rows: 9, columns: 13, bitsAllocated: 16, bitsStored: 8)
        let planes = Self.planes(format, precision: 8, kind: 1)
        let encoder = JPEGLosslessEncoder(rows: 9, columns: 13, precision: 8)
        #expect(try Self.decode(encoder.encode(planes), format) == Self.frame(planes, format))
    }

    @Test("a precision that is too small for the samples loses nothing")
    func wrongPrecision() throws {
        let format = PixelFormat(rows: 9, columns: 13, bitsAllocated: 16, bitsStored: 12)
        let planes = Self.planes(format, precision: 12, kind: 0)
        let encoder = JPEGLosslessEncoder(rows: 9, columns: 13, precision: 10)
        #expect(try Self.decode(encoder.encode(planes), format) == Self.frame(planes, format))
    }
}
