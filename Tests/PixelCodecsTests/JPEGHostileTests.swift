// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs
import Testing

/// Thousands of changed streams: none may trap, hang, or write beside the frame.
@Suite struct JPEGHostileTests {
    private struct Sample {
        let format: PixelFormat
        let bytes: [UInt8]
    }

    private static func lossless() -> [Sample] {
        [(8, 1, true, 0), (12, 1, true, 2), (16, 1, true, 0), (8, 3, true, 0), (16, 3, false, 3)].map {
            precision,
            samples,
            isInterleaved,
            restartRows in
            let format = JPEGLosslessTests.format(precision, samples: samples, isPlanar: !isInterleaved)
            var encoder = JPEGLosslessEncoder(rows: format.rows, columns: format.columns, precision: precision)
            encoder.predictor = precision % 7 + 1
            encoder.isInterleaved = isInterleaved
            encoder.restartRows = restartRows
            encoder.counts = JPEGLosslessEncoder.skewed
            let planes = JPEGLosslessTests.planes(format, precision: precision, kind: 0)
            return Sample(format: format, bytes: encoder.encode(planes))
        }
    }

    private static func transformed() -> [Sample] {
        [(8, 1, 0), (12, 1, 0), (8, 3, 2), (12, 3, 2), (8, 3, 0)].map { precision, samples, restartInterval in
            let format = JPEGDCTTests.format(17, 19, precision, samples: samples, isPlanar: restartInterval > 0)
            var encoder = JPEGDCTTests.encoder(format)
            encoder.restartInterval = restartInterval
            encoder.isInterleaved = restartInterval == 0
            let planes = JPEGLosslessTests.planes(format, precision: precision, kind: 0)
            return Sample(format: format, bytes: encoder.encode(planes))
        }
    }

    /// Changes bytes, cuts, repeats and removes pieces.
    private static func mutate(_ bytes: inout [UInt8], _ round: Int, _ generator: inout SeededGenerator) {
        // Half of the changes go to the headers, where they hurt.
        let reach = round % 2 == 0 ? min(bytes.count, 120) : bytes.count
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            let offset = Int.random(in: 0..<reach, using: &generator)
            switch Int.random(in: 0..<8, using: &generator) {
            case 0: bytes[offset] = 0xFF
            case 1: bytes[offset] = 0
            case 2: bytes[offset] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            default: bytes[offset] = UInt8.random(in: 0...255, using: &generator)
            }
        }
        if round % 7 == 0 { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &generator)) }
        if round % 11 == 0, bytes.count > 8 {
            let start = Int.random(in: 0..<bytes.count - 4, using: &generator)
            let end = min(bytes.count, start + Int.random(in: 1...40, using: &generator))
            if round % 2 == 0 {
                bytes.insert(contentsOf: bytes[start..<end], at: start)
            } else {
                bytes.removeSubrange(start..<end)
            }
        }
    }

    @Test("changed lossless streams")
    func losslessStreams() throws {
        var generator = SeededGenerator(41)
        for sample in Self.lossless() {
            for round in 0..<1_000 {
                var bytes = sample.bytes
                Self.mutate(&bytes, round, &generator)
                do {
                    let frame = try JPEGLosslessTests.decode(bytes, sample.format)
                    #expect(frame.readableBytes == sample.format.frameByteCount, "seed \(SeededGenerator.seed)")
                } catch {
                    #expect(error is CodecError)
                }
            }
        }
    }

    @Test("changed DCT streams", arguments: JPEGDCTCodec.Colour.allCases)
    func transformedStreams(colour: JPEGDCTCodec.Colour) throws {
        var generator = SeededGenerator(42)
        for sample in Self.transformed() {
            for round in 0..<1_000 {
                var bytes = sample.bytes
                Self.mutate(&bytes, round, &generator)
                do {
                    let (frame, _) = try JPEGDCTTests.decode(bytes, sample.format, colour)
                    #expect(frame.readableBytes == sample.format.frameByteCount, "seed \(SeededGenerator.seed)")
                } catch {
                    #expect(error is CodecError)
                }
            }
        }
    }

    @Test("rubbish behind SOI")
    func rubbish() throws {
        var generator = SeededGenerator(43)
        let format = JPEGLosslessTests.format(8)
        for byteCount in 2..<400 {
            let bytes = [0xFF, 0xD8, 0xFF] + (0..<byteCount).map { _ in UInt8.random(in: 0...255, using: &generator) }
            #expect(throws: CodecError.self) { try JPEGLosslessTests.decode(bytes, format) }
            #expect(throws: CodecError.self) { try JPEGDCTTests.decode(bytes, format) }
        }
    }

    @Test("a small stream that claims a large frame costs its claim only where the format agrees")
    func largeClaim() throws {
        let format = JPEGLosslessTests.format(8)
        let bytes = try JPEGStreamTests.stream(JPEGLosslessEncoder(rows: 9, columns: 13, precision: 12)) { bytes in
            let offset = try #require(JPEGStreamTests.offset(of: 0xC3, in: bytes))
            bytes.replaceSubrange(offset + 5..<offset + 9, with: [0xFF, 0xFF, 0xFF, 0xFF])
        }
        #expect {
            try JPEGLosslessTests.decode(bytes, format)
        } throws: { error in
            (error as? CodecError)?.code == .mismatch
        }
    }
}
