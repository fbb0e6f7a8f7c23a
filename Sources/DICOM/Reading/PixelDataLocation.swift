// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// Where the top-level Pixel Data, Float Pixel Data or Double Float Pixel Data is, without its bytes.
///
/// Offsets count from the start of the data set. `[0, elementOffset)` and `[endOffset, end of the data set)` are what
/// a caller copies verbatim who replaces the element.
public struct PixelDataLocation: Hashable, Sendable {
    /// One item of encapsulated Pixel Data, after the offset table.
    public struct Fragment: Hashable, Sendable {
        /// Offset of the fragment's first byte, after its item header.
        public var offset: Int
        public var byteCount: Int
    }

    public var tag: Tag
    public var vr: VR
    /// Offset of the tag.
    public var elementOffset: Int
    /// Offset of the value: after tag, VR and length.
    public var valueOffset: Int
    /// The declared length; nil when undefined, that is, encapsulated.
    public var byteCount: Int?
    /// Offset of the first byte after the element; nil when it is beyond the bytes given.
    public var endOffset: Int?
    /// In order; empty when native or when the end is not in the bytes given.
    public var fragments: [Fragment] = []
    /// The basic offset table: frame starts relative to the item header of the first fragment.
    public var basicOffsetTable: [UInt32] = []

    var basicOffsetTableRange = 0..<0
    var isBigEndian = false

    public var isEncapsulated: Bool { self.byteCount == nil }

    init(tag: Tag, vr: VR, elementOffset: Int, valueOffset: Int, byteCount: Int?, endOffset: Int?) {
        self.tag = tag
        self.vr = vr
        self.elementOffset = elementOffset
        self.valueOffset = valueOffset
        self.byteCount = byteCount
        self.endOffset = endOffset
    }

    /// Finds Pixel Data in the readable bytes of `bytes`, a data set that is not deflated.
    ///
    /// - Returns: nil when the data set has none. With only the head of an object: everything but `endOffset` and
    ///   `fragments`.
    public static func find(
        in bytes: ByteBuffer,
        transferSyntax: TransferSyntax,
        limits: ReadLimits = .standard
    ) throws(DICOMError) -> PixelDataLocation? {
        try DataSetReader.readHeader(bytes, transferSyntax: transferSyntax, limits: limits).pixelData
    }

    /// What stands at the start of an item of encapsulated Pixel Data, for callers that walk a file by themselves.
    public enum ItemHeader: Hashable, Sendable {
        /// The offset table (the first one) or a fragment: so many bytes follow.
        case item(byteCount: Int)
        /// The delimiter: the value ends after these 8 bytes.
        case end
    }

    /// Reads the 8 bytes of an item header; nil when there are fewer.
    public func itemHeader(_ bytes: ByteBuffer) throws(DICOMError) -> ItemHeader? {
        guard bytes.readableBytes >= 8 else { return nil }
        let header = bytes.readableBytesSpan.itemHeader(at: 0, isBigEndian: self.isBigEndian)
        if header.tag == .sequenceDelimitation { return .end }
        guard header.tag == .item, header.length != ElementHeader.undefinedLength else {
            throw DICOMError(.invalidStructure, "something else stands where a fragment should", at: self.tag)
        }
        return .item(byteCount: Int(header.length))
    }

    /// Fills in `endOffset` and fragments if the bytes reach that far; leaves them out if they don't.
    mutating func locateEnd(_ bytes: RawSpan, limits: ReadLimits) {
        if let byteCount {
            if byteCount <= bytes.byteCount - self.valueOffset { self.endOffset = self.valueOffset + byteCount }
            return
        }
        var complete = self
        do throws(DICOMError) {
            _ = try complete.walkFragments(bytes, end: bytes.byteCount, maximumCount: limits.maximumItemCount)
            self = complete
        } catch {
            // Not all here, or not well formed: whoever reads the value is told.
        }
    }

    /// Walks the items from `valueOffset` to the delimiter; returns the offset after it.
    mutating func walkFragments(_ bytes: RawSpan, end: Int, maximumCount: Int) throws(DICOMError) -> Int {
        var position = self.valueOffset
        var isFirst = true
        while true {
            guard end - position >= 8 else {
                throw DICOMError(
                    .truncated,
                    "the encapsulated value has no delimiter",
                    offset: position,
                    at: self.tag
                )
            }
            let header = bytes.itemHeader(at: position, isBigEndian: self.isBigEndian)
            let start = position + 8
            if header.tag == .sequenceDelimitation {
                self.endOffset = start
                return start
            }
            guard header.tag == .item else {
                throw DICOMError(
                    .invalidStructure,
                    "something else stands where a fragment should",
                    offset: position,
                    at: self.tag
                )
            }
            guard header.length != ElementHeader.undefinedLength, Int(header.length) <= end - start else {
                let isCut = header.length != ElementHeader.undefinedLength && end == bytes.byteCount
                throw DICOMError(
                    isCut ? .truncated : .invalidLength,
                    "the fragment has \(header.length) bytes, \(end - start) are left",
                    offset: start,
                    at: self.tag
                )
            }
            let count = Int(header.length)
            if isFirst {
                isFirst = false
                self.readOffsetTable(bytes, start, count)
            } else {
                guard self.fragments.count < maximumCount else {
                    throw DICOMError(
                        .limitExceeded,
                        "more than \(maximumCount) items",
                        offset: position,
                        at: self.tag
                    )
                }
                self.fragments.append(Fragment(offset: start, byteCount: count))
            }
            position = start + count
        }
    }

    private mutating func readOffsetTable(_ bytes: RawSpan, _ start: Int, _ count: Int) {
        self.basicOffsetTableRange = start..<start + count
        self.basicOffsetTable = (0..<count / 4).map { index in
            let value = bytes.halfWord(at: start + index * 4)
            return self.isBigEndian ? value.byteSwapped : value
        }
    }
}
