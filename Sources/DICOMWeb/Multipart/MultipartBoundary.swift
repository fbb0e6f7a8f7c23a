// SPDX-License-Identifier: Apache-2.0

/// The delimiter between the parts of a multipart body (RFC 2046 §5.1.1).
public struct MultipartBoundary: Sendable, Hashable {
    /// 1 to 200 characters, the last no space.
    public let text: String

    /// The most characters of a boundary that came in a header.
    ///
    /// RFC 2046 allows 70; Orthanc's DICOMweb plugin sends 73, two UUIDs.
    public static let maximumByteCount = 200

    /// A boundary of 128 random bits: it is in no body by anything but malice, and malice would have to guess it.
    public init(using generator: inout some RandomNumberGenerator) {
        var words = [generator.next() as UInt64, generator.next()]
        var characters = Array("varve-".utf8)
        let digits = Array("0123456789abcdef".utf8)
        for index in words.indices {
            for _ in 0..<16 {
                characters.append(digits[Int(truncatingIfNeeded: words[index] & 15)])
                words[index] >>= 4
            }
        }
        self.text = String(decoding: characters, as: UTF8.self)
    }

    /// A boundary that came in a header; `nil` when it can't be one.
    public init?(_ text: String) {
        guard (1...Self.maximumByteCount).contains(text.utf8.count), text.last != " " else { return nil }
        guard text.utf8.allSatisfy(Self.isAllowed) else { return nil }
        self.text = text
    }

    /// `bchars` of RFC 2046 §5.1.1.
    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: "'()+_,-./:=? ".utf8.contains(byte)
        }
    }
}
