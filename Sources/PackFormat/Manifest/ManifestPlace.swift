// SPDX-License-Identifier: Apache-2.0

package import Checksums

/// Where the manifest is and what its SHA-256 is: the comment of the ZIP, always 111 bytes at the very end.
///
/// `varve-pack 1 OFFSET LENGTH SHA256`, numbers as 16 hexadecimal digits. The end of a pack is found and checked by it
/// without a search, and a person sees it with `unzip -z`.
package struct ManifestPlace: Hashable, Sendable {
    /// Offset of the manifest's first byte in the pack.
    package var offset: UInt64
    package var byteCount: UInt64
    package var digest: SHA256Digest

    private static let prefix = "varve-pack "
    private static let version = "1"
    /// Bytes of the comment.
    package static let commentByteCount = 111

    package init(offset: UInt64, byteCount: UInt64, digest: SHA256Digest) {
        self.offset = offset
        self.byteCount = byteCount
        self.digest = digest
    }

    package var comment: String {
        "\(Self.prefix)\(Self.version) \(Hexadecimal.text(offset)) \(Hexadecimal.text(byteCount)) \(digest)"
    }

    /// Reads the comment; its length is checked by the caller.
    init(comment: String) throws(PackError) {
        guard comment.hasPrefix(Self.prefix) else {
            throw PackError(.notAPack, "this is a ZIP, but not one that Varve wrote: its comment is another")
        }
        let fields = comment.dropFirst(Self.prefix.count).split(separator: " ", omittingEmptySubsequences: false)
        guard fields.first == Self.version[...] else {
            throw PackError(.unsupportedVersion, "this is a pack of a later version; read it with a later Varve")
        }
        guard fields.count == 4, let offset = Hexadecimal.number(fields[1]),
            let byteCount = Hexadecimal.number(fields[2]),
            let digest = SHA256Digest(hexadecimal: fields[3])
        else { throw PackError(.damaged, "the comment at the pack's end does not say where the manifest is") }
        self.init(offset: offset, byteCount: byteCount, digest: digest)
        guard self.comment == comment else {
            throw PackError(.damaged, "the comment at the pack's end is not written as a pack's is")
        }
    }
}

/// Numbers of a fixed width.
enum Hexadecimal {
    /// All digits of the number, lowercase: 16 for 64 bits.
    static func text(_ number: some FixedWidthInteger & UnsignedInteger) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: type(of: number).bitWidth / 4 - digits.utf8.count) + digits
    }

    static func number(_ text: some StringProtocol) -> UInt64? {
        text.utf8.count == 16 ? UInt64(text, radix: 16) : nil
    }
}
