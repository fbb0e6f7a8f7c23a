// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Testing

@Suite struct PixelDataCheckTests {
    private func check(_ bytes: Bytes, _ syntax: TransferSyntax = .explicitVRLittleEndian) -> [String] {
        DataSetCheckTests.check(Flawless.dataSet().raw(bytes.array), syntax)
    }

    private func native(_ image: Bytes, byteCount: Int = 8, _ vr: VR = .ow) -> [String] {
        self.check(image.explicit(.pixelData, vr, [UInt8](repeating: 0, count: byteCount)))
    }

    @Test(
        arguments: [
            ([.rows: 0], ["image-pixel (0028,0010)"]), ([.bitsAllocated: 13], ["image-pixel (0028,0100)"]),
            ([.bitsStored: 17, .highBit: 16], ["image-pixel (0028,0101)"]), ([.highBit: 15], ["high-bit (0028,0102)"]),
            ([.highBit: 10], ["image-pixel (0028,0102)"]), ([.pixelRepresentation: 2], ["image-pixel (0028,0103)"]),
            (
                [.samplesPerPixel: 2],
                ["image-pixel (0028,0006)", "image-pixel (0028,0002)", "pixel-data-short (7FE0,0010)"]
            ),
            ([.bitsStored: nil], ["image-pixel (0028,0101)"]), ([.columns: nil], ["image-pixel (0028,0011)"]),
        ] as [([Tag: Int?], [String])]
    )
    func theModule(changes: [Tag: Int?], expected: [String]) {
        #expect(self.native(Flawless.image(changes)) == expected)
    }

    @Test func lengths() {
        #expect(self.native(Flawless.image(), byteCount: 6) == ["pixel-data-short (7FE0,0010)"])
        #expect(self.native(Flawless.image(), byteCount: 10) == ["pixel-data-long (7FE0,0010)"])
        #expect(self.native(Flawless.image(frames: 3), byteCount: 24) == [])
        #expect(self.native(Flawless.image(frames: 3), byteCount: 8) == ["pixel-data-short (7FE0,0010)"])
        #expect(self.native(Flawless.image(frames: 0)).first == "image-pixel (0028,0008)")
        // Nine pixels of one byte, padded once; nine of one bit.
        let odd = Flawless.image([.rows: 3, .columns: 3, .bitsAllocated: 8, .bitsStored: 8, .highBit: 7])
        #expect(self.native(odd, byteCount: 10, .ob) == [])
        let bits = Flawless.image([.rows: 3, .columns: 3, .bitsAllocated: 1, .bitsStored: 1, .highBit: 0], frames: 3)
        #expect(self.native(bits, byteCount: 4, .ob) == [])
        #expect(self.native(bits, byteCount: 2, .ob) == ["pixel-data-short (7FE0,0010)"])
        #expect(self.native(Flawless.image(), .ob) == ["pixel-data-vr (7FE0,0010)"])
    }

    @Test func colour() {
        let rgb: [Tag: Int?] = [
            .samplesPerPixel: 3, .bitsAllocated: 8, .bitsStored: 8, .highBit: 7, .planarConfiguration: 0,
        ]
        #expect(self.native(Flawless.image(rgb, photometric: "RGB "), byteCount: 12, .ob) == [])
        #expect(self.native(Flawless.image(rgb, photometric: "YBR_FULL_422"), byteCount: 8, .ob) == [])
        #expect(
            self.native(Flawless.image(rgb, photometric: "MONOCHROME2 "), byteCount: 12, .ob) == [
                "image-pixel (0028,0002)"
            ]
        )
        #expect(self.native(Flawless.image(photometric: "GREY")) == ["image-pixel (0028,0004)"])
        #expect(
            self.native(Flawless.image(photometric: "PALETTE COLOR ")).allSatisfy { $0.hasPrefix("palette-missing") }
        )
    }

    @Test func floats() {
        let image = Bytes().explicit(.samplesPerPixel, .us, [1, 0]).explicit(
            .photometricInterpretation,
            .cs,
            "MONOCHROME2 "
        )
        .explicit(.rows, .us, [1, 0]).explicit(.columns, .us, [2, 0]).explicit(.bitsAllocated, .us, [32, 0])
        let pixels = image.explicit(.floatPixelData, .of, [UInt8](repeating: 0, count: 8))
        #expect(self.check(pixels) == [])
        let both = pixels.explicit(.doubleFloatPixelData, .od, [UInt8](repeating: 0, count: 16))
        #expect(self.check(both) == ["image-pixel (7FE0,0008)"])
    }

    @Test func anIconHasPixelDataOfItsOwn() {
        let icon = Flawless.image([.bitsAllocated: 8, .bitsStored: 8, .highBit: 7]).explicit(
            .pixelData,
            .ob,
            [1, 2, 3, 4]
        )
        let short = Flawless.image().explicit(.pixelData, .ow, [1, 2])
        let main = Flawless.image()
        func whole(_ icon: Bytes) -> Bytes {
            main.open(Tag(0x0088, 0x0200)).openItem(icon).close()
                .open(.pixelData, .ob).fragment([]).fragment([1, 2]).close()
        }
        #expect(self.check(whole(icon), .jpegLSLossless) == [])
        #expect(self.check(whole(short), .jpegLSLossless) == ["pixel-data-short (0088,0200)[0].(7FE0,0010)"])
    }

    // MARK: - Encapsulated

    private func encapsulated(
        _ table: [UInt8],
        _ fragments: [Int],
        frames: Int,
        _ syntax: TransferSyntax = .jpegLSLossless,
        _ head: Bytes = Bytes(),
        vr: VR = .ob
    ) -> [String] {
        var bytes = Flawless.image(frames: frames).raw(head.array).open(.pixelData, vr).fragment(table)
        for count in fragments { bytes = bytes.fragment([UInt8](repeating: 7, count: count)) }
        return self.check(bytes.close(), syntax)
    }

    private func table(_ offsets: [UInt32]) -> [UInt8] {
        offsets.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8), 0, 0] }
    }

    @Test func fragmentsAndOffsets() {
        let pixels = "(7FE0,0010)"
        #expect(self.encapsulated([], [4, 4], frames: 2) == [])
        #expect(self.encapsulated(self.table([0, 12]), [4, 4], frames: 2) == [])
        #expect(self.encapsulated(self.table([0, 24]), [4, 4, 4], frames: 2) == [])
        #expect(self.encapsulated([], [4, 4, 4], frames: 1) == [])
        #expect(self.encapsulated([], [4, 4, 4], frames: 2) == ["frame-boundaries \(pixels)"])
        #expect(self.encapsulated([], [4], frames: 2) == ["fragments \(pixels)"])
        #expect(self.encapsulated([], [4, 0], frames: 2) == ["fragments \(pixels)"])
        #expect(self.encapsulated([], [3, 4], frames: 2) == ["odd-length \(pixels)"])
        #expect(self.encapsulated([0, 0], [4, 4], frames: 2) == ["offset-table \(pixels)"])
        #expect(self.encapsulated(self.table([0]), [4, 4], frames: 2) == ["offset-table \(pixels)"])
        #expect(self.encapsulated(self.table([0, 10]), [4, 4], frames: 2) == ["offset-table \(pixels)"])
        #expect(
            self.encapsulated(self.table([12, 0]), [4, 4], frames: 2) == [
                "offset-table \(pixels)", "offset-table \(pixels)",
            ]
        )
        #expect(self.encapsulated([], [4, 4, 4], frames: 2, .rleLossless) == ["fragments \(pixels)"])
        #expect(self.encapsulated([], [4, 4], frames: 2, vr: .ow) == ["pixel-data-vr \(pixels)"])
        #expect(self.encapsulated([], [4, 4], frames: 2, .explicitVRLittleEndian) == ["encapsulation \(pixels)"])
    }

    @Test func nativeWhereFragmentsBelong() {
        let bytes = Flawless.image().explicit(.pixelData, .ow, [UInt8](repeating: 0, count: 8))
        #expect(self.check(bytes, .jpegLSLossless) == ["encapsulation (7FE0,0010)"])
    }

    @Test func videoIsOneStream() throws {
        let mpeg4 = try #require(TransferSyntax.known("1.2.840.10008.1.2.4.102"))
        #expect(self.encapsulated([], [4], frames: 50, mpeg4) == ["lossy-compression (0028,2110)"])
        let marked = Bytes().explicit(Tag(0x0028, 0x2110), .cs, "01")
        #expect(self.encapsulated([], [4], frames: 50, mpeg4, marked) == [])
        #expect(self.encapsulated([], [], frames: 50, mpeg4, marked) == ["fragments (7FE0,0010)"])
    }

    @Test func extendedOffsetTables() {
        func long(_ values: [UInt8]) -> [UInt8] { values.flatMap { [$0, 0, 0, 0, 0, 0, 0, 0] } }
        func head(_ offsets: [UInt8], _ lengths: [UInt8]?) -> Bytes {
            let bytes = Bytes().explicit(.extendedOffsetTable, .ov, long(offsets))
            return lengths.map { bytes.explicit(.extendedOffsetTableLengths, .ov, long($0)) } ?? bytes
        }
        let table = "extended-offset-table (7FE0,0001)"
        #expect(self.encapsulated([], [4, 6], frames: 2, .jpegLSLossless, head([0, 12], [4, 6])) == [])
        #expect(self.encapsulated([], [4, 6], frames: 2, .jpegLSLossless, head([0, 12], [3, 5])) == [])
        #expect(self.encapsulated([], [4, 6], frames: 2, .jpegLSLossless, head([0, 12], [4, 4])) == [table])
        #expect(self.encapsulated([], [4, 6], frames: 2, .jpegLSLossless, head([0, 12], [4])) == [table])
        #expect(self.encapsulated([], [4, 6], frames: 2, .jpegLSLossless, head([0, 12], nil)) == [table])
        #expect(self.encapsulated([], [4, 6], frames: 2, .jpegLSLossless, head([0, 14], [4, 6])) == [table])
        #expect(
            self.encapsulated(self.table([0, 12]), [4, 6], frames: 2, .jpegLSLossless, head([0, 12], [4, 6]))
                == ["extended-offset-table (7FE0,0010)"]
        )
    }

    @Test func theHeadOfABigObjectIsEnough() throws {
        let head = Flawless.dataSet().raw(Flawless.image([.bitsStored: 17, .highBit: 16]).array)
        let bytes = head.explicit(.pixelData, .ow, [1, 2], declared: 4_000_000_000)
        let result = try DataSetReader.readHeader(bytes.buffer, transferSyntax: .explicitVRLittleEndian)
        let report = DataSetCheck.check(result, transferSyntax: .explicitVRLittleEndian)
        #expect(report.findings.map(\.rule) == [.imagePixel])
        let good = Flawless.dataSet().raw(Flawless.image().array).explicit(
            .pixelData,
            .ow,
            [1, 2],
            declared: 4_000_000_000
        )
        let other = try DataSetReader.readHeader(good.buffer, transferSyntax: .explicitVRLittleEndian)
        #expect(
            DataSetCheck.check(other, transferSyntax: .explicitVRLittleEndian).findings.map(\.rule) == [.pixelDataLong]
        )
    }
}
