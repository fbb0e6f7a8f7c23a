// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import FuzzHarness
import NIOCore

/// Range headers against representations of any length.
///
/// Input: four bytes of length, big endian, then the header.
enum RangeFuzz {
    static let target = FuzzTarget("range", maximumByteCount: 128, seeds: seeds, run: run)

    static func run(_ input: ByteBuffer) {
        var bytes = input
        let byteCount = Int(bytes.readInteger(as: UInt32.self) ?? 0)
        let header = String(buffer: bytes)
        switch ByteRange(header, byteCount: byteCount) {
        case .whole, .unsatisfiable: break
        case .part(let range):
            FuzzTarget.check(!range.isEmpty, "an empty range is served: \(header) of \(byteCount)")
            FuzzTarget.check(
                range.lowerBound >= 0 && range.upperBound <= byteCount,
                "a range beyond the representation: \(header) of \(byteCount)"
            )
            let plain = "bytes=\(range.lowerBound)-\(range.upperBound - 1)"
            FuzzTarget.check(
                ByteRange(plain, byteCount: byteCount) == .part(range),
                "\(plain) of \(byteCount) is not what it says"
            )
        }
    }

    private static func seeds(_ files: [ByteBuffer]) -> [ByteBuffer] {
        let headers = [
            "bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0", "bytes=5-3", "Bytes = 1-2", "bytes=0-0,2-3", "lines=1-2",
            "bytes=18446744073709551616-", "bytes=-18446744073709551616", "bytes=2-18446744073709551616", "bytes=9-",
        ]
        return [0, 1, 9, UInt32.max].flatMap { (byteCount: UInt32) in
            headers.map { header in
                var seed = ByteBuffer(integer: byteCount)
                seed.writeString(header)
                return seed
            }
        }
    }
}
