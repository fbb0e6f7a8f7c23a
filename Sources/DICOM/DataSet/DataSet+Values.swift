// SPDX-License-Identifier: Apache-2.0

public import NIOCore

extension DataSet {
    /// The raw value; nil when absent, a sequence or encapsulated.
    public func bytes(_ tag: Tag) -> ByteBuffer? {
        self[tag]?.value.bytes
    }

    /// The first value as text, decoded and without padding; nil when absent or empty.
    ///
    /// Numbers of binary representations come in decimal.
    public func string(_ tag: Tag) -> String? {
        guard let element = self[tag] else { return nil }
        let first = self.strings(of: element).first
        return first?.isEmpty == false ? first : nil
    }

    /// All values as text, decoded and without padding; empty ones stay, so that positions count.
    public func strings(_ tag: Tag) -> [String] {
        self[tag].map { self.strings(of: $0) } ?? []
    }

    /// All values of `element`, which must be of this data set (its byte order and repertoire count).
    public func strings(of element: DataElement) -> [String] {
        guard case .bytes(let bytes) = element.value, bytes.readableBytes > 0 else { return [] }
        let vr = element.vr == .un ? DataDictionary.vr(for: element.tag).vr : element.vr
        switch vr {
        case .us, .ss, .ul, .sl, .uv, .sv: return self.integerTexts(of: element)
        case .fl, .fd: return self.decimals(of: element).map { String($0) }
        case .at, .sq: return []
        default: break
        }
        if vr.isBulk { return [] }
        return self.characterSet.decodeValues(bytes, vr: vr)
    }

    /// The first value as an integer: IS, DS without a fraction, and the binary integers.
    public func integer(_ tag: Tag) -> Int? {
        self[tag].flatMap { self.integers(of: $0).first }
    }

    /// All values that are integers.
    public func integers(_ tag: Tag) -> [Int] {
        self[tag].map { self.integers(of: $0) } ?? []
    }

    /// The first value as a number.
    public func decimal(_ tag: Tag) -> Double? {
        self[tag].flatMap { self.decimals(of: $0).first }
    }

    /// All values that are numbers.
    public func decimals(_ tag: Tag) -> [Double] {
        self[tag].map { self.decimals(of: $0) } ?? []
    }

    /// The first value as a UID; letters are accepted, see `UID.init(lenient:)`.
    public func uid(_ tag: Tag) -> UID? {
        // An absent, empty or malformed UID is all one to the caller: there is no UID here.
        self.string(tag).flatMap { try? UID(lenient: $0) }
    }

    /// The data sets of a sequence's items; empty when absent or no sequence.
    public func items(_ tag: Tag) -> [DataSet] {
        guard case .items(let items)? = self[tag]?.value else { return [] }
        return items.map(\.dataSet)
    }

    /// Sets text, encoded as UTF-8 or ASCII as it is, and padded to an even length.
    public mutating func set(_ tag: Tag, _ vr: VR, _ text: String) {
        var bytes = ByteBuffer(string: text)
        if bytes.readableBytes % 2 != 0 { bytes.writeInteger(vr.paddingByte) }
        self.set(DataElement(tag: tag, vr: vr, value: .bytes(bytes)))
    }

    /// Sets numbers of US, SS, UL, SL, UV, SV or AT, truncated to its width, in the byte order of the data set.
    public mutating func set(_ tag: Tag, _ vr: VR, integers: [Int]) {
        var bytes = ByteBuffer()
        let order: Endianness = self.encoding.isBigEndian ? .big : .little
        for value in integers {
            switch vr {
            case .at:
                bytes.writeInteger(UInt16(truncatingIfNeeded: value >> 16), endianness: order)
                bytes.writeInteger(UInt16(truncatingIfNeeded: value), endianness: order)
            case .us, .ss: bytes.writeInteger(UInt16(truncatingIfNeeded: value), endianness: order)
            case .ul, .sl: bytes.writeInteger(UInt32(truncatingIfNeeded: value), endianness: order)
            default: bytes.writeInteger(UInt64(truncatingIfNeeded: value), endianness: order)
            }
        }
        self.set(DataElement(tag: tag, vr: vr, value: .bytes(bytes)))
    }
}

extension DataSet {
    /// The binary integers of `element` in decimal; UV beyond `Int` included.
    func integerTexts(of element: DataElement) -> [String] {
        guard element.vr == .uv, case .bytes(var bytes) = element.value else {
            return self.integers(of: element).map { String($0) }
        }
        var result: [String] = []
        while let value = bytes.readInteger(endianness: self.encoding.isBigEndian ? .big : .little, as: UInt64.self) {
            result.append(String(value))
        }
        return result
    }

    /// The integers of `element`, which must be of this data set.
    public func integers(of element: DataElement) -> [Int] {
        guard case .bytes(var bytes) = element.value else { return [] }
        let order: Endianness = self.encoding.isBigEndian ? .big : .little
        var result: [Int] = []
        let vr = element.vr == .un ? DataDictionary.vr(for: element.tag).vr : element.vr
        switch vr {
        case .us, .ow:
            while let value = bytes.readInteger(endianness: order, as: UInt16.self) { result.append(Int(value)) }
        case .ss: while let value = bytes.readInteger(endianness: order, as: Int16.self) { result.append(Int(value)) }
        case .ul, .ol:
            while let value = bytes.readInteger(endianness: order, as: UInt32.self) { result.append(Int(value)) }
        case .sl: while let value = bytes.readInteger(endianness: order, as: Int32.self) { result.append(Int(value)) }
        case .sv: while let value = bytes.readInteger(endianness: order, as: Int64.self) { result.append(Int(value)) }
        case .uv, .ov:
            while let value = bytes.readInteger(endianness: order, as: UInt64.self) {
                if let value = Int(exactly: value) { result.append(value) }
            }
        case .at:
            while let group = bytes.readInteger(endianness: order, as: UInt16.self),
                let number = bytes.readInteger(endianness: order, as: UInt16.self)
            {
                result.append(Int(Tag(group, number).rawValue))
            }
        case .is, .ds:
            result = self.characterSet.decodeValues(bytes, vr: vr).compactMap { text in
                NumberText.integer(text) ?? NumberText.decimal(text).flatMap { Int(exactly: $0) }
            }
        default: break
        }
        return result
    }

    /// The numbers of `element`, which must be of this data set.
    public func decimals(of element: DataElement) -> [Double] {
        guard case .bytes(var bytes) = element.value else { return [] }
        let order: Endianness = self.encoding.isBigEndian ? .big : .little
        let vr = element.vr == .un ? DataDictionary.vr(for: element.tag).vr : element.vr
        var result: [Double] = []
        switch vr {
        case .fl, .of:
            while let bits = bytes.readInteger(endianness: order, as: UInt32.self) {
                result.append(Double(Float(bitPattern: bits)))
            }
        case .fd, .od:
            while let bits = bytes.readInteger(endianness: order, as: UInt64.self) {
                result.append(Double(bitPattern: bits))
            }
        case .ds, .is: result = self.characterSet.decodeValues(bytes, vr: vr).compactMap { NumberText.decimal($0) }
        case .us, .ss, .ul, .sl, .uv, .sv: result = self.integers(of: element).map { Double($0) }
        default: break
        }
        return result
    }
}
