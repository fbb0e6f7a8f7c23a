// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Testing

@Suite struct DataSetReaderTests {
    private func explicit(_ bytes: Bytes, stopBefore: Tag? = nil) throws -> ReadResult {
        try DataSetReader.read(bytes.buffer, transferSyntax: .explicitVRLittleEndian, stopBefore: stopBefore)
    }

    @Test func explicitLittleEndian() throws {
        let bytes = Bytes().explicit(.modality, .cs, "CT").explicit(.patientName, .pn, "Doe^Jane")
            .explicit(.rows, .us, [0, 2]).explicit(.pixelData, .ow, [1, 2, 3, 4])
        let result = try self.explicit(bytes)
        #expect(result.dataSet.count == 4)
        #expect(result.dataSet.string(.modality) == "CT")
        #expect(result.dataSet.integer(.rows) == 512)
        #expect(result.dataSet[.pixelData]?.array == [1, 2, 3, 4])
        #expect(result.consumedByteCount == bytes.array.count)
        #expect(result.stoppedAt == nil)
        #expect(result.dataSet[.patientName]?.elementOffset == 10)
        #expect(result.dataSet[.patientName]?.valueOffset == 18)
    }

    @Test func implicitLittleEndianTakesRepresentationsFromTheDictionary() throws {
        let bytes = Bytes().implicit(.modality, "CT").implicit(Tag(0x0009, 0x0010), "ACME")
            .implicit(Tag(0x0009, 0x1001), [1, 2]).implicit(.rows, [0, 2]).implicit(.pixelData, [1, 2])
        let dataSet = try DataSetReader.read(bytes.buffer, transferSyntax: .implicitVRLittleEndian).dataSet
        #expect(dataSet.elements.map(\.vr) == [.cs, .lo, .un, .us, .ow])
        #expect(dataSet.integer(.rows) == 512)
    }

    @Test func bigEndian() throws {
        let bytes = Bytes(isBigEndian: true).explicit(.modality, .cs, "CT").explicit(.rows, .us, [2, 0])
            .explicit(.pixelData, .ow, [1, 2, 3, 4])
        let dataSet = try DataSetReader.read(bytes.buffer, transferSyntax: .explicitVRBigEndian).dataSet
        #expect(dataSet.integer(.rows) == 512)
        #expect(dataSet.string(.modality) == "CT")
        #expect(dataSet.integers(.pixelData) == [0x0102, 0x0304])
    }

    @Test(arguments: [(UInt8(1), VR.ss), (0, .us)])
    func signOfAmbiguousElementsComesFromPixelRepresentation(representation: UInt8, vr: VR) throws {
        // (0018,9810) comes before Pixel Representation, (0028,0106) after it, one more in an item.
        let item = Bytes().implicit(Tag(0x0028, 0x0120), [0xFF, 0xFF])
        let bytes = Bytes().implicit(Tag(0x0018, 0x9810), [0xFE, 0xFF]).implicit(
            .pixelRepresentation,
            [representation, 0]
        )
        .implicit(Tag(0x0028, 0x0106), [0xFF, 0xFF]).implicit(Tag(0x0028, 0x3010), Bytes().item(item).array)
        let dataSet = try DataSetReader.read(bytes.buffer, transferSyntax: .implicitVRLittleEndian).dataSet
        #expect(dataSet[Tag(0x0018, 0x9810)]?.vr == vr)
        #expect(dataSet[Tag(0x0028, 0x0106)]?.vr == vr)
        #expect(dataSet.items(Tag(0x0028, 0x3010)).first?[Tag(0x0028, 0x0120)]?.vr == vr)
        #expect(dataSet.integer(Tag(0x0028, 0x0106)) == (representation == 1 ? -1 : 65535))
    }

    @Test func sequencesOfDefinedAndUndefinedLength() throws {
        let inner = Bytes().explicit(.modality, .cs, "MR")
        let closed = Bytes().item(inner).openItem(inner)
        let bytes = Bytes().explicit(Tag(0x0008, 0x1140), .sq, closed.array)
            .open(Tag(0x0008, 0x1115)).item(inner).openItem(Bytes()).close().explicit(.patientID, .lo, "1234")
        let dataSet = try self.explicit(bytes).dataSet
        #expect(dataSet.items(Tag(0x0008, 0x1140)).map { $0.string(.modality) } == ["MR", "MR"])
        #expect(dataSet.items(Tag(0x0008, 0x1115)).map { $0.string(.modality) } == ["MR", nil])
        #expect(dataSet[Tag(0x0008, 0x1140)]?.hasUndefinedLength == false)
        #expect(dataSet[Tag(0x0008, 0x1115)]?.hasUndefinedLength == true)
        #expect(dataSet.string(.patientID) == "1234")
    }

    @Test func emptySequences() throws {
        let bytes = Bytes().explicit(Tag(0x0008, 0x1140), .sq, []).open(Tag(0x0008, 0x1115)).close()
        let dataSet = try self.explicit(bytes).dataSet
        #expect(dataSet[Tag(0x0008, 0x1140)]?.value == .items([]))
        #expect(dataSet[Tag(0x0008, 0x1115)]?.value == .items([]))
    }

    @Test func unknownOfUndefinedLengthIsAnImplicitSequence() throws {
        let inner = Bytes().implicit(.modality, "CT").implicit(.rows, [0, 2])
        let bytes = Bytes().open(Tag(0x0009, 0x1001), .un).openItem(inner).item(inner).close()
            .explicit(.patientID, .lo, "ID")
        let dataSet = try self.explicit(bytes).dataSet
        #expect(dataSet[Tag(0x0009, 0x1001)]?.vr == .un)
        #expect(dataSet.items(Tag(0x0009, 0x1001)).map { $0.integer(.rows) } == [512, 512])
        #expect(dataSet.string(.patientID) == "ID")
    }

    @Test func unknownOfUndefinedLengthWithExplicitItems() throws {
        let inner = Bytes().explicit(.modality, .cs, "CT").explicit(.rows, .us, [0, 2])
        let bytes = Bytes().open(Tag(0x0009, 0x1001), .un).openItem(inner).close().explicit(.patientID, .lo, "ID")
        let dataSet = try self.explicit(bytes).dataSet
        #expect(dataSet.items(Tag(0x0009, 0x1001)).map { $0.integer(.rows) } == [512])
        #expect(try DataSetWriter.write(dataSet, transferSyntax: .explicitVRLittleEndian) == bytes.buffer)
    }

    @Test func implicitItemsInAnExplicitSequence() throws {
        let inner = Bytes().implicit(.modality, "CT")
        let bytes = Bytes().open(Tag(0x0008, 0x1115)).openItem(inner).close().explicit(.patientID, .lo, "ID")
        let dataSet = try self.explicit(bytes).dataSet
        #expect(dataSet.items(Tag(0x0008, 0x1115)).map { $0.string(.modality) } == ["CT"])
    }

    @Test func theDeclaredEncodingIsNotTrusted() throws {
        let implicit = Bytes().implicit(.modality, "CT").implicit(.patientID, "ID")
        #expect(try self.explicit(implicit).dataSet.string(.patientID) == "ID")
        #expect(try self.explicit(implicit).dataSet.encoding == .implicitLittleEndian)
        let explicit = Bytes().explicit(.modality, .cs, "CT").explicit(.patientID, .lo, "ID")
        let dataSet = try DataSetReader.read(explicit.buffer, transferSyntax: .implicitVRLittleEndian).dataSet
        #expect(dataSet.string(.patientID) == "ID")
    }

    @Test func delimitersWhereNoneBelong() throws {
        let inner = Bytes().explicit(.modality, .cs, "CT")
        let bytes = Bytes().explicit(Tag(0x0008, 0x1140), .sq, Bytes().item(inner).array)
            .tag(.sequenceDelimitation).length(0).tag(.itemDelimitation).length(0).explicit(.patientID, .lo, "ID")
        #expect(try self.explicit(bytes).dataSet.string(.patientID) == "ID")
    }

    @Test func aSequenceThatHoldsNoItemsKeepsItsBytes() throws {
        let bytes = Bytes().explicit(Tag(0x0008, 0x1140), .sq, Array("not items".utf8)).explicit(.patientID, .lo, "ID")
        let dataSet = try self.explicit(bytes).dataSet
        #expect(dataSet[Tag(0x0008, 0x1140)]?.array == Array("not items".utf8))
        #expect(dataSet.string(.patientID) == "ID")
    }

    @Test func elementsOutOfOrderAndTwice() throws {
        let bytes = Bytes().explicit(.patientID, .lo, "ID").explicit(.modality, .cs, "CT").explicit(
            .patientID,
            .lo,
            "ME"
        )
        var dataSet = try self.explicit(bytes).dataSet
        #expect(dataSet.count == 3)
        #expect(dataSet.string(.patientID) == "ME")
        #expect(dataSet.string(.modality) == "CT")
        dataSet.normalizeOrder()
        #expect(dataSet.elements.map(\.tag) == [.modality, .patientID])
        #expect(dataSet.string(.patientID) == "ME")
    }

    @Test(arguments: [1, 7, 8, 100])
    func zeroBytesAtTheEndAreNoElements(count: Int) throws {
        let bytes = Bytes().explicit(.modality, .cs, "CT").raw([UInt8](repeating: 0, count: count))
        let result = try self.explicit(bytes)
        #expect(result.dataSet.count == 1)
        #expect(result.trailingByteCount == count)
    }

    @Test func stopsBeforeATag() throws {
        let inner = Bytes().explicit(.pixelData, .ow, [1, 2])
        let bytes = Bytes().explicit(.modality, .cs, "CT").open(Tag(0x0088, 0x0200)).openItem(inner).close()
            .explicit(.pixelData, .ow, [], declared: 1_000_000)
        let offset = bytes.array.count - 12
        #expect(try self.explicit(bytes, stopBefore: .pixelData).stoppedAt == offset)
        #expect(try self.explicit(bytes, stopBefore: Tag(0x7FE0, 0)).dataSet.count == 2)
        #expect(try self.explicit(bytes, stopBefore: Tag(0x0008, 0x0061)).stoppedAt == 10)
        #expect(readError { _ = try self.explicit(bytes) }?.code == .truncated)
    }

    @Test func longLengthsOfUnknownTextAndNumbers() throws {
        let bytes = Bytes().explicit(Tag(0x0018, 0x9999), .ut, "text").explicit(Tag(0x0040, 0xA300), .uc, "abcd")
            .explicit(Tag(0x7FE0, 0x0001), .ov, [1, 0, 0, 0, 0, 0, 0, 0])
        let dataSet = try self.explicit(bytes).dataSet
        #expect(dataSet.count == 3)
        #expect(dataSet.integers(Tag(0x7FE0, 0x0001)) == [1])
    }

    @Test func whatIsAvailableOfABrokenDataSet() throws {
        let good = Bytes().explicit(.modality, .cs, "CT").explicit(.patientID, .lo, "ID")
        let (whole, none) = DataSetReader.readAvailable(good.buffer, transferSyntax: .explicitVRLittleEndian)
        #expect(whole?.dataSet.count == 2)
        #expect(none == nil)
        let broken = good.explicit(Tag(0x0040, 0x0275), .sq, Bytes().tag(.item).length(99).array)
        let (part, failure) = DataSetReader.readAvailable(broken.buffer, transferSyntax: .explicitVRLittleEndian)
        #expect(part?.dataSet.elements.map(\.tag) == [.modality, .patientID])
        #expect(failure?.tagPath == "(0040,0275)[0]")
        let cut = good.explicit(.pixelData, .ow, [1, 2], declared: 8)
        let (header, reason) = DataSetReader.readAvailable(cut.buffer, transferSyntax: .explicitVRLittleEndian)
        #expect(header?.dataSet.count == 2)
        #expect(header?.pixelData?.byteCount == 8)
        #expect(reason?.code == .truncated)
        let noise = ByteBuffer(string: "no data set, no deflate stream")
        let (nothing, why) = DataSetReader.readAvailable(noise, transferSyntax: .deflatedExplicitVRLittleEndian)
        #expect(nothing == nil)
        #expect(why != nil)
    }

    @Test func deflated() throws {
        let plain = Bytes().explicit(.modality, .cs, "CT").explicit(.pixelData, .ob, [UInt8](repeating: 7, count: 5000))
        let deflated = try Deflate.deflate(plain.buffer)
        #expect(deflated.readableBytes % 2 == 0)
        #expect(deflated.readableBytes < 200)
        let result = try DataSetReader.read(deflated, transferSyntax: .deflatedExplicitVRLittleEndian)
        #expect(result.dataSet.string(.modality) == "CT")
        #expect(result.source == plain.buffer)
        #expect(result.pixelData?.valueOffset == 10 + 12)
    }

    @Test func valuesShareTheBufferEvenFarIntoIt() throws {
        // A slice that begins beyond 16 MiB would be copied by NIO; values are windows instead.
        let large = [UInt8](repeating: 1, count: 17 << 20)
        let bytes = Bytes().explicit(Tag(0x0009, 0x1001), .ob, large).explicit(.pixelData, .ob, large)
        let value = try #require(try self.explicit(bytes).dataSet.bytes(.pixelData))
        #expect(value.readableBytes == large.count)
        #expect(value.storageCapacity == bytes.buffer.storageCapacity)
    }
}

@Suite struct ReaderErrorTests {
    private func failure(_ bytes: Bytes) -> DICOMError? {
        readError { _ = try DataSetReader.read(bytes.buffer, transferSyntax: .explicitVRLittleEndian) }
    }

    @Test func aValueLongerThanTheDataSet() {
        let error = self.failure(Bytes().explicit(.modality, .cs, "CT").explicit(.patientID, .lo, "ID", declared: 40))
        #expect(error?.code == .truncated)
        #expect(error?.offset == 18)
        #expect(error?.tagPath == "(0010,0020)")
    }

    @Test func aValueLongerThanItsItem() {
        let bad = Bytes().explicit(.modality, .cs, "CT", declared: 4)
        let sequence = Bytes().item(Bytes()).item(bad)
        let error = self.failure(
            Bytes().explicit(Tag(0x0008, 0x1140), .sq, sequence.array).explicit(.patientID, .lo, "IDID")
        )
        #expect(error?.code == .invalidLength)
        #expect(error?.tagPath == "(0008,1140)[1].(0008,0060)")
        #expect(error?.offset == 12 + 8 + 8 + 8)
    }

    @Test func anItemLongerThanItsSequence() {
        let sequence = Bytes().tag(.item).length(100).explicit(.modality, .cs, "CT")
        let error = self.failure(
            Bytes().explicit(Tag(0x0008, 0x1140), .sq, sequence.array).explicit(.patientID, .lo, "IDID")
        )
        #expect(error?.code == .invalidLength)
        #expect(error?.tagPath == "(0008,1140)[0]")
    }

    @Test func anElementWhereAnItemShouldBe() {
        let error = self.failure(
            Bytes().open(Tag(0x0008, 0x1140)).explicit(.modality, .cs, "CT").close()
        )
        #expect(error?.code == .invalidStructure)
        #expect(error?.tagPath == "(0008,1140)[0].(0008,0060)")
    }

    @Test func anItemWhereAnElementShouldBe() {
        #expect(self.failure(Bytes().item(Bytes()))?.code == .invalidStructure)
    }

    @Test func missingDelimiters() {
        let inner = Bytes().explicit(.modality, .cs, "CT")
        #expect(self.failure(Bytes().open(Tag(0x0008, 0x1140)).item(inner))?.code == .truncated)
        #expect(
            self.failure(Bytes().open(Tag(0x0008, 0x1140)).tag(.item).length(.max).raw(inner.array))?.code == .truncated
        )
        #expect(self.failure(Bytes().open(.pixelData, .ob).fragment([]).fragment([1, 2]))?.code == .truncated)
    }

    @Test func noiseWhereFragmentsShouldBe() {
        let error = self.failure(Bytes().open(.pixelData, .ob).fragment([]).explicit(.modality, .cs, "CT"))
        #expect(error?.code == .invalidStructure)
        #expect(error?.tagPath == "(7FE0,0010)")
    }

    @Test func errorsNameNoValues() {
        let error = self.failure(Bytes().explicit(.patientName, .pn, "Doe^Jane", declared: 400))
        #expect(error?.description.contains("Doe") == false)
        #expect(
            error?.description
                == "truncated: the value has 400 bytes, 8 are left in the data set, at (0010,0010), byte offset 8"
        )
    }
}
