// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore

/// Segmented palettes (PS3.3 §C.7.9.2): runs of values, straight lines, and references to segments before.
enum SegmentedTable {
    /// Segments of a table, referred ones counted each time: more are malice.
    private static let maximumSegmentCount = 1 << 18
    private static let maximumEntryCount = 65_536

    /// The entries that the segments stand for; nil when they are malformed, or more than a table can have.
    ///
    /// `words` are 16-bit values, or bytes where `wordByteCount` is 1.
    static func expanded(_ words: [UInt16], wordByteCount: Int) -> [UInt16]? {
        var expansion = Expansion(words: words, wordByteCount: wordByteCount)
        var index = 0
        while index + 1 < words.count {
            guard let next = expansion.segment(at: index, isReferred: false) else { return nil }
            index = next
        }
        return expansion.entries
    }

    private struct Expansion {
        let words: [UInt16]
        let wordByteCount: Int
        var entries: [UInt16] = []
        private var segmentCount = 0

        init(words: [UInt16], wordByteCount: Int) {
            self.words = words
            self.wordByteCount = wordByteCount
        }

        /// Appends one segment's entries; the index behind it.
        mutating func segment(at index: Int, isReferred: Bool) -> Int? {
            segmentCount += 1
            guard segmentCount <= maximumSegmentCount, index + 1 < words.count else { return nil }
            let count = Int(words[index + 1])
            let start = index + 2
            switch words[index] {
            case 0:
                guard start + count <= words.count, entries.count + count <= maximumEntryCount else { return nil }
                entries += words[start..<start + count]
                return start + count
            case 1:
                guard let from = entries.last, start < words.count, entries.count + count <= maximumEntryCount else {
                    return nil
                }
                let step = (Double(words[start]) - Double(from)) / Double(max(count, 1))
                for position in 0..<count {
                    entries.append(UInt16((Double(from) + step * Double(position + 1)).rounded(.toNearestOrEven)))
                }
                return start + 1
            case 2:
                // A segment that is referred to must not refer to others.
                let offsetCount = 4 / wordByteCount
                guard !isReferred, start + offsetCount <= words.count else { return nil }
                let offset = (0..<offsetCount).reduce(0) { $0 | Int(words[start + $1]) << (8 * wordByteCount * $1) }
                var referred = offset / wordByteCount
                for _ in 0..<count {
                    guard let next = segment(at: referred, isReferred: true) else { return nil }
                    referred = next
                }
                return start + offsetCount
            default: return nil
            }
        }
    }
}

extension LookupTable {
    /// Reads a segmented table; nil when it is absent or malformed.
    init?(_ dataSet: DataSet, descriptor: Tag, segments: Tag) {
        let numbers = dataSet.integers(descriptor)
        guard numbers.count >= 3, let bytes = dataSet.bytes(segments) else { return nil }
        let isBytes = numbers[2] <= 8
        let words: [UInt16]
        if isBytes {
            words = bytes.readableBytesView.map(UInt16.init)
        } else {
            let order: Endianness = dataSet.encoding.isBigEndian ? .big : .little
            words = stride(from: bytes.readerIndex, to: bytes.writerIndex - 1, by: 2).map { index in
                bytes.getInteger(at: index, endianness: order, as: UInt16.self) ?? 0
            }
        }
        guard let entries = SegmentedTable.expanded(words, wordByteCount: isBytes ? 1 : 2) else { return nil }
        self.init(entries: entries, firstMapped: numbers[1], bitCount: numbers[2])
    }
}
