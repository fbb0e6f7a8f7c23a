// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// A data set as a person reads it: one line an element, items indented.
///
/// `(0010,0010) PN [Doe^Jane]                              # 8, 1 PatientName`: tag, VR, value, then length in bytes
/// (`u/l` if undefined), number of values and keyword. Text is decoded to UTF-8 and safe for a terminal.
public struct DataSetDump {
    public struct Options: Hashable, Sendable {
        /// Characters of a value before it is cut; nil for all of it.
        public var maximumValueCount: Int? = 64
        /// Fragments of encapsulated Pixel Data before the rest is summed up.
        public var maximumFragmentCount = 8
        public var showsOffsets = false

        public static let standard = Options()

        public init() {}
    }

    private let options: Options
    private let emit: (String) -> Void

    private init(options: Options, emit: @escaping (String) -> Void) {
        self.options = options
        self.emit = emit
    }

    /// Calls `emit` with each line, without line ends.
    ///
    /// A data set of a million elements gives a million lines: they are not gathered.
    public static func write(
        _ dataSet: DataSet,
        options: Options = .standard,
        _ emit: (String) -> Void
    ) {
        withoutActuallyEscaping(emit) { emit in
            DataSetDump(options: options, emit: emit).write(dataSet, depth: 0)
        }
    }

    private func write(_ dataSet: DataSet, depth: Int) {
        for element in dataSet.elements {
            self.write(element, dataSet, depth)
            switch element.value {
            case .bytes: break
            case .items(let items):
                for (number, item) in items.enumerated() {
                    let length = item.hasUndefinedLength ? "u/l" : "-"
                    self.line("item \(number + 1) of \(items.count)", length, nil, depth + 1)
                    self.write(item.dataSet, depth: depth + 2)
                }
            case .fragments(let value): self.write(value, dataSet, depth + 1)
            }
        }
    }

    private func write(_ element: DataElement, _ dataSet: DataSet, _ depth: Int) {
        let (value, count) = self.value(of: element, dataSet)
        var length = "\(element.value.bytes?.readableBytes ?? 0)"
        if element.value.bytes == nil { length = element.hasUndefinedLength ? "u/l" : "-" }
        var remark = count.map { "\(length), \($0)" } ?? length
        if self.options.showsOffsets, let offset = element.elementOffset { remark += " @\(offset)" }
        self.line("\(element.tag) \(element.vr) \(value)", remark, self.name(of: element.tag, dataSet), depth)
    }

    private func line(_ text: String, _ remark: String, _ name: String?, _ depth: Int) {
        let line = String(repeating: "  ", count: depth) + text
        let padding = String(repeating: " ", count: max(1, 60 - line.unicodeScalars.count))
        self.emit("\(line)\(padding)# \(remark)\(name.map { " \($0)" } ?? "")")
    }

    private func name(of tag: Tag, _ dataSet: DataSet) -> String {
        if let keyword = DataDictionary.entry(for: tag)?.keyword, !keyword.isEmpty { return keyword }
        if tag.isGroupLength { return "GroupLength" }
        if tag.isPrivateCreator { return "PrivateCreator" }
        guard tag.isPrivate, tag.element >= 0x1000 else { return "Unknown" }
        guard let creator = dataSet.string(Tag(tag.group, tag.element >> 8)) else { return "Private" }
        return "Private \"\(TerminalText.escaped(TerminalText.shortened(creator, to: 64)))\""
    }

    // MARK: - Values

    /// The value as text, and how many values it is; nil where that says nothing.
    private func value(of element: DataElement, _ dataSet: DataSet) -> (String, Int?) {
        switch element.value {
        case .items(let items): return ("(\(items.count == 1 ? "1 item" : "\(items.count) items"))", nil)
        case .fragments(let value):
            let count = value.fragments.count
            return ("(encapsulated, \(count == 1 ? "1 fragment" : "\(count) fragments"))", nil)
        case .bytes(let bytes):
            guard bytes.readableBytes > 0 else { return ("(no value)", 0) }
            let vr = element.vr == .un ? DataDictionary.vr(for: element.tag).vr : element.vr
            guard !vr.isBulk, vr.isKnown, vr != .sq else { return (self.hexadecimal(bytes), nil) }
            guard !vr.isText else { return self.text(of: element, vr, bytes, dataSet) }
            return self.numbers(of: element, vr, dataSet)
        }
    }

    private func text(
        of element: DataElement,
        _ vr: VR,
        _ bytes: ByteBuffer,
        _ dataSet: DataSet
    ) -> (String, Int?) {
        let values = dataSet.strings(of: element)
        let text = TerminalText.escaped(self.shortened(values.joined(separator: "\\")))
        guard vr == .ui, values.count == 1, let uid = try? UID(validating: values[0]),
            let name = UIDRegistry.name(of: uid)
        else { return ("[\(text)]", values.count) }
        return ("[\(text)] \(name)", 1)
    }

    private func numbers(of element: DataElement, _ vr: VR, _ dataSet: DataSet) -> (String, Int?) {
        let texts: [String]
        switch vr {
        case .at:
            texts = dataSet.integers(of: element).map { Tag(rawValue: UInt32(truncatingIfNeeded: $0)).description }
        case .fl: texts = dataSet.decimals(of: element).map { String(Float($0)) }
        case .fd: texts = dataSet.decimals(of: element).map { String($0) }
        default: texts = dataSet.strings(of: element)
        }
        // A length that is no whole number of numbers leaves nothing to show.
        guard !texts.isEmpty else { return (element.value.bytes.map { self.hexadecimal($0) } ?? "", nil) }
        return (self.shortened(texts.joined(separator: "\\")), texts.count)
    }

    private func shortened(_ text: String) -> String {
        self.options.maximumValueCount.map { TerminalText.shortened(text, to: $0) } ?? text
    }

    /// `01\0A\FF`, as many bytes as fit.
    private func hexadecimal(_ bytes: ByteBuffer) -> String {
        let limit = self.options.maximumValueCount.map { max(1, $0 / 3) } ?? bytes.readableBytes
        let digits = Array("0123456789ABCDEF".utf8)
        var text: [UInt8] = []
        for byte in bytes.readableBytesView.prefix(limit) {
            if !text.isEmpty { text.append(UInt8(ascii: "\\")) }
            text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
        return String(decoding: text, as: UTF8.self) + (bytes.readableBytes > limit ? "..." : "")
    }

    private func write(_ value: EncapsulatedValue, _ dataSet: DataSet, _ depth: Int) {
        var table = value.basicOffsetTable
        var offsets: [String] = []
        let order: Endianness = dataSet.encoding.isBigEndian ? .big : .little
        while let offset = table.readInteger(endianness: order, as: UInt32.self) { offsets.append(String(offset)) }
        let text = offsets.isEmpty ? "(empty)" : self.shortened(offsets.joined(separator: "\\"))
        self.line("offset table \(text)", "\(value.basicOffsetTable.readableBytes), \(offsets.count)", nil, depth)
        for (number, fragment) in value.fragments.prefix(self.options.maximumFragmentCount).enumerated() {
            self.line("fragment \(number + 1) \(self.hexadecimal(fragment))", "\(fragment.readableBytes)", nil, depth)
        }
        let rest = value.fragments.dropFirst(self.options.maximumFragmentCount)
        guard !rest.isEmpty else { return }
        let byteCount = rest.reduce(0) { $0 + $1.readableBytes }
        self.line("... \(rest.count) more", "\(byteCount)", nil, depth)
    }
}
