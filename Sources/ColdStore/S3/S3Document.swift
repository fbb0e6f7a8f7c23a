// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// The few XML answers of S3: a tree of elements and their texts, nothing else of XML.
///
/// Attributes, comments and declarations are passed over. Document types are refused, so no entity is ever expanded but the
/// five of XML and numbers.
package struct S3Document: Hashable, Sendable {
    package struct Element: Hashable, Sendable {
        package var name: String
        package var text = ""
        package var children: [Element] = []

        package func child(_ name: String) -> Element? { children.first { $0.name == name } }
    }

    package let root: Element

    /// Elements within each other.
    package static let maximumNesting = 16

    /// `nil` when it is not such a document.
    package init?(_ bytes: ByteBuffer) {
        guard let text = String(validating: bytes.readableBytesView, as: UTF8.self),
            let root = Self.parse(text.utf8[...])
        else { return nil }
        self.root = root
    }

    /// With the characters escaped that an element's text must not have.
    package static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            default: result.append(character)
            }
        }
    }

    private static func parse(_ bytes: Substring.UTF8View) -> Element? {
        var rest = bytes
        // Those that are open; the first is not of the document.
        var open = [Element(name: "")]
        while let start = rest.firstIndex(of: UInt8(ascii: "<")) {
            guard let text = unescaped(rest[..<start]) else { return nil }
            open[open.count - 1].text += text
            rest = rest[rest.index(after: start)...]
            if rest.starts(with: "!--".utf8) {
                guard let end = index(behind: "-->", in: rest) else { return nil }
                rest = rest[end...]
                continue
            }
            guard let end = rest.firstIndex(of: UInt8(ascii: ">")) else { return nil }
            let tag = rest[..<end]
            rest = rest[rest.index(after: end)...]
            switch tag.first {
            case UInt8(ascii: "?"): continue
            case UInt8(ascii: "!"), nil: return nil
            case UInt8(ascii: "/"):
                guard open.count > 1, let element = open.popLast(), Self.name(tag.dropFirst()) == element.name else {
                    return nil
                }
                open[open.count - 1].children.append(element)
            default:
                let element = Element(name: name(tag))
                guard !element.name.isEmpty, open.count <= maximumNesting else { return nil }
                if tag.last == UInt8(ascii: "/") {
                    open[open.count - 1].children.append(element)
                } else {
                    open.append(element)
                }
            }
        }
        guard open.count == 1, open[0].children.count == 1 else { return nil }
        return open[0].children[0]
    }

    /// The name at a tag's start, without its namespace.
    private static func name(_ tag: Substring.UTF8View) -> String {
        let whole = tag.prefix { $0 > 0x20 && $0 != UInt8(ascii: "/") }
        let colon = whole.firstIndex(of: UInt8(ascii: ":")).map { whole.index(after: $0) } ?? whole.startIndex
        return String(Substring(whole[colon...]))
    }

    private static func index(behind end: String, in bytes: Substring.UTF8View) -> Substring.UTF8View.Index? {
        var rest = bytes
        while !rest.isEmpty {
            if rest.starts(with: end.utf8) { return rest.index(rest.startIndex, offsetBy: end.utf8.count) }
            rest = rest.dropFirst()
        }
        return nil
    }

    private static func unescaped(_ bytes: Substring.UTF8View) -> String? {
        guard bytes.contains(UInt8(ascii: "&")) else { return String(Substring(bytes)) }
        var result = ""
        var rest = bytes
        while let start = rest.firstIndex(of: UInt8(ascii: "&")) {
            result += String(Substring(rest[..<start]))
            rest = rest[rest.index(after: start)...]
            guard let end = rest.firstIndex(of: UInt8(ascii: ";")),
                let scalar = scalar(named: String(Substring(rest[..<end])))
            else { return nil }
            result.unicodeScalars.append(scalar)
            rest = rest[rest.index(after: end)...]
        }
        return result + String(Substring(rest))
    }

    private static func scalar(named name: String) -> Unicode.Scalar? {
        switch name {
        case "amp": return "&"
        case "lt": return "<"
        case "gt": return ">"
        case "quot": return "\""
        case "apos": return "'"
        default:
            guard name.hasPrefix("#") else { return nil }
            let digits = name.dropFirst()
            let number = digits.hasPrefix("x") ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
            return number.flatMap { Unicode.Scalar($0) }
        }
    }
}

/// One page of a list.
package struct S3Page: Sendable {
    /// Keys as the bucket has them, with their lengths.
    package let objects: [(key: String, byteCount: UInt64)]
    /// What to ask for the next page with; `nil` after the last.
    package let continuation: String?

    package init?(_ document: S3Document) {
        guard document.root.name == "ListBucketResult" else { return nil }
        var objects: [(key: String, byteCount: UInt64)] = []
        for element in document.root.children where element.name == "Contents" {
            guard let key = element.child("Key")?.text, let byteCount = UInt64(element.child("Size")?.text ?? "") else {
                return nil
            }
            objects.append((key: key, byteCount: byteCount))
        }
        self.objects = objects
        let isTruncated = document.root.child("IsTruncated")?.text == "true"
        self.continuation = isTruncated ? document.root.child("NextContinuationToken")?.text : nil
        // A page that is not the last and says not how to go on would end a list early, unnoticed.
        if isTruncated && continuation == nil { return nil }
    }
}

/// Uploads that were begun and not finished.
package struct S3Uploads: Sendable {
    /// Keys as the bucket has them, and the ids of their uploads.
    package let uploads: [(key: String, id: String)]

    package init?(_ document: S3Document) {
        guard document.root.name == "ListMultipartUploadsResult" else { return nil }
        var uploads: [(key: String, id: String)] = []
        for element in document.root.children where element.name == "Upload" {
            guard let key = element.child("Key")?.text, let id = element.child("UploadId")?.text, !id.isEmpty else {
                return nil
            }
            uploads.append((key: key, id: id))
        }
        self.uploads = uploads
    }
}
