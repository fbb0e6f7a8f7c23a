// SPDX-License-Identifier: Apache-2.0

/// Namespace of the generated text of the data dictionary.
enum DataDictionaryText {}

/// The dictionary in sorted arrays; names stay in the text and are cut out when asked for.
struct DictionaryTable: Sendable {
    static let shared = DictionaryTable(texts: [
        DataDictionaryText.part1, DataDictionaryText.part2, DataDictionaryText.part3,
    ])

    private var tags: [UInt32] = []
    private var representations: [UInt16] = []
    /// Line of each entry: number of the text, first byte and end of what follows the element number.
    private var lines: [Line] = []
    private let texts: [[UInt8]]

    private struct Line: Sendable {
        var text: UInt8
        var start: UInt32
        var end: UInt32
    }

    init(texts: [String]) {
        self.texts = texts.map { Array($0.utf8) }
        self.tags.reserveCapacity(5400)
        self.representations.reserveCapacity(5400)
        self.lines.reserveCapacity(5400)
        for (number, bytes) in self.texts.enumerated() {
            self.parse(bytes, number: UInt8(number))
        }
    }

    private mutating func parse(_ bytes: [UInt8], number: UInt8) {
        var start = 0
        var group: UInt32 = 0
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
            let value = DictionaryLine.hexadecimal(bytes[start..<start + 4])
            if end - start == 4 {
                group = value
            } else {
                self.tags.append(group << 16 | value)
                self.representations.append(UInt16(bytes[start + 4]) << 8 | UInt16(bytes[start + 5]))
                self.lines.append(Line(text: number, start: UInt32(start + 4), end: UInt32(end)))
            }
            start = end + 1
        }
    }

    var count: Int { self.tags.count }
    func tag(at index: Int) -> Tag { Tag(rawValue: self.tags[index]) }

    func index(of tag: Tag) -> Int? {
        var low = 0
        var high = self.tags.count
        while low < high {
            let middle = (low + high) / 2
            if self.tags[middle] < tag.rawValue { low = middle + 1 } else { high = middle }
        }
        return low < self.tags.count && self.tags[low] == tag.rawValue ? low : nil
    }

    func vr(at index: Int) -> (vr: VR, ambiguity: VRAmbiguity) {
        DictionaryLine.representation(self.representations[index])
    }

    func entry(at index: Int, tag: Tag) -> DataDictionary.Entry {
        let line = self.lines[index]
        return DictionaryLine.entry(self.texts[Int(line.text)][Int(line.start)..<Int(line.end)], tag: tag)
    }

    func keyword(at index: Int) -> String {
        let line = self.lines[index]
        return DictionaryLine.keyword(self.texts[Int(line.text)][Int(line.start)..<Int(line.end)])
    }
}

/// Keywords to tags; made apart, since readers of data sets don't need it.
struct KeywordTable: Sendable {
    static let shared = KeywordTable()
    let tags: [String: Tag]

    init() {
        let table = DictionaryTable.shared
        var tags: [String: Tag] = [:]
        tags.reserveCapacity(table.count)
        for index in 0..<table.count {
            tags[table.keyword(at: index)] = table.tag(at: index)
        }
        tags[""] = nil
        self.tags = tags
    }
}

/// Groups that repeat, 50xx and 60xx above all: a mask and the digits that count.
struct RepeatersTable: Sendable {
    static let shared = RepeatersTable(text: DataDictionaryText.repeaters)

    private struct Pattern: Sendable {
        var mask: UInt32
        var value: UInt32
        var line: ArraySlice<UInt8>
    }

    private let patterns: [Pattern]

    init(text: String) {
        self.patterns = text.split(separator: "\n").map { line in
            let bytes = Array(line.utf8)
            var mask: UInt32 = 0
            var value: UInt32 = 0
            for byte in bytes.prefix(8) {
                mask <<= 4
                value <<= 4
                guard byte != UInt8(ascii: "*") else { continue }
                mask |= 0xF
                value |= DictionaryLine.hexadecimal([byte])
            }
            return Pattern(mask: mask, value: value, line: bytes[8...])
        }
    }

    private func pattern(for tag: Tag) -> Pattern? {
        switch tag.group {
        case 0x0020, 0x0028, 0x1000, 0x1010, 0x5000...0x50FF, 0x6000...0x60FF, 0x7F00...0x7FFF: break
        default: return nil
        }
        guard !tag.isPrivate else { return nil }
        return self.patterns.first { tag.rawValue & $0.mask == $0.value }
    }

    func vr(for tag: Tag) -> (vr: VR, ambiguity: VRAmbiguity)? {
        self.pattern(for: tag).map { pattern in
            let line = pattern.line
            let code = UInt16(line[line.startIndex]) << 8 | UInt16(line[line.startIndex + 1])
            return DictionaryLine.representation(code)
        }
    }

    func entry(for tag: Tag) -> DataDictionary.Entry? {
        self.pattern(for: tag).map { DictionaryLine.entry($0.line, tag: tag) }
    }
}

/// One line of the generated text, after its tag: VR, flag, multiplicity, keyword, name.
enum DictionaryLine {
    static func hexadecimal(_ digits: some Sequence<UInt8>) -> UInt32 {
        var value: UInt32 = 0
        for digit in digits {
            value = value << 4 | UInt32(digit <= 0x39 ? digit - 0x30 : digit - 0x41 + 10)
        }
        return value
    }

    static func representation(_ code: UInt16) -> (vr: VR, ambiguity: VRAmbiguity) {
        switch VR(rawValue: code) {
        case VR("x", "s"), VR("x", "o"): (.us, .unsignedOrSigned)
        case VR("o", "x"): (.ow, .bytesOrWords)
        case VR("l", "t"): (.ow, .unsignedOrWords)
        case VR("-", "-"): (.un, .none)
        case let vr: (vr, .none)
        }
    }

    static func entry(_ line: ArraySlice<UInt8>, tag: Tag) -> DataDictionary.Entry {
        let start = line.startIndex
        let (vr, ambiguity) = self.representation(UInt16(line[start]) << 8 | UInt16(line[start + 1]))
        let space = line[(start + 3)...].firstIndex(of: 0x20) ?? line.endIndex
        let keyword = self.keyword(line)
        var name = self.spaced(keyword)
        if let bar = line.firstIndex(of: UInt8(ascii: "|")) {
            name = String(decoding: line[(bar + 1)...], as: UTF8.self)
        }
        return DataDictionary.Entry(
            tag: tag,
            vr: vr,
            ambiguity: ambiguity,
            multiplicity: String(decoding: line[(start + 3)..<space], as: UTF8.self),
            keyword: keyword,
            name: name,
            isRetired: line[start + 2] == UInt8(ascii: "R")
        )
    }

    static func keyword(_ line: ArraySlice<UInt8>) -> String {
        guard let space = line[(line.startIndex + 3)...].firstIndex(of: 0x20) else { return "" }
        let rest = line[(space + 1)...]
        return String(decoding: rest.prefix { $0 != UInt8(ascii: "|") }, as: UTF8.self)
    }

    /// `StudyInstanceUID` as `Study Instance UID`: the inverse of what the generator left out.
    static func spaced(_ keyword: String) -> String {
        func isCapital(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) }
        func isSmall(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) }
        func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
        let bytes = Array(keyword.utf8)
        var result: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            if index > 0, isCapital(byte) {
                let previous = bytes[index - 1]
                let next = index + 1 < bytes.count ? bytes[index + 1] : 0
                if isSmall(previous) || isDigit(previous) || (isCapital(previous) && isSmall(next)) {
                    result.append(0x20)
                }
            }
            result.append(byte)
        }
        return String(decoding: result, as: UTF8.self)
    }
}
