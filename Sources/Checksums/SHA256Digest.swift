// SPDX-License-Identifier: Apache-2.0

/// A SHA-256 digest (FIPS 180-4): 32 bytes, held inline and compared as a value.
public struct SHA256Digest: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number of bytes in a digest.
    public static let byteCount = 32

    /// The digest's bytes as four big-endian words, first byte most significant.
    public let words: (UInt64, UInt64, UInt64, UInt64)

    /// Makes a digest from four big-endian words.
    public init(words: (UInt64, UInt64, UInt64, UInt64)) {
        self.words = words
    }

    /// Makes a digest from 32 bytes; `nil` for any other count.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        var iterator = bytes.makeIterator()
        func word() -> UInt64 {
            var value: UInt64 = 0
            for _ in 0..<8 { value = value << 8 | UInt64(iterator.next() ?? 0) }
            return value
        }
        let first = word()
        let second = word()
        let third = word()
        self.words = (first, second, third, word())
    }

    /// Makes a digest from 64 hexadecimal digits; `nil` for anything else.
    public init?(hexadecimal text: some StringProtocol) {
        var bytes: [UInt8] = []
        var high: UInt8?
        for character in text.utf8 {
            let nibble: UInt8
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): nibble = character - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): nibble = character - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): nibble = character - UInt8(ascii: "A") + 10
            default: return nil
            }
            if let first = high {
                bytes.append(first << 4 | nibble)
                high = nil
            } else {
                high = nibble
            }
        }
        guard high == nil else { return nil }
        self.init(bytes)
    }

    /// The digest's 32 bytes.
    public var bytes: [UInt8] {
        [words.0, words.1, words.2, words.3].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) }
        }
    }

    /// 64 lowercase hexadecimal digits.
    public var description: String {
        let digits: [UInt8] = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    public static func == (left: Self, right: Self) -> Bool {
        left.words == right.words
    }

    public static func < (left: Self, right: Self) -> Bool {
        left.words < right.words
    }

    public func hash(into hasher: inout Hasher) {
        // Any 64 bits of a digest are as good as all of them.
        hasher.combine(words.0)
    }
}
