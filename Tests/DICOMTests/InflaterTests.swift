// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Testing

/// Deflate streams that come in pieces.
@Suite struct InflaterTests {
    private static let content = ByteBuffer(bytes: (0..<700_000).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 7) })

    private func inflate(_ stream: ByteBuffer, by step: Int, limit: Int = 1 << 20) throws -> ByteBuffer {
        let inflater = try Inflater(maximumByteCount: limit)
        var (rest, output) = (stream, ByteBuffer())
        while let piece = rest.readSlice(length: min(step, rest.readableBytes)), piece.readableBytes > 0 {
            try inflater.inflate(piece) { output.writeImmutableBuffer($0) }
        }
        try inflater.finish()
        #expect(inflater.byteCount == output.readableBytes)
        return output
    }

    @Test(arguments: [1, 7, 4096, 1 << 20])
    func `pieces of any length give the same`(_ step: Int) throws {
        let stream = try Deflate.deflate(Self.content)
        #expect(try inflate(stream, by: step) == Self.content)
        // Padding to an even length is ignored.
        var padded = stream
        padded.writeInteger(UInt16(0))
        #expect(try inflate(padded, by: step) == Self.content)
    }

    @Test func `a bomb ends at the limit, also in one piece`() throws {
        let bomb = try Deflate.deflate(ByteBuffer(repeating: 0, count: 64 << 20))
        #expect(bomb.readableBytes < 100_000)
        for step in [1000, 1 << 20] {
            let inflater = try Inflater(maximumByteCount: 1 << 20)
            var (rest, count) = (bomb, 0)
            let error = #expect(throws: DICOMError.self) {
                while let piece = rest.readSlice(length: min(step, rest.readableBytes)), piece.readableBytes > 0 {
                    try inflater.inflate(piece) { count += $0.readableBytes }
                }
            }
            #expect(error?.code == .limitExceeded)
            #expect(count < 2 << 20)
        }
    }

    @Test func `a stream that is cut or none is an error`() throws {
        let stream = try Deflate.deflate(Self.content)
        let cut = try #require(stream.getSlice(at: 0, length: stream.readableBytes / 2))
        let truncated = #expect(throws: DICOMError.self) { try inflate(cut, by: 5000) }
        #expect(truncated?.code == .truncated)
        let nothing = #expect(throws: DICOMError.self) { try inflate(ByteBuffer(), by: 5000) }
        #expect(nothing?.code == .truncated)
        let invalid = #expect(throws: DICOMError.self) { try inflate(ByteBuffer(repeating: 0xFF, count: 99), by: 10) }
        #expect(invalid?.code == .invalidDeflateStream)
    }
}
