// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Testing

@Suite struct DataSetWriterTests {
    private func read(_ bytes: Bytes, _ syntax: TransferSyntax = .explicitVRLittleEndian) throws -> DataSet {
        try DataSetReader.read(bytes.buffer, transferSyntax: syntax).dataSet
    }

    private func write(
        _ dataSet: DataSet,
        _ syntax: TransferSyntax = .explicitVRLittleEndian,
        _ options: DataSetWriter.Options = .standard
    ) throws -> [UInt8] {
        try DataSetWriter.write(dataSet, transferSyntax: syntax, options: options).array
    }

    @Test func theSameSyntaxGivesTheSameBytes() throws {
        let sample = HostileInputTests.sample
        #expect(try self.write(self.read(sample)) == sample.array)
        let odd = Bytes().explicit(Tag(0x0008, 0), .ul, [99, 0, 0, 0]).explicit(.modality, .cs, "CT ").explicit(
            .patientID,
            .lo,
            "odd"
        )
        #expect(try self.write(self.read(odd)) == odd.array)
    }

    @Test func fragmentsOfOtherElementsAreNotWrittenWithoutRepresentations() throws {
        let bytes = Bytes().explicit(.modality, .cs, "CT").tag(Tag(0x7F60, 0x0010)).raw([0x4F, 0x42, 0, 0]).length(.max)
            .tag(.item).length(0).tag(.item).length(2).raw([1, 2]).tag(.sequenceDelimitation).length(0)
        let dataSet = try self.read(bytes)
        #expect(try self.write(dataSet) == bytes.array)
        #expect(throws: DICOMError.self) { try self.write(dataSet, .implicitVRLittleEndian) }
    }

    @Test func implicitToExplicit() throws {
        let item = Bytes().implicit(.modality, "MR")
        let implicit = Bytes().implicit(.modality, "CT").tag(Tag(0x0008, 0x1140)).length(.max).openItem(item).close()
            .implicit(Tag(0x0009, 0x0010), "ACME").implicit(Tag(0x0009, 0x1001), [1, 2])
            .implicit(.pixelRepresentation, [1, 0]).implicit(.smallestImagePixelValue, [0xFF, 0xFF])
            .implicit(Tag(0x6000, 0x3000), [1, 1]).implicit(.pixelData, [1, 2])
        let explicit = Bytes().explicit(.modality, .cs, "CT").open(Tag(0x0008, 0x1140))
            .openItem(Bytes().explicit(.modality, .cs, "MR")).close()
            .explicit(Tag(0x0009, 0x0010), .lo, "ACME").explicit(Tag(0x0009, 0x1001), .un, [1, 2])
            .explicit(.pixelRepresentation, .us, [1, 0]).explicit(.smallestImagePixelValue, .ss, [0xFF, 0xFF])
            .explicit(Tag(0x6000, 0x3000), .ow, [1, 1]).explicit(.pixelData, .ow, [1, 2])
        let dataSet = try self.read(implicit, .implicitVRLittleEndian)
        #expect(try self.write(dataSet) == explicit.array)
        #expect(try self.write(self.read(explicit), .implicitVRLittleEndian) == implicit.array)
    }

    @Test func byteOrderIsSwappedByRepresentation() throws {
        func content(_ big: Bool) -> Bytes {
            func order(_ bytes: [UInt8], _ width: Int) -> [UInt8] {
                big ? stride(from: 0, to: bytes.count, by: width).flatMap { bytes[$0..<$0 + width].reversed() } : bytes
            }
            return Bytes(isBigEndian: big).explicit(.modality, .cs, "CT")
                .explicit(Tag(0x0008, 0x1160), .is, "12").explicit(
                    Tag(0x0018, 0x9087),
                    .fd,
                    order([1, 2, 3, 4, 5, 6, 7, 8], 8)
                )
                .explicit(Tag(0x0018, 0x9219), .ss, order([1, 2], 2)).explicit(
                    Tag(0x0028, 0x0009),
                    .at,
                    order([1, 2, 3, 4], 2)
                )
                .explicit(.rows, .us, order([0, 2], 2)).explicit(Tag(0x0028, 0x9001), .ul, order([1, 2, 3, 4], 4))
                .explicit(Tag(0x0066, 0x0016), .of, order([1, 2, 3, 4], 4)).explicit(
                    Tag(0x0072, 0x0082),
                    .sv,
                    order([1, 2, 3, 4, 5, 6, 7, 8], 8)
                )
                .explicit(Tag(0x0099, 0x1001), .un, [1, 2, 3, 4]).explicit(Tag(0x0099, 0x1002), .ob, [1, 2, 3, 4])
                .explicit(.pixelData, .ow, order([1, 2, 3, 4], 2))
        }
        let little = try self.read(content(false))
        let big = try self.read(content(true), .explicitVRBigEndian)
        #expect(try self.write(little, .explicitVRBigEndian) == content(true).array)
        #expect(try self.write(big) == content(false).array)
        #expect(try self.write(big, .explicitVRBigEndian) == content(true).array)
    }

    @Test func pixelCellsOf32BitsAreSwappedWhole() throws {
        let big = Bytes(isBigEndian: true).explicit(.bitsAllocated, .us, [0, 32]).explicit(
            .pixelData,
            .ow,
            [1, 2, 3, 4]
        )
        let little = Bytes().explicit(.bitsAllocated, .us, [32, 0]).explicit(.pixelData, .ow, [4, 3, 2, 1])
        #expect(try self.write(self.read(big, .explicitVRBigEndian)) == little.array)
    }

    @Test func aShortLengthThatOverflowsBecomesUnknown() throws {
        var dataSet = DataSet()
        dataSet.set(.patientComments, .lt, String(repeating: "x", count: 65536))
        let bytes = try self.write(dataSet)
        #expect(bytes.count == 12 + 65536)
        #expect(Array(bytes[4..<12]) == [0x55, 0x4E, 0, 0, 0, 0, 1, 0])
        let back = try DataSetReader.read(ByteBuffer(bytes: bytes), transferSyntax: .explicitVRLittleEndian).dataSet
        #expect(back.string(.patientComments)?.utf8.count == 65536)
        dataSet.set(.patientComments, .lt, String(repeating: "x", count: 65534))
        #expect(try self.write(dataSet).count == 8 + 65534)
    }

    @Test func groupLengthsAreComputedAnewBetweenEncodings() throws {
        // In explicit VR the group has 12 + 8 + 4 bytes: a long form and a short one.
        let implicit = Bytes().implicit(Tag(0x0008, 0), [20, 0, 0, 0]).implicit(.modality, "CT")
            .implicit(Tag(0x0008, 0x1140), []).implicit(Tag(0x0010, 0), [10, 0, 0, 0]).implicit(.patientID, "ID")
        let dataSet = try self.read(implicit, .implicitVRLittleEndian)
        let explicit = try DataSetReader.read(
            ByteBuffer(bytes: try self.write(dataSet)),
            transferSyntax: .explicitVRLittleEndian
        ).dataSet
        #expect(explicit.integer(Tag(0x0008, 0)) == 22)
        #expect(explicit.integer(Tag(0x0010, 0)) == 10)
        #expect(try self.write(dataSet, .implicitVRLittleEndian) == implicit.array)
    }

    @Test func canonicalFormIsOneForAllForms() throws {
        let inner = Bytes().explicit(.modality, .cs, "CT")
        let one = Bytes().explicit(Tag(0x0008, 0), .ul, [50, 0, 0, 0])
            .explicit(Tag(0x0008, 0x1140), .sq, Bytes().item(inner).array).explicit(.patientID, .lo, "odd")
        let other = Bytes().explicit(.patientID, .lo, "odd ").open(Tag(0x0008, 0x1140)).openItem(inner).close()
        let expected = Bytes().open(Tag(0x0008, 0x1140)).openItem(inner).close().explicit(.patientID, .lo, "odd ")
        for bytes in [one, other] {
            #expect(try self.write(self.read(bytes), .explicitVRLittleEndian, .canonical) == expected.array)
        }
        let unknown = Bytes().open(Tag(0x0009, 0x1001), .un).openItem(Bytes().implicit(.modality, "CT")).close()
        let sequence = Bytes().open(Tag(0x0009, 0x1001)).openItem(inner).close()
        #expect(try self.write(self.read(unknown), .explicitVRLittleEndian, .canonical) == sequence.array)
        #expect(try self.write(self.read(unknown)) == unknown.array)
    }

    @Test func unknownSequencesStayLittleEndianInBigEndian() throws {
        let inner = Bytes().implicit(.rows, [0, 2])
        let little = Bytes().open(Tag(0x0009, 0x1001), .un).openItem(inner).close()
        let big = try self.write(self.read(little), .explicitVRBigEndian)
        let back = try DataSetReader.read(ByteBuffer(bytes: big), transferSyntax: .explicitVRBigEndian).dataSet
        #expect(back.items(Tag(0x0009, 0x1001)).first?.integer(.rows) == 512)
        #expect(try self.write(back) == little.array)
    }

    @Test func fragmentsAndDeflate() throws {
        let bytes = Bytes().explicit(.modality, .cs, "CT").open(.pixelData, .ob).fragment([0, 0, 0, 0])
            .fragment([1, 2]).close()
        let dataSet = try self.read(bytes, .jpegLSLossless)
        #expect(try self.write(dataSet, .jpegLSLossless) == bytes.array)
        let deflated = try DataSetWriter.write(dataSet, transferSyntax: .deflatedExplicitVRLittleEndian)
        #expect(
            try DataSetReader.read(deflated, transferSyntax: .deflatedExplicitVRLittleEndian).source == bytes.buffer
        )
    }

    @Test func undefinedLengthsWhereTheDictionaryExpectsNoSequence() throws {
        // In implicit VR a UI of undefined length has items; its 16-bit length could not say so in explicit VR.
        let implicit = Bytes().tag(.sopInstanceUID).length(.max).openItem(Bytes().implicit(.modality, "CT")).close()
        let explicit = Bytes().open(.sopInstanceUID).openItem(Bytes().explicit(.modality, .cs, "CT")).close()
        let dataSet = try self.read(implicit, .implicitVRLittleEndian)
        #expect(try self.write(dataSet) == explicit.array)
        #expect(try self.write(dataSet, .implicitVRLittleEndian) == implicit.array)
    }

    @Test func settingAndRemoving() throws {
        var dataSet = DataSet()
        dataSet.set(.patientID, .lo, "ABC")
        dataSet.set(.modality, .cs, "CT")
        dataSet.set(.rows, .us, integers: [512])
        dataSet.set(.sopClassUID, .ui, "1.2.3")
        dataSet.set(.patientID, .lo, "ABCD")
        #expect(dataSet.elements.map(\.tag) == [.sopClassUID, .modality, .patientID, .rows])
        let expected = Bytes().explicit(.sopClassUID, .ui, "1.2.3\0").explicit(.modality, .cs, "CT")
            .explicit(.patientID, .lo, "ABCD").explicit(.rows, .us, [0, 2])
        #expect(try self.write(dataSet) == expected.array)
        dataSet.remove(.modality)
        #expect(dataSet[.modality] == nil)
        #expect(dataSet.uid(.sopClassUID)?.string == "1.2.3")
        #expect(dataSet.uid(.patientID)?.isConformant == false)
    }

    @Test func appendingKeepsWhatIsThere() throws {
        var buffer = ByteBuffer(bytes: [1, 2, 3])
        var dataSet = DataSet()
        dataSet.set(.modality, .cs, "CT")
        try DataSetWriter.append(dataSet, encoding: .implicitLittleEndian, to: &buffer)
        #expect(buffer.array == [1, 2, 3] + Bytes().implicit(.modality, "CT").array)
    }
}
