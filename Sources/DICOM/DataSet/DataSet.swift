// SPDX-License-Identifier: Apache-2.0

/// Elements in the order they were read or, where the code adds them, in tag order.
///
/// A value; copies share the bytes. What was read out of order or twice stays so.
public struct DataSet: Sendable {
    /// All elements, in order.
    public private(set) var elements: [DataElement] = []
    /// The encoding the byte values are in.
    ///
    /// Items inside UN may differ from what encloses them.
    public var encoding: DataSetEncoding
    /// The repertoire of its text: its own Specific Character Set, or that of what encloses it.
    public internal(set) var characterSet: SpecificCharacterSet
    /// True while tags only grow: look-ups may search by halves.
    private var isSorted = true

    public init(encoding: DataSetEncoding = .explicitLittleEndian) {
        self.encoding = encoding
        self.characterSet = .default
    }

    init(encoding: DataSetEncoding, characterSet: SpecificCharacterSet) {
        self.encoding = encoding
        self.characterSet = characterSet
    }

    public var isEmpty: Bool { self.elements.isEmpty }
    public var count: Int { self.elements.count }

    /// The element with `tag`; of several the last, as every toolkit does.
    public subscript(tag: Tag) -> DataElement? {
        self.index(of: tag).map { self.elements[$0] }
    }

    /// Appends at the end, whatever the tag: for readers, which keep the order they find.
    public mutating func append(_ element: DataElement) {
        if let last = self.elements.last, last.tag >= element.tag { self.isSorted = false }
        self.elements.append(element)
        if element.tag == .specificCharacterSet { self.adoptCharacterSet(of: element) }
    }

    /// Replaces the element with this tag, or inserts it in tag order.
    public mutating func set(_ element: DataElement) {
        if let index = self.index(of: element.tag) {
            self.elements[index] = element
        } else {
            self.elements.insert(element, at: self.insertionIndex(for: element.tag))
        }
        if element.tag == .specificCharacterSet { self.adoptCharacterSet(of: element) }
    }

    /// Removes every element with `tag`.
    public mutating func remove(_ tag: Tag) {
        guard self.index(of: tag) != nil else { return }
        self.elements.removeAll { $0.tag == tag }
        if tag == .specificCharacterSet { self.characterSet = .default }
    }

    /// Sorts by tag and drops all but the last of elements that come twice, as PS3.5 section 7.1 wants it.
    public mutating func normalizeOrder() {
        guard !self.isSorted else { return }
        var last: [Tag: Int] = [:]
        for (index, element) in self.elements.enumerated() { last[element.tag] = index }
        self.elements = last.sorted { $0.key < $1.key }.map { self.elements[$0.value] }
        self.isSorted = true
    }

    func index(of tag: Tag) -> Int? {
        guard self.isSorted else {
            return self.elements.lastIndex { $0.tag == tag }
        }
        let index = self.insertionIndex(for: tag)
        return index < self.elements.count && self.elements[index].tag == tag ? index : nil
    }

    private func insertionIndex(for tag: Tag) -> Int {
        guard self.isSorted else {
            return self.elements.firstIndex { $0.tag > tag } ?? self.elements.count
        }
        var low = 0
        var high = self.elements.count
        while low < high {
            let middle = (low + high) / 2
            if self.elements[middle].tag < tag { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func adoptCharacterSet(of element: DataElement) {
        guard case .bytes(let bytes) = element.value else { return }
        self.characterSet = SpecificCharacterSet(value: bytes)
    }

    mutating func reserveCapacity(_ count: Int) {
        self.elements.reserveCapacity(count)
    }

    /// For the reader: gives an element that was ambiguous its representation.
    mutating func setRepresentation(_ vr: VR, at index: Int) {
        self.elements[index].vr = vr
    }

    mutating func setItems(_ items: [SequenceItem], at index: Int) {
        self.elements[index].value = .items(items)
    }
}

extension DataSet: Hashable {
    /// Equal when the elements are, in order, and mean the same bytes.
    public static func == (left: Self, right: Self) -> Bool {
        left.encoding.isBigEndian == right.encoding.isBigEndian && left.elements == right.elements
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(self.encoding.isBigEndian)
        hasher.combine(self.elements)
    }
}
