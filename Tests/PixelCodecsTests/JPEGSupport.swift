// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs
import Testing

/// A frame of `format` that `decode` filled, between guard bytes that it must leave alone.
func decoded(
    _ format: PixelFormat,
    _ decode: (UnsafeMutableRawBufferPointer) throws -> Void
) throws -> ByteBuffer {
    let guardByteCount = 64
    let byteCount = format.frameByteCount
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount + 2 * guardByteCount, alignment: 16)
    defer { block.deallocate() }
    block.initializeMemory(as: UInt8.self, repeating: 0xA5)
    let frame = UnsafeMutableRawBufferPointer(rebasing: block[guardByteCount..<guardByteCount + byteCount])
    defer {
        let before = block[..<guardByteCount].allSatisfy { $0 == 0xA5 }
        let after = block[(guardByteCount + byteCount)...].allSatisfy { $0 == 0xA5 }
        #expect(before && after, "bytes around the frame were written")
    }
    try decode(frame)
    return ByteBuffer(bytes: frame)
}
