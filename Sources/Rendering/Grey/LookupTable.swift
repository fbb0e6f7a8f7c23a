// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore

/// A Modality LUT, VOI LUT or Palette Color Lookup Table (PS3.3 §C.11.1.1, §C.11.2.1.1, §C.7.6.3.1.5).
public struct LookupTable: Sendable, Hashable {
    public let entries: [UInt16]
    /// The input that the first entry is for; what is below gets it, too, what is beyond the last gets that.
    public let firstMapped: Int
    /// Bits of an entry, 1 to 16.
    public let bitCount: Int

    public init?(entries: [UInt16], firstMapped: Int, bitCount: Int) {
        guard let largest = entries.max() else { return nil }
        self.entries = entries
        self.firstMapped = firstMapped
        let needed = UInt16.bitWidth - largest.leadingZeroBitCount
        // Writers get this number wrong; what the entries need, they have.
        self.bitCount = (1...16).contains(bitCount) ? max(bitCount, needed) : max(needed, 1)
    }

    /// Reads descriptor and data of an item or data set; nil when they are absent or don't fit each other.
    init?(_ dataSet: DataSet, descriptor: Tag, data: Tag) {
        let numbers = dataSet.integers(descriptor)
        guard numbers.count >= 3, let bytes = dataSet.bytes(data) else { return nil }
        // 0 means 65,536, and where the VR is SS, larger numbers come out negative.
        let stated = numbers[0] & 0xFFFF
        let count = stated == 0 ? 65_536 : stated
        let entries: [UInt16]
        if bytes.readableBytes >= 2 * count {
            let order: Endianness = dataSet.encoding.isBigEndian ? .big : .little
            entries = (0..<count).map { index in
                bytes.getInteger(at: bytes.readerIndex + 2 * index, endianness: order, as: UInt16.self) ?? 0
            }
        } else if bytes.readableBytes >= count {
            entries = bytes.readableBytesView.prefix(count).map(UInt16.init)
        } else {
            return nil
        }
        self.init(entries: entries, firstMapped: numbers[1], bitCount: numbers[2])
    }

    public subscript(_ input: Int) -> UInt16 {
        let (index, overflow) = input.subtractingReportingOverflow(firstMapped)
        if overflow || index < 0 { return input < firstMapped ? entries[0] : entries[entries.count - 1] }
        return entries[min(index, entries.count - 1)]
    }

    /// The largest value that an entry of `bitCount` bits can have.
    var maximum: Double { Double(1 << bitCount - 1) }
}
