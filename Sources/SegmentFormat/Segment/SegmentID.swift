// SPDX-License-Identifier: Apache-2.0

/// The number of a segment on its disk: rises by at least one with each new segment and is never used again.
public struct SegmentID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Reads the name of a segment file, `<16 hexadecimal digits>.seg`; `nil` for anything else.
    public init?(fileName: String) {
        let suffix = ".seg"
        guard fileName.utf8.count == 16 + suffix.utf8.count, fileName.hasSuffix(suffix) else { return nil }
        var value: UInt64 = 0
        for character in fileName.utf8.prefix(16) {
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(character - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(character - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        self.rawValue = value
    }

    /// 16 lowercase hexadecimal digits.
    public var description: String {
        let digits = String(rawValue, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    /// The name of the segment's file.
    public var fileName: String { description + ".seg" }

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}
