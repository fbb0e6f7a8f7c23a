// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs
import Testing

/// Marker segments as writers really write them, and as nobody should; by way of lossless streams.
@Suite struct JPEGStreamTests {
    static let format = JPEGLosslessTests.format(12)
    static let planes = JPEGLosslessTests.planes(format, precision: 12, kind: 0)
    static let frame = JPEGLosslessTests.frame(planes, format)

    static func encoder() -> JPEGLosslessEncoder {
        JPEGLosslessEncoder(rows: format.rows, columns: format.columns, precision: 12)
    }

    static func offset(of marker: UInt8, in bytes: [UInt8]) -> Int? {
        bytes.indices.dropLast().first { bytes[$0] == 0xFF && bytes[$0 + 1] == marker }
    }

    /// A stream with `change` made to it.
    static func stream(
        _ encoder: JPEGLosslessEncoder = encoder(),
        _ change: (inout [UInt8]) throws -> Void
    ) rethrows -> [UInt8] {
        var bytes = encoder.encode(planes)
        try change(&bytes)
        return bytes
    }

    private func expectWhole(_ bytes: [UInt8]) throws {
        #expect(try JPEGLosslessTests.decode(bytes, Self.format) == Self.frame)
    }

    private func expect(_ code: CodecError.Code, _ bytes: [UInt8], _ format: PixelFormat = Self.format) {
        #expect {
            try JPEGLosslessTests.decode(bytes, format)
        } throws: { error in
            (error as? CodecError)?.code == code
        }
    }

    @Test("the number of lines may come behind the first scan")
    func lateRows() throws {
        var encoder = Self.encoder()
        encoder.declaredRows = 0
        try expectWhole(encoder.encode(Self.planes))
        let without = try Self.stream(encoder) { bytes in
            let offset = try #require(Self.offset(of: 0xDC, in: bytes))
            bytes.removeSubrange(offset..<offset + 6)
        }
        expect(.corruptStream, without)
        let other = try Self.stream(encoder) { bytes in
            let offset = try #require(Self.offset(of: 0xDC, in: bytes))
            bytes[offset + 5] = 200
        }
        expect(.mismatch, other)
    }

    @Test("EOI may be missing, with or without a padding byte; what follows it does not matter")
    func ends() throws {
        var encoder = Self.encoder()
        encoder.hasEnd = false
        for tail: [UInt8] in [
            [], [0], [0xFF], [0, 0], [0xFF, 0xFF, 0xD9], [0xFF, 0xD9, 0], [0xFF, 0xD9, 0xFF, 0xD8, 1],
        ] {
            try expectWhole(encoder.encode(Self.planes) + tail)
        }
    }

    @Test("fill bytes before any marker")
    func fillBytes() throws {
        var encoder = Self.encoder()
        encoder.restartRows = 2
        let bytes = Self.stream(encoder) { bytes in
            for index in bytes.indices.reversed() where index > 0 && bytes[index] == 0xFF && bytes[index + 1] >= 0xC0 {
                bytes.insert(contentsOf: [0xFF, 0xFF], at: index)
            }
        }
        try expectWhole(bytes)
    }

    @Test("segments of applications and comments are passed over")
    func applications() throws {
        for marker: UInt8 in [0xE0, 0xE5, 0xEE, 0xEF, 0xFE] {
            for content: [UInt8] in [[], [1], Array(repeating: 0xFF, count: 40)] {
                let segment = [0xFF, marker, 0, UInt8(content.count + 2)] + content
                try expectWhole(Self.stream { $0.insert(contentsOf: segment, at: 2) })
            }
        }
    }

    @Test("restart markers: surplus ones are ignored, missing and misnumbered ones are damage")
    func restartMarkers() throws {
        var encoder = Self.encoder()
        encoder.restartRows = 3
        let bytes = encoder.encode(Self.planes)
        let first = try #require(Self.offset(of: 0xD0, in: bytes))
        try expectWhole(Self.stream(encoder) { $0.insert(contentsOf: [0xFF, 0xD2], at: $0.count - 2) })
        expect(.corruptStream, Self.stream(encoder) { $0[first + 1] = 0xD1 })
        expect(.corruptStream, Self.stream(encoder) { $0.removeSubrange(first..<first + 2) })
        expect(.corruptStream, Self.stream { $0.insert(contentsOf: [0xFF, 0xD0], at: $0.count / 2) })
    }

    @Test("restarts within a row, subsampling and other predictors are named as unsupported")
    func unsupported() throws {
        let interval: [UInt8] = [0xFF, 0xDD, 0, 4, 0, 5]
        expect(.unsupported, Self.stream { $0.insert(contentsOf: interval, at: 2) })
        for predictor in [0, 8, 255] {
            var encoder = Self.encoder()
            encoder.predictor = predictor
            expect(.unsupported, encoder.encode(Self.planes))
        }
        let colour = JPEGLosslessTests.format(8, samples: 3)
        let planes = JPEGLosslessTests.planes(colour, precision: 8, kind: 0)
        var bytes = JPEGLosslessEncoder(rows: 9, columns: 13, precision: 8).encode(planes)
        bytes[(Self.offset(of: 0xC3, in: bytes) ?? 0) + 11] = 0x21
        expect(.unsupported, bytes, colour)
    }

    @Test("other processes")
    func processes() throws {
        for (marker, code) in [
            (UInt8(0xC0), CodecError.Code.mismatch), (0xC1, .mismatch), (0xC2, .mismatch), (0xC5, .unsupported),
            (0xC9, .unsupported), (0xCB, .unsupported), (0xF7, .mismatch), (0xC8, .corruptStream),
        ] {
            let bytes = try Self.stream { bytes in
                let offset = try #require(Self.offset(of: 0xC3, in: bytes))
                bytes[offset + 1] = marker
            }
            expect(code, bytes)
        }
    }

    @Test("images that the format does not know")
    func mismatch() {
        let bytes = Self.encoder().encode(Self.planes)
        var others = Array(repeating: Self.format, count: 4)
        others[0].rows += 1
        others[1].columns -= 1
        others[2].samplesPerPixel = 3
        (others[3].bitsAllocated, others[3].bitsStored, others[3].highBit) = (8, 8, 7)
        for other in others { expect(.mismatch, bytes, other) }
        var format = Self.format
        format.bitsAllocated = 32
        expect(.unsupported, bytes, format)
    }

    @Test("segments out of place, doubled, or with wrong lengths")
    func damage() throws {
        let bytes = Self.encoder().encode(Self.planes)
        let frame = try #require(Self.offset(of: 0xC3, in: bytes))
        let table = try #require(Self.offset(of: 0xC4, in: bytes))
        let scan = try #require(Self.offset(of: 0xDA, in: bytes))
        expect(.corruptStream, [])
        expect(.corruptStream, Array(bytes.dropFirst()))
        expect(.corruptStream, Array(bytes[..<2]) + bytes[table...])
        expect(.corruptStream, Array(bytes[..<table]) + bytes[scan...])
        expect(.corruptStream, Array(bytes[..<scan]) + [0xFF, 0xD9])
        expect(.corruptStream, Array(bytes[..<table]) + bytes[frame...])
        for (offset, values) in [
            (frame + 3, [UInt8(0), 1, 10, 255]), (table + 3, [0, 1, 18, 255]), (scan + 3, [0, 5, 9, 255]),
            // A table of class 2, code lengths that overflow, a symbol that is no category.
            (table + 4, [0x20, 0x04]), (table + 5, [3, 255]), (table + 21, [17, 255]),
            // A component of another name, a table that is not there, and a point transform of all bits.
            (scan + 5, [9]), (scan + 6, [0x10, 0xF0]), (scan + 9, [12, 15]),
        ] {
            for value in values {
                #expect(throws: CodecError.self, "byte \(offset) is \(value)") {
                    var bytes = bytes
                    bytes[offset] = value
                    return try JPEGLosslessTests.decode(bytes, Self.format)
                }
            }
        }
    }

    @Test("coded data left over are damage, padding and a word too many are not")
    func surplus() throws {
        for (content, isWhole): ([UInt8], Bool) in [
            ([1, 2, 3, 4, 5, 6, 7], true), (Array(repeating: 0, count: 100), true),
            (Array(repeating: 1, count: 12), false), (Array(repeating: 0, count: 100) + [1], false),
        ] {
            let bytes = Self.stream { $0.insert(contentsOf: content, at: $0.count - 2) }
            if isWhole { try expectWhole(bytes) } else { expect(.corruptStream, bytes) }
        }
        // A row that is there, but that SOF does not count.
        var format = Self.format
        format.rows -= 1
        let bytes = try Self.stream { bytes in
            let offset = try #require(Self.offset(of: 0xC3, in: bytes))
            bytes[offset + 6] -= 1
        }
        expect(.corruptStream, bytes, format)
    }

    @Test("cut short at every byte")
    func truncated() {
        for predictor in [1, 7] {
            var encoder = Self.encoder()
            encoder.predictor = predictor
            let bytes = encoder.encode(Self.planes)
            for byteCount in 0..<bytes.count - 2 {
                #expect(throws: CodecError.self, "\(byteCount) of \(bytes.count)") {
                    try JPEGLosslessTests.decode(Array(bytes[..<byteCount]), Self.format)
                }
            }
        }
    }
}
