// SPDX-License-Identifier: Apache-2.0

import DICOM

/// The Palette Color Lookup Tables of an image (PS3.3 §C.7.6.3.1.5).
struct Palette {
    private let tables: [LookupTable]

    init(_ dataSet: DataSet) throws(RenderingError) {
        // Red, green and blue: descriptor, data, segmented data.
        let tags = (0..<3).map { channel in
            (Tag(0x0028, 0x1101 + channel), Tag(0x0028, 0x1201 + channel), Tag(0x0028, 0x1221 + channel))
        }
        var tables: [LookupTable] = []
        for (descriptor, data, segments) in tags {
            let table =
                LookupTable(dataSet, descriptor: descriptor, data: data)
                ?? LookupTable(dataSet, descriptor: descriptor, segments: segments)
            guard let table else { throw RenderingError(.unsupported, "the palette is incomplete or malformed") }
            tables.append(table)
        }
        self.tables = tables
    }

    /// Red, green and blue of a stored value.
    func colour(of stored: Int) -> (UInt8, UInt8, UInt8) {
        (level(0, stored), level(1, stored), level(2, stored))
    }

    private func level(_ channel: Int, _ stored: Int) -> UInt8 {
        let table = tables[channel]
        return UInt8(
            truncatingIfNeeded: table.bitCount > 8 ? table[stored] >> UInt16(table.bitCount - 8) : table[stored]
        )
    }
}
