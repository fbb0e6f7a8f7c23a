// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// A value in the DICOM JSON model (PS3.18 annex F).
public enum DICOMJSONValue: Sendable, Hashable {
    /// The attribute is there, without a value.
    case empty
    /// Texts, one element a value; an empty one is written as `null` (§F.2.5).
    case strings([String])
    /// Names with up to three component groups separated by `=` (§F.2.2).
    case personNames([String])
    case integers([Int])
    /// IS and DS as they were stored: numbers where JSON keeps them exact, strings otherwise (§F.2.3, table F.2.3-1).
    case numberTexts([String])
    case bulkDataURI(String)
}

/// Writes the results of a search as a JSON array of data sets.
///
/// Usage: for each result `beginDataSet`, `attribute` by rising tag, `endDataSet`; at last `finish`.
public struct DICOMJSONWriter: Sendable {
    private var buffer: ByteBuffer
    private var hasDataSets = false
    private var hasAttributes = false

    public init(allocator: ByteBufferAllocator = ByteBufferAllocator(), capacity: Int = 4096) {
        self.buffer = allocator.buffer(capacity: capacity)
        buffer.writeInteger(UInt8(ascii: "["))
    }

    public mutating func beginDataSet() {
        if hasDataSets { buffer.writeInteger(UInt8(ascii: ",")) }
        hasDataSets = true
        hasAttributes = false
        buffer.writeInteger(UInt8(ascii: "{"))
    }

    public mutating func endDataSet() {
        buffer.writeInteger(UInt8(ascii: "}"))
    }

    /// Writes one attribute of the data set begun last; the tag's group is in the upper half, its element in the lower.
    public mutating func attribute(_ tag: UInt32, vr: String, _ value: DICOMJSONValue) {
        if hasAttributes { buffer.writeInteger(UInt8(ascii: ",")) }
        hasAttributes = true
        buffer.writeInteger(UInt8(ascii: "\""))
        writeHexadecimal(tag)
        buffer.writeStaticString("\":{\"vr\":")
        JSONText.write(vr, into: &buffer)
        switch value {
        case .empty: break
        case .strings(let values): writeArray(values) { JSONText.write($0, into: &$1) }
        case .personNames(let values): writeArray(values, writePersonName)
        case .integers(let values): writeArray(values.map(String.init)) { $1.writeString($0) }
        case .numberTexts(let values): writeArray(values, writeNumber)
        case .bulkDataURI(let uri):
            buffer.writeStaticString(",\"BulkDataURI\":")
            JSONText.write(uri, into: &buffer)
        }
        buffer.writeInteger(UInt8(ascii: "}"))
    }

    public mutating func attribute(_ attribute: QIDOAttribute, _ value: DICOMJSONValue) {
        self.attribute(attribute.tag, vr: attribute.vr, value)
    }

    /// Closes the array and gives what was written since the last `flush`.
    public consuming func finish() -> ByteBuffer {
        buffer.writeInteger(UInt8(ascii: "]"))
        return buffer
    }

    /// Gives what was written so far, for a response that is sent in pieces.
    public mutating func flush() -> ByteBuffer {
        let written = buffer
        buffer = ByteBufferAllocator().buffer(capacity: 4096)
        return written
    }

    /// How many bytes wait to be flushed.
    public var pendingByteCount: Int { buffer.readableBytes }

    private mutating func writeArray(_ values: [String], _ write: (String, inout ByteBuffer) -> Void) {
        // An empty value has no `Value` at all (§F.2.5); a list of only empty values neither.
        guard values.contains(where: { !$0.isEmpty }) else { return }
        buffer.writeStaticString(",\"Value\":[")
        for (index, value) in values.enumerated() {
            if index > 0 { buffer.writeInteger(UInt8(ascii: ",")) }
            if value.isEmpty {
                buffer.writeStaticString("null")
            } else {
                write(value, &buffer)
            }
        }
        buffer.writeInteger(UInt8(ascii: "]"))
    }

    private mutating func writeHexadecimal(_ tag: UInt32) {
        let digits = Array("0123456789ABCDEF".utf8)
        for shift in stride(from: 28, through: 0, by: -4) {
            buffer.writeInteger(digits[Int(tag >> UInt32(shift) & 15)])
        }
    }
}

private func writePersonName(_ name: String, into buffer: inout ByteBuffer) {
    buffer.writeInteger(UInt8(ascii: "{"))
    var isFirst = true
    for (group, text) in zip(["Alphabetic", "Ideographic", "Phonetic"], personNameGroups(name)) where !text.isEmpty {
        if !isFirst { buffer.writeInteger(UInt8(ascii: ",")) }
        isFirst = false
        JSONText.write(group, into: &buffer)
        buffer.writeInteger(UInt8(ascii: ":"))
        JSONText.write(text, into: &buffer)
    }
    buffer.writeInteger(UInt8(ascii: "}"))
}

private func personNameGroups(_ name: String) -> [String] {
    name.split(separator: "=", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
}

private func writeNumber(_ text: String, into buffer: inout ByteBuffer) {
    var trimmed = text[...].trimmingBlanks()
    if trimmed.first == "+" { trimmed.removeFirst() }
    if JSONText.isExactInteger(trimmed) {
        buffer.writeString(String(trimmed))
    } else if let number = Int64(trimmed), number.magnitude < 1 << 53 {
        // Leading zeros are legal in IS but not in JSON.
        buffer.writeString(String(number))
    } else {
        JSONText.write(String(trimmed), into: &buffer)
    }
}
