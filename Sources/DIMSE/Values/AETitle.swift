// SPDX-License-Identifier: Apache-2.0

/// An application entity title: 1 to 16 characters of the default repertoire.
///
/// PS3.5 section 6.2: leading and trailing spaces are not significant; backslash and control
/// characters are excluded. Trailing NULs, which some devices pad with, are dropped too.
public struct AETitle: Hashable, Sendable, CustomStringConvertible {
    /// Bytes of the fixed field in the A-ASSOCIATE PDUs.
    public static let fieldByteCount = 16

    /// The title without padding.
    public let value: String

    /// Checks and trims a title.
    public init(_ text: some StringProtocol) throws(DIMSEError) {
        try self.init(bytes: Array(text.utf8))
    }

    /// Checks and trims the bytes of a title, as an A-ASSOCIATE PDU carries them.
    public init(bytes: some BidirectionalCollection<UInt8>) throws(DIMSEError) {
        var trimmed = bytes[...]
        while let last = trimmed.last, last == 0x20 || last == 0x00 {
            trimmed = trimmed.dropLast()
        }
        trimmed = trimmed.drop { $0 == 0x20 }
        guard !trimmed.isEmpty else {
            throw DIMSEError(.invalidAETitle, "an AE title needs at least one character that is not a space")
        }
        guard trimmed.count <= Self.fieldByteCount else {
            throw DIMSEError(.invalidAETitle, "an AE title has at most 16 characters, not \(trimmed.count)")
        }
        for byte in trimmed where byte < 0x20 || byte >= 0x7F || byte == UInt8(ascii: "\\") {
            throw DIMSEError(.invalidAETitle, "an AE title cannot contain the byte \(byte)")
        }
        self.value = String(decoding: trimmed, as: UTF8.self)
    }

    public var description: String { self.value }
}
