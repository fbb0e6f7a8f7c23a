// SPDX-License-Identifier: Apache-2.0

/// A data element tag: group and element number, `(gggg,eeee)`.
public struct Tag: Hashable, Comparable, Sendable {
    /// Group in the upper 16 bits, element in the lower.
    public var rawValue: UInt32

    @inlinable
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    @inlinable
    public init(_ group: UInt16, _ element: UInt16) {
        self.rawValue = UInt32(group) << 16 | UInt32(element)
    }

    @inlinable public var group: UInt16 { UInt16(truncatingIfNeeded: self.rawValue >> 16) }
    @inlinable public var element: UInt16 { UInt16(truncatingIfNeeded: self.rawValue) }

    /// Private elements have an odd group number (PS3.5 section 7.8).
    @inlinable public var isPrivate: Bool { self.rawValue & 0x0001_0000 != 0 }

    /// `(gggg,0010)` to `(gggg,00FF)` of an odd group: the name of the owner of a private block.
    @inlinable public var isPrivateCreator: Bool { self.isPrivate && (0x10...0xFF).contains(self.element) }

    /// `(gggg,0000)`: the byte count of the rest of its group (retired but for groups 0000 and 0002).
    @inlinable public var isGroupLength: Bool { self.element == 0 }

    /// True for Pixel Data, Float Pixel Data and Double Float Pixel Data.
    @inlinable public var isPixelData: Bool {
        self == .pixelData || self == .floatPixelData || self == .doubleFloatPixelData
    }

    @inlinable
    public static func < (left: Self, right: Self) -> Bool {
        left.rawValue < right.rawValue
    }

    /// The tag written as eight hexadecimal digits, as in DICOM JSON: `00100010`.
    public var hexadecimal: String {
        let digits = String(self.rawValue, radix: 16, uppercase: true)
        return String(repeating: "0", count: 8 - digits.utf8.count) + digits
    }

    /// Parses `00100010`, `0010,0010` or `(0010,0010)`.
    public init?(hexadecimal text: some StringProtocol) {
        var value: UInt32 = 0
        var count = 0
        for byte in text.utf8 {
            if byte == UInt8(ascii: ",") || byte == UInt8(ascii: "(") || byte == UInt8(ascii: ")") { continue }
            guard count < 8, let digit = Self.hexadecimalDigit(byte) else { return nil }
            value = value << 4 | digit
            count += 1
        }
        guard count == 8 else { return nil }
        self.rawValue = value
    }

    static func hexadecimalDigit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case 0x30...0x39: UInt32(byte - 0x30)
        case 0x41...0x46: UInt32(byte - 0x41 + 10)
        case 0x61...0x66: UInt32(byte - 0x61 + 10)
        default: nil
        }
    }
}

extension Tag: CustomStringConvertible {
    /// `(0010,0010)`, as the standard writes it.
    public var description: String {
        let digits = self.hexadecimal
        return "(\(digits.prefix(4)),\(digits.suffix(4)))"
    }
}
