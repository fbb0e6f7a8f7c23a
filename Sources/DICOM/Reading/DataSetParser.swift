// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The parser behind `DataSetReader`: one pass over the bytes, recursion only into items and only as deep as allowed.
///
/// Departures from PS3.5 that real files have and that it accepts:
/// - an explicit VR data set, or items in one, without VRs, and the reverse;
/// - delimiters after sequences and items of defined length; a sequence's end that also ends an open item;
/// - a "sequence" of defined length that holds no items (its bytes are kept);
/// - zero bytes after the last element; odd lengths; elements out of order or twice.
/// What does not fit into what encloses it is an error, since nothing after it can be trusted.
struct DataSetParser {
    enum Stop: Equatable {
        case never
        case before(Tag)
        case beforePixelData
    }

    /// What ends a data set: for the top level its end, for items a length or a delimiter.
    enum Scope {
        case top
        case definedItem
        case undefinedItem
    }

    let source: ByteBuffer
    let limits: ReadLimits
    let stop: Stop
    /// Offset of the next byte to read; all offsets count from the first readable byte.
    var position = 0
    var stoppedAt: Int?
    var pixelData: PixelDataLocation?
    var itemCount = 0
    /// What was put right while reading, for `DataSetCheck`; nil when nobody asks.
    var notes: [Note]?
    /// Where the parser is; kept only for notes.
    var steps: [TagPath.Step] = []
    private var elementCount = 0
    /// US was assumed for an element before Pixel Representation was known.
    private var hasUnresolvedSign = false
    /// Offset from which on all bytes are zero, once it was looked for.
    private var zeroTail: Int?

    init(source: ByteBuffer, limits: ReadLimits, stop: Stop) {
        self.source = source
        self.limits = limits
        self.stop = stop
    }

    mutating func parse(_ encoding: DataSetEncoding) throws(DICOMError) -> DataSet {
        let source = self.source
        let bytes = source.readableBytesSpan
        let found = Self.probe(bytes, at: 0, end: bytes.byteCount, assumed: encoding, isTop: true)
        if found != encoding {
            self.note(found.isExplicitVR ? .explicitInsteadOfImplicit : .implicitInsteadOfExplicit, 0)
        }
        var dataSet = try self.parseDataSet(
            bytes,
            end: bytes.byteCount,
            context: Context(encoding: found, characterSet: .default),
            scope: .top
        )
        if self.hasUnresolvedSign { AmbiguousRepresentation.resolveSigns(&dataSet, isSigned: false) }
        return dataSet
    }

    /// What items inherit from what encloses them.
    struct Context {
        var encoding: DataSetEncoding
        var characterSet: SpecificCharacterSet
        var isSigned: Bool?
        var depth = 0
        /// Within UN, where PS3.5 section 6.2.2 wants implicit VR.
        var isUnknown = false
    }

    mutating func parseDataSet(
        _ bytes: RawSpan,
        end: Int,
        context: Context,
        scope: Scope
    ) throws(DICOMError) -> DataSet {
        var context = context
        let encoding = context.encoding
        var dataSet = DataSet(encoding: encoding, characterSet: context.characterSet)
        if scope == .top { dataSet.reserveCapacity(160) }
        while self.position < end {
            let start = self.position
            guard end - start >= 8,
                let header = ElementHeader.read(bytes, at: start, end: end, encoding: encoding)
            else {
                guard scope != .undefinedItem, bytes.isZero(from: start, to: end) else {
                    throw self.cut(scope, start)
                }
                if scope == .definedItem {
                    self.note(.zerosInItem, start)
                    self.position = end
                }
                return dataSet
            }
            if header.tag.group == 0xFFFE {
                if try self.passDelimiter(header, scope) { return dataSet }
                continue
            }
            if scope == .top, self.isStop(header, bytes, start, end, encoding) { return dataSet }
            if header.tag.rawValue == 0, scope == .top, self.isPadding(bytes, from: start) { return dataSet }
            self.elementCount += 1
            guard self.elementCount <= self.limits.maximumElementCount else {
                throw DICOMError(
                    .limitExceeded,
                    "more than \(self.limits.maximumElementCount) elements",
                    offset: start,
                    at: header.tag
                )
            }
            let element = try self.parseElement(bytes, header, end: end, context: &context, scope: scope)
            dataSet.append(element)
            if element.tag == .specificCharacterSet { context.characterSet = dataSet.characterSet }
        }
        guard scope != .undefinedItem else {
            throw DICOMError(.truncated, "the item has no delimiter", offset: end)
        }
        return dataSet
    }

    @inline(__always)
    private mutating func parseElement(
        _ bytes: RawSpan,
        _ header: ElementHeader,
        end: Int,
        context: inout Context,
        scope: Scope
    ) throws(DICOMError) -> DataElement {
        let start = self.position
        let valueStart = start + header.byteCount
        var vr = header.vr
        if header.ambiguity != .none { vr = self.resolve(header, context) }
        if header.hasUndefinedLength || vr == .sq {
            return try self.parseStructured(bytes, header, vr, end: end, context: context, scope: scope)
        }
        let count = Int(header.length)
        guard count <= end - valueStart else {
            throw self.tooLong(header, count, valueStart, end, scope)
        }
        self.position = valueStart + count
        if header.tag == .pixelRepresentation, count >= 2 {
            context.isSigned = bytes.byte(at: valueStart + (context.encoding.isBigEndian ? 1 : 0)) == 1
        }
        if scope == .top, header.tag.isPixelData {
            self.pixelData = PixelDataLocation(
                tag: header.tag,
                vr: vr,
                elementOffset: start,
                valueOffset: valueStart,
                byteCount: count,
                endOffset: valueStart + count
            )
            self.pixelData?.isBigEndian = context.encoding.isBigEndian
        }
        return DataElement(
            tag: header.tag,
            vr: vr,
            value: .bytes(self.window(valueStart, count)),
            hasUndefinedLength: false,
            offset: start,
            headerByteCount: header.byteCount
        )
    }

    /// The bytes of a value: the same storage between other indices. (A slice would copy beyond 16 MiB.)
    @inline(__always)
    func window(_ offset: Int, _ count: Int) -> ByteBuffer {
        var value = self.source
        value.moveReaderIndex(forwardBy: offset)
        value.moveWriterIndex(to: value.readerIndex + count)
        return value
    }

    private mutating func resolve(_ header: ElementHeader, _ context: Context) -> VR {
        switch header.ambiguity {
        case .none, .unsignedOrWords: header.vr
        case .bytesOrWords: header.hasUndefinedLength ? .ob : .ow
        case .unsignedOrSigned:
            if let isSigned = context.isSigned {
                isSigned ? .ss : .us
            } else {
                self.assumeUnsigned()
            }
        }
    }

    private mutating func assumeUnsigned() -> VR {
        self.hasUnresolvedSign = true
        return .us
    }

    private mutating func isStop(
        _ header: ElementHeader,
        _ bytes: RawSpan,
        _ start: Int,
        _ end: Int,
        _ encoding: DataSetEncoding
    ) -> Bool {
        switch self.stop {
        case .never: return false
        case .before(let tag): guard header.tag >= tag else { return false }
        case .beforePixelData: guard header.tag.isPixelData else { return false }
        }
        self.stoppedAt = start
        guard header.tag.isPixelData else { return true }
        var vr = header.vr
        if header.ambiguity == .bytesOrWords { vr = header.hasUndefinedLength ? .ob : .ow }
        let valueStart = start + header.byteCount
        var location = PixelDataLocation(
            tag: header.tag,
            vr: vr,
            elementOffset: start,
            valueOffset: valueStart,
            byteCount: header.hasUndefinedLength ? nil : Int(header.length),
            endOffset: nil
        )
        location.isBigEndian = encoding.isBigEndian
        location.locateEnd(bytes, limits: self.limits)
        self.pixelData = location
        return true
    }

    /// True when nothing but zero bytes is left; looked for once, from the end, so that hostile bytes cost one pass.
    private mutating func isPadding(_ bytes: RawSpan, from offset: Int) -> Bool {
        if let zeroTail { return offset >= zeroTail }
        var start = bytes.byteCount
        while start > offset, bytes.byte(at: start - 1) == 0 { start -= 1 }
        self.zeroTail = start
        return offset >= start
    }

    /// Handles a tag of group FFFE among elements; true when it ends the data set.
    private mutating func passDelimiter(_ header: ElementHeader, _ scope: Scope) throws(DICOMError) -> Bool {
        switch header.tag {
        case .itemDelimitation:
            if header.length != 0 { self.note(.delimiterLength, self.position) }
            if scope != .undefinedItem { self.note(.itemDelimiterAmongElements, self.position) }
            self.position += 8
            return scope == .undefinedItem
        case .sequenceDelimitation:
            // In an item without delimiter: it ends the item and, not consumed, the sequence too.
            if scope == .undefinedItem {
                self.note(.missingItemDelimiter, self.position)
                return true
            }
            self.note(.sequenceDelimiterAmongElements, self.position)
            self.position += 8
            return false
        default:
            throw DICOMError(
                .invalidStructure,
                "an item stands where an element should",
                offset: self.position,
                at: header.tag
            )
        }
    }

    private func cut(_ scope: Scope, _ offset: Int) -> DICOMError {
        scope == .top || scope == .undefinedItem
            ? DICOMError(.truncated, "the bytes end within the header of an element", offset: offset)
            : DICOMError(.invalidLength, "the item ends within the header of an element", offset: offset)
    }

    private func tooLong(_ header: ElementHeader, _ count: Int, _ start: Int, _ end: Int, _ scope: Scope) -> DICOMError
    {
        let isCut = end == self.source.readableBytes
        return DICOMError(
            isCut ? .truncated : .invalidLength,
            "the value has \(count) bytes, \(end - start) are left in the \(scope == .top ? "data set" : "item")",
            offset: start,
            at: header.tag
        )
    }
}
