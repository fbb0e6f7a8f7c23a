// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// A DIMSE command set: the elements of group 0000, always in implicit VR little endian (PS3.7 section 6.3.1).
///
/// Keeps the elements it does not know. Command group length is computed on the way out and ignored on the
/// way in.
public struct CommandSet: Sendable, Equatable {
    /// Element numbers in group 0000 (PS3.7 annex E.1).
    public struct Element: RawRepresentable, Sendable, Hashable, Comparable {
        public let rawValue: UInt16

        public init(rawValue: UInt16) {
            self.rawValue = rawValue
        }

        public static let groupLength = Element(rawValue: 0x0000)
        public static let affectedSOPClassUID = Element(rawValue: 0x0002)
        public static let requestedSOPClassUID = Element(rawValue: 0x0003)
        public static let commandField = Element(rawValue: 0x0100)
        public static let messageID = Element(rawValue: 0x0110)
        public static let messageIDBeingRespondedTo = Element(rawValue: 0x0120)
        public static let moveDestination = Element(rawValue: 0x0600)
        public static let priority = Element(rawValue: 0x0700)
        public static let commandDataSetType = Element(rawValue: 0x0800)
        public static let status = Element(rawValue: 0x0900)
        public static let offendingElement = Element(rawValue: 0x0901)
        public static let errorComment = Element(rawValue: 0x0902)
        public static let errorID = Element(rawValue: 0x0903)
        public static let affectedSOPInstanceUID = Element(rawValue: 0x1000)
        public static let requestedSOPInstanceUID = Element(rawValue: 0x1001)
        public static let eventTypeID = Element(rawValue: 0x1002)
        public static let actionTypeID = Element(rawValue: 0x1008)
        public static let remainingSuboperations = Element(rawValue: 0x1020)
        public static let completedSuboperations = Element(rawValue: 0x1021)
        public static let failedSuboperations = Element(rawValue: 0x1022)
        public static let warningSuboperations = Element(rawValue: 0x1023)
        public static let moveOriginatorAETitle = Element(rawValue: 0x1030)
        public static let moveOriginatorMessageID = Element(rawValue: 0x1031)

        public static func < (left: Element, right: Element) -> Bool { left.rawValue < right.rawValue }
    }

    private struct Entry: Sendable, Equatable {
        var element: Element
        var value: ByteBuffer
    }

    /// The most elements a command set may have.
    ///
    /// The standard defines 40.
    static let maximumElementCount = 128

    /// Sorted by element, each once.
    private var entries: [Entry] = []

    public init() {}

    public init(_ command: CommandField) {
        self[.commandField] = command.rawValue
        self.hasDataSet = false
    }

    /// Decodes a whole command set.
    public init(decoding bytes: ByteBuffer) throws(DIMSEError) {
        var bytes = bytes
        self.entries.reserveCapacity(12)
        while bytes.readableBytes > 0 {
            guard
                let (group, element, length) = bytes.readMultipleIntegers(
                    endianness: .little,
                    as: (UInt16, UInt16, UInt32).self
                )
            else { throw DIMSEError(.malformedCommand, "the command set ends within the header of an element") }
            guard group == 0 else {
                throw DIMSEError(.malformedCommand, "the command set holds an element of group \(group)")
            }
            guard let value = bytes.readSlice(length: Int(length)) else {
                throw DIMSEError(
                    .malformedCommand,
                    "command element \(element) claims \(length) bytes where \(bytes.readableBytes) are left"
                )
            }
            guard element != 0 else { continue }
            guard self.entries.count < Self.maximumElementCount else {
                throw DIMSEError(.malformedCommand, "more than \(Self.maximumElementCount) command elements")
            }
            self.set(Element(rawValue: element), value, replacing: false)
        }
    }

    /// The encoded command set, group length first.
    public func encode(into buffer: inout ByteBuffer) {
        let byteCount = self.entries.reduce(0) { $0 + 8 + $1.value.readableBytes }
        buffer.writeMultipleIntegers(UInt16(0), UInt16(0), UInt32(4), UInt32(byteCount), endianness: .little)
        for entry in self.entries {
            buffer.writeMultipleIntegers(
                UInt16(0),
                entry.element.rawValue,
                UInt32(entry.value.readableBytes),
                endianness: .little
            )
            buffer.writeImmutableBuffer(entry.value)
        }
    }

    /// The encoded command set in a buffer of its own.
    public func encoded() -> ByteBuffer {
        var bytes = ByteBuffer()
        self.encode(into: &bytes)
        return bytes
    }

    /// A value of VR US.
    public subscript(_ element: Element) -> UInt16? {
        get {
            guard let value = self.value(element) else { return nil }
            return value.getInteger(at: value.readerIndex, endianness: .little)
        }
        set {
            var value: ByteBuffer?
            if let newValue {
                var bytes = ByteBuffer()
                bytes.writeInteger(newValue, endianness: .little)
                value = bytes
            }
            self.set(element, value, replacing: true)
        }
    }

    /// A text value, without padding.
    public func text(_ element: Element) -> String? {
        self.value(element).map { UIDText.trimmed($0) }
    }

    /// Sets or removes a UID; the padding is a NUL.
    public mutating func setUID(_ element: Element, _ uid: String?) {
        self.setPadded(element, uid, padding: 0x00)
    }

    /// Sets or removes a text; the padding is a space.
    public mutating func setText(_ element: Element, _ text: String?) {
        self.setPadded(element, text, padding: 0x20)
    }

    /// Values of VR AT: tags, group in the upper half.
    public func tags(_ element: Element) -> [UInt32] {
        guard var value = self.value(element) else { return [] }
        var tags: [UInt32] = []
        while let (group, number) = value.readMultipleIntegers(endianness: .little, as: (UInt16, UInt16).self) {
            tags.append(UInt32(group) << 16 | UInt32(number))
        }
        return tags
    }

    /// Sets tags, or removes the element when there are none.
    public mutating func setTags(_ element: Element, _ tags: [UInt32]) {
        guard !tags.isEmpty else { return self.set(element, nil, replacing: true) }
        var value = ByteBuffer()
        for tag in tags {
            value.writeMultipleIntegers(
                UInt16(truncatingIfNeeded: tag >> 16),
                UInt16(truncatingIfNeeded: tag),
                endianness: .little
            )
        }
        self.set(element, value, replacing: true)
    }

    private mutating func setPadded(_ element: Element, _ text: String?, padding: UInt8) {
        guard let text else { return self.set(element, nil, replacing: true) }
        var bytes = ByteBuffer(string: text)
        if !bytes.readableBytes.isMultiple(of: 2) {
            bytes.writeInteger(padding)
        }
        self.set(element, bytes, replacing: true)
    }

    private func value(_ element: Element) -> ByteBuffer? {
        self.entries.first { $0.element == element }?.value
    }

    /// Keeps the order; of repeated elements on the wire the first counts.
    private mutating func set(_ element: Element, _ value: ByteBuffer?, replacing: Bool) {
        let index = self.entries.firstIndex { $0.element >= element } ?? self.entries.endIndex
        let isPresent = index < self.entries.endIndex && self.entries[index].element == element
        switch (isPresent, value) {
        case (true, let value?):
            if replacing { self.entries[index].value = value }
        case (true, nil):
            self.entries.remove(at: index)
        case (false, let value?):
            self.entries.insert(Entry(element: element, value: value), at: index)
        case (false, nil):
            return
        }
    }
}
