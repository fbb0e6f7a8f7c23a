// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Reads JSON (RFC 8259) token by token from bytes it does not own; the work under `JSONReader`.
///
/// Numbers stay text, so that none of their digits is lost. Nothing recurses here: `skipValue` counts its nesting.
/// Goes beyond the grammar in two things that Python writes or editors leave: the bare words `NaN`, `Infinity` and
/// `-Infinity`, and a byte order mark at the start.
package struct JSONScanner {
    /// What a value begins with.
    package enum Kind {
        case object, array, string, number, null, boolean
    }

    /// Offset of the next byte.
    package private(set) var position = 0
    /// Objects and arrays within each other that `skipValue` follows.
    let maximumNesting: Int

    package init(maximumNesting: Int) {
        self.maximumNesting = maximumNesting
    }

    /// Goes back to a place that was passed before.
    mutating func rewind(to position: Int) {
        self.position = position
    }

    package mutating func skipByteOrderMark(_ bytes: RawSpan) {
        if bytes.byteCount >= 3, bytes.byte(at: 0) == 0xEF, bytes.byte(at: 1) == 0xBB, bytes.byte(at: 2) == 0xBF {
            self.position = 3
        }
    }

    /// The next byte that is no white space, which stays; nil at the end.
    package mutating func peek(_ bytes: RawSpan) -> UInt8? {
        while self.position < bytes.byteCount {
            let byte = bytes.byte(at: self.position)
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
            self.position += 1
        }
        return nil
    }

    package mutating func kind(_ bytes: RawSpan) throws(DICOMError) -> Kind {
        guard let byte = self.peek(bytes) else { throw self.endedEarly() }
        switch byte {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .boolean
        case 0x30...0x39, UInt8(ascii: "-"), UInt8(ascii: "N"), UInt8(ascii: "I"): return .number
        default: throw self.failure("no value begins with this byte")
        }
    }

    /// Passes `byte`, which must come next.
    package mutating func expect(_ byte: Unicode.Scalar, _ bytes: RawSpan) throws(DICOMError) {
        guard let next = self.peek(bytes) else { throw self.endedEarly() }
        guard next == UInt8(ascii: byte) else { throw self.failure("'\(byte)' is missing") }
        self.position += 1
    }

    /// Passes `byte` if it comes next.
    package mutating func accept(_ byte: Unicode.Scalar, _ bytes: RawSpan) -> Bool {
        guard self.peek(bytes) == UInt8(ascii: byte) else { return false }
        self.position += 1
        return true
    }

    /// Passes a comma, or the closing byte of the object or array: false then.
    package mutating func hasNext(closing: Unicode.Scalar, isFirst: Bool, _ bytes: RawSpan) throws(DICOMError) -> Bool {
        if isFirst { return !self.accept(closing, bytes) }
        if self.accept(closing, bytes) { return false }
        try self.expect(",", bytes)
        return true
    }

    /// Passes a word such as `null`.
    package mutating func expect(word: StaticString, _ bytes: RawSpan) throws(DICOMError) {
        let letters = Array("\(word)".utf8)
        for (index, letter) in letters.enumerated() {
            guard self.position + index < bytes.byteCount else { throw self.endedEarly() }
            guard bytes.byte(at: self.position + index) == letter else { throw self.failure("\(word) is misspelt") }
        }
        self.position += letters.count
    }

    // MARK: - Numbers

    /// A number as it is written.
    package mutating func number(_ bytes: RawSpan) throws(DICOMError) -> String {
        _ = self.peek(bytes)
        let start = self.position
        if self.accept("-", bytes), self.byte(bytes) == UInt8(ascii: "I") {
            try self.expect(word: "Infinity", bytes)
            return "-Infinity"
        }
        switch self.byte(bytes) {
        case UInt8(ascii: "N"):
            try self.expect(word: "NaN", bytes)
            return "NaN"
        case UInt8(ascii: "I"):
            try self.expect(word: "Infinity", bytes)
            return "Infinity"
        case UInt8(ascii: "0"): self.position += 1
        default: try self.digits(bytes)
        }
        if self.byte(bytes) == UInt8(ascii: ".") {
            self.position += 1
            try self.digits(bytes)
        }
        if let letter = self.byte(bytes), letter | 0x20 == UInt8(ascii: "e") {
            self.position += 1
            if let sign = self.byte(bytes), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
                self.position += 1
            }
            try self.digits(bytes)
        }
        return self.text(bytes, from: start)
    }

    private mutating func digits(_ bytes: RawSpan) throws(DICOMError) {
        let start = self.position
        while let byte = self.byte(bytes), (0x30...0x39).contains(byte) { self.position += 1 }
        guard self.position > start else {
            throw self.position < bytes.byteCount ? self.failure("a digit is missing") : self.endedEarly()
        }
    }

    private func byte(_ bytes: RawSpan) -> UInt8? {
        self.position < bytes.byteCount ? bytes.byte(at: self.position) : nil
    }

    private func text(_ bytes: RawSpan, from start: Int) -> String {
        let span = bytes.extracting(start..<self.position)
        return unsafe span.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }

    // MARK: - Strings

    /// A string with its escapes resolved.
    package mutating func string(_ bytes: RawSpan) throws(DICOMError) -> String {
        try self.expect("\"", bytes)
        let start = self.position
        try self.skipPlainCharacters(bytes)
        if self.byte(bytes) == UInt8(ascii: "\"") {
            let text = try self.validated(bytes, from: start)
            self.position += 1
            return text
        }
        var result = try self.validated(bytes, from: start)
        while let byte = self.byte(bytes) {
            if byte == UInt8(ascii: "\"") {
                self.position += 1
                return result
            }
            if byte == UInt8(ascii: "\\") {
                result.unicodeScalars.append(try self.escape(bytes))
            } else {
                let start = self.position
                try self.skipPlainCharacters(bytes)
                result += try self.validated(bytes, from: start)
            }
        }
        throw self.endedEarly()
    }

    /// The offsets between the quotes of a string that has no escapes; nil, not moved, if it has some.
    package mutating func plainString(_ bytes: RawSpan) throws(DICOMError) -> Range<Int>? {
        try self.expect("\"", bytes)
        let start = self.position
        try self.skipPlainCharacters(bytes)
        guard self.byte(bytes) == UInt8(ascii: "\"") else {
            self.position = start - 1
            return nil
        }
        self.position += 1
        return start..<self.position - 1
    }

    private mutating func skipPlainCharacters(_ bytes: RawSpan) throws(DICOMError) {
        while let byte = self.byte(bytes), byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
            guard byte >= 0x20 else { throw self.failure("a control character in a string is not escaped") }
            self.position += 1
        }
        guard self.position < bytes.byteCount else { throw self.endedEarly() }
    }

    private func validated(_ bytes: RawSpan, from start: Int) throws(DICOMError) -> String {
        let span = bytes.extracting(start..<self.position)
        let text = unsafe span.withUnsafeBytes { unsafe String(validating: $0, as: UTF8.self) }
        guard let text else { throw DICOMError(.invalidJSON, "a string is not UTF-8", offset: start) }
        return text
    }

    private mutating func escape(_ bytes: RawSpan) throws(DICOMError) -> Unicode.Scalar {
        self.position += 1
        guard let letter = self.byte(bytes) else { throw self.endedEarly() }
        self.position += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(letter)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): break
        default: throw self.failure("an escape that JSON does not have")
        }
        let unit = try self.codeUnit(bytes)
        if let scalar = Unicode.Scalar(unit) { return scalar }
        // RFC 8259 section 7: characters beyond the first plane are two units.
        guard unit < 0xDC00, self.byte(bytes) == UInt8(ascii: "\\"), self.position + 1 < bytes.byteCount,
            bytes.byte(at: self.position + 1) == UInt8(ascii: "u")
        else { throw self.failure("half of a surrogate pair") }
        self.position += 2
        let second = try self.codeUnit(bytes)
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + second - 0xDC00)
        else { throw self.failure("half of a surrogate pair") }
        return scalar
    }

    private mutating func codeUnit(_ bytes: RawSpan) throws(DICOMError) -> UInt32 {
        guard bytes.byteCount - self.position >= 4 else { throw self.endedEarly() }
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Tag.hexadecimalDigit(bytes.byte(at: self.position)) else {
                throw self.failure("a hexadecimal digit is missing")
            }
            value = value << 4 | digit
            self.position += 1
        }
        return value
    }

    // MARK: - Passing over

    /// Passes a value of any kind.
    package mutating func skipValue(_ bytes: RawSpan) throws(DICOMError) {
        // True for each object that is open, false for each array.
        var open: [Bool] = []
        repeat {
            switch try self.kind(bytes) {
            case .object, .array:
                let isObject = self.accept("{", bytes)
                if !isObject { try self.expect("[", bytes) }
                guard open.count < self.maximumNesting else {
                    throw DICOMError(
                        .limitExceeded,
                        "JSON is nested more than \(self.maximumNesting) deep",
                        offset: self.position
                    )
                }
                open.append(isObject)
                if try self.hasNext(closing: isObject ? "}" : "]", isFirst: true, bytes) {
                    if isObject { try self.skipKey(bytes) }
                    continue
                }
                open.removeLast()
            case .string: try self.skipString(bytes)
            case .number: _ = try self.number(bytes)
            case .null: try self.expect(word: "null", bytes)
            case .boolean: try self.skipBoolean(bytes)
            }
            while let isObject = open.last {
                if try self.hasNext(closing: isObject ? "}" : "]", isFirst: false, bytes) {
                    if isObject { try self.skipKey(bytes) }
                    break
                }
                open.removeLast()
            }
        } while !open.isEmpty
    }

    private mutating func skipKey(_ bytes: RawSpan) throws(DICOMError) {
        try self.skipString(bytes)
        try self.expect(":", bytes)
    }

    private mutating func skipString(_ bytes: RawSpan) throws(DICOMError) {
        if try self.plainString(bytes) == nil { _ = try self.string(bytes) }
    }

    private mutating func skipBoolean(_ bytes: RawSpan) throws(DICOMError) {
        try self.expect(word: self.byte(bytes) == UInt8(ascii: "t") ? "true" : "false", bytes)
    }

    // MARK: - Errors

    package func failure(_ message: String) -> DICOMError {
        DICOMError(.invalidJSON, message, offset: self.position)
    }

    func endedEarly() -> DICOMError {
        DICOMError(.truncated, "the JSON text ends within a value", offset: self.position)
    }
}
