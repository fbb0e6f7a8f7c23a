// SPDX-License-Identifier: Apache-2.0

import DirectIO
import Foundation
import NIOConcurrencyHelpers
import NIOCore
import Testing

/// What is written past the page cache or through it is there, and reads alike from memory and from the disk.
@Suite struct DirectWritingTests {
    private static func with(_ body: (CInt) throws -> Void) throws {
        let path = NSTemporaryDirectory() + "/varve-direct-\(UUID().uuidString)"
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        defer {
            close(descriptor)
            unlink(path)
        }
        try body(descriptor)
    }

    private static func pattern(_ count: Int, _ seed: Int = 0) -> ByteBuffer {
        ByteBuffer(bytes: (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9 &+ seed) })
    }

    @Test(
        arguments: [
            [4096], [1, 4095, 4096], [9 << 20], [100_000, 0, 31_072], [5000], [4096, 10], [],
            [Int](repeating: 7, count: 2000), [Int](repeating: 64, count: 1024),
        ]
    )
    func everyWriteReadsBack(sizes: [Int]) throws {
        try Self.with { descriptor in
            let writing = DirectWriting()
            let direct = NIOLockedValueBox<DirectWriting.Descriptor?>(nil)
            var all = ByteBuffer()
            var offset: UInt64 = 0
            // Twice, the second behind the first, which may end anywhere.
            for round in 0..<2 {
                let buffers = sizes.enumerated().map { Self.pattern($1, $0 + round) }
                #expect(writing.write(buffers, at: offset, descriptor: descriptor, direct: direct) == 0)
                for buffer in buffers { all.writeImmutableBuffer(buffer) }
                offset = UInt64(all.readableBytes)
            }
            #expect(fsync(descriptor) == 0)
            let count = all.readableBytes
            var inMemory = ByteBuffer()
            inMemory.writeWithUnsafeMutableBytes(minimumWritableBytes: count + 1) {
                max(0, pread(descriptor, $0.baseAddress, count + 1, 0))
            }
            #expect(inMemory == all)
            let onDisk = try DirectReading.read(descriptor, at: 0, byteCount: count + 1)
            #expect(onDisk == nil || onDisk == all)
        }
    }

    @Test(arguments: [(0, 1), (1, 4095), (4095, 2), (10_000, 5_000), (19_999, 100), (20_000, 1), (50_000, 1)])
    func anyRangeIsRead(offset: Int, byteCount: Int) throws {
        try Self.with { descriptor in
            let bytes = Self.pattern(20_000)
            let direct = NIOLockedValueBox<DirectWriting.Descriptor?>(nil)
            #expect(DirectWriting().write([bytes], at: 0, descriptor: descriptor, direct: direct) == 0)
            #expect(fsync(descriptor) == 0)
            let read = try DirectReading.read(descriptor, at: UInt64(offset), byteCount: byteCount)
            let start = min(offset, 20_000)
            #expect(read == nil || read == bytes.getSlice(at: start, length: min(byteCount, 20_000 - start)))
        }
    }

    @Test func whatCanNotBeWrittenSaysWhy() {
        let direct = NIOLockedValueBox<DirectWriting.Descriptor?>(nil)
        #expect(DirectWriting().write([Self.pattern(4096)], at: 0, descriptor: -1, direct: direct) == EBADF)
    }
}
