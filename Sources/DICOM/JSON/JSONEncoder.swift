// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The work of `DICOMJSON`.
struct JSONEncoder {
    var output: ByteBuffer

    mutating func write(_ dataSet: DataSet, steps: [TagPath.Step], bulkDataURI: DICOMJSON.BulkDataURI) {
        var dataSet = dataSet
        dataSet.normalizeOrder()
        self.output.writeStaticString("{")
        var isFirst = true
        for element in dataSet.elements where !element.tag.isGroupLength {
            if !isFirst { self.output.writeStaticString(",") }
            isFirst = false
            self.output.writeStaticString("\"")
            self.writeHexadecimal(element.tag)
            self.output.writeStaticString("\":{\"vr\":\"")
            let vr = Self.representation(of: element)
            self.output.writeInteger(vr.rawValue)
            self.output.writeStaticString("\"")
            self.writeValue(of: element, vr, in: dataSet, steps: steps, bulkDataURI: bulkDataURI)
            self.output.writeStaticString("}")
        }
        self.output.writeStaticString("}")
    }

    private mutating func writeHexadecimal(_ tag: Tag) {
        var digits: UInt64 = 0
        for shift in stride(from: UInt32(28), through: 0, by: -4) {
            let digit = UInt64(tag.rawValue >> shift & 0xF)
            digits = digits << 8 | (digit < 10 ? 0x30 + digit : 0x37 + digit)
        }
        self.output.writeInteger(digits)
    }

    /// The VR as JSON names it: SQ for what was understood as a sequence, UN for what no VR describes.
    ///
    /// UN of an element that the dictionary knows is what the dictionary says.
    private static func representation(of element: DataElement) -> VR {
        switch element.value {
        case .items: return .sq
        case .fragments: return element.vr
        case .bytes:
            // Its value is the encoder's own, whatever VR the element has.
            if element.tag == .specificCharacterSet { return .cs }
            guard element.vr == .un, !element.tag.isPrivate else {
                return element.vr.isKnown && element.vr != .sq ? element.vr : .un
            }
            let known = DataDictionary.vr(for: element.tag).vr
            return known == .sq ? .un : known
        }
    }

    private mutating func writeValue(
        of element: DataElement,
        _ vr: VR,
        in dataSet: DataSet,
        steps: [TagPath.Step],
        bulkDataURI: DICOMJSON.BulkDataURI
    ) {
        if case .items(let items) = element.value {
            self.write(items, element.tag, steps, bulkDataURI)
            return
        }
        if vr.isBulk {
            let isAsked = !element.value.isEmpty || element.tag.isPixelData
            if isAsked, let uri = bulkDataURI(TagPath(steps: steps, tag: element.tag), element) {
                self.output.writeStaticString(",\"BulkDataURI\":")
                self.write(string: uri)
            } else if let bytes = element.value.bytes, bytes.readableBytes > 0 {
                self.output.writeStaticString(",\"InlineBinary\":\"")
                let isSwapped = dataSet.encoding.isBigEndian && vr.wordByteCount > 1
                Base64.append(isSwapped ? bytes.swapped(every: vr.wordByteCount) : bytes, to: &self.output)
                self.output.writeStaticString("\"")
            }
            return
        }
        guard !element.value.isEmpty else { return }
        if element.tag == .specificCharacterSet {
            self.output.writeStaticString(",\"Value\":[\"ISO_IR 192\"]")
            return
        }
        self.writeValues(of: element, vr, in: dataSet)
    }

    private mutating func write(
        _ items: [SequenceItem],
        _ tag: Tag,
        _ steps: [TagPath.Step],
        _ bulkDataURI: DICOMJSON.BulkDataURI
    ) {
        guard !items.isEmpty else { return }
        self.output.writeStaticString(",\"Value\":[")
        for (number, item) in items.enumerated() {
            if number > 0 { self.output.writeStaticString(",") }
            self.write(item.dataSet, steps: steps + [TagPath.Step(tag: tag, item: number)], bulkDataURI: bulkDataURI)
        }
        self.output.writeStaticString("]")
    }

    private mutating func writeValues(of element: DataElement, _ vr: VR, in dataSet: DataSet) {
        switch vr {
        case .us, .ss, .ul, .sl, .uv, .sv:
            var element = element
            element.vr = vr
            self.writeList(dataSet.integerTexts(of: element)) { encoder, value in
                // Beyond 53 bits a JavaScript reader would round.
                let isSafe = Int(value).map { $0.magnitude <= 1 << 53 } ?? false
                isSafe ? encoder.write(verbatim: value) : encoder.write(string: value)
            }
        case .fl:
            self.writeList(dataSet.decimals(of: element)) { encoder, value in
                let text = String(Float(value))
                value.isFinite ? encoder.write(verbatim: text) : encoder.write(string: Self.name(ofNonFinite: value))
            }
        case .fd:
            self.writeList(dataSet.decimals(of: element)) { encoder, value in
                let text = String(value)
                value.isFinite ? encoder.write(verbatim: text) : encoder.write(string: Self.name(ofNonFinite: value))
            }
        case .at:
            self.writeList(dataSet.integers(of: element)) { encoder, value in
                encoder.write(string: Tag(rawValue: UInt32(truncatingIfNeeded: value)).hexadecimal)
            }
        default:
            let values = dataSet.strings(of: element)
            guard values.contains(where: { !$0.isEmpty }) else { return }
            self.writeList(values) { encoder, value in encoder.write(text: value, vr) }
        }
    }

    private mutating func writeList<Value>(_ values: [Value], _ write: (inout Self, Value) -> Void) {
        guard !values.isEmpty else { return }
        self.output.writeStaticString(",\"Value\":[")
        for (number, value) in values.enumerated() {
            if number > 0 { self.output.writeStaticString(",") }
            write(&self, value)
        }
        self.output.writeStaticString("]")
    }

    private mutating func write(text: String, _ vr: VR) {
        guard !text.isEmpty else {
            self.output.writeStaticString("null")
            return
        }
        switch vr {
        case .pn: self.write(personName: text)
        case .ds, .is:
            if let number = NumberText.json(text, isInteger: vr == .is) {
                self.write(verbatim: number)
            } else {
                self.write(string: text)
            }
        default: self.write(string: text)
        }
    }

    private mutating func write(personName text: String) {
        let groups = text.utf8.split(separator: UInt8(ascii: "="), maxSplits: 2, omittingEmptySubsequences: false)
        self.output.writeStaticString("{")
        var isFirst = true
        for (name, group) in zip(["Alphabetic", "Ideographic", "Phonetic"], groups) {
            guard let value = String(group), !value.isEmpty else { continue }
            if !isFirst { self.output.writeStaticString(",") }
            isFirst = false
            self.write(string: name)
            self.output.writeStaticString(":")
            self.write(string: SpecificCharacterSet.trim(value, vr: .lt))
        }
        self.output.writeStaticString("}")
    }

    private mutating func write(verbatim text: String) {
        self.output.writeString(text)
    }

    /// A JSON string (RFC 8259 section 7).
    mutating func write(string text: String) {
        self.output.writeStaticString("\"")
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x22 && $0 != 0x5C }) {
            self.output.writeString(text)
        } else {
            for byte in text.utf8 {
                switch byte {
                case 0x22: self.output.writeStaticString("\\\"")
                case 0x5C: self.output.writeStaticString("\\\\")
                case 0x0A: self.output.writeStaticString("\\n")
                case 0x0D: self.output.writeStaticString("\\r")
                case 0x09: self.output.writeStaticString("\\t")
                case 0..<0x20:
                    self.output.writeString(byte < 0x10 ? "\\u000" : "\\u00")
                    self.output.writeString(String(byte, radix: 16))
                default: self.output.writeInteger(byte)
                }
            }
        }
        self.output.writeStaticString("\"")
    }

    private static func name(ofNonFinite value: Double) -> String {
        value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity"
    }
}
