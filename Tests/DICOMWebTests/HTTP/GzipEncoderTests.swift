// SPDX-License-Identifier: Apache-2.0

import CZlib
import DICOMWeb
import NIOCore
import Testing

@Suite("Gzip in pieces")
struct GzipEncoderTests {
    /// What zlib makes of a whole gzip stream; nil when it is none.
    private func inflated(_ bytes: ByteBuffer, capacity: Int) -> [UInt8]? {
        var stream = z_stream()
        guard inflateInit2_(&stream, MAX_WBITS + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            return nil
        }
        defer { inflateEnd(&stream) }
        var input = Array(bytes.readableBytesView)
        var output = [UInt8](repeating: 0, count: capacity + 1)
        let (status, count) = input.withUnsafeMutableBufferPointer { source in
            output.withUnsafeMutableBufferPointer { target in
                stream.next_in = source.baseAddress
                stream.avail_in = UInt32(source.count)
                stream.next_out = target.baseAddress
                stream.avail_out = UInt32(target.count)
                return (inflate(&stream, Z_FINISH), target.count - Int(stream.avail_out))
            }
        }
        return status == Z_STREAM_END && stream.avail_in == 0 ? Array(output[..<count]) : nil
    }

    @Test("What goes in comes out, whatever the pieces", arguments: [0, 1, 65_536, 1_000_000], [1, 1000, 300_000])
    func roundTrip(byteCount: Int, pieceByteCount: Int) throws {
        guard byteCount / pieceByteCount < 100_000 else { return }
        var generator = SeededGenerator(seed: UInt64(byteCount))
        // Half of it compresses badly, so that zlib gives more than a piece at once.
        let bytes = (0..<byteCount).map { $0 % 200_000 < 100_000 ? UInt8.random(in: 0...255, using: &generator) : 7 }
        let encoder = try GzipEncoder()
        var output: [ByteBuffer] = []
        for start in stride(from: 0, to: byteCount, by: pieceByteCount) {
            output += encoder.append(ByteBuffer(bytes: bytes[start..<min(start + pieceByteCount, byteCount)]))
        }
        output += encoder.finish()
        let stream = output.reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) }
        #expect(inflated(stream, capacity: byteCount) == bytes)
    }

    @Test("Bytes leave before the end, so that memory does not grow with the body")
    func streams() throws {
        var generator = SeededGenerator(seed: 3)
        let encoder = try GzipEncoder()
        var count = 0
        for _ in 0..<16 {
            let piece = ByteBuffer(bytes: (0..<65_536).map { _ in UInt8.random(in: 0...255, using: &generator) })
            count += encoder.append(piece).reduce(0) { $0 + $1.readableBytes }
        }
        #expect(count > 14 * 65_536)
    }
}
