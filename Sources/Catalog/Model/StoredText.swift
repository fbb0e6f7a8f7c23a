// SPDX-License-Identifier: Apache-2.0

/// Text in the form the catalog stores it.
enum StoredText {
    /// The most bytes of a text: a B-tree entry must stay under 2,704.
    static let maximumByteCount = 1024
    /// The most bytes of a Patient ID or issuer; DICOM allows 64 characters (PS3.5 6.2, LO).
    static let maximumKeyByteCount = 512
    /// The most bytes of a UID; DICOM allows 64, some writers exceed it.
    static let maximumUIDByteCount = 128

    /// Without NUL (which Postgres cannot store), without spaces around it, and cut to the limit.
    static func clean(_ text: String) -> String {
        if isClean(text) { return text }
        var bytes = text.utf8.filter { $0 != 0 }[...]
        while bytes.first == UInt8(ascii: " ") { bytes = bytes.dropFirst() }
        if bytes.count > maximumByteCount {
            bytes = bytes.prefix(maximumByteCount)
            // Not in the middle of a character: UTF-8 continues it with 10xxxxxx.
            while let last = bytes.last, last & 0xc0 == 0x80 { bytes = bytes.dropLast() }
            if let last = bytes.last, last & 0xc0 == 0xc0 { bytes = bytes.dropLast() }
        }
        while bytes.last == UInt8(ascii: " ") { bytes = bytes.dropLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func isClean(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            bytes.count <= maximumByteCount && bytes.first != UInt8(ascii: " ") && bytes.last != UInt8(ascii: " ")
                && !bytes.contains(0)
        }
    }

    /// A TM value (PS3.5 6.2) without the colons it had before 1993; empty for what is no time.
    static func time(_ text: String) -> String {
        let digits = clean(text).utf8.filter { $0 != UInt8(ascii: ":") }
        let isTime = digits.allSatisfy {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: ".")
        }
        return isTime && digits.count <= 16 ? String(decoding: digits, as: UTF8.self) : ""
    }
}
