// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Testing

/// What DICOM archives get wrong about the coding of data sets (PS3.5): each name is a defect that somebody shipped.
@Suite struct DataSetCodingPitfallTests {
    private func read(_ bytes: Bytes, _ syntax: TransferSyntax = .explicitVRLittleEndian) throws -> DataSet {
        try DataSetReader.read(bytes.buffer, transferSyntax: syntax).dataSet
    }

    private func write(_ dataSet: DataSet, _ syntax: TransferSyntax = .explicitVRLittleEndian) throws -> [UInt8] {
        try DataSetWriter.write(dataSet, transferSyntax: syntax).array
    }

    @Test("UI pads with NUL, text with space, OB with zero")
    func padding() throws {
        var dataSet = DataSet()
        dataSet.set(.sopInstanceUID, .ui, "1.2")
        dataSet.set(.patientID, .lo, "odd")
        dataSet.set(DataElement(tag: Tag(0x0042, 0x0011), vr: .ob, value: .bytes(ByteBuffer(bytes: [1, 2, 3]))))
        #expect(dataSet[.sopInstanceUID]?.array == Array("1.2\0".utf8))
        #expect(dataSet[.patientID]?.array == Array("odd ".utf8))
        let bytes = try DataSetWriter.write(dataSet, transferSyntax: .explicitVRLittleEndian, options: .canonical)
        let back = try DataSetReader.read(bytes, transferSyntax: .explicitVRLittleEndian).dataSet
        #expect(back[Tag(0x0042, 0x0011)]?.array == [1, 2, 3, 0])
    }

    @Test(
        "accept wrong and repeated pads",
        arguments: ["1.2.3", "1.2.3\0", "1.2.3 ", "1.2.3\0\0\0", "1.2.3  \0", " 1.2.3"]
    )
    func wrongPads(value: String) throws {
        let dataSet = try self.read(
            Bytes().explicit(.sopInstanceUID, .ui, value).explicit(.modality, .cs, "CT\0").explicit(
                .patientID,
                .lo,
                " ID \0 "
            )
        )
        #expect(dataSet.uid(.sopInstanceUID)?.string == "1.2.3")
        #expect(dataSet.string(.modality) == "CT")
        #expect(dataSet.string(.patientID) == "ID")
    }

    @Test(
        "keep what arrived byte for byte where the transfer syntax stays",
        arguments: [TransferSyntax.explicitVRLittleEndian, .implicitVRLittleEndian, .explicitVRBigEndian]
    )
    func byteForByte(syntax: TransferSyntax) throws {
        // Wrong pads, an odd length, a wrong group length, elements out of order and twice, both forms of lengths.
        let isExplicit = syntax.isExplicitVR
        func element(_ tag: Tag, _ vr: VR, _ text: String) -> Bytes {
            let empty = Bytes(isBigEndian: syntax.isBigEndian)
            return isExplicit ? empty.explicit(tag, vr, text) : empty.implicit(tag, text)
        }
        let item = element(.modality, .cs, "CT ")
        let sequence = Bytes(isBigEndian: syntax.isBigEndian).openItem(item).item(item)
        let head = element(Tag(0x0008, 0), .ul, "\u{9}\u{9}\u{9}\u{9}").raw(
            element(.sopInstanceUID, .ui, "1.2  ").array
        )
        let closed =
            isExplicit
            ? Bytes(isBigEndian: syntax.isBigEndian).explicit(Tag(0x0008, 0x1140), .sq, sequence.array)
            : Bytes().implicit(Tag(0x0008, 0x1140), sequence.array)
        let bytes = head.raw(closed.array).raw(element(.patientID, .lo, "odd").array)
            .raw(element(.modality, .cs, "ct\0\0").array).raw(element(.patientID, .lo, "twice ").array)
        #expect(try self.write(self.read(bytes, syntax), syntax) == bytes.array)
    }

    @Test(
        "UN of undefined length holds an implicit VR little endian sequence, whatever the outer syntax",
        arguments: [false, true]
    )
    func unknownSequences(isBigEndian: Bool) throws {
        let inner = Bytes().implicit(.rows, [0, 2]).implicit(.modality, "CT")
        let items = Bytes().openItem(inner).item(inner).close()
        let bytes = Bytes(isBigEndian: isBigEndian).open(Tag(0x0009, 0x1001), .un).raw(items.array)
            .explicit(.patientID, .lo, "ID")
        let syntax: TransferSyntax = isBigEndian ? .explicitVRBigEndian : .explicitVRLittleEndian
        let dataSet = try self.read(bytes, syntax)
        #expect(dataSet.items(Tag(0x0009, 0x1001)).map { $0.integer(.rows) } == [512, 512])
        #expect(dataSet.string(.patientID) == "ID")
    }

    @Test("some writers put explicit VR inside UN of undefined length")
    func unknownSequencesInExplicitVR() throws {
        let inner = Bytes().explicit(.rows, .us, [0, 2])
        let bytes = Bytes().open(Tag(0x0009, 0x1001), .un).openItem(inner).close().explicit(.patientID, .lo, "ID")
        let dataSet = try self.read(bytes)
        #expect(dataSet.items(Tag(0x0009, 0x1001)).first?.integer(.rows) == 512)
        #expect(try self.write(dataSet) == bytes.array)
    }

    @Test("a delimiter after a defined-length sequence")
    func superfluousDelimiter() throws {
        let bytes = Bytes().explicit(Tag(0x0008, 0x1140), .sq, Bytes().item(Bytes()).array).close()
            .explicit(.patientID, .lo, "ID")
        #expect(try self.read(bytes).string(.patientID) == "ID")
    }

    @Test("a sequence in an item in a sequence, 1,000 deep", arguments: [false, true])
    func deepNesting(isDefinedLength: Bool) {
        let tag = Tag(0x0008, 0x1140)
        var bytes = Bytes()
        if isDefinedLength {
            // From the inside out; each level encloses the one before.
            for _ in 0..<1000 { bytes = Bytes().explicit(tag, .sq, Bytes().item(bytes).array) }
        } else {
            let level = Bytes().open(tag).tag(.item).length(.max).array
            bytes = bytes.raw(Array([[UInt8]](repeating: level, count: 1000).joined()))
        }
        let error = readError { _ = try self.read(bytes) }
        #expect(error?.code == .limitExceeded)
        let report = DataSetCheck.check(bytes.buffer, transferSyntax: .explicitVRLittleEndian)
        #expect(report.count(of: .unreadable) == 1)
    }

    @Test("the VR of US/SS tags depends on Pixel Representation in implicit VR", arguments: [0, 1] as [UInt8])
    func ambiguousSign(representation: UInt8) throws {
        let bytes = Bytes().implicit(.pixelRepresentation, [representation, 0])
            .implicit(.pixelPaddingValue, [0x30, 0xF8])
        let dataSet = try self.read(bytes, .implicitVRLittleEndian)
        #expect(dataSet.integer(.pixelPaddingValue) == (representation == 1 ? -2000 : 63536))
        let explicit = try self.write(dataSet)
        #expect(Array(explicit.suffix(6).prefix(2)) == Array((representation == 1 ? "SS" : "US").utf8))
    }

    @Test(
        "OV, SV, UV, UC, UR, UT, UN, OB, OD, OF, OL, OW, SQ have 32-bit lengths in explicit VR",
        arguments: [VR.ov, .sv, .uv, .uc, .ur, .ut, .un, .ob, .od, .of, .ol, .ow, .sq]
    )
    func longLengths(vr: VR) throws {
        let value = vr == .sq ? Bytes().item(Bytes()).array : [UInt8](repeating: 0x31, count: 8)
        let bytes = Bytes().tag(Tag(0x0009, 0x1001)).raw(Array(vr.description.utf8)).raw([0, 0])
            .length(UInt32(value.count)).raw(value).explicit(.patientID, .lo, "ID")
        let dataSet = try self.read(bytes)
        #expect(dataSet[Tag(0x0009, 0x1001)]?.vr == vr)
        #expect(dataSet.string(.patientID) == "ID")
        #expect(try self.write(dataSet) == bytes.array)
    }

    @Test("private blocks: keep them, never renumber")
    func privateBlocks() throws {
        // A block at the end of the group, one with a gap before it, one without a creator.
        let bytes = Bytes().explicit(Tag(0x0009, 0x0010), .lo, "ACME").explicit(Tag(0x0009, 0x00FF), .lo, "LAST")
            .explicit(Tag(0x0009, 0x1001), .lo, "a ").explicit(Tag(0x0009, 0x4001), .lo, "b ")
            .explicit(Tag(0x0009, 0xFF01), .lo, "c ")
        let dataSet = try self.read(bytes)
        #expect(try self.write(dataSet) == bytes.array)
        let implicit = try self.write(dataSet, .implicitVRLittleEndian)
        let back = try DataSetReader.read(ByteBuffer(bytes: implicit), transferSyntax: .implicitVRLittleEndian).dataSet
        #expect(back.elements.map(\.tag) == dataSet.elements.map(\.tag))
        #expect(back.elements.map(\.array) == dataSet.elements.map(\.array))
    }

    @Test("two creators with one name in one group")
    func twoCreators() throws {
        let bytes = Bytes().explicit(Tag(0x0009, 0x0010), .lo, "ACME").explicit(Tag(0x0009, 0x0011), .lo, "ACME")
            .explicit(Tag(0x0009, 0x1001), .lo, "a ").explicit(Tag(0x0009, 0x1101), .lo, "b ")
        let dataSet = try self.read(bytes)
        #expect(dataSet.string(Tag(0x0009, 0x1001)) == "a")
        #expect(dataSet.string(Tag(0x0009, 0x1101)) == "b")
        #expect(
            try DataSetWriter.write(dataSet, transferSyntax: .explicitVRLittleEndian, options: .canonical)
                == bytes.buffer
        )
    }

    @Test("elements after Pixel Data")
    func elementsAfterPixelData() throws {
        let signature = Bytes().item(Bytes().explicit(Tag(0x0400, 0x0005), .us, [1, 0]))
        let bytes = Bytes().explicit(.modality, .cs, "CT").explicit(.pixelData, .ow, [1, 2])
            .explicit(Tag(0xFFFA, 0xFFFA), .sq, signature.array).explicit(.dataSetTrailingPadding, .ob, [0, 0])
        let result = try DataSetReader.read(bytes.buffer, transferSyntax: .explicitVRLittleEndian)
        #expect(result.dataSet.count == 4)
        #expect(result.pixelData?.endOffset == 24)
        #expect(try self.write(result.dataSet) == bytes.array)
    }

    @Test("files over 4 GB: the header and the place of Pixel Data need no more than the head")
    func largeFiles() throws {
        let native = Bytes().explicit(.rows, .us, [0, 2]).explicit(.pixelData, .ow, [1, 2], declared: 4_294_967_294)
        let result = try DataSetReader.readHeader(native.buffer, transferSyntax: .explicitVRLittleEndian)
        #expect(result.dataSet.integer(.rows) == 512)
        #expect(result.pixelData?.byteCount == 4_294_967_294)
        #expect(result.pixelData?.endOffset == nil)
        let table = Bytes().explicit(.extendedOffsetTable, .ov, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0])
            .open(.pixelData, .ob).fragment([])
        let header = try DataSetReader.readHeader(table.buffer, transferSyntax: .jpegLSLossless)
        #expect(header.dataSet.integers(.extendedOffsetTable) == [0, 8_589_934_592])
    }

    @Test("deflated: even length", arguments: 1...40)
    func deflatedLength(count: Int) throws {
        let plain = ByteBuffer(bytes: (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) })
        let deflated = try Deflate.deflate(plain)
        #expect(deflated.readableBytes % 2 == 0)
        #expect(try Deflate.inflate(deflated, maximumByteCount: 1000) == plain)
    }

    @Test("Part 10 without a preamble, with extra file-meta elements, with a meta group in the wrong syntax")
    func part10() throws {
        let body = Bytes().explicit(.modality, .cs, "CT")
        let extra = Bytes().explicit(.transferSyntaxUID, .ui, "1.2.840.10008.1.2.1\0")
            .explicit(Tag(0x0002, 0x0102), .ob, [1, 2])
        let implicit = Bytes().implicit(.transferSyntaxUID, "1.2.840.10008.1.2.1\0")
        let prefix = Bytes().raw([UInt8](repeating: 0, count: 128) + Array("DICM".utf8))
        for meta in [
            extra, Bytes().raw(Array("DICM".utf8)).raw(extra.array), prefix.raw(extra.array),
            prefix.raw(implicit.array),
        ] {
            let file = meta.raw(body.array).buffer
            let header = try Part10.readHeader(file)
            #expect(header.transferSyntax == .explicitVRLittleEndian)
            #expect(header.dataSetOffset == meta.array.count)
        }
    }

    @Test("an empty SOP, Series or Study UID is none", arguments: ["", "\0\0", "  ", " \0"])
    func emptyUIDs(value: String) throws {
        for tag in [Tag.sopInstanceUID, .seriesInstanceUID, .studyInstanceUID] {
            let dataSet = try self.read(Bytes().explicit(tag, .ui, value))
            #expect(dataSet.uid(tag) == nil)
            #expect(dataSet.string(tag) == nil)
            let report = DataSetCheck.check(
                Bytes().explicit(tag, .ui, value).buffer,
                transferSyntax: .explicitVRLittleEndian
            )
            let finding = report.findings.first { $0.tagPath == tag.description && $0.severity == .error }
            #expect(finding?.message.contains("is empty") == true)
        }
    }
}

/// The same for character sets.
@Suite struct CharacterSetPitfallTests {
    private func texts(_ terms: String, _ bytes: [UInt8], _ vr: VR = .pn) -> [String] {
        var dataSet = DataSet()
        dataSet.set(.specificCharacterSet, .cs, terms)
        dataSet.set(DataElement(tag: .patientName, vr: vr, value: .bytes(ByteBuffer(bytes: bytes))))
        return dataSet.strings(.patientName)
    }

    @Test("an empty first value means the default repertoire")
    func emptyFirstValue() {
        #expect(self.texts("\\ISO 2022 IR 87", Array("Yamada^Tarou=\u{1B}$B;3\u{1B}(B".utf8)) == ["Yamada^Tarou=山"])
    }

    @Test(#"code extensions reset at \ ^ = and line ends"#, arguments: [0x5C, 0x5E, 0x3D, 0x0A, 0x0D] as [UInt8])
    func resets(delimiter: UInt8) {
        let bytes = [0x1B, 0x2D, 0x4C, 0xBB, delimiter, 0xE9]
        let values = self.texts("ISO 2022 IR 100\\ISO 2022 IR 144", bytes)
        let expected = "Л\(Unicode.Scalar(delimiter))é"
        #expect(values.joined(separator: "\\") == expected)
    }

    @Test("in IR 13 the backslash is a yen sign, so split before decoding")
    func yenSign() {
        #expect(self.texts("ISO_IR 13", [0xD4, 0x5C, 0xCF], .lo) == ["ﾔ", "ﾏ"])
        #expect(self.texts("ISO 2022 IR 13\\ISO 2022 IR 87", [0xD4, 0x5C, 0xCF], .lo) == ["ﾔ", "ﾏ"])
    }

    @Test("UTF-8, GB18030 and GBK take no extensions", arguments: ["ISO_IR 192", "GB18030", "GBK"])
    func noExtensions(term: String) {
        let bytes = Array("\u{1B}$B;3".utf8)
        #expect(self.texts("\(term)\\ISO 2022 IR 87", bytes, .lo) == ["\u{1B}$B;3"])
    }

    @Test(
        "misspelt terms are common",
        arguments: [
            "ISO IR 192", "ISO-IR-192", "iso_ir 192", "ISO_IR_192", "ISOIR192", "UTF-8", "utf8", "ISO 2022 IR 192",
        ]
    )
    func misspeltTerms(term: String) {
        #expect(self.texts(term, Array("王".utf8)) == ["王"])
    }

    @Test("never mix attributes decoded under two sets without re-encoding")
    func mixedSets() throws {
        let own = Bytes().explicit(.specificCharacterSet, .cs, "ISO_IR 144").explicit(.patientName, .pn, [0xBB])
        let inherited = Bytes().explicit(.patientName, .pn, [0xE9])
        let bytes = Bytes().explicit(.specificCharacterSet, .cs, "ISO_IR 100")
            .explicit(Tag(0x0008, 0x1140), .sq, Bytes().item(own).item(inherited).array)
        let dataSet = try DataSetReader.read(bytes.buffer, transferSyntax: .explicitVRLittleEndian).dataSet
        var json = ByteBuffer()
        DICOMJSON.write(dataSet, into: &json)
        // All of it in one set, and every place that names a set says so.
        let back = try DICOMJSON.read(json)
        #expect(back.string(.specificCharacterSet) == "ISO_IR 192")
        let items = back.items(Tag(0x0008, 0x1140))
        #expect(items.map { $0.string(.specificCharacterSet) } == ["ISO_IR 192", nil])
        let written = try DataSetWriter.write(back, transferSyntax: .explicitVRLittleEndian)
        let again = try DataSetReader.read(written, transferSyntax: .explicitVRLittleEndian).dataSet
        #expect(again.items(Tag(0x0008, 0x1140)).map { $0.string(.patientName) } == ["Л", "é"])
    }
}
