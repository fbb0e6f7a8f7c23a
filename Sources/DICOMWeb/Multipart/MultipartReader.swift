// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// Takes a multipart body apart as it arrives (RFC 2046 §5.1): a state machine without I/O.
///
/// Feed bytes with `append`, take events with `next` until it gives `nil` ("needs more"), call `finish` at the end of
/// the body. It holds at most one unfinished header and the bytes not yet taken; a part's bytes pass through as slices
/// of what was fed.
public struct MultipartReader: Sendable {
    public struct Limits: Sendable, Hashable {
        /// The most bytes of a part's header, and of what comes before the first part.
        public var maximumHeaderByteCount = 16 * 1024
        /// The most parts in a body.
        public var maximumPartCount = 1_000_000

        public init() {}
    }

    public enum Event: Sendable, Hashable {
        /// A part begins; header names in lowercase, in order.
        case partBegins([Header])
        /// Some of the part's bytes.
        case bytes(ByteBuffer)
        case partEnds
        /// The closing delimiter came; what follows is ignored.
        case end
    }

    public struct Header: Sendable, Hashable {
        public let name: String
        public let value: String

        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    private enum State: Hashable, Sendable {
        /// Before the first delimiter.
        case preamble
        /// Right after a delimiter's boundary: `--`, or blanks and a line end.
        case afterDelimiter
        case header
        /// At the empty line after a header, which is also the delimiter's line end when the part has no body.
        case bodyBegins
        case body
        /// A delimiter was found; the end of its part has to be told first.
        case partEnding
        case ended
    }

    private let delimiter: [UInt8]
    private let limits: Limits
    private var buffer: ByteBuffer
    private var state = State.preamble
    private var partCount = 0

    public init(boundary: MultipartBoundary, limits: Limits = Limits()) {
        self.delimiter = Array("\r\n--\(boundary.text)".utf8)
        self.limits = limits
        // The first delimiter may be at the very start, with no line end before it.
        self.buffer = ByteBuffer(string: "\r\n")
    }

    /// Reads the boundary from a `Content-Type`, which must be `multipart/related`; 415 or 400 otherwise.
    public init(contentType: MediaType, limits: Limits = Limits()) throws(DICOMWebError) {
        guard contentType.essence == "multipart/related" else {
            throw DICOMWebError(.unsupportedMediaType, "the body must be multipart/related (PS3.18 section 10.5.1.1)")
        }
        guard let boundary = contentType.parameter("boundary").flatMap({ MultipartBoundary($0) }) else {
            throw DICOMWebError(.badRequest, "the Content-Type has no valid boundary (RFC 2046 section 5.1.1)")
        }
        self.init(boundary: boundary, limits: limits)
    }

    /// Hands in the next bytes of the body.
    public mutating func append(_ bytes: ByteBuffer) {
        if state == .ended { return }
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            buffer.writeImmutableBuffer(bytes)
        }
    }

    /// The next event, or `nil` when more bytes are needed.
    public mutating func next() throws(DICOMWebError) -> Event? {
        while true {
            switch state {
            case .preamble:
                guard skipPreamble() else {
                    guard buffer.readableBytes <= limits.maximumHeaderByteCount else {
                        throw Self.malformed("no part begins in its first \(limits.maximumHeaderByteCount) bytes")
                    }
                    return nil
                }
            case .afterDelimiter:
                guard let isClosing = try delimiterEnd() else { return nil }
                if isClosing {
                    state = .ended
                    buffer.clear()
                    return .end
                }
                guard partCount < limits.maximumPartCount else {
                    throw DICOMWebError(.contentTooLarge, "the body has more than \(limits.maximumPartCount) parts")
                }
                partCount += 1
                state = .header
            case .header:
                guard let headers = try header() else { return nil }
                return .partBegins(headers)
            case .bodyBegins:
                guard let (index, isWhole) = findDelimiter(), index == buffer.readerIndex else {
                    buffer.moveReaderIndex(forwardBy: 2)
                    state = .body
                    continue
                }
                guard isWhole else { return nil }
                buffer.moveReaderIndex(forwardBy: delimiter.count)
                state = .partEnding
            case .body:
                guard let bytes = body() else {
                    if state == .partEnding { continue }
                    return nil
                }
                return .bytes(bytes)
            case .partEnding:
                state = .afterDelimiter
                return .partEnds
            case .ended:
                return nil
            }
        }
    }

    /// Says that the body is over; throws when it is not whole.
    public func finish() throws(DICOMWebError) {
        guard state == .ended else {
            throw Self.malformed("it ends before its closing delimiter")
        }
    }

    /// Finds the first delimiter; otherwise keeps all, as what comes before it has a limit.
    private mutating func skipPreamble() -> Bool {
        guard let (index, isWhole) = findDelimiter(), isWhole else { return false }
        buffer.moveReaderIndex(to: index + delimiter.count)
        state = .afterDelimiter
        return true
    }

    /// `true` for the closing delimiter, `false` for another, `nil` when it isn't whole yet.
    private mutating func delimiterEnd() throws(DICOMWebError) -> Bool? {
        let view = buffer.readableBytesView
        if view.starts(with: "--".utf8) { return true }
        var index = view.startIndex
        while index < view.endIndex, view[index] == UInt8(ascii: " ") || view[index] == UInt8(ascii: "\t") {
            index += 1
        }
        let rest = view[index...]
        if rest.count < 2 {
            guard view.count <= limits.maximumHeaderByteCount else { throw Self.malformed("a delimiter is too long") }
            if rest.isEmpty || rest.first == UInt8(ascii: "\r") || view.elementsEqual("-".utf8) { return nil }
        }
        // Clients that end lines with LF alone exist; the delimiter itself has no such excuse.
        if rest.first == UInt8(ascii: "\n") {
            buffer.moveReaderIndex(to: index + 1)
            return false
        }
        guard rest.starts(with: "\r\n".utf8) else { throw Self.malformed("a delimiter is followed by other text") }
        buffer.moveReaderIndex(to: index + 2)
        return false
    }

    /// Lines up to an empty one, `nil` when they aren't whole yet.
    private mutating func header() throws(DICOMWebError) -> [Header]? {
        var headers: [Header] = []
        let view = buffer.readableBytesView
        var start = view.startIndex
        while let end = view[start...].firstIndex(of: UInt8(ascii: "\n")) {
            guard end - view.startIndex <= limits.maximumHeaderByteCount else { break }
            var line = view[start..<end]
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            if line.isEmpty {
                let isFullLineEnd = end > start
                buffer.moveReaderIndex(to: isFullLineEnd ? start : end + 1)
                state = isFullLineEnd ? .bodyBegins : .body
                return headers
            }
            start = end + 1
            guard let text = String(validating: line, as: UTF8.self), let colon = text.firstIndex(of: ":") else {
                throw Self.malformed("a part's header line has no name")
            }
            let name = text[..<colon].trimmingBlanks().lowercased()
            headers.append(Header(name: name, value: String(text[text.index(after: colon)...].trimmingBlanks())))
        }
        guard view.count <= limits.maximumHeaderByteCount else {
            throw Self.malformed("a part's header is longer than \(limits.maximumHeaderByteCount) bytes")
        }
        return nil
    }

    /// The bytes of the part that are surely its own; goes on to `partEnding` at a delimiter.
    private mutating func body() -> ByteBuffer? {
        guard let (index, isWhole) = findDelimiter() else {
            return buffer.readableBytes == 0 ? nil : buffer.readSlice(length: buffer.readableBytes)
        }
        if index > buffer.readerIndex { return buffer.readSlice(length: index - buffer.readerIndex) }
        guard isWhole else { return nil }
        buffer.moveReaderIndex(to: index + delimiter.count)
        state = .partEnding
        return nil
    }

    /// Where the delimiter begins, or where the bytes end in what may become one; `nil` when neither.
    private func findDelimiter() -> (index: Int, isWhole: Bool)? {
        let view = buffer.readableBytesView
        var start = view.startIndex
        while let index = view[start...].firstIndex(of: UInt8(ascii: "\r")) {
            let count = min(delimiter.count, view.endIndex - index)
            if view[index..<(index + count)].elementsEqual(delimiter.prefix(count)) {
                return (index, count == delimiter.count)
            }
            start = index + 1
        }
        return nil
    }

    private static func malformed(_ why: String) -> DICOMWebError {
        DICOMWebError(.badRequest, "the multipart body is malformed: \(why)")
    }
}
