// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// The repertoire of a data set's text: the parsed value of Specific Character Set (0008,0005).
///
/// Terms that are misspelt in known ways are understood; unknown ones decode as Latin-1, without failing.
public struct SpecificCharacterSet: Hashable, Sendable {
    /// The first holds at the start of each value, escape sequences switch to the others; empty is ASCII.
    let repertoires: [Repertoire]

    /// ISO-IR 6, which holds where nothing else is said.
    public static let `default` = SpecificCharacterSet(repertoires: [])
    public static let utf8 = SpecificCharacterSet(repertoires: [.utf8])

    init(repertoires: [Repertoire]) {
        self.repertoires = repertoires
    }

    /// Parses the value of (0008,0005).
    public init(value: ByteBuffer) {
        guard value.readableBytes > 0 else {
            self = .default
            return
        }
        let terms = value.readableBytesView.split(separator: 0x5C, omittingEmptySubsequences: false)
        var repertoires = terms.map { Repertoire(term: $0) }
        if repertoires.count > 1, let alone = repertoires.first(where: { !$0.allowsExtensions }) {
            // UTF-8, GB18030 and GBK take no extensions and extend nothing (PS3.3 section C.12.1.1.2).
            repertoires = [alone]
        }
        self.repertoires = repertoires == [.ascii] ? [] : repertoires
    }

    /// The text of a whole value of representation `vr`, not split, padding kept.
    public func decode(_ bytes: ByteBuffer, vr: VR = .ut) -> String {
        if Self.isPlainASCII(bytes) {
            return String(buffer: bytes)
        }
        return self.decoder(for: vr).decode(Array(bytes.readableBytesView))
    }

    func decoder(for vr: VR) -> TextDecoder {
        TextDecoder(repertoires: self.repertoires, isName: vr == .pn)
    }

    /// The values of text of representation `vr`: split at backslashes where it has several, decoded, trimmed.
    public func decodeValues(_ bytes: ByteBuffer, vr: VR) -> [String] {
        let isPlain = Self.isPlainASCII(bytes)
        if !vr.allowsMultipleTextValues {
            let text = isPlain || !vr.usesSpecificCharacterSet ? Self.latin1OrASCII(bytes, isPlain) : self.decode(bytes)
            return [Self.trim(text, vr: vr)]
        }
        if isPlain || !vr.usesSpecificCharacterSet {
            let text = Self.latin1OrASCII(bytes, isPlain)
            return text.utf8.split(separator: 0x5C, omittingEmptySubsequences: false).map {
                Self.trim(String($0) ?? "", vr: vr)
            }
        }
        let decoder = self.decoder(for: vr)
        return decoder.splitValues(Array(bytes.readableBytesView)).map { Self.trim(decoder.decode(Array($0)), vr: vr) }
    }

    private static func latin1OrASCII(_ bytes: ByteBuffer, _ isPlain: Bool) -> String {
        if isPlain { return String(buffer: bytes) }
        return TextDecoder(repertoires: [.latin1], isName: false).decode(Array(bytes.readableBytesView))
    }

    /// True when there is neither a byte above 7FH nor an escape.
    static func isPlainASCII(_ bytes: ByteBuffer) -> Bool {
        bytes.readableBytesView.allSatisfy { $0 < 0x80 && $0 != 0x1B }
    }

    /// Takes padding away: trailing spaces and NULs; leading spaces too where PS3.5 calls them insignificant.
    static func trim(_ text: String, vr: VR) -> String {
        var view = text.utf8[...]
        while let last = view.last, last == 0x20 || last == 0 { view.removeLast() }
        switch vr {
        case .lt, .st, .ut, .uc, .ur: break
        default: while view.first == 0x20 { view.removeFirst() }
        }
        return view.count == text.utf8.count ? text : String(view) ?? text
    }
}
