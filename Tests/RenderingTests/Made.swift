// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore

/// The description of an image made for a test.
struct Made {
    var rows: Int
    var columns: Int
    var allocated: Int
    var stored: Int
    var highBit: Int?
    var isSigned = false
    var samples = 1
    var isPlanar = false
    var photometric = "MONOCHROME2"
    var texts: [(Tag, String)] = []
    var sequences: [(Tag, [SequenceItem])] = []
    var modalityLUT: (entries: [Int], first: Int, bits: Int)?
    var voiLUT: (entries: [Int], first: Int, bits: Int)?

    init(rows: Int, columns: Int, allocated: Int, stored: Int) {
        self.rows = rows
        self.columns = columns
        self.allocated = allocated
        self.stored = stored
    }

    var dataSet: DataSet {
        var dataSet = DataSet()
        dataSet.set(Tag(0x0028, 0x0002), .us, integers: [samples])
        dataSet.set(Tag(0x0028, 0x0004), .cs, photometric)
        dataSet.set(Tag(0x0028, 0x0006), .us, integers: [isPlanar ? 1 : 0])
        dataSet.set(Tag(0x0028, 0x0010), .us, integers: [rows])
        dataSet.set(Tag(0x0028, 0x0011), .us, integers: [columns])
        dataSet.set(Tag(0x0028, 0x0100), .us, integers: [allocated])
        dataSet.set(Tag(0x0028, 0x0101), .us, integers: [stored])
        dataSet.set(Tag(0x0028, 0x0102), .us, integers: [highBit ?? stored - 1])
        dataSet.set(Tag(0x0028, 0x0103), .us, integers: [isSigned ? 1 : 0])
        for (tag, text) in texts {
            if tag == Tag(0x0028, 0x0120) {
                dataSet.set(tag, .ss, integers: [Int(text) ?? 0])
            } else {
                dataSet.set(tag, tag == Tag(0x0028, 0x0034) ? .is : .ds, text)
            }
        }
        for (tag, items) in sequences { dataSet.set(DataElement(tag: tag, vr: .sq, value: .items(items))) }
        for (tag, table) in [(Tag(0x0028, 0x3000), modalityLUT), (Tag(0x0028, 0x3010), voiLUT)] {
            guard let table else { continue }
            var item = DataSet()
            item.set(Tag(0x0028, 0x3002), .us, integers: [table.entries.count, table.first, table.bits])
            item.set(Tag(0x0028, 0x3006), .us, integers: table.entries)
            dataSet.set(DataElement(tag: tag, vr: .sq, value: .items([SequenceItem(item)])))
        }
        return dataSet
    }

    /// A native frame of these values.
    func frame(_ values: [Int]) -> ByteBuffer {
        var frame = ByteBuffer()
        for value in values {
            for byte in 0..<allocated / 8 { frame.writeInteger(UInt8(truncatingIfNeeded: value >> (8 * byte))) }
        }
        return frame
    }
}
