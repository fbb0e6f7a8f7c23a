// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension DataSetParser {
    /// Values with a structure: sequences, UN of undefined length, encapsulated fragments.
    mutating func parseStructured(
        _ bytes: RawSpan,
        _ header: ElementHeader,
        _ vr: VR,
        end: Int,
        context: Context,
        scope: Scope
    ) throws(DICOMError) -> DataElement {
        let start = self.position
        let valueStart = start + header.byteCount
        var valueEnd = end
        if !header.hasUndefinedLength {
            valueEnd = valueStart + Int(header.length)
            guard valueEnd <= end else {
                throw DICOMError(
                    .truncated,
                    "the sequence has \(header.length) bytes, \(end - valueStart) are left",
                    offset: valueStart,
                    at: header.tag
                )
            }
        }
        var vr = vr
        let value: ElementValue
        if self.isFragments(header, vr) {
            self.position = valueStart
            value = try self.parseFragments(bytes, header, vr, end: end, context: context, scope: scope)
        } else if !header.hasUndefinedLength, !Self.startsWithItem(bytes, valueStart, valueEnd, context.encoding) {
            value = .bytes(self.window(valueStart, valueEnd - valueStart))
            self.position = valueEnd
        } else {
            self.position = valueStart
            var inner = context
            inner.depth += 1
            if vr == .un || header.byteCount == 8 {
                // PS3.5 section 6.2.2 note 2: UN of undefined length is a sequence in implicit VR little endian.
                inner.encoding = context.encoding.isBigEndian && vr != .un ? context.encoding : .implicitLittleEndian
            }
            inner.isUnknown = inner.isUnknown || vr == .un
            // An undefined length has items, whatever the dictionary expects of this tag.
            if vr != .un { vr = .sq }
            value = .items(
                try self.parseItems(
                    bytes,
                    header.tag,
                    end: valueEnd,
                    isUndefined: header.hasUndefinedLength,
                    context: inner
                )
            )
        }
        return DataElement(
            tag: header.tag,
            vr: vr,
            value: value,
            hasUndefinedLength: header.hasUndefinedLength,
            offset: start,
            headerByteCount: header.byteCount
        )
    }

    /// Undefined lengths of OB, OW and the like hold fragments; of SQ, UN and what has no known VR, items.
    private func isFragments(_ header: ElementHeader, _ vr: VR) -> Bool {
        guard header.hasUndefinedLength, vr != .sq, vr != .un else { return false }
        return header.byteCount == 12 || header.tag.isPixelData
    }

    private static func startsWithItem(_ bytes: RawSpan, _ start: Int, _ end: Int, _ encoding: DataSetEncoding) -> Bool
    {
        guard end > start else { return true }
        guard end - start >= 8 else { return false }
        let tag = bytes.itemHeader(at: start, isBigEndian: encoding.isBigEndian).tag
        return tag == .item || tag == .sequenceDelimitation
    }

    private mutating func parseItems(
        _ bytes: RawSpan,
        _ tag: Tag,
        end: Int,
        isUndefined: Bool,
        context: Context
    ) throws(DICOMError) -> [SequenceItem] {
        guard context.depth <= self.limits.maximumDepth else {
            throw DICOMError(
                .limitExceeded,
                "sequences are nested more than \(self.limits.maximumDepth) deep",
                offset: self.position,
                at: tag
            )
        }
        var items: [SequenceItem] = []
        while self.position < end {
            let start = self.position
            guard end - start >= 8 else {
                guard !isUndefined, bytes.isZero(from: start, to: end) else { break }
                self.position = end
                return items
            }
            let header = bytes.itemHeader(at: start, isBigEndian: context.encoding.isBigEndian)
            switch header.tag {
            case .item: break
            case .sequenceDelimitation:
                if header.length != 0 { self.note(.delimiterLength, start, tag) }
                self.position += 8
                if isUndefined { return items }
                self.note(.sequenceDelimiterInDefinedLength, start, tag)
                continue
            case .itemDelimitation:
                self.note(.itemDelimiterAmongItems, start, tag)
                self.position += 8
                continue
            default:
                throw DICOMError(
                    .invalidStructure,
                    "an element stands where an item should",
                    offset: start,
                    at: header.tag
                ).inside(tag, item: items.count)
            }
            try self.countItem(tag, start)
            self.position = start + 8
            if self.notes != nil { self.steps.append(TagPath.Step(tag: tag, item: items.count)) }
            do throws(DICOMError) {
                items.append(try self.parseItem(bytes, header.length, end: end, context: context))
            } catch {
                throw error.inside(tag, item: items.count)
            }
            if self.notes != nil { self.steps.removeLast() }
        }
        guard !isUndefined, self.position >= end else {
            throw DICOMError(.truncated, "the sequence has no delimiter", offset: self.position, at: tag)
        }
        return items
    }

    private mutating func parseItem(
        _ bytes: RawSpan,
        _ length: UInt32,
        end: Int,
        context: Context
    ) throws(DICOMError) -> SequenceItem {
        let isUndefined = length == ElementHeader.undefinedLength
        let start = self.position
        var itemEnd = end
        if !isUndefined {
            guard Int(length) <= end - start else {
                let isCut = end == self.source.readableBytes
                throw DICOMError(
                    isCut ? .truncated : .invalidLength,
                    "the item has \(length) bytes, \(end - start) are left in the sequence",
                    offset: start
                )
            }
            itemEnd = start + Int(length)
        }
        var inner = context
        inner.encoding = Self.probe(bytes, at: start, end: itemEnd, assumed: context.encoding, isTop: false)
        if inner.encoding != context.encoding {
            let isUnknown = context.isUnknown && inner.encoding.isExplicitVR
            self.note(
                isUnknown
                    ? .explicitInUnknown
                    : inner.encoding.isExplicitVR ? .explicitInsteadOfImplicit : .implicitInsteadOfExplicit,
                start
            )
        }
        let dataSet = try self.parseDataSet(
            bytes,
            end: itemEnd,
            context: inner,
            scope: isUndefined ? .undefinedItem : .definedItem
        )
        return SequenceItem(dataSet, hasUndefinedLength: isUndefined)
    }

    mutating func countItem(_ tag: Tag, _ offset: Int) throws(DICOMError) {
        self.itemCount += 1
        guard self.itemCount <= self.limits.maximumItemCount else {
            throw DICOMError(
                .limitExceeded,
                "more than \(self.limits.maximumItemCount) items",
                offset: offset,
                at: tag
            )
        }
    }

    private mutating func parseFragments(
        _ bytes: RawSpan,
        _ header: ElementHeader,
        _ vr: VR,
        end: Int,
        context: Context,
        scope: Scope
    ) throws(DICOMError) -> ElementValue {
        let start = self.position
        var location = PixelDataLocation(
            tag: header.tag,
            vr: vr,
            elementOffset: start - header.byteCount,
            valueOffset: start,
            byteCount: nil,
            endOffset: nil
        )
        location.isBigEndian = context.encoding.isBigEndian
        let room = self.limits.maximumItemCount - self.itemCount
        self.position = try location.walkFragments(bytes, end: end, maximumCount: room)
        self.itemCount += location.fragments.count
        let table = location.basicOffsetTableRange
        let value = EncapsulatedValue(
            basicOffsetTable: self.window(table.lowerBound, table.count),
            fragments: location.fragments.map { self.window($0.offset, $0.byteCount) }
        )
        if scope == .top, header.tag.isPixelData { self.pixelData = location }
        return .fragments(value)
    }

    /// The encoding in which the data set at `start` really is, by its first element.
    static func probe(
        _ bytes: RawSpan,
        at start: Int,
        end: Int,
        assumed: DataSetEncoding,
        isTop: Bool
    ) -> DataSetEncoding {
        guard end - start >= 8, !assumed.isBigEndian else { return assumed }
        let word = bytes.word(at: start)
        let header = bytes.itemHeader(at: start, isBigEndian: false)
        guard header.tag.group != 0xFFFE else { return assumed }
        let vr = VR(rawValue: UInt16(truncatingIfNeeded: word >> 32).byteSwapped)
        let fitsImplicit =
            header.length == ElementHeader.undefinedLength || Int(header.length) <= end - start - 8
        if assumed.isExplicitVR {
            let isImplicit = !vr.isTwoCapitalLetters && fitsImplicit
            return isImplicit ? .implicitLittleEndian : assumed
        }
        guard vr.isKnown, !fitsImplicit || DataDictionary.vr(for: header.tag).vr == vr else { return assumed }
        return .explicitLittleEndian
    }
}
