// SPDX-License-Identifier: Apache-2.0

import Checksums
public import NIOCore

/// Computes the table of CRC32Cs, one per 64 KiB of a payload, over bytes that arrive in pieces of any size.
public struct BlockChecksums: Sendable {
    private var complete: [UInt32] = []
    private var current: UInt32 = 0
    private var currentByteCount = 0

    public init() {}

    /// Adds the readable bytes of `buffer`.
    public mutating func update(_ buffer: ByteBuffer) {
        unsafe buffer.withUnsafeReadableBytes { bytes in
            var offset = 0
            while offset < bytes.count {
                let count = min(SegmentLayout.checksumBlockByteCount - currentByteCount, bytes.count - offset)
                current = unsafe CRC32C.checksum(
                    of: UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)]),
                    continuing: current
                )
                currentByteCount += count
                offset += count
                if currentByteCount == SegmentLayout.checksumBlockByteCount { finishBlock() }
            }
        }
    }

    /// The table for the bytes added so far; more may be added afterwards.
    public var table: [UInt32] {
        currentByteCount == 0 ? complete : complete + [current]
    }

    /// The table for the whole of `payload`.
    public static func table(of payload: ByteBuffer) -> [UInt32] {
        var checksums = BlockChecksums()
        checksums.update(payload)
        return checksums.table
    }

    private mutating func finishBlock() {
        complete.append(current)
        current = 0
        currentByteCount = 0
    }
}
