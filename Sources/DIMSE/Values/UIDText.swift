// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Reads and checks UIDs as PDUs and command sets carry them.
///
/// UIDs travel as plain strings here: this target needs their identity, never their parts.
public enum UIDText {
    /// The longest UID (PS3.5 section 9).
    public static let maximumByteCount = 64

    /// Whether a text is 1 to 64 digits and dots.
    ///
    /// Leading zeros in components, which some devices write, are let through.
    public static func isValid(_ text: some StringProtocol) -> Bool {
        let utf8 = text.utf8
        return (1...Self.maximumByteCount).contains(utf8.count)
            && utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: ".") }
    }

    /// The UID in a field, without its padding (NULs by the standard, spaces by habit), or nil where
    /// the field holds something else.
    static func read(_ field: ByteBuffer) -> String? {
        let text = Self.trimmed(field)
        return Self.isValid(text) ? text : nil
    }

    /// A field as text without trailing NULs and surrounding spaces.
    static func trimmed(_ field: ByteBuffer) -> String {
        var bytes = field.readableBytesView[...]
        while let last = bytes.last, last == 0x20 || last == 0x00 {
            bytes = bytes.dropLast()
        }
        while let first = bytes.first, first == 0x20 {
            bytes = bytes.dropFirst()
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The Verification SOP class.
    public static let verification = "1.2.840.10008.1.1"
    /// The DICOM application context name (PS3.7 annex A).
    public static let applicationContext = "1.2.840.10008.3.1.1.1"
    /// Implicit VR little endian, the default transfer syntax.
    public static let implicitVRLittleEndian = "1.2.840.10008.1.2"
    /// Explicit VR little endian.
    public static let explicitVRLittleEndian = "1.2.840.10008.1.2.1"
    /// Explicit VR big endian, retired.
    public static let explicitVRBigEndian = "1.2.840.10008.1.2.2"
}
