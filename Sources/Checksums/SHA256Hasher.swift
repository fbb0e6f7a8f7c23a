// SPDX-License-Identifier: Apache-2.0

import Crypto
public import NIOCore

/// Computes a SHA-256 digest over bytes that arrive in pieces (swift-crypto underneath).
public struct SHA256Hasher: Sendable {
    private var hasher = SHA256()

    public init() {}

    /// Adds the readable bytes of `buffer`.
    public mutating func update(_ buffer: ByteBuffer) {
        buffer.withUnsafeReadableBytes { bytes in hasher.update(bufferPointer: bytes) }
    }

    /// Adds `bytes`.
    public mutating func update(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bytes in hasher.update(bufferPointer: bytes) }
    }

    /// Adds `bytes`.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        hasher.update(bufferPointer: bytes)
    }

    /// The digest of everything added so far; more may be added afterwards.
    public func digest() -> SHA256Digest {
        hasher.finalize().withUnsafeBytes { bytes in
            func word(_ index: Int) -> UInt64 {
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
            }
            return SHA256Digest(words: (word(0), word(1), word(2), word(3)))
        }
    }

    /// The digest of the readable bytes of `buffer`.
    public static func digest(of buffer: ByteBuffer) -> SHA256Digest {
        var hasher = SHA256Hasher()
        hasher.update(buffer)
        return hasher.digest()
    }
}
