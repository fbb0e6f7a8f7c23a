// SPDX-License-Identifier: Apache-2.0

/// A unique identifier: 1 to 64 bytes of digits and dots (PS3.5 section 9.1).
///
/// Lenient where archives must be: leading zeros in a component and empty components are accepted, since files
/// with them exist and a UID is only ever compared. Padding is not part of it.
public struct UID: Hashable, Sendable, CustomStringConvertible {
    public let string: String

    /// The longest UID of PS3.5.
    public static let maximumByteCount = 64

    /// Checks `text`; trailing NULs and spaces around it are not significant.
    public init(validating text: some StringProtocol) throws(DICOMError) {
        try self.init(Array(text.utf8), isLenient: false)
    }

    /// Checks the bytes of a UI value; trailing NULs and spaces around it are not significant.
    public init(validating bytes: [UInt8]) throws(DICOMError) {
        try self.init(bytes, isLenient: false)
    }

    /// Accepts letters, `-` and `_` as well, which some anonymisers write.
    ///
    /// Still safe in URLs and file names. For identifiers that come with stored instances, which must not be refused
    /// for their looks.
    public init(lenient text: some StringProtocol) throws(DICOMError) {
        try self.init(Array(text.utf8), isLenient: true)
    }

    /// True for digits and dots only, as PS3.5 wants it.
    public var isConformant: Bool {
        self.string.utf8.allSatisfy { Self.isDigitOrDot($0) }
    }

    private init(_ bytes: [UInt8], isLenient: Bool) throws(DICOMError) {
        var start = 0
        var end = bytes.count
        while end > start, bytes[end - 1] == 0 || bytes[end - 1] == 0x20 { end -= 1 }
        while start < end, bytes[start] == 0x20 { start += 1 }
        guard end > start else {
            throw DICOMError(.invalidUID, "the UID is empty")
        }
        guard end - start <= Self.maximumByteCount else {
            throw DICOMError(.invalidUID, "the UID has \(end - start) bytes; 64 are allowed")
        }
        var hasOthersThanDots = false
        for index in start..<end {
            let byte = bytes[index]
            guard Self.isDigitOrDot(byte) || (isLenient && Self.isLetterOrDash(byte)) else {
                throw DICOMError(.invalidUID, "byte \(index) of the UID is neither a digit nor a dot")
            }
            if byte != 0x2E { hasOthersThanDots = true }
        }
        // `.` and `..` would be directories.
        guard hasOthersThanDots else {
            throw DICOMError(.invalidUID, "the UID has no digits")
        }
        self.string = String(decoding: bytes[start..<end], as: UTF8.self)
    }

    private static func isDigitOrDot(_ byte: UInt8) -> Bool {
        byte == 0x2E || (byte >= 0x30 && byte <= 0x39)
    }

    private static func isLetterOrDash(_ byte: UInt8) -> Bool {
        (byte >= 0x41 && byte <= 0x5A) || (byte >= 0x61 && byte <= 0x7A) || byte == 0x2D || byte == 0x5F
    }

    /// For literals of this module, which its tests check.
    init(unchecked string: String) {
        self.string = string
    }

    public var description: String { self.string }
}

extension UID: Comparable {
    /// By bytes, not by components: an order for stable lists.
    public static func < (left: Self, right: Self) -> Bool {
        left.string < right.string
    }
}
