// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Testing

@Suite struct Part10Tests {
    private let dataSet = Bytes().explicit(.modality, .cs, "CT").explicit(.patientID, .lo, "ID")

    private func meta() throws -> FileMeta {
        FileMeta(
            sopClassUID: try UID(validating: "1.2.840.10008.5.1.4.1.1.2"),
            sopInstanceUID: try UID(validating: "1.2.3.4.5"),
            transferSyntax: .explicitVRLittleEndian,
            sourceAETitle: "SENDER"
        )
    }

    private func file(_ head: ByteBuffer, _ body: Bytes? = nil) -> ByteBuffer {
        var file = head
        file.writeBytes((body ?? self.dataSet).array)
        return file
    }

    @Test func whatIsWrittenIsRead() throws {
        let head = try Part10.write(try self.meta())
        let header = try Part10.readHeader(self.file(head))
        #expect(header.dataSetOffset == head.readableBytes)
        #expect(header.preamble == ByteBuffer(repeating: 0, count: 128))
        #expect(header.transferSyntax == .explicitVRLittleEndian)
        #expect(header.meta.mediaStorageSOPClassUID?.string == "1.2.840.10008.5.1.4.1.1.2")
        #expect(header.meta.mediaStorageSOPInstanceUID?.string == "1.2.3.4.5")
        #expect(header.meta.sourceAETitle == "SENDER")
        #expect(header.meta.implementationClassUID == FileMeta.implementationClassUID)
        #expect(header.meta.implementationVersionName == "VARVE")
        #expect(header.meta.elements.integer(.fileMetaInformationGroupLength) == head.readableBytes - 144)
        let pair = try Part10.read(self.file(head))
        #expect(pair.dataSetOffset == head.readableBytes)
    }

    @Test func theGoldenBytes() throws {
        let meta = FileMeta(
            sopClassUID: try UID(validating: "1.2"),
            sopInstanceUID: try UID(validating: "1.3"),
            transferSyntax: .implicitVRLittleEndian
        )
        let group = Bytes().explicit(.fileMetaInformationVersion, .ob, [0, 1])
            .explicit(.mediaStorageSOPClassUID, .ui, "1.2\0").explicit(.mediaStorageSOPInstanceUID, .ui, "1.3\0")
            .explicit(.transferSyntaxUID, .ui, "1.2.840.10008.1.2\0")
            .explicit(.implementationClassUID, .ui, "2.25.301452049339268168405964274361167652378")
            .explicit(.implementationVersionName, .sh, "VARVE ").array
        let expected = Bytes().raw([UInt8](repeating: 0, count: 128) + Array("DICM".utf8))
            .explicit(.fileMetaInformationGroupLength, .ul, [UInt8(group.count), 0, 0, 0]).raw(group)
        #expect(try Part10.write(meta).array == expected.array)
    }

    @Test func aPreambleIsKept() throws {
        let preamble = ByteBuffer(bytes: (0..<128).map { UInt8($0) })
        let head = try Part10.write(try self.meta(), preamble: preamble)
        #expect(try Part10.readHeader(self.file(head)).preamble == preamble)
    }

    @Test func withoutPreambleOrPrefix() throws {
        let head = try Part10.write(try self.meta())
        for drop in [128, 132] {
            let cut = try #require(head.getSlice(at: drop, length: head.readableBytes - drop))
            let header = try Part10.readHeader(self.file(cut))
            #expect(header.dataSetOffset == head.readableBytes - drop)
            #expect(header.preamble == nil)
            #expect(header.transferSyntax == .explicitVRLittleEndian)
        }
    }

    @Test func withoutMetaInformation() throws {
        let explicit = try Part10.readHeader(self.dataSet.buffer)
        #expect(explicit.dataSetOffset == 0)
        #expect(explicit.transferSyntax == .explicitVRLittleEndian)
        #expect(explicit.meta.elements.isEmpty)
        let implicit = Bytes().implicit(.modality, "CT")
        #expect(try Part10.readHeader(implicit.buffer).transferSyntax == .implicitVRLittleEndian)
        let big = Bytes(isBigEndian: true).explicit(.modality, .cs, "CT")
        #expect(try Part10.readHeader(big.buffer).transferSyntax == .explicitVRBigEndian)
        let prefixOnly = Bytes().raw([UInt8](repeating: 0, count: 128) + Array("DICM".utf8)).raw(implicit.array)
        #expect(try Part10.readHeader(prefixOnly.buffer).dataSetOffset == 132)
    }

    @Test(arguments: ["", "hello", "GIF89a and some more bytes, but no DICOM"])
    func otherFilesAreRefused(text: String) {
        #expect(readError { _ = try Part10.readHeader(ByteBuffer(string: text)) }?.code == .invalidFileMeta)
    }

    /// The meta group of a file with `length` as its declared length.
    private func group(length: UInt32?, extra: Bytes = Bytes()) -> Bytes {
        let start = Bytes().raw([UInt8](repeating: 0, count: 128) + Array("DICM".utf8))
        let head =
            length.map {
                start.explicit(
                    .fileMetaInformationGroupLength,
                    .ul,
                    [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8), 0, 0]
                )
            } ?? start
        return head.explicit(.transferSyntaxUID, .ui, "1.2.840.10008.1.2.1\0").raw(extra.array)
    }

    @Test(arguments: [nil, 0, 10, 28, 36, 60, 1000] as [UInt32?])
    func groupLengthsThatAreWrong(length: UInt32?) throws {
        let head = self.group(length: length)
        let header = try Part10.readHeader(self.file(head.buffer))
        #expect(header.dataSetOffset == head.array.count)
        #expect(header.transferSyntax == .explicitVRLittleEndian)
    }

    @Test func elementsThatDoNotBelong() throws {
        let extra = Bytes().explicit(Tag(0x0002, 0x0102), .ob, [1, 2]).explicit(Tag(0x0002, 0xFFFF), .lo, "what")
        let head = self.group(length: 28, extra: extra)
        let header = try Part10.readHeader(self.file(head.buffer))
        #expect(header.dataSetOffset == head.array.count)
        #expect(header.meta.elements.string(Tag(0x0002, 0xFFFF)) == "what")
    }

    @Test func metaInformationInTheWrongSyntax() throws {
        let start = Bytes().raw([UInt8](repeating: 0, count: 128) + Array("DICM".utf8))
        let implicit = start.implicit(.fileMetaInformationGroupLength, [28, 0, 0, 0])
            .implicit(.transferSyntaxUID, "1.2.840.10008.1.2.1\0")
        let header = try Part10.readHeader(self.file(implicit.buffer))
        #expect(header.dataSetOffset == implicit.array.count)
        #expect(header.transferSyntax == .explicitVRLittleEndian)
        let big = Bytes(isBigEndian: true).explicit(.transferSyntaxUID, .ui, "1.2.840.10008.1.2.2\0")
            .explicit(.implementationVersionName, .sh, "ODD ")
        let body = Bytes(isBigEndian: true).explicit(.modality, .cs, "CT")
        let other = try Part10.readHeader(self.file(start.raw(big.array).buffer, body))
        #expect(other.dataSetOffset == 132 + big.array.count)
        #expect(other.transferSyntax == .explicitVRBigEndian)
    }

    @Test func anUnknownSyntaxIsNotGuessed() throws {
        let start = Bytes().raw([UInt8](repeating: 0, count: 128) + Array("DICM".utf8))
        let head = start.explicit(.transferSyntaxUID, .ui, "1.2.3.4\0")
        let header = try Part10.readHeader(self.file(head.buffer))
        #expect(header.transferSyntax == nil)
        #expect(header.meta.transferSyntaxUID?.string == "1.2.3.4")
    }

    @Test func aDeflatedDataSetThatLooksLikeGroup2() throws {
        var meta = try self.meta()
        meta.elements.set(.transferSyntaxUID, .ui, TransferSyntax.deflatedExplicitVRLittleEndian.uid.string)
        let head = try Part10.write(meta)
        let file = self.file(head, Bytes().raw([2, 0, 0x10, 0, 0x55, 0x49, 4, 0, 1, 2, 3, 4]))
        #expect(try Part10.readHeader(file).dataSetOffset == head.readableBytes)
    }
}

@Suite struct ImagePixelDescriptionTests {
    private func dataSet(_ changes: [Tag: Int] = [:], photometric: String = "MONOCHROME2") -> DataSet {
        var dataSet = DataSet()
        let standard: [(Tag, Int)] = [
            (.samplesPerPixel, 1), (.rows, 512), (.columns, 256), (.bitsAllocated, 16), (.bitsStored, 12),
            (.highBit, 11),
            (.pixelRepresentation, 1),
        ]
        for (tag, value) in standard { dataSet.set(tag, .us, integers: [changes[tag] ?? value]) }
        dataSet.set(.photometricInterpretation, .cs, photometric)
        return dataSet
    }

    @Test func aCTSlice() throws {
        let image = try ImagePixelDescription(self.dataSet())
        #expect(image.rows == 512)
        #expect(image.columns == 256)
        #expect(image.isSigned)
        #expect(image.numberOfFrames == 1)
        #expect(image.planarConfiguration == 0)
        #expect(image.frameByteCount == 512 * 256 * 2)
        #expect(image.pixelDataByteCount == image.frameByteCount)
        #expect(image.photometricInterpretation == "MONOCHROME2")
    }

    @Test(arguments: [
        ("RGB", 3, 8, 300), ("YBR_FULL", 3, 8, 300), ("YBR_FULL_422", 3, 8, 200), ("YBR_FULL_422", 3, 16, 400),
        ("YBR_PARTIAL_420", 3, 8, 150), ("PALETTE COLOR", 1, 8, 100), ("MONOCHROME1", 1, 32, 400),
        ("MONOCHROME2", 1, 1, 13), ("MONOCHROME2", 1, 64, 800),
    ])
    func frameByteCounts(photometric: String, samples: Int, bits: Int, expected: Int) throws {
        let changes: [Tag: Int] = [
            .rows: 10, .columns: 10, .samplesPerPixel: samples, .bitsAllocated: bits, .bitsStored: bits,
            .highBit: bits - 1,
        ]
        let image = try ImagePixelDescription(self.dataSet(changes, photometric: photometric))
        #expect(image.frameByteCount == expected)
    }

    @Test func framesOfOneBitPixels() throws {
        var dataSet = self.dataSet([.rows: 3, .columns: 5, .bitsAllocated: 1, .bitsStored: 1, .highBit: 0])
        dataSet.set(.numberOfFrames, .is, "3")
        let image = try ImagePixelDescription(dataSet)
        #expect(image.frameBitCount == 15)
        #expect(image.pixelDataByteCount == 6)
        #expect(!image.framesAreAligned)
    }

    @Test(arguments: [
        (Tag.rows, 0), (.columns, 0), (.bitsAllocated, 13), (.bitsAllocated, 0), (.bitsAllocated, 72),
        (.bitsStored, 17),
        (.bitsStored, 0), (.highBit, 16), (.highBit, 10), (.pixelRepresentation, 2), (.samplesPerPixel, 0),
    ])
    func whatCannotBeTrue(tag: Tag, value: Int) {
        let error = readError { _ = try ImagePixelDescription(self.dataSet([tag: value])) }
        #expect(error?.code == .invalidImage)
    }

    @Test(arguments: [Tag.rows, .columns, .bitsAllocated])
    func whatMustBeThere(tag: Tag) {
        var dataSet = self.dataSet()
        dataSet.remove(tag)
        #expect(readError { _ = try ImagePixelDescription(dataSet) }?.tagPath == tag.description)
    }

    @Test func hugeFrameCounts() throws {
        var dataSet = self.dataSet([.rows: 65535, .columns: 65535])
        dataSet.set(.numberOfFrames, .is, "10000000")
        #expect(try ImagePixelDescription(dataSet).pixelDataByteCount == 65535 * 65535 * 2 * 10_000_000)
        dataSet.set(.numberOfFrames, .is, "999999999999")
        #expect(readError { _ = try ImagePixelDescription(dataSet) }?.code == .invalidImage)
    }
}
