// SPDX-License-Identifier: Apache-2.0

/// The 128 bits behind a node's or a cluster's identity, written as a UUID (RFC 9562 §4).
package struct Identifier128: Hashable, Comparable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package static func < (left: Self, right: Self) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }

    /// 32 hexadecimal digits, hyphens anywhere between them; `nil` for anything else.
    package init?(_ text: some StringProtocol) {
        self.init(digits: Array(text.utf8).span)
    }

    /// The same, of a text's bytes.
    package init?(digits: Span<UInt8>) {
        var words: (high: UInt64, low: UInt64) = (0, 0)
        var count = 0
        for index in digits.indices where digits[index] != UInt8(ascii: "-") {
            let character = digits[index]
            let nibble: UInt8
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): nibble = character - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): nibble = character - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): nibble = character - UInt8(ascii: "A") + 10
            default: return nil
            }
            guard count < 32 else { return nil }
            words.high = words.high << 4 | words.low >> 60
            words.low = words.low << 4 | UInt64(nibble)
            count += 1
        }
        guard count == 32 else { return nil }
        self.high = words.high
        self.low = words.low
    }

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Lowercase, in groups of 8-4-4-4-12 digits.
    package var text: String {
        let digits: [UInt8] = Array("0123456789abcdef".utf8)
        var characters: [UInt8] = []
        for index in 0..<32 {
            if [8, 12, 16, 20].contains(index) { characters.append(UInt8(ascii: "-")) }
            let word = index < 16 ? high : low
            characters.append(digits[Int(truncatingIfNeeded: word >> UInt64(60 - 4 * (index % 16))) & 15])
        }
        return String(decoding: characters, as: UTF8.self)
    }
}
