// SPDX-License-Identifier: Apache-2.0

import DICOM
import FuzzHarness
import NIOCore

extension DataSetFuzz {
    /// Small data sets of each kind in each syntax, and the heads of real files.
    static func seeds(_ files: [ByteBuffer]) -> [ByteBuffer] {
        var seeds: [ByteBuffer] = []
        for (number, syntax) in self.syntaxes.enumerated() {
            for dataSet in SampleDataSets.all {
                // A data set of ours can be written; if not, its seed is missing and nothing else.
                guard let bytes = try? DataSetWriter.write(dataSet, transferSyntax: syntax) else { continue }
                seeds.append(self.input(UInt8(number), bytes))
                seeds.append(self.input(UInt8(number) | 0x70, bytes))
            }
        }
        return seeds + files.compactMap { self.head(of: $0) }
    }

    static func input(_ selector: UInt8, _ bytes: ByteBuffer) -> ByteBuffer {
        var input = ByteBuffer(integer: selector)
        input.writeImmutableBuffer(bytes)
        return input
    }

    /// What stands before Pixel Data in a file, with a few bytes of that.
    static func head(of file: ByteBuffer, maximumByteCount: Int = 4_000) -> ByteBuffer? {
        // What cannot be read is no seed.
        guard let header = try? Part10.readHeader(file), let syntax = header.transferSyntax, !syntax.isDeflated,
            let bytes = file.getSlice(at: header.dataSetOffset, length: file.readableBytes - header.dataSetOffset),
            let result = try? DataSetReader.readHeader(bytes, transferSyntax: syntax)
        else { return nil }
        var kept = result.dataSet
        for element in kept.elements where (element.value.bytes?.readableBytes ?? 0) > 256 { kept.remove(element.tag) }
        var head = ByteBuffer()
        guard (try? DataSetWriter.append(kept, encoding: syntax.encoding, to: &head)) != nil,
            head.readableBytes < maximumByteCount
        else { return nil }
        let number: UInt8 = syntax.isBigEndian ? 2 : syntax.isExplicitVR ? 0 : 1
        return self.input(number, head)
    }
}

/// Data sets with one of each structure.
enum SampleDataSets {
    static var all: [DataSet] { [self.plain, self.sequences, self.native, self.encapsulated, self.numbers] }

    private static var plain: DataSet {
        var dataSet = DataSet()
        dataSet.set(.specificCharacterSet, .cs, "ISO_IR 192\\ISO 2022 IR 87")
        dataSet.set(.sopClassUID, .ui, "1.2.840.10008.5.1.4.1.1.2")
        dataSet.set(.patientName, .pn, "Yamada^Tarou=山田^太郎=やまだ^たろう")
        dataSet.set(Tag(0x0008, 0x0020), .da, "20260101")
        dataSet.set(Tag(0x0008, 0x0030), .tm, "101112.123456")
        dataSet.set(Tag(0x0018, 0x0050), .ds, "1.25\\-3e5 ")
        dataSet.set(Tag(0x0020, 0x0013), .is, "00012")
        dataSet.set(Tag(0x0008, 0x0000), .ul, integers: [4])
        dataSet.set(Tag(0x0009, 0x0010), .lo, "VARVE FUZZ")
        dataSet.set(DataElement(tag: Tag(0x0009, 0x1001), vr: .un, value: .bytes(ByteBuffer(bytes: [1, 2, 3, 4]))))
        return dataSet
    }

    private static var sequences: DataSet {
        var inner = DataSet()
        inner.set(Tag(0x0008, 0x1150), .ui, "1.2.3")
        var middle = DataSet()
        middle.set(
            DataElement(
                tag: Tag(0x0008, 0x1199),
                vr: .sq,
                value: .items([SequenceItem(inner, hasUndefinedLength: true), SequenceItem(DataSet())]),
                hasUndefinedLength: true
            )
        )
        var outer = DataSet()
        outer.set(DataElement(tag: Tag(0x0008, 0x1115), vr: .sq, value: .items([SequenceItem(middle)])))
        outer.set(
            DataElement(
                tag: Tag(0x0009, 0x1002),
                vr: .un,
                value: .items([SequenceItem(inner)]),
                hasUndefinedLength: true
            )
        )
        outer.set(Tag(0x0020, 0x000D), .ui, "1.2.3.4")
        return outer
    }

    private static var native: DataSet {
        var dataSet = DataSet()
        dataSet.set(Tag(0x0028, 0x0010), .us, integers: [2])
        dataSet.set(Tag(0x0028, 0x0011), .us, integers: [2])
        dataSet.set(.bitsAllocated, .us, integers: [16])
        dataSet.set(.pixelRepresentation, .us, integers: [1])
        dataSet.set(Tag(0x0028, 0x0106), .ss, integers: [-5])
        dataSet.set(DataElement(tag: .pixelData, vr: .ow, value: .bytes(ByteBuffer(bytes: [1, 2, 3, 4, 5, 6, 7, 8]))))
        dataSet.set(DataElement(tag: Tag(0xFFFC, 0xFFFC), vr: .ob, value: .bytes(ByteBuffer(bytes: [0, 0]))))
        return dataSet
    }

    private static var encapsulated: DataSet {
        var dataSet = DataSet()
        let value = EncapsulatedValue(
            basicOffsetTable: ByteBuffer(bytes: [0, 0, 0, 0, 12, 0, 0, 0]),
            fragments: [ByteBuffer(bytes: [0xFF, 0xD8, 0xFF, 0xD9]), ByteBuffer(bytes: [1, 2])]
        )
        dataSet.set(DataElement(tag: .pixelData, vr: .ob, value: .fragments(value), hasUndefinedLength: true))
        return dataSet
    }

    private static var numbers: DataSet {
        var dataSet = DataSet()
        dataSet.set(Tag(0x0009, 0x1010), .sv, integers: [-1])
        dataSet.set(Tag(0x0009, 0x1011), .uv, integers: [.max])
        dataSet.set(Tag(0x0009, 0x1012), .at, integers: [0x0010_0020])
        dataSet.set(Tag(0x0009, 0x1013), .sl, integers: [-7, 7])
        dataSet.set(DataElement(tag: Tag(0x0009, 0x1014), vr: .fd, value: .bytes(ByteBuffer(integer: 1.5.bitPattern))))
        dataSet.set(DataElement(tag: Tag(0x0009, 0x1015), vr: .ol, value: .bytes(ByteBuffer(bytes: [1, 2, 3, 4]))))
        dataSet.set(DataElement(tag: Tag(0x0009, 0x1016), vr: .uc, value: .bytes(ByteBuffer(string: "A\\B "))))
        return dataSet
    }
}
