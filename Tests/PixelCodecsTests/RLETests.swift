// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs
import Testing

/// RLE Lossless: bytes as PS3.5 annex G writes them, and every layout back again.
@Suite struct RLETests {
    private static func grey(_ rows: Int, _ columns: Int, _ bits: Int) -> PixelFormat {
        PixelFormat(rows: rows, columns: columns, bitsAllocated: bits, bitsStored: bits)
    }

    static let shapes: [PixelFormat] =
        [1, 3, 4].flatMap { samples in
            [8, 16, 32].flatMap { bits in
                [false, true].compactMap { isPlanar in
                    guard samples * bits / 8 <= 15 else { return nil }
                    return PixelFormat(
                        rows: 11,
                        columns: 13,
                        samplesPerPixel: samples,
                        bitsAllocated: bits,
                        bitsStored: bits,
                        isPlanar: isPlanar,
                        photometric: samples == 1 ? .monochrome : .rgb
                    )
                }
            }
        } + [
            PixelFormat(rows: 5, columns: 7, bitsAllocated: 64, bitsStored: 64),
            PixelFormat(rows: 5, columns: 7, bitsAllocated: 24, bitsStored: 24),
            PixelFormat(rows: 5, columns: 7, samplesPerPixel: 15, bitsAllocated: 8, bitsStored: 8),
            PixelFormat(rows: 5, columns: 7, bitsAllocated: 1, bitsStored: 1),
            PixelFormat(rows: 1, columns: 1, bitsAllocated: 8, bitsStored: 8),
            PixelFormat(rows: 1, columns: 1_000, bitsAllocated: 16, bitsStored: 12),
        ]

    /// `bytes` as a frame decoded by the codec.
    static func decode(_ encoded: ByteBuffer, _ format: PixelFormat) throws -> ByteBuffer {
        try decoded(format) { destination in
            try RLECodec.decode(encoded, format: format, into: destination, scratch: CodecScratch())
        }
    }

    @Test("what goes in comes back", arguments: shapes)
    func roundTrip(format: PixelFormat) throws {
        var generator = SeededGenerator(21)
        for kind in 0..<4 {
            let bytes = (0..<format.frameByteCount).map { index -> UInt8 in
                switch kind {
                case 0: 0
                case 1: UInt8.random(in: 0...255, using: &generator)
                case 2: UInt8.random(in: 0...1, using: &generator)
                default: UInt8(truncatingIfNeeded: index / 150 + (index % 7 == 0 ? 1 : 0))
                }
            }
            let frame = ByteBuffer(bytes: bytes)
            let encoded = try RLECodec.encode(frame, format: format, scratch: CodecScratch())
            #expect(encoded.readableBytes % 2 == 0)
            #expect(try Self.decode(encoded, format) == frame, "\(format.label), seed \(SeededGenerator.seed)")
        }
    }

    @Test("a header and runs byte by byte")
    func golden() throws {
        // 2 rows of 6: a run of 4 and a pair, then literals with a pair within.
        let format = Self.grey(2, 6, 8)
        let frame = ByteBuffer(bytes: [7, 7, 7, 7, 9, 9, 1, 2, 2, 3, 4, 5])
        let encoded = try RLECodec.encode(frame, format: format, scratch: CodecScratch())
        let header: [UInt8] = [1, 0, 0, 0, 64, 0, 0, 0] + Array(repeating: 0, count: 56)
        #expect(Array(encoded.readableBytesView) == header + [253, 7, 255, 9, 5, 1, 2, 2, 3, 4, 5, 0])
    }

    @Test("16-bit samples: the upper bytes are the first segment, each begins at an even offset")
    func byteOrder() throws {
        let format = Self.grey(1, 3, 16)
        let frame = ByteBuffer(bytes: [0x34, 0x12, 0x35, 0x12, 0x36, 0x12])
        let encoded = try RLECodec.encode(frame, format: format, scratch: CodecScratch())
        #expect(Array(encoded.readableBytesView[0..<12]) == [2, 0, 0, 0, 64, 0, 0, 0, 66, 0, 0, 0])
        #expect(Array(encoded.readableBytesView[64...]) == [254, 0x12, 2, 0x34, 0x35, 0x36])
    }

    @Test("control byte 128 says nothing, runs may cross rows, segments may lie in any order")
    func tolerated() throws {
        let format = Self.grey(2, 2, 16)
        // Low bytes first in the stream, high bytes behind them.
        let encoded = Self.stream(
            offsets: [69, 64],
            data: [3, 1, 2, 3, 4, 128, 253, 9]
        )
        #expect(try Self.decode(encoded, format) == ByteBuffer(bytes: [1, 9, 2, 9, 3, 9, 4, 9]))
        // Surplus behind what is needed, padding included.
        let surplus = Self.stream(offsets: [64], data: [255 - 9, 5, 0, 0, 1])
        #expect(try Self.decode(surplus, Self.grey(2, 2, 8)) == ByteBuffer(bytes: [5, 5, 5, 5]))
    }

    @Test("a next segment that begins one byte early")
    func overlapByOne() throws {
        let format = Self.grey(2, 2, 16)
        let encoded = Self.stream(offsets: [64, 68], data: [3, 9, 9, 9, 9, 128, 253, 7])
        // Byte 68 is the last literal of the first segment, and as control byte 9 of the second too many literals.
        #expect(throws: CodecError.self) { try Self.decode(encoded, format) }
        let mended = Self.stream(offsets: [64, 68], data: [3, 9, 9, 9, 128, 253, 7])
        #expect(try Self.decode(mended, format) == ByteBuffer(bytes: [7, 9, 7, 9, 7, 9, 7, 128]))
    }

    @Test("too few bytes are an error that says so")
    func tooShort() throws {
        for data: [UInt8] in [[3, 1, 2, 3], [2, 1, 2, 3], [254, 1], [128, 128], [254]] {
            let encoded = Self.stream(offsets: [64], data: data)
            #expect {
                try Self.decode(encoded, Self.grey(2, 2, 8))
            } throws: { error in
                (error as? CodecError)?.code == .corruptStream && "\(error)".contains("instead of 4")
            }
        }
    }

    @Test("headers that lie")
    func header() throws {
        let format = Self.grey(2, 2, 16)
        let data: [UInt8] = [253, 1, 253, 2]
        let good = Self.stream(offsets: [64, 66], data: data)
        #expect(try Self.decode(good, format).readableBytes == 8)
        for offsets: [UInt32] in [[64, 64], [63, 66], [0, 66], [64, 68], [64, .max], [1 << 31, 66]] {
            #expect { try Self.decode(Self.stream(offsets: offsets, data: data), format) } throws: {
                ($0 as? CodecError)?.code == .corruptStream
            }
        }
        for count: UInt8 in [0, 16, 255] {
            #expect { try Self.decode(good.mutated { $0[0] = count }, format) } throws: {
                ($0 as? CodecError)?.code == .corruptStream
            }
        }
        for count: UInt8 in [1, 3, 15] {
            #expect { try Self.decode(good.mutated { $0[0] = count }, format) } throws: {
                ($0 as? CodecError)?.code == .mismatch
            }
        }
        for byteCount in 0...64 {
            #expect(throws: CodecError.self) {
                try Self.decode(good.getSlice(at: 0, length: byteCount) ?? ByteBuffer(), format)
            }
        }
    }

    @Test("formats that RLE cannot carry")
    func refusals() throws {
        let refused = [
            Self.grey(0, 1, 8), Self.grey(1, 65_536, 8), Self.grey(1, 1, 12), Self.grey(1, 1, 72), Self.grey(1, 1, 0),
            PixelFormat(rows: 2, columns: 2, samplesPerPixel: 4, bitsAllocated: 32, bitsStored: 32),
            PixelFormat(rows: 2, columns: 2, samplesPerPixel: 16, bitsAllocated: 8, bitsStored: 8),
            PixelFormat(rows: 2, columns: 2, samplesPerPixel: 3, bitsAllocated: 1, bitsStored: 1),
            PixelFormat(rows: 65_535, columns: 65_535, bitsAllocated: 8, bitsStored: 8),
            PixelFormat(rows: 2, columns: 2, samplesPerPixel: .max, bitsAllocated: .max, bitsStored: 1),
        ]
        for format in refused {
            #expect(RLECodec.refusal(of: format) != nil, "\(format.label)")
            #expect(throws: CodecError.self) {
                try RLECodec.encode(ByteBuffer(), format: format, scratch: CodecScratch())
            }
        }
        #expect(throws: CodecError.self) {
            try RLECodec.encode(ByteBuffer(repeating: 0, count: 3), format: Self.grey(2, 2, 8), scratch: CodecScratch())
        }
    }

    @Test("changed and cut streams never trap", arguments: shapes)
    func hostile(format: PixelFormat) throws {
        var generator = SeededGenerator(22)
        let bytes = (0..<format.frameByteCount).map { UInt8(truncatingIfNeeded: $0 / 5) }
        let encoded = try RLECodec.encode(ByteBuffer(bytes: bytes), format: format, scratch: CodecScratch())
        for round in 0..<400 {
            var changed = encoded.mutated { bytes in
                let reach = round % 2 == 0 ? min(bytes.count, 70) : bytes.count
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    bytes[Int.random(in: 0..<reach, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
                }
            }
            if round % 5 == 0 {
                let byteCount = Int.random(in: 0...changed.readableBytes, using: &generator)
                changed = changed.getSlice(at: 0, length: byteCount) ?? changed
            }
            if let frame = try? Self.decode(changed, format) {
                #expect(frame.readableBytes == format.frameByteCount, "seed \(SeededGenerator.seed)")
            }
        }
    }

    private static func stream(offsets: [UInt32], data: [UInt8]) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(UInt32(offsets.count), endianness: .little)
        for index in 0..<15 {
            buffer.writeInteger(index < offsets.count ? offsets[index] : 0, endianness: .little)
        }
        buffer.writeBytes(data)
        return buffer
    }
}
