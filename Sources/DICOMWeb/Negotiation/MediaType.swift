// SPDX-License-Identifier: Apache-2.0

/// A media type or media range with its parameters (RFC 9110 §8.3.1, §12.5.1), names in lowercase.
public struct MediaType: Sendable, Hashable, CustomStringConvertible {
    public struct Parameter: Sendable, Hashable {
        /// Lowercase.
        public let name: String
        /// Without quotes.
        public let value: String

        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// Before the slash, lowercase; `*` in a range.
    public let type: String
    /// After the slash, lowercase; `*` in a range.
    public let subtype: String
    public let parameters: [Parameter]

    public init(_ type: String, _ subtype: String, _ parameters: [Parameter] = []) {
        self.type = type
        self.subtype = subtype
        self.parameters = parameters
    }

    /// `type/subtype`, without parameters.
    public var essence: String { "\(type)/\(subtype)" }

    /// The first parameter of this (lowercase) name.
    public func parameter(_ name: String) -> String? {
        parameters.first { $0.name == name }?.value
    }

    /// A header's value: each parameter in quotes unless it is a token.
    public var description: String {
        parameters.reduce(into: essence) { text, parameter in
            let isToken = !parameter.value.isEmpty && parameter.value.utf8.allSatisfy(MediaTypeParser.isToken)
            // By scalars: with a combining mark behind it, a quote is another Character.
            let escaped = parameter.value.unicodeScalars.reduce(into: "") {
                if $1 == "\"" || $1 == "\\" { $0.append("\\") }
                $0.unicodeScalars.append($1)
            }
            text += ";\(parameter.name)=\(isToken ? parameter.value : "\"\(escaped)\"")"
        }
    }

    /// Reads one media type, as in a `Content-Type` header.
    public init(parsing text: some StringProtocol) throws(DICOMWebError) {
        let types = try Self.list(text)
        guard types.count == 1 else { throw DICOMWebError(.badRequest, "exactly one media type is expected") }
        self = types[0]
    }

    /// Reads a list separated by commas, as in an `Accept` header; empty elements are skipped (RFC 9110 §5.6.1).
    public static func list(_ text: some StringProtocol) throws(DICOMWebError) -> [MediaType] {
        var parser = MediaTypeParser(text)
        return try parser.list()
    }
}

/// Reads media types byte by byte; unquoted values may hold what is no token (`type=application/dicom` is common).
private struct MediaTypeParser {
    /// The most media types or parameters in one header.
    static let maximumCount = 64

    private let bytes: [UInt8]
    private var index = 0

    init(_ text: some StringProtocol) { bytes = Array(text.utf8) }

    mutating func list() throws(DICOMWebError) -> [MediaType] {
        var types: [MediaType] = []
        while true {
            skipBlanks()
            if index == bytes.count { return types }
            if take(",") { continue }
            guard types.count < Self.maximumCount else {
                throw DICOMWebError(.badRequest, "more than \(Self.maximumCount) media types")
            }
            types.append(try mediaType())
            skipBlanks()
            guard index == bytes.count || take(",") else { throw Self.malformed }
        }
    }

    private mutating func mediaType() throws(DICOMWebError) -> MediaType {
        let type = token()
        guard !type.isEmpty, take("/") else { throw Self.malformed }
        let subtype = token()
        guard !subtype.isEmpty, type != "*" || subtype == "*" else { throw Self.malformed }
        var parameters: [MediaType.Parameter] = []
        skipBlanks()
        while take(";") {
            skipBlanks()
            let name = token().lowercased()
            // RFC 9110 §5.6.6 allows a semicolon with nothing after it.
            if name.isEmpty { continue }
            guard parameters.count < Self.maximumCount else { throw Self.malformed }
            skipBlanks()
            guard take("=") else { throw Self.malformed }
            skipBlanks()
            parameters.append(MediaType.Parameter(name: name, value: try value()))
            skipBlanks()
        }
        return MediaType(type.lowercased(), subtype.lowercased(), parameters)
    }

    private mutating func value() throws(DICOMWebError) -> String {
        var value: [UInt8] = []
        if take("\"") {
            while true {
                guard index < bytes.count else { throw Self.malformed }
                if take("\"") { return String(decoding: value, as: UTF8.self) }
                if take("\\"), index == bytes.count { throw Self.malformed }
                value.append(bytes[index])
                index += 1
            }
        }
        while index < bytes.count, !" \t;,\"".utf8.contains(bytes[index]) {
            value.append(bytes[index])
            index += 1
        }
        return String(decoding: value, as: UTF8.self)
    }

    private mutating func token() -> String {
        let start = index
        while index < bytes.count, Self.isToken(bytes[index]) { index += 1 }
        return String(decoding: bytes[start..<index], as: UTF8.self)
    }

    private mutating func skipBlanks() {
        while index < bytes.count, bytes[index] == UInt8(ascii: " ") || bytes[index] == UInt8(ascii: "\t") {
            index += 1
        }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard index < bytes.count, bytes[index] == UInt8(ascii: character) else { return false }
        index += 1
        return true
    }

    /// `tchar` of RFC 9110 §5.6.2.
    static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    private static let malformed = DICOMWebError(
        .badRequest,
        "the media type is malformed: type/subtype;name=value is expected (RFC 9110 section 8.3.1)"
    )
}
