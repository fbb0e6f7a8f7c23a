// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import SegmentStore
import Testing

/// What goes past the page cache, and what goes through it, reads back alike.
@Suite struct RealFileTests {
    @Test(
        "every write reads back",
        arguments: [
            (offset: 0, sizes: [4096]),
            (offset: 4096, sizes: [1, 4095]),
            (offset: 8192, sizes: [100_000, 0, 31_072]),
            // More than is filled at a time, its end in the middle of a buffer.
            (offset: 0, sizes: [3 << 20, 1_500_000, (6 << 20) - 1_500_000]),
            // No whole blocks.
            (offset: 4096, sizes: [5000]),
            (offset: 10, sizes: [8192]),
        ]
    )
    func readsBack(offset: Int, sizes: [Int]) throws {
        let path = NSTemporaryDirectory() + "/varve-direct-\(UUID().uuidString)"
        defer { unlink(path) }
        let file = try RealDisk().createFile(path)
        var all = ByteBuffer()
        let buffers = sizes.enumerated().map { index, size in
            let piece = ByteBuffer(bytes: (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9 &+ index) })
            all.writeImmutableBuffer(piece)
            return piece
        }
        try file.write(buffers, at: UInt64(offset))
        try file.sync()
        #expect(try file.read(at: UInt64(offset), byteCount: all.readableBytes + 1) == all)
        // The same again over pages that the read has brought into the cache.
        let zeros = ByteBuffer(repeating: 0, count: all.readableBytes)
        try file.write([zeros], at: UInt64(offset))
        #expect(try file.read(at: UInt64(offset), byteCount: all.readableBytes) == zeros)
    }
}
