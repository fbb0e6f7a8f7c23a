// SPDX-License-Identifier: Apache-2.0

/// Percent-encoding of URIs (RFC 3986 §2.1).
public enum PercentCoding {
    /// Decodes `%XX`; with `plusIsSpace` also `+`, as HTML forms and most HTTP libraries write a space in a query.
    ///
    /// Throws when an escape is malformed, when the result is not UTF-8, or when it holds a control character: none
    /// is ever part of a UID, a keyword or a value to match.
    public static func decode(
        _ text: some StringProtocol,
        plusIsSpace: Bool = false
    ) throws(DICOMWebError) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        var iterator = text.utf8.makeIterator()
        while let byte = iterator.next() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = iterator.next().flatMap(nibble), let low = iterator.next().flatMap(nibble) else {
                    throw DICOMWebError(.badRequest, "a % in the URL is not followed by two hexadecimal digits")
                }
                bytes.append(high << 4 | low)
            case UInt8(ascii: "+") where plusIsSpace:
                bytes.append(UInt8(ascii: " "))
            default:
                bytes.append(byte)
            }
        }
        guard !bytes.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw DICOMWebError(.badRequest, "the URL holds a control character")
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw DICOMWebError(.badRequest, "the URL is not UTF-8")
        }
        return decoded
    }

    /// Encodes everything but the unreserved characters of RFC 3986 §2.3, so that the text is safe anywhere in a URL.
    public static func encode(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default: result += (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
            }
        }
        return result
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
