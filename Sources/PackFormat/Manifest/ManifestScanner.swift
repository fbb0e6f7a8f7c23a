// SPDX-License-Identifier: Apache-2.0

import Checksums
import DICOM
import NIOCore

/// Reads the values that a manifest is made of; every one is parsed into its type here.
struct ManifestScanner {
    /// Methods copy it: its span must not borrow `self`, which they change.
    private let buffer: ByteBuffer
    private var json = JSONScanner(maximumNesting: PackLimits.maximumNesting)

    init(_ buffer: ByteBuffer) {
        self.buffer = buffer
    }

    /// Reads an object; `field` reads the value of a key, or returns false when it does not know the key.
    mutating func object(
        field: (inout ManifestScanner, String) throws(DICOMError) -> Bool
    ) throws(DICOMError) {
        let buffer = buffer
        try json.expect("{", buffer.readableBytesSpan)
        var seen: Set<String> = []
        while try json.hasNext(closing: "}", isFirst: seen.isEmpty, buffer.readableBytesSpan) {
            let key = try json.string(buffer.readableBytesSpan)
            try json.expect(":", buffer.readableBytesSpan)
            guard seen.insert(key).inserted else { throw json.failure("a key is given twice") }
            guard seen.count <= Self.maximumKeyCount else { throw json.failure("an object has too many keys") }
            // Of a later version, which may say more.
            if try !field(&self, key) { try json.skipValue(buffer.readableBytesSpan) }
        }
    }

    /// Keys of one object, those of later versions included.
    private static let maximumKeyCount = 64

    /// Reads an array, of at most `limit` values.
    mutating func array(
        limit: Int,
        value: (inout ManifestScanner) throws(DICOMError) -> Void
    ) throws(DICOMError) {
        let buffer = buffer
        try json.expect("[", buffer.readableBytesSpan)
        var count = 0
        while try json.hasNext(closing: "]", isFirst: count == 0, buffer.readableBytesSpan) {
            guard count < limit else { throw json.failure("a list has more than \(limit) values") }
            try value(&self)
            count += 1
        }
    }

    mutating func integer<Number: FixedWidthInteger>() throws(DICOMError) -> Number {
        let buffer = buffer
        guard let number = Number(try json.number(buffer.readableBytesSpan)) else {
            throw json.failure("a number is out of its range")
        }
        return number
    }

    mutating func text() throws(DICOMError) -> String {
        let buffer = buffer
        return try json.string(buffer.readableBytesSpan)
    }

    /// A string that `parse` takes.
    mutating func value<Value>(_ type: Value.Type, _ parse: (String) -> Value?) throws(DICOMError) -> Value {
        let buffer = buffer
        guard let value = parse(try json.string(buffer.readableBytesSpan)) else {
            throw json.failure("a text is not what it should be")
        }
        return value
    }

    mutating func uid() throws(DICOMError) -> UID {
        try value(UID.self) { text in
            // Why it is none does not matter.
            guard let uid = try? UID(lenient: text), uid.string == text else { return nil }
            return uid
        }
    }

    /// Bytes in base64, at most `limit`.
    mutating func bytes(limit: Int) throws(DICOMError) -> ByteBuffer {
        let buffer = buffer
        guard let digits = try json.plainString(buffer.readableBytesSpan), digits.count / 4 * 3 <= limit + 2,
            let decoded = Base64.decode(buffer.readableBytesSpan, digits)
        else { throw json.failure("bytes are no base64, or too many") }
        return decoded
    }

    /// Passes white space to the end.
    mutating func end() throws(DICOMError) {
        let buffer = buffer
        guard json.peek(buffer.readableBytesSpan) == nil else { throw json.failure("something follows the manifest") }
    }

    func failure(_ message: String) -> DICOMError { json.failure(message) }
}
