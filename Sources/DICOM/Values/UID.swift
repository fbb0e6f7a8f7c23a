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
        try self.init(validating: Array(text.utf8))
    }

    /// Checks the bytes of a UI value; trailing NULs and spaces around it are not significant.
    public init(validating bytes: [UInt8]) throws(DICOMError) {
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
        for index in start..<end where !(bytes[index] == 0x2E || (bytes[index] >= 0x30 && bytes[index] <= 0x39)) {
            throw DICOMError(.invalidUID, "byte \(index) of the UID is neither a digit nor a dot")
        }
        self.string = String(decoding: bytes[start..<end], as: UTF8.self)
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
