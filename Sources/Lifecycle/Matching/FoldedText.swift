// SPDX-License-Identifier: Apache-2.0

/// A text as it is compared: without spaces at its ends, in lower case.
public struct FoldedText: Hashable, Sendable {
    /// UTF-8.
    let bytes: [UInt8]

    public init(_ text: some StringProtocol) {
        self.bytes = Self.fold(text)
    }

    static func fold(_ text: some StringProtocol) -> [UInt8] {
        let folded = Array(text.lowercased().utf8)
        let isPadding = { (byte: UInt8) in byte == 0x20 || byte == 0x00 }
        guard let first = folded.firstIndex(where: { !isPadding($0) }),
            let last = folded.lastIndex(where: { !isPadding($0) })
        else { return [] }
        return Array(folded[first...last])
    }
}

/// A pattern for texts: `*` stands for any characters or none, `?` for one; capitals and small letters are the same.
public struct TextPattern: Hashable, Sendable {
    /// As it was written.
    public let text: String
    private let bytes: [UInt8]

    public init(_ text: String) {
        self.text = text
        self.bytes = FoldedText.fold(text)
    }

    private static let anything = UInt8(ascii: "*")
    private static let anyCharacter = UInt8(ascii: "?")

    /// Whether the whole text is as the pattern says.
    ///
    /// Time is at most the product of the two lengths: only the last `*` is ever tried again.
    public func matches(_ text: FoldedText) -> Bool {
        let text = text.bytes
        var (inPattern, inText) = (0, 0)
        var retry: (inPattern: Int, inText: Int)?
        while inText < text.count {
            if inPattern < bytes.count, bytes[inPattern] == Self.anything {
                inPattern += 1
                retry = (inPattern, inText)
            } else if inPattern < bytes.count, bytes[inPattern] == Self.anyCharacter {
                inPattern += 1
                inText = Self.endOfCharacter(at: inText, in: text)
            } else if inPattern < bytes.count, bytes[inPattern] == text[inText] {
                inPattern += 1
                inText += 1
            } else if let last = retry {
                // The `*` takes one character more.
                inPattern = last.inPattern
                inText = Self.endOfCharacter(at: last.inText, in: text)
                retry = (inPattern, inText)
            } else {
                return false
            }
        }
        return bytes[inPattern...].allSatisfy { $0 == Self.anything }
    }

    /// The first byte after the character (a Unicode scalar) at `index`.
    private static func endOfCharacter(at index: Int, in text: [UInt8]) -> Int {
        var end = index + 1
        while end < text.count, text[end] & 0xC0 == 0x80 { end += 1 }
        return end
    }
}
