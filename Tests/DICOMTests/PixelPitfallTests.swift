// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Testing

/// What DICOM archives get wrong about pixel data, as far as data sets go, and about the JSON model.
@Suite struct PixelDataPitfallTests {
    private static let native: [TransferSyntax] = [
        .explicitVRLittleEndian, .implicitVRLittleEndian, .explicitVRBigEndian, .deflatedExplicitVRLittleEndian,
    ]

    /// `bytes` written in `syntax`, read, and written as it was.
    private func thereAndBack(_ bytes: Bytes, _ syntax: TransferSyntax) throws -> [UInt8] {
        let dataSet = try DataSetReader.read(bytes.buffer, transferSyntax: .explicitVRLittleEndian).dataSet
        let there = try DataSetWriter.write(dataSet, transferSyntax: syntax)
        let read = try DataSetReader.read(there, transferSyntax: syntax).dataSet
        return try DataSetWriter.write(read, transferSyntax: .explicitVRLittleEndian).array
    }

    @Test("bits above Bits Stored may hold overlays or rubbish, and they count", arguments: native, [8, 16, 32])
    func dirtyBits(syntax: TransferSyntax, allocated: Int) throws {
        let pixels = [UInt8](repeating: 0, count: 4 * allocated / 8).indices.map {
            UInt8(truncatingIfNeeded: $0 &* 73 | 0xF0)
        }
        let image = Flawless.image([.bitsAllocated: allocated, .bitsStored: allocated / 2, .highBit: allocated / 2 - 1])
            .explicit(.pixelData, .ow, pixels)
        #expect(try self.thereAndBack(image, syntax) == image.array)
    }

    @Test("allocated 16 with 8 or fewer stored", arguments: 1...16)
    func fewBitsStored(stored: Int) throws {
        let bytes = Flawless.image([.bitsStored: stored, .highBit: stored - 1])
        let dataSet = try DataSetReader.read(bytes.buffer, transferSyntax: .explicitVRLittleEndian).dataSet
        let image = try ImagePixelDescription(dataSet)
        #expect(image.bitsStored == stored)
        #expect(image.frameByteCount == 8)
    }

    @Test("1-bit frames don't start on byte boundaries")
    func oneBitFrames() throws {
        let bytes = Flawless.image([.rows: 3, .columns: 3, .bitsAllocated: 1, .bitsStored: 1, .highBit: 0], frames: 5)
        let dataSet = try DataSetReader.read(bytes.buffer, transferSyntax: .explicitVRLittleEndian).dataSet
        let image = try ImagePixelDescription(dataSet)
        #expect(!image.framesAreAligned)
        #expect(image.frameBitCount == 9)
        #expect(image.pixelDataByteCount == 6)
    }

    @Test("float and double pixel data stay as they are", arguments: native)
    func floatPixels(syntax: TransferSyntax) throws {
        let numbers = [0x7F, 0xC0, 0x12, 0x34, 0x80, 0, 0, 0, 0, 0, 0x80, 0x7F, 1, 0, 0, 0] as [UInt8]
        for (tag, vr) in [(Tag.floatPixelData, VR.of), (.doubleFloatPixelData, .od)] {
            let bytes = Bytes().explicit(.rows, .us, [1, 0]).explicit(tag, vr, numbers)
            #expect(try self.thereAndBack(bytes, syntax) == bytes.array)
        }
    }

    @Test("YBR_FULL_422 uncompressed has two bytes a pixel and is not expanded")
    func subsampledColour() throws {
        let changes: [Tag: Int?] = [
            .samplesPerPixel: 3, .planarConfiguration: 0, .bitsAllocated: 8, .bitsStored: 8, .highBit: 7,
        ]
        let bytes = Flawless.image(changes, photometric: "YBR_FULL_422")
        let dataSet = try DataSetReader.read(bytes.buffer, transferSyntax: .explicitVRLittleEndian).dataSet
        #expect(try ImagePixelDescription(dataSet).frameByteCount == 8)
        let whole = Flawless.dataSet().raw(bytes.array).explicit(.pixelData, .ob, [UInt8](repeating: 1, count: 8))
        #expect(DataSetCheckTests.check(whole) == [])
    }

    @Test("PALETTE COLOR: the indices are coded, the tables stay", arguments: native)
    func palettes(syntax: TransferSyntax) throws {
        var bytes = Flawless.image([.bitsAllocated: 8, .bitsStored: 8, .highBit: 7], photometric: "PALETTE COLOR ")
        for colour in 0..<3 as Range<UInt16> {
            bytes = bytes.explicit(Tag(0x0028, 0x1101 + colour), .us, [4, 0, 0, 0, 16, 0])
        }
        for colour in 0..<3 as Range<UInt16> {
            bytes = bytes.explicit(Tag(0x0028, 0x1201 + colour), .ow, [1, 2, 3, 4, 5, 6, 7, 8])
        }
        bytes = bytes.explicit(.pixelData, .ow, [0, 1, 2, 3])
        #expect(try self.thereAndBack(bytes, syntax) == bytes.array)
        #expect(DataSetCheckTests.check(Flawless.dataSet().raw(bytes.array)) == [])
    }

    @Test("odd frame sizes: pad the total, not each frame")
    func oddFrames() throws {
        let image = Flawless.image([.rows: 3, .columns: 3, .bitsAllocated: 8, .bitsStored: 8, .highBit: 7], frames: 3)
        let dataSet = try DataSetReader.read(image.buffer, transferSyntax: .explicitVRLittleEndian).dataSet
        #expect(try ImagePixelDescription(dataSet).pixelDataByteCount == 27)
        func check(_ count: Int) -> [String] {
            let pixels = image.explicit(.pixelData, .ob, [UInt8](repeating: 0, count: count))
            return DataSetCheckTests.check(Flawless.dataSet().raw(pixels.array))
        }
        #expect(check(28) == [])
        #expect(check(30) == ["pixel-data-long (7FE0,0010)"])
    }

    @Test("encapsulated: one frame may be several fragments; an empty basic offset table is legal")
    func severalFragments() throws {
        let bytes = Flawless.dataSet().raw(Flawless.image().array).open(.pixelData, .ob).fragment([])
            .fragment([1, 2]).fragment([3, 4]).fragment([5, 6]).close()
        #expect(DataSetCheckTests.check(bytes, .jpegLSLossless) == [])
        let location = try #require(try PixelDataLocation.find(in: bytes.buffer, transferSyntax: .jpegLSLossless))
        #expect(location.fragments.map(\.byteCount) == [2, 2, 2])
        #expect(location.basicOffsetTable == [])
    }

    @Test("the table is relative to the first item")
    func offsetTable() throws {
        let bytes = Flawless.dataSet().raw(Flawless.image(frames: 2).array).open(.pixelData, .ob)
            .fragment([0, 0, 0, 0, 10, 0, 0, 0]).fragment([1, 2]).fragment([3, 4]).close()
        #expect(DataSetCheckTests.check(bytes, .jpegLSLossless) == [])
        let location = try #require(try PixelDataLocation.find(in: bytes.buffer, transferSyntax: .jpegLSLossless))
        let first = try #require(location.fragments.first).offset - 8
        #expect(location.basicOffsetTable.map { first + Int($0) + 8 } == location.fragments.map(\.offset))
    }

    @Test("Icon Image Sequence holds pixel data of its own: find the top-level one by depth")
    func icons() throws {
        let icon = Bytes().explicit(.pixelData, .ob, [9, 9])
        let deep = Bytes().open(Tag(0x0088, 0x0200)).openItem(icon).close()
        let bytes = Bytes().open(Tag(0x0008, 0x1140)).openItem(deep).close().raw(deep.array).explicit(
            .pixelData,
            .ow,
            [1, 2]
        )
        let location = try #require(
            try PixelDataLocation.find(in: bytes.buffer, transferSyntax: .explicitVRLittleEndian)
        )
        #expect(location.valueOffset == bytes.array.count - 2)
        let onlyIcon = try PixelDataLocation.find(in: deep.buffer, transferSyntax: .explicitVRLittleEndian)
        #expect(onlyIcon == nil)
    }

    @Test("mixed, truncated or surplus frames: keep what came, untouched, and say so", arguments: [2, 6, 10, 100])
    func surplus(count: Int) throws {
        let bytes = Flawless.dataSet().raw(Flawless.image().array)
            .explicit(.pixelData, .ow, [UInt8](repeating: 5, count: count))
        let dataSet = try DataSetReader.read(bytes.buffer, transferSyntax: .explicitVRLittleEndian).dataSet
        #expect(try DataSetWriter.write(dataSet, transferSyntax: .explicitVRLittleEndian) == bytes.buffer)
        let expected = count < 8 ? "pixel-data-short (7FE0,0010)" : "pixel-data-long (7FE0,0010)"
        #expect(DataSetCheckTests.check(bytes) == [expected])
    }

    @Test("once lossy, always marked lossy")
    func lossy() {
        let image = Flawless.image([.bitsAllocated: 8, .bitsStored: 8, .highBit: 7])
        func whole(_ extra: Bytes) -> Bytes {
            Flawless.dataSet().raw(image.array).raw(extra.array).open(.pixelData, .ob).fragment([]).fragment([1, 2])
                .close()
        }
        let unmarked = DataSetCheckTests.check(whole(Bytes()), .jpegBaseline)
        #expect(unmarked == ["lossy-compression (0028,2110)"])
        let marked = Bytes().explicit(Tag(0x0028, 0x2110), .cs, "01")
        #expect(DataSetCheckTests.check(whole(marked), .jpegBaseline) == [])
    }
}

@Suite struct JSONPitfallTests {
    private func thereAndBack(_ dataSet: DataSet) throws -> DataSet {
        var json = ByteBuffer()
        DICOMJSON.write(dataSet, into: &json)
        return try DICOMJSON.read(json)
    }

    @Test("JSON model: PN groups", arguments: ["A^B", "A=B=C", "=B", "==C", "A==C", "A=B", "A\\\\=B\\C"])
    func personNames(name: String) throws {
        var dataSet = DataSet()
        dataSet.set(.patientName, .pn, name)
        #expect(try self.thereAndBack(dataSet).strings(.patientName) == dataSet.strings(.patientName))
    }

    @Test("JSON model: empty values", arguments: ["", "A\\\\B", "\\B", "A\\", "\\\\C"])
    func emptyValues(text: String) throws {
        var dataSet = DataSet()
        for (tag, vr) in [(Tag(0x0008, 0x0008), VR.cs), (Tag(0x0010, 0x1000), .lo), (Tag(0x0018, 0x1160), .is)] {
            dataSet.set(tag, vr, vr == .is ? String(text.map { $0 == "\\" ? $0 : "7" }) : text)
        }
        #expect(try self.thereAndBack(dataSet) == dataSet)
    }

    @Test(
        "JSON model: DS and IS beyond 53 bits",
        arguments: [
            (VR.ds, "9007199254740993"), (.ds, "0.1234567890123456789"), (.ds, "1e400"), (.is, "9223372036854775807"),
            (.is, "-18446744073709551616"),
        ]
    )
    func longNumbers(vr: VR, text: String) throws {
        var dataSet = DataSet()
        dataSet.set(.instanceNumber, vr, text)
        #expect(try self.thereAndBack(dataSet).strings(.instanceNumber) == [text])
        let number = #"{"00200013":{"vr":"\#(vr)","Value":[\#(text)]}}"#
        #expect(try DICOMJSON.read(ByteBuffer(string: number)).strings(.instanceNumber) == [text])
    }

    @Test("JSON model: InlineBinary against BulkDataURI")
    func bulkData() throws {
        var dataSet = DataSet()
        dataSet.set(DataElement(tag: .pixelData, vr: .ow, value: .bytes(ByteBuffer(bytes: [1, 2, 3, 4]))))
        #expect(try self.thereAndBack(dataSet) == dataSet)
        var json = ByteBuffer()
        DICOMJSON.write(dataSet, into: &json) { path, _ in "bulk/\(path.urlPath)" }
        let back = try DICOMJSON.read(json) { reference throws(DICOMError) in
            reference.uri == "bulk/7FE00010" ? .bytes(ByteBuffer(bytes: [1, 2, 3, 4])) : .bytes(ByteBuffer())
        }
        #expect(back == dataSet)
    }
}
