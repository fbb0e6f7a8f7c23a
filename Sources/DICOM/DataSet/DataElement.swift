// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// One element of a data set.
///
/// Values are windows on the buffer they were read from: use the *readable* bytes (`readableBytes`,
/// `readableBytesView`, `readerIndex`), never indices from 0. Whoever keeps a small value for long copies it out.
public struct DataElement: Sendable {
    public var tag: Tag
    /// As read, or from the dictionary if the encoding had none.
    public var vr: VR
    public var value: ElementValue
    /// The length was FFFFFFFFH: a delimiter ends the value.
    public var hasUndefinedLength: Bool
    /// Bytes of tag, VR and length where it was read; 0 for an element made in memory.
    private var headerByteCount: UInt8 = 0
    private var start: UInt32 = 0

    public init(tag: Tag, vr: VR, value: ElementValue, hasUndefinedLength: Bool = false) {
        self.tag = tag
        self.vr = vr
        self.value = value
        self.hasUndefinedLength = hasUndefinedLength
    }

    init(tag: Tag, vr: VR, value: ElementValue, hasUndefinedLength: Bool, offset: Int, headerByteCount: Int) {
        self.init(tag: tag, vr: vr, value: value, hasUndefinedLength: hasUndefinedLength)
        self.headerByteCount = UInt8(truncatingIfNeeded: headerByteCount)
        self.start = UInt32(truncatingIfNeeded: offset)
    }

    /// Byte offset of the tag in the bytes given to the reader (inflated, if they were deflated).
    public var elementOffset: Int? { self.headerByteCount == 0 ? nil : Int(self.start) }
    /// Byte offset of the value in the bytes given to the reader.
    public var valueOffset: Int? { self.elementOffset.map { $0 + Int(self.headerByteCount) } }
}

extension DataElement: Hashable {
    /// Equal when tag, VR and value are; where and in what form they were read does not count.
    public static func == (left: Self, right: Self) -> Bool {
        left.tag == right.tag && left.vr == right.vr && left.value == right.value
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(self.tag)
        hasher.combine(self.vr)
        hasher.combine(self.value)
    }
}

/// The value field of an element.
public enum ElementValue: Hashable, Sendable {
    /// The bytes as they are in the encoding of the data set, padding included.
    case bytes(ByteBuffer)
    /// The items of a sequence.
    case items([SequenceItem])
    /// Fragments, which only an undefined length has.
    case fragments(EncapsulatedValue)

    /// The bytes of a value that is neither a sequence nor encapsulated.
    public var bytes: ByteBuffer? {
        if case .bytes(let bytes) = self { bytes } else { nil }
    }

    public var isEmpty: Bool {
        switch self {
        case .bytes(let bytes): bytes.readableBytes == 0
        case .items(let items): items.isEmpty
        case .fragments: false
        }
    }
}

/// An item of a sequence: a data set of its own.
public struct SequenceItem: Sendable {
    public var dataSet: DataSet
    /// The length was FFFFFFFFH: a delimiter ended the item.
    public var hasUndefinedLength: Bool

    public init(_ dataSet: DataSet, hasUndefinedLength: Bool = false) {
        self.dataSet = dataSet
        self.hasUndefinedLength = hasUndefinedLength
    }
}

extension SequenceItem: Hashable {
    public static func == (left: Self, right: Self) -> Bool {
        left.dataSet == right.dataSet
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(self.dataSet)
    }
}

/// Encapsulated Pixel Data (PS3.5 annex A.4).
public struct EncapsulatedValue: Hashable, Sendable {
    /// The value of the first item: offsets of frames, 32 bits each, relative to the first fragment; or empty.
    public var basicOffsetTable: ByteBuffer
    public var fragments: [ByteBuffer]

    public init(basicOffsetTable: ByteBuffer = ByteBuffer(), fragments: [ByteBuffer]) {
        self.basicOffsetTable = basicOffsetTable
        self.fragments = fragments
    }

    /// Bytes of the value field: item headers, table, fragments and the delimiter.
    public var encodedByteCount: Int {
        self.fragments.reduce(16 + self.basicOffsetTable.readableBytes) { $0 + 8 + $1.readableBytes }
    }
}
