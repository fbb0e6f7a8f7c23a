// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement

/// The counterparts of ``PayloadReader``'s reads.
extension ByteBuffer {
    mutating func writeLittle(_ value: some FixedWidthInteger) {
        writeInteger(value, endianness: .little)
    }

    mutating func writeClaim(_ claim: Bool) {
        writeInteger(UInt8(claim ? 1 : 0))
    }

    mutating func writeShortText(_ text: String) {
        let text = text.cut(toByteCount: HelloIdentity.maximumTextByteCount)
        writeInteger(UInt8(text.utf8.count))
        writeString(text)
    }

    mutating func writeText(_ text: String) {
        let text = text.cut(toByteCount: ReplicationError.maximumMessageByteCount)
        writeLittle(UInt16(text.utf8.count))
        writeString(text)
    }

    mutating func writeIdentifier(high: UInt64, low: UInt64) {
        writeMultipleIntegers(high, low, endianness: .big)
    }

    mutating func writeRecordID(_ id: RecordID) {
        writeIdentifier(high: id.high, low: id.low)
    }

    mutating func writeDigest(_ digest: SHA256Digest) {
        writeMultipleIntegers(digest.words.0, digest.words.1, digest.words.2, digest.words.3, endianness: .big)
    }
}

extension String {
    /// As many whole characters from the start as fit into `byteCount` bytes of UTF-8.
    func cut(toByteCount byteCount: Int) -> String {
        guard utf8.count > byteCount else { return self }
        var end = utf8.index(utf8.startIndex, offsetBy: byteCount)
        while end > startIndex, end.samePosition(in: unicodeScalars) == nil {
            end = utf8.index(before: end)
        }
        return String(self[..<end])
    }
}
