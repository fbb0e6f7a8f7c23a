// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Goes through a data set and its items and applies the rules; the work of `DataSetCheck`.
struct DataSetWalk {
    let transferSyntax: TransferSyntax
    let options: DataSetCheck.Options
    var report: CheckReport
    /// The bytes that offsets of elements count in; empty when they are not at hand.
    private(set) var source = ByteBuffer()
    private var steps: [TagPath.Step] = []
    /// Offset of the end of the top-level data set.
    private var end: Int?

    init(transferSyntax: TransferSyntax, options: DataSetCheck.Options) {
        self.transferSyntax = transferSyntax
        self.options = options
        self.report = CheckReport(options: options)
    }

    // MARK: - Reading

    /// Reads `bytes` and checks what can be read of them; returns what was read.
    @discardableResult
    mutating func run(_ bytes: ByteBuffer) -> ReadResult? {
        do throws(DICOMError) {
            let (result, notes) = try DataSetReader.readWithNotes(bytes, self.transferSyntax, self.options.limits)
            for note in notes { self.add(note) }
            if result.trailingByteCount > 0 {
                self.report.add(
                    .trailingBytes,
                    nil,
                    "\(result.trailingByteCount) zero bytes follow the last element",
                    offset: result.consumedByteCount
                )
            }
            self.run(result)
            return result
        } catch {
            self.report.add(.unreadable, error.tagPath, error.message, offset: error.offset)
            guard
                let part = DataSetReader.readPart(bytes, self.transferSyntax, self.options.limits, before: error)
            else { return nil }
            self.run(part, isCut: true)
            return part
        }
    }

    /// Checks what was read; of a data set that is cut nothing is called missing.
    mutating func run(_ result: ReadResult, isCut: Bool = false) {
        self.source = result.source
        self.end = result.consumedByteCount
        self.check(result.dataSet)
        let isHeader = result.stoppedAt != nil && result.stoppedAt == result.pixelData?.elementOffset
        if !isCut || isHeader { self.checkIdentity(result.dataSet) }
        let pixels = PixelDataCheck(
            dataSet: result.dataSet,
            transferSyntax: self.transferSyntax,
            path: { $0.description }
        )
        pixels.run(location: result.pixelData, into: &self.report)
    }

    private mutating func add(_ note: DataSetParser.Note) {
        let path = note.steps.map { "\($0.tag)[\($0.item)]" }.joined(separator: ".")
        let tag = note.tag.map { path.isEmpty ? $0.description : "\(path).\($0)" }
        let place = tag ?? (path.isEmpty ? nil : path)
        let (rule, message) = Self.rule(for: note.kind)
        self.report.add(rule, place, message, offset: note.offset)
    }

    private static func rule(for kind: DataSetParser.Note.Kind) -> (CheckRule, String) {
        switch kind {
        case .implicitInsteadOfExplicit: (.wrongEncoding, "the data set is in implicit VR, not in explicit VR")
        case .explicitInsteadOfImplicit: (.wrongEncoding, "the data set is in explicit VR, not in implicit VR")
        case .explicitInUnknown:
            (.unknownEncoding, "UN of undefined length holds explicit VR; it should be implicit VR")
        case .itemDelimiterAmongElements: (.strayDelimiter, "an item delimiter stands where no item is open")
        case .sequenceDelimiterAmongElements: (.strayDelimiter, "a sequence delimiter stands where no sequence is open")
        case .itemDelimiterAmongItems: (.strayDelimiter, "an item delimiter follows an item of defined length")
        case .sequenceDelimiterInDefinedLength:
            (.strayDelimiter, "a sequence delimiter stands within a sequence of defined length")
        case .missingItemDelimiter: (.missingDelimiter, "the item has no delimiter; the sequence's ends it")
        case .delimiterLength: (.delimiterLength, "a delimiter has another length than 0")
        case .zerosInItem: (.trailingBytes, "zero bytes follow the last element of the item")
        }
    }

    // MARK: - Elements

    /// The path of an element of the data set that is being walked.
    func path(_ tag: Tag) -> String { TagPath(steps: self.steps, tag: tag).description }

    mutating func add(_ rule: CheckRule, _ element: DataElement, _ message: String) {
        let steps = self.steps
        self.report.add(
            rule,
            TagPath(steps: steps, tag: element.tag).description,
            message,
            offset: element.elementOffset
        )
    }

    private mutating func check(_ dataSet: DataSet) {
        var previous: Tag?
        var seen: Set<Tag>?
        for (index, element) in dataSet.elements.enumerated() {
            if let previous, element.tag <= previous {
                // Only now is it worth to remember all tags.
                if seen == nil { seen = Set(dataSet.elements[..<index].map(\.tag)) }
                if seen?.contains(element.tag) == true {
                    self.add(.duplicateElement, element, "the element is there twice")
                } else {
                    self.add(.elementOrder, element, "the element comes after one with a greater tag, \(previous)")
                }
            }
            seen?.insert(element.tag)
            previous = max(previous ?? element.tag, element.tag)
            self.checkHeader(element, dataSet)
            if element.tag.isGroupLength { self.checkGroupLength(at: index, of: dataSet) }
            self.checkPrivate(element, dataSet)
            let values = ValueCheck(element: element, dataSet: dataSet)
            values.run { rule, message in self.add(rule, element, message) }
            if case .items(let items) = element.value { self.check(items, element.tag) }
        }
    }

    private mutating func check(_ items: [SequenceItem], _ tag: Tag) {
        for (number, item) in items.enumerated() {
            self.steps.append(TagPath.Step(tag: tag, item: number))
            self.check(item.dataSet)
            if item.dataSet[.pixelData] != nil {
                let steps = self.steps
                let pixels = PixelDataCheck(dataSet: item.dataSet, transferSyntax: self.transferSyntax) {
                    TagPath(steps: steps, tag: $0).description
                }
                pixels.run(location: nil, into: &self.report)
            }
            self.steps.removeLast()
        }
    }

    private mutating func checkHeader(_ element: DataElement, _ dataSet: DataSet) {
        if case .bytes(let bytes) = element.value {
            if bytes.readableBytes % 2 != 0 {
                self.add(.oddLength, element, "the value has \(bytes.readableBytes) bytes, an odd number")
            }
            if element.vr == .sq {
                self.add(.sequenceWithoutItems, element, "the sequence does not consist of items")
            }
        }
        guard dataSet.encoding.isExplicitVR else { return }
        guard let offset = element.elementOffset,
            let letters = self.source.getInteger(at: self.source.readerIndex + offset + 4, as: UInt16.self)
        else { return }
        let vr = VR(rawValue: letters)
        guard vr.isTwoCapitalLetters else {
            self.add(.missingVR, element, "the element has no VR")
            return
        }
        guard vr.isKnown else {
            self.add(.unknownVR, element, "\(vr) is none of the VRs of the standard")
            return
        }
        if vr.hasLongLength,
            let reserved = self.source.getInteger(at: self.source.readerIndex + offset + 6, as: UInt16.self),
            reserved != 0
        {
            self.add(.reservedBytes, element, "the two reserved bytes after the VR are not zero")
        }
    }

    private mutating func checkGroupLength(at index: Int, of dataSet: DataSet) {
        let element = dataSet.elements[index]
        let rest = dataSet.elements[(index + 1)...]
        guard let declared = dataSet.integers(of: element).first, let start = element.valueOffset else { return }
        let next = rest.first { $0.tag.group != element.tag.group }
        guard let end = next.map(\.elementOffset) ?? (self.steps.isEmpty ? self.end : nil), end >= start + 4 else {
            return
        }
        let actual = end - start - 4
        if declared != actual {
            self.add(.groupLength, element, "the group length says \(declared) bytes; the group has \(actual)")
        }
    }

    private mutating func checkPrivate(_ element: DataElement, _ dataSet: DataSet) {
        let tag = element.tag
        switch tag.group {
        case 0x0000, 0x0002, 0x0006: self.add(.reservedGroup, element, "the group does not belong in a data set")
        case 0x0001, 0x0003, 0x0005, 0x0007, 0xFFFF:
            self.add(.reservedGroup, element, "private elements must not use this group")
        default: break
        }
        guard tag.isPrivate, !tag.isGroupLength else { return }
        if tag.isPrivateCreator {
            if dataSet.strings(of: element).first?.isEmpty != false, element.vr == .lo || element.value.isEmpty {
                self.add(.privateCreator, element, "the name of the private block's creator is empty")
            }
            return
        }
        guard tag.element >= 0x1000 else {
            self.add(.privateElement, element, "private elements have no numbers from 0001 to 000F and 0100 to 0FFF")
            return
        }
        if dataSet[Tag(tag.group, tag.element >> 8)] == nil {
            self.add(
                .privateCreator,
                element,
                "no creator reserves the private block: \(Tag(tag.group, tag.element >> 8)) is missing"
            )
        }
    }

    // MARK: - Identity

    private mutating func checkIdentity(_ dataSet: DataSet) {
        // A DICOMDIR (PS3.10 section 8) is no instance.
        guard dataSet[.directoryRecordSequence] == nil else { return }
        self.require(.sopClassUID, .sopCommon, dataSet)
        self.require(.sopInstanceUID, .sopCommon, dataSet)
        guard Self.belongsToAStudy(dataSet.string(.sopClassUID)) else { return }
        self.require(.studyInstanceUID, .studyUID, dataSet)
        self.require(.seriesInstanceUID, .seriesUID, dataSet)
    }

    private mutating func require(_ tag: Tag, _ rule: CheckRule, _ dataSet: DataSet) {
        let name = DataDictionary.entry(for: tag)?.name ?? ""
        guard let element = dataSet[tag] else {
            self.report.add(rule, tag.description, "\(name) is missing")
            return
        }
        if dataSet.string(tag) == nil { self.add(rule, element, "\(name) is empty") }
    }

    /// False for what PS3.3 gives neither patient nor study.
    private static func belongsToAStudy(_ sopClass: String?) -> Bool {
        guard let sopClass else { return true }
        let storage = "1.2.840.10008.5.1.4."
        switch sopClass {
        case storage + "38.1", storage + "39.1", storage + "43.1", storage + "44.1", storage + "45.1",
            storage + "1.1.200.1", storage + "1.1.200.3", storage + "1.1.200.7", storage + "1.1.201.1":
            return false
        default: return true
        }
    }
}
