// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Testing

@Suite struct PixelDataLocationTests {
    private let icon = Bytes().open(Tag(0x0088, 0x0200)).openItem(Bytes().explicit(.pixelData, .ow, [9, 9, 9, 9]))
        .close()

    private func find(
        _ bytes: ByteBuffer,
        _ syntax: TransferSyntax = .explicitVRLittleEndian
    ) throws -> PixelDataLocation? {
        try PixelDataLocation.find(in: bytes, transferSyntax: syntax)
    }

    @Test func nativeWithElementsAfterIt() throws {
        let head = self.icon
        let bytes = head.explicit(.pixelData, .ow, [1, 2, 3, 4]).explicit(.dataSetTrailingPadding, .ob, [0, 0])
        let location = try #require(try self.find(bytes.buffer))
        #expect(location.tag == .pixelData)
        #expect(location.vr == .ow)
        #expect(location.elementOffset == head.array.count)
        #expect(location.valueOffset == head.array.count + 12)
        #expect(location.byteCount == 4)
        #expect(location.endOffset == head.array.count + 16)
        #expect(!location.isEncapsulated)
        #expect(location.fragments.isEmpty)
        let whole = try DataSetReader.read(bytes.buffer, transferSyntax: .explicitVRLittleEndian)
        #expect(whole.pixelData == location)
    }

    @Test func encapsulatedWithOffsetTable() throws {
        let head = Bytes().explicit(.modality, .cs, "CT")
        let bytes = head.open(.pixelData, .ob).fragment([0, 0, 0, 0, 12, 0, 0, 0]).fragment([1, 2, 3, 4])
            .fragment([5, 6]).close().explicit(.dataSetTrailingPadding, .ob, [0, 0])
        let location = try #require(try self.find(bytes.buffer, .jpegLSLossless))
        #expect(location.isEncapsulated)
        #expect(location.basicOffsetTable == [0, 12])
        let start = head.array.count + 12 + 16
        #expect(location.fragments.map(\.offset) == [start + 8, start + 8 + 4 + 8])
        #expect(location.fragments.map(\.byteCount) == [4, 2])
        #expect(location.endOffset == bytes.array.count - 14)
        let whole = try DataSetReader.read(bytes.buffer, transferSyntax: .jpegLSLossless)
        #expect(whole.pixelData == location)
        guard case .fragments(let value)? = whole.dataSet[.pixelData]?.value else {
            Issue.record("no fragments")
            return
        }
        #expect(value.fragments.map(\.array) == [[1, 2, 3, 4], [5, 6]])
    }

    @Test func onlyTheHeadOfABigObject() throws {
        let bytes = self.icon.explicit(.pixelData, .ow, [1, 2], declared: 4_000_000_000)
        let location = try #require(try self.find(bytes.buffer))
        #expect(location.byteCount == 4_000_000_000)
        #expect(location.endOffset == nil)
        #expect(location.valueOffset == bytes.array.count - 2)
        let open = self.icon.open(.pixelData, .ob).fragment([]).fragment([1, 2, 3]).buffer
        let encapsulated = try #require(try self.find(open))
        #expect(encapsulated.byteCount == nil)
        #expect(encapsulated.endOffset == nil)
        #expect(encapsulated.fragments.isEmpty)
    }

    @Test func aHeadThatEndsBeforePixelDataWantsMoreBytes() {
        let bytes = Bytes().explicit(Tag(0x0009, 0x1001), .ob, [1], declared: 100)
        #expect(readError { _ = try self.find(bytes.buffer) }?.code == .truncated)
    }

    @Test(arguments: [(Tag.floatPixelData, VR.of), (.doubleFloatPixelData, .od)])
    func floatPixelData(tag: Tag, vr: VR) throws {
        let bytes = Bytes().explicit(.modality, .cs, "CT").explicit(tag, vr, [UInt8](repeating: 0, count: 16))
        let location = try #require(try self.find(bytes.buffer))
        #expect(location.tag == tag)
        #expect(location.vr == vr)
        #expect(location.endOffset == bytes.array.count)
    }

    @Test func extendedOffsetTableIsPartOfTheHeader() throws {
        let bytes = Bytes().explicit(Tag(0x7FE0, 0x0001), .ov, [UInt8](repeating: 0, count: 8))
            .open(.pixelData, .ob).fragment([]).fragment([1, 2]).close()
        let header = try DataSetReader.readHeader(bytes.buffer, transferSyntax: .jpegLSLossless)
        #expect(header.dataSet.integers(.extendedOffsetTable) == [0])
        #expect(header.pixelData?.elementOffset == 20)
        #expect(header.stoppedAt == 20)
    }

    @Test func implicitAndBigEndian() throws {
        let implicit = Bytes().implicit(.modality, "CT").implicit(.pixelData, [1, 2])
        let little = try #require(try self.find(implicit.buffer, .implicitVRLittleEndian))
        #expect(little.vr == .ow)
        #expect(little.valueOffset == little.elementOffset + 8)
        let big = Bytes(isBigEndian: true).explicit(.modality, .cs, "CT").explicit(.pixelData, .ow, [1, 2])
        let location = try #require(try self.find(big.buffer, .explicitVRBigEndian))
        #expect(location.byteCount == 2)
        #expect(location.endOffset == big.array.count)
    }

    @Test func itemHeadersForThoseWhoWalkAFile() throws {
        let bytes = Bytes().open(.pixelData, .ob).fragment([1, 2, 3, 4]).close()
        let location = try #require(try self.find(bytes.buffer, .jpegLSLossless))
        func header(_ bytes: Bytes) throws -> PixelDataLocation.ItemHeader? { try location.itemHeader(bytes.buffer) }
        #expect(try header(Bytes().fragment([1, 2, 3, 4])) == .item(byteCount: 4))
        #expect(try header(Bytes().close()) == .end)
        #expect(try header(Bytes().raw([1, 2, 3])) == nil)
        #expect(readError { _ = try header(Bytes().open(.pixelData)) }?.code == .invalidStructure)
    }

    @Test func noPixelData() throws {
        #expect(try self.find(Bytes().explicit(.modality, .cs, "SR").buffer) == nil)
        #expect(try self.find(self.icon.buffer) == nil)
        #expect(try self.find(ByteBuffer()) == nil)
    }
}
