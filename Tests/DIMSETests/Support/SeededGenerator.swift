// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore

/// SplitMix64.
///
/// The seed is printed, and taken from `VARVE_TEST_SEED` to repeat a run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(_ purpose: String) {
        let given = ProcessInfo.processInfo.environment["VARVE_TEST_SEED"].flatMap { UInt64($0) }
        self.state = given ?? UInt64.random(in: 0...UInt64.max)
        print("\(purpose): VARVE_TEST_SEED=\(self.state)")
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var value = self.state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

/// The bytes that hexadecimal text stands for; blanks are skipped.
func bytes(_ hex: String) -> ByteBuffer {
    let digits = hex.compactMap(\.hexDigitValue)
    precondition(digits.count.isMultiple(of: 2), "hexadecimal test data comes in pairs of digits")
    var buffer = ByteBuffer()
    for index in stride(from: 0, to: digits.count, by: 2) {
        buffer.writeInteger(UInt8(digits[index] << 4 | digits[index + 1]))
    }
    return buffer
}
