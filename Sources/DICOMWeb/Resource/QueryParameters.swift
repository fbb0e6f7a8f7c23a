// SPDX-License-Identifier: Apache-2.0

/// The parameters of a URL's query, decoded, in the order they came.
public struct QueryParameters: Sendable, Hashable {
    /// The most parameters a query may have.
    public static let maximumCount = 256
    /// The most bytes a query may have before decoding.
    public static let maximumByteCount = 64 * 1024

    /// One `name=value`; a parameter without `=` has an empty value.
    public struct Parameter: Sendable, Hashable {
        public let name: String
        public let value: String

        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    public let parameters: [Parameter]

    public init(_ parameters: [Parameter]) { self.parameters = parameters }

    /// Decodes what follows the `?`; `nil` and empty are no parameters.
    public init(query: String?) throws(DICOMWebError) {
        guard let query, !query.isEmpty else {
            self.parameters = []
            return
        }
        guard query.utf8.count <= Self.maximumByteCount else {
            throw DICOMWebError(.badRequest, "the query is longer than \(Self.maximumByteCount) bytes")
        }
        var parameters: [Parameter] = []
        for pair in query.split(separator: "&") {
            guard parameters.count < Self.maximumCount else {
                throw DICOMWebError(.badRequest, "the query has more than \(Self.maximumCount) parameters")
            }
            let name: Substring
            let value: Substring
            if let equals = pair.firstIndex(of: "=") {
                name = pair[..<equals]
                value = pair[pair.index(after: equals)...]
            } else {
                name = pair
                value = ""
            }
            let decodedName = try PercentCoding.decode(name, plusIsSpace: true)
            let decodedValue =
                decodedName == "accept"
                ? try Self.mediaTypes(value) : try PercentCoding.decode(value, plusIsSpace: true)
            parameters.append(Parameter(name: decodedName, value: decodedValue))
        }
        self.parameters = parameters
    }

    /// In a media type a `+` is itself (`application/dicom+json`), except where only a space can be: after a separator.
    private static func mediaTypes(_ value: Substring) throws(DICOMWebError) -> String {
        var previous: UInt8 = 0
        var bytes: [UInt8] = []
        for byte in try PercentCoding.decode(value).utf8 {
            let isSpace = byte == UInt8(ascii: "+") && (previous == UInt8(ascii: ";") || previous == UInt8(ascii: ","))
            bytes.append(isSpace ? UInt8(ascii: " ") : byte)
            previous = byte
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The values of a parameter, in order.
    public func values(_ name: String) -> [String] {
        parameters.filter { $0.name == name }.map(\.value)
    }
}
