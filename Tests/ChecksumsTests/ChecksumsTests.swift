// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Testing

@Suite struct ChecksumsTests {
    @Test func `CRC-32C agrees with the published check value and continues over pieces`() {
        let bytes = Array("123456789".utf8)
        #expect(CRC32C.checksum(of: bytes) == 0xE306_9283)
        #expect(CRC32C.checksum(of: ByteBuffer(bytes: bytes)) == 0xE306_9283)
        let first = Array(bytes.prefix(4)).withUnsafeBytes { CRC32C.checksum(of: $0) }
        let whole = Array(bytes.dropFirst(4)).withUnsafeBytes { CRC32C.checksum(of: $0, continuing: first) }
        #expect(whole == 0xE306_9283)
        #expect(CRC32C.checksum(of: [UInt8]()) == 0)
    }

    @Test func `CRC-32 is that of ZIP and continues over pieces`() {
        #expect(CRC32.checksum(of: ByteBuffer(string: "123456789")) == 0xCBF4_3926)
        let first = CRC32.checksum(of: ByteBuffer(string: "1234"))
        #expect(CRC32.checksum(of: ByteBuffer(string: "56789"), continuing: first) == 0xCBF4_3926)
        #expect(CRC32.checksum(of: ByteBuffer()) == 0)
    }

    @Test func `SHA-256 agrees with FIPS 180-4 and its forms convert`() throws {
        let digest = SHA256Hasher.digest(of: ByteBuffer(string: "abc"))
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        #expect(digest.description == text)
        #expect(SHA256Digest(hexadecimal: text) == digest)
        #expect(SHA256Digest(digest.bytes) == digest)
        #expect(SHA256Digest(hexadecimal: text.dropLast()) == nil)
        var pieces = SHA256Hasher()
        pieces.update(Array("a".utf8))
        pieces.update(ByteBuffer(string: "bc"))
        #expect(pieces.digest() == digest)
    }
}
