// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The work of `DICOMJSON.read`: one pass over the text, recursion only into items and only as deep as allowed.
///
/// Members of a JSON object have no order: where a value comes before its `vr` it is passed over and read afterwards.
struct JSONReader {
    private let limits: ReadLimits
    private let bulkData: DICOMJSON.BulkDataSource?
    private var scanner: JSONScanner
    private var elementCount = 0
    private var itemCount = 0
    private var steps: [TagPath.Step] = []
    /// Text of the data set being read, or of an item in it, goes beyond ASCII.
    private var needsUTF8 = false

    init(limits: ReadLimits, bulkData: DICOMJSON.BulkDataSource?) {
        self.limits = limits
        self.bulkData = bulkData
        // A level of sequence is an array, an object of an item and an object of an element.
        self.scanner = JSONScanner(maximumNesting: 3 * limits.maximumDepth + 8)
    }

    mutating func readAll(_ bytes: RawSpan) throws(DICOMError) -> [DataSet] {
        self.scanner.skipByteOrderMark(bytes)
        var result: [DataSet] = []
        switch try self.scanner.kind(bytes) {
        case .object: result.append(try self.readTop(bytes))
        case .array:
            try self.scanner.expect("[", bytes)
            while try self.scanner.hasNext(closing: "]", isFirst: result.isEmpty, bytes) {
                try self.countItem()
                result.append(try self.readTop(bytes))
            }
        default: throw self.scanner.failure("a data set is a JSON object")
        }
        guard self.scanner.peek(bytes) == nil else { throw self.scanner.failure("something follows the JSON value") }
        return result
    }

    private mutating func readTop(_ bytes: RawSpan) throws(DICOMError) -> DataSet {
        self.needsUTF8 = false
        var dataSet = try self.readDataSet(bytes)
        if self.needsUTF8 { dataSet.set(.specificCharacterSet, .cs, "ISO_IR 192") }
        return dataSet
    }

    private mutating func readDataSet(_ bytes: RawSpan) throws(DICOMError) -> DataSet {
        let enclosingNeedsUTF8 = self.needsUTF8
        self.needsUTF8 = false
        defer { self.needsUTF8 = self.needsUTF8 || enclosingNeedsUTF8 }
        var dataSet = DataSet(encoding: .explicitLittleEndian, characterSet: .utf8)
        try self.scanner.expect("{", bytes)
        var isFirst = true
        while try self.scanner.hasNext(closing: "}", isFirst: isFirst, bytes) {
            isFirst = false
            let offset = self.scanner.position
            let key = try self.scanner.string(bytes)
            guard key.utf8.count == 8, let tag = Tag(hexadecimal: key), tag.group != 0xFFFE else {
                throw DICOMError(.invalidJSON, "the name of a member is no tag of eight digits", offset: offset)
            }
            try self.scanner.expect(":", bytes)
            do throws(DICOMError) {
                let element = try self.readElement(bytes, tag)
                if !tag.isGroupLength { dataSet.append(element) }
            } catch {
                throw error.tagPath == nil ? error.at(tag) : error
            }
        }
        let count = dataSet.count
        dataSet.normalizeOrder()
        if dataSet.count != count {
            // Which of its values is meant nobody can tell (RFC 8259 §4), and an image is no place to guess.
            throw self.scanner.failure("an element comes twice in one data set")
        }
        // An item that names a repertoire, even none, no longer has that of what encloses it.
        if self.needsUTF8, dataSet[.specificCharacterSet] != nil {
            dataSet.set(.specificCharacterSet, .cs, "ISO_IR 192")
        }
        return dataSet
    }

    /// Where the members of an element's object begin that can't be read before the VR is known.
    private struct Members {
        var vr: VR?
        var value: ElementValue?
        var valueOffset: Int?
        var inlineOffset: Int?
        var uri: String?
    }

    private mutating func readElement(_ bytes: RawSpan, _ tag: Tag) throws(DICOMError) -> DataElement {
        self.elementCount += 1
        guard self.elementCount <= self.limits.maximumElementCount else {
            throw DICOMError(
                .limitExceeded,
                "more than \(self.limits.maximumElementCount) elements",
                offset: self.scanner.position
            )
        }
        let offset = self.scanner.position
        let members = try self.readMembers(bytes, tag)
        let vr: VR
        if let known = members.vr { vr = known } else { vr = try Self.knownRepresentation(of: tag, offset) }
        let end = self.scanner.position
        if case .items = members.value, vr != .sq {
            throw DICOMError(.invalidJSON, "\(vr) has items as values", offset: offset)
        }
        var value = members.value ?? .bytes(ByteBuffer())
        if members.value == nil {
            if let uri = members.uri {
                let path = TagPath(steps: self.steps, tag: tag)
                if let bulkData {
                    value = try bulkData(DICOMJSON.BulkDataReference(path: path, vr: vr, uri: uri))
                }
            } else if let start = members.inlineOffset {
                self.scanner.rewind(to: start)
                value = .bytes(try self.readInlineBinary(bytes, vr))
            } else if let start = members.valueOffset {
                self.scanner.rewind(to: start)
                value = try self.readValue(bytes, tag, vr)
            } else if vr == .sq {
                value = .items([])
            }
        }
        self.scanner.rewind(to: end)
        // Whatever repertoire is named, and in whatever form: the text came as UTF-8.
        if tag == .specificCharacterSet, let bytes = value.bytes, bytes.readableBytes > 0 {
            value = .bytes(ByteBuffer(string: "ISO_IR 192"))
        }
        return DataElement(tag: tag, vr: vr, value: value)
    }

    private mutating func readMembers(_ bytes: RawSpan, _ tag: Tag) throws(DICOMError) -> Members {
        var members = Members()
        try self.scanner.expect("{", bytes)
        var isFirst = true
        while try self.scanner.hasNext(closing: "}", isFirst: isFirst, bytes) {
            isFirst = false
            let name = try self.scanner.string(bytes)
            try self.scanner.expect(":", bytes)
            _ = self.scanner.peek(bytes)
            let start = self.scanner.position
            switch name {
            case "vr":
                guard let vr = VR(try self.scanner.string(bytes)), vr.isKnown else {
                    throw DICOMError(.invalidJSON, "vr is none of the representations of PS3.5", offset: start)
                }
                members.vr = vr
            case "Value" where members.vr != nil && members.value == nil:
                members.value = try self.readValue(bytes, tag, members.vr ?? .un)
            case "Value" where members.vr == nil && members.value == nil:
                if try self.beginsWithItem(bytes) {
                    members.value = try self.readValue(bytes, tag, .sq)
                } else {
                    members.valueOffset = start
                    try self.scanner.skipValue(bytes)
                }
            case "InlineBinary":
                members.inlineOffset = start
                try self.scanner.skipValue(bytes)
            case "BulkDataURI": members.uri = try self.scanner.string(bytes)
            default: try self.scanner.skipValue(bytes)
            }
        }
        return members
    }

    /// True when an array begins with an item of a sequence: an object whose first member is named by a tag.
    ///
    /// Items that come before their `vr` are read at once; passing over them first at every level of nesting would
    /// read the innermost as often as it is deep. Names are objects, too, but their members have words for names.
    private mutating func beginsWithItem(_ bytes: RawSpan) throws(DICOMError) -> Bool {
        let start = self.scanner.position
        defer { self.scanner.rewind(to: start) }
        guard self.scanner.accept("[", bytes), self.scanner.peek(bytes) != UInt8(ascii: "]") else { return false }
        repeat {
            switch try self.scanner.kind(bytes) {
            case .null: try self.scanner.expect(word: "null", bytes)
            case .object:
                try self.scanner.expect("{", bytes)
                if self.scanner.accept("}", bytes) { continue }
                return Tag(hexadecimal: try self.scanner.string(bytes)) != nil
            default: return false
            }
        } while self.scanner.accept(",", bytes)
        return false
    }

    private static func knownRepresentation(of tag: Tag, _ offset: Int) throws(DICOMError) -> VR {
        let (vr, ambiguity) = DataDictionary.vr(for: tag)
        guard vr != .un, ambiguity == .none else {
            throw DICOMError(.invalidJSON, "vr is missing", offset: offset)
        }
        return vr
    }

    // MARK: - Values

    private mutating func readValue(_ bytes: RawSpan, _ tag: Tag, _ vr: VR) throws(DICOMError) -> ElementValue {
        let start = self.scanner.position
        if try self.scanner.kind(bytes) == .null {
            try self.scanner.expect(word: "null", bytes)
            return vr == .sq ? .items([]) : .bytes(ByteBuffer())
        }
        try self.scanner.expect("[", bytes)
        if vr == .sq { return .items(try self.readItems(bytes, tag)) }
        var values = JSONValueEncoder(vr: vr)
        while try self.scanner.hasNext(closing: "]", isFirst: values.count == 0, bytes) {
            let offset = self.scanner.position
            do throws(DICOMError) {
                switch try self.scanner.kind(bytes) {
                case .null:
                    try self.scanner.expect(word: "null", bytes)
                    values.appendEmpty()
                case .string: try values.append(try self.scanner.string(bytes))
                case .number: try values.append(number: try self.scanner.number(bytes))
                case .object where vr == .pn: try values.append(try self.readPersonName(bytes))
                default: throw DICOMError(.invalidJSON, "\(vr) has no values of this kind")
                }
            } catch {
                var error = error
                if error.offset == nil { error.offset = offset }
                throw error
            }
        }
        if vr.usesSpecificCharacterSet, values.isBeyondASCII { self.needsUTF8 = true }
        do throws(DICOMError) {
            return .bytes(try values.finish())
        } catch {
            throw DICOMError(error.code, error.message, offset: start)
        }
    }

    private mutating func readItems(_ bytes: RawSpan, _ tag: Tag) throws(DICOMError) -> [SequenceItem] {
        guard self.steps.count < self.limits.maximumDepth else {
            throw DICOMError(
                .limitExceeded,
                "sequences are nested more than \(self.limits.maximumDepth) deep",
                offset: self.scanner.position
            )
        }
        var items: [SequenceItem] = []
        while try self.scanner.hasNext(closing: "]", isFirst: items.isEmpty, bytes) {
            try self.countItem()
            if try self.scanner.kind(bytes) == .null {
                try self.scanner.expect(word: "null", bytes)
                items.append(SequenceItem(DataSet(encoding: .explicitLittleEndian, characterSet: .utf8)))
                continue
            }
            self.steps.append(TagPath.Step(tag: tag, item: items.count))
            do throws(DICOMError) {
                items.append(SequenceItem(try self.readDataSet(bytes)))
            } catch {
                throw error.inside(tag, item: items.count)
            }
            self.steps.removeLast()
        }
        return items
    }

    private mutating func countItem() throws(DICOMError) {
        self.itemCount += 1
        guard self.itemCount <= self.limits.maximumItemCount else {
            throw DICOMError(
                .limitExceeded,
                "more than \(self.limits.maximumItemCount) items",
                offset: self.scanner.position
            )
        }
    }

    /// The groups of a name (PS3.18 section F.2.2), joined as PS3.5 section 6.2.1 has them.
    private mutating func readPersonName(_ bytes: RawSpan) throws(DICOMError) -> String {
        var groups = ["", "", ""]
        try self.scanner.expect("{", bytes)
        var isFirst = true
        while try self.scanner.hasNext(closing: "}", isFirst: isFirst, bytes) {
            isFirst = false
            let name = try self.scanner.string(bytes)
            try self.scanner.expect(":", bytes)
            guard let index = ["Alphabetic", "Ideographic", "Phonetic"].firstIndex(of: name),
                try self.scanner.kind(bytes) == .string
            else {
                try self.scanner.skipValue(bytes)
                continue
            }
            groups[index] = try self.scanner.string(bytes)
        }
        while groups.last?.isEmpty == true { groups.removeLast() }
        return groups.joined(separator: "=")
    }

    private mutating func readInlineBinary(_ bytes: RawSpan, _ vr: VR) throws(DICOMError) -> ByteBuffer {
        let start = self.scanner.position
        guard vr != .sq else { throw DICOMError(.invalidJSON, "a sequence can't be InlineBinary", offset: start) }
        // Earlier editions of PS3.18 had an array of one string.
        let isList = self.scanner.accept("[", bytes)
        let text = try self.scanner.kind(bytes) == .string ? self.scanner.plainString(bytes) : nil
        let decoded: ByteBuffer?
        if let text {
            decoded = Base64.decode(bytes, text)
        } else {
            // Slashes may come escaped.
            let escaped = ByteBuffer(string: try self.scanner.string(bytes))
            decoded = Base64.decode(escaped.readableBytesSpan, 0..<escaped.readableBytes)
        }
        if isList { try self.scanner.expect("]", bytes) }
        guard var value = decoded else { throw DICOMError(.invalidJSON, "InlineBinary is no base64", offset: start) }
        if value.readableBytes % 2 != 0 { value.writeInteger(vr.paddingByte) }
        return value
    }
}
