// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// Frames the parts of a `multipart/related` body (RFC 2387): what goes between the parts' own bytes, which it never
/// touches.
///
/// Usage: `head(…)`, the part's bytes, `head(…)`, the next part's bytes, `end()`.
public struct MultipartWriter: Sendable {
    public let boundary: MultipartBoundary
    /// The media type of the parts, for example `application/dicom`.
    public let partType: String
    private var hasParts = false

    public init(boundary: MultipartBoundary, partType: String) {
        self.boundary = boundary
        self.partType = partType
    }

    /// The response's `Content-Type`.
    public var contentType: String {
        "multipart/related; type=\"\(partType)\"; boundary=\(boundary.text)"
    }

    /// What goes before a part's bytes.
    ///
    /// `transferSyntax` is named in the part's `Content-Type` (PS3.18 §8.7.3.5.2), `location` its `Content-Location`,
    /// `byteCount` its `Content-Length`, when known beforehand.
    public mutating func head(
        transferSyntax: String? = nil,
        location: String? = nil,
        byteCount: Int? = nil
    ) -> ByteBuffer {
        var buffer = ByteBuffer()
        if hasParts { buffer.writeStaticString("\r\n") }
        hasParts = true
        buffer.writeStaticString("--")
        buffer.writeString(boundary.text)
        buffer.writeStaticString("\r\nContent-Type: ")
        buffer.writeString(partType)
        if let transferSyntax {
            buffer.writeStaticString("; transfer-syntax=")
            buffer.writeString(transferSyntax)
        }
        if let byteCount {
            buffer.writeStaticString("\r\nContent-Length: ")
            buffer.writeString(String(byteCount))
        }
        if let location {
            buffer.writeStaticString("\r\nContent-Location: ")
            buffer.writeString(location)
        }
        buffer.writeStaticString("\r\n\r\n")
        return buffer
    }

    /// What goes after the last part's bytes, and all there is of a body without parts.
    public func end() -> ByteBuffer {
        var buffer = ByteBuffer()
        if hasParts { buffer.writeStaticString("\r\n") }
        buffer.writeStaticString("--")
        buffer.writeString(boundary.text)
        buffer.writeStaticString("--\r\n")
        return buffer
    }
}
