// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Testing

@Suite struct CharacterSetTests {
    private func name(_ terms: String, _ bytes: [UInt8]) -> [String] {
        var dataSet = DataSet()
        dataSet.set(.specificCharacterSet, .cs, terms)
        dataSet.set(DataElement(tag: .patientName, vr: .pn, value: .bytes(ByteBuffer(bytes: bytes))))
        return dataSet.strings(.patientName)
    }

    @Test(
        arguments: [
            ("ISO_IR 100", [0x42, 0x75, 0x63, 0x5E, 0x4A, 0xE9, 0x72, 0xF4, 0x6D, 0x65], "Buc^Jérôme"),
            ("ISO 8859-1", [0x4A, 0xE9], "Jé"), ("iso_ir_100", [0x4A, 0xE9], "Jé"), ("ISO-IR 100", [0x4A, 0xE9], "Jé"),
            ("ISO_IR 101", [0x57, 0xB3, 0x6F], "Wło"), ("ISO_IR 109", [0xC6], "Ĉ"), ("ISO_IR 110", [0xE0], "ā"),
            ("ISO_IR 144", [0xBB, 0xEE, 0xDA, 0x63, 0x65, 0xDC, 0xD1, 0x79, 0x70, 0xD3], "Люкceмбypг"),
            ("ISO_IR 127", [0xE2, 0xC8, 0xC7, 0xE6, 0xEA, 0x5E, 0xE4, 0xE6, 0xD2, 0xC7, 0xD1], "قباني^لنزار"),
            ("ISO_IR 126", [0xC4, 0xE9, 0xEF, 0xED, 0xF5, 0xF3, 0xE9, 0xEF, 0xF2], "Διονυσιος"),
            ("ISO_IR 138", [0xF9, 0xF8, 0xE5, 0xEF, 0x5E, 0xE3, 0xE1, 0xE5, 0xF8, 0xE4], "שרון^דבורה"),
            ("ISO_IR 148", [0xD0, 0xFD], "Ğı"), ("ISO_IR 166", [0xA1, 0xD2], "กา"),
            ("ISO_IR 13", [0xD4, 0xCF, 0xC0, 0xDE], "ﾔﾏﾀﾞ"),
            ("ISO_IR 192", Array("Wang^XiaoDong=王^小东".utf8), "Wang^XiaoDong=王^小东"),
            (
                "GB18030",
                [0x57, 0x61, 0x6E, 0x67, 0x5E, 0x58, 0x3D, 0xCD, 0xF5, 0x5E, 0xD0, 0xA1, 0xB6, 0xAB], "Wang^X=王^小东"
            ),
            ("GBK", [0xCD, 0xF5], "王"), ("", [0x41], "A"), ("ISO_IR 6", [0x41], "A"),
            ("ISO_IR 999", [0x41, 0xE9], "Aé"),
        ] as [(String, [UInt8], String)]
    )
    func singleRepertoires(term: String, bytes: [UInt8], expected: String) {
        #expect(self.name(term, bytes) == [expected])
    }

    /// The examples of PS3.5 annexes H, I and K.
    @Test(
        arguments: [
            (
                "\\ISO 2022 IR 87",
                "Yamada^Tarou=\u{1B}$B;3ED\u{1B}(B^\u{1B}$BB@O:\u{1B}(B=\u{1B}$B$d$^$@\u{1B}(B^\u{1B}$B$?$m$&\u{1B}(B",
                [],
                "Yamada^Tarou=山田^太郎=やまだ^たろう"
            ),
            (
                "ISO 2022 IR 13\\ISO 2022 IR 87", "",
                [
                    0xD4, 0xCF, 0xC0, 0xDE, 0x5E, 0xC0, 0xDB, 0xB3, 0x3D, 0x1B, 0x24, 0x42, 0x3B, 0x33, 0x45, 0x44,
                    0x1B, 0x28,
                    0x4A, 0x5E, 0x1B, 0x24, 0x42, 0x42, 0x40, 0x4F, 0x3A, 0x1B, 0x28, 0x4A,
                ], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"
            ),
            (
                "\\ISO 2022 IR 149", "",
                Array("Hong^Gildong=\u{1B}$)C".utf8) + [0xFB, 0xF3, 0x5E] + Array("\u{1B}$)C".utf8)
                    + [0xD1, 0xCE, 0xD4, 0xD7, 0x3D] + Array("\u{1B}$)C".utf8) + [0xC8, 0xAB, 0x5E]
                    + Array("\u{1B}$)C".utf8) + [0xB1, 0xE6, 0xB5, 0xBF], "Hong^Gildong=洪^吉洞=홍^길동"
            ),
            (
                "\\ISO 2022 IR 58", "",
                Array("Zhang^XiaoDong=\u{1B}$)A".utf8) + [0xD5, 0xC5, 0x5E] + Array("\u{1B}$)A".utf8)
                    + [0xD0, 0xA1, 0xB6, 0xAB, 0x3D], "Zhang^XiaoDong=张^小东="
            ),
            (
                "\\ISO 2022 IR 159", "\u{1B}$(D0!\u{1B}(B", [], "丂"
            ),
            (
                "ISO 2022 IR 100\\ISO 2022 IR 144", "", [0xE9, 0x1B, 0x2D, 0x4C, 0xBB, 0x1B, 0x2D, 0x41, 0xE9], "éЛé"
            ),
        ] as [(String, String, [UInt8], String)]
    )
    func codeExtensions(terms: String, text: String, bytes: [UInt8], expected: String) {
        #expect(self.name(terms, Array(text.utf8) + bytes) == [expected])
    }

    @Test func extensionsEndAtDelimiters() {
        // After the caret G1 is Latin-1 again, though nothing switched back.
        #expect(self.name("ISO 2022 IR 100\\ISO 2022 IR 144", [0x1B, 0x2D, 0x4C, 0xBB, 0x5E, 0xE9]) == ["Л^é"])
    }

    @Test func aBackslashWithinACharacterSeparatesNothing() {
        // 十 in GBK is CA AE; 85 5C is a character whose second byte is a backslash.
        #expect(self.name("GBK", [0x85, 0x5C, 0x5C, 0x41]).count == 2)
        // 5C within a JIS X 0208 pair: 能 is 47 3D, 淒 is 5C 37.
        #expect(self.name("\\ISO 2022 IR 87", Array("\u{1B}$B\\7\u{1B}(B\\A".utf8)).count == 2)
        #expect(self.name("ISO_IR 13", [0xD4, 0x5C, 0xCF]) == ["ﾔ", "ﾏ"])
    }

    @Test(arguments: ["ISO_IR 192", "\\ISO 2022 IR 87", "GB18030", "ISO_IR 144", "\\ISO 2022 IR 149"])
    func brokenBytesDoNotFail(terms: String) {
        for bytes in [
            [0xFF, 0xFE, 0x1B], [0x1B, 0x24], [0x1B, 0x24, 0x42, 0x21], [0x81], [0xC3], [0x1B, 0x24, 0x42],
        ] as [[UInt8]] {
            #expect(self.name(terms, bytes).count == 1)
        }
    }

    @Test func itemsInheritTheCharacterSet() throws {
        let inner = Bytes().explicit(.patientName, .pn, [0xE9])
        let own = Bytes().explicit(.specificCharacterSet, .cs, "ISO_IR 144").explicit(.patientName, .pn, [0xBB])
        let bytes = Bytes().explicit(.specificCharacterSet, .cs, "ISO_IR 100")
            .explicit(Tag(0x0008, 0x1140), .sq, Bytes().item(inner).item(own).array)
        let dataSet = try DataSetReader.read(bytes.buffer, transferSyntax: .explicitVRLittleEndian).dataSet
        #expect(dataSet.items(Tag(0x0008, 0x1140)).map { $0.string(.patientName) } == ["é", "Л"])
    }

    @Test func onlyTextUsesTheCharacterSet() throws {
        let bytes = Bytes().explicit(.specificCharacterSet, .cs, "ISO_IR 192").explicit(.modality, .cs, [0xC3, 0xA9])
            .explicit(.patientID, .lo, "é")
        let dataSet = try DataSetReader.read(bytes.buffer, transferSyntax: .explicitVRLittleEndian).dataSet
        #expect(dataSet.string(.modality) == "Ã©")
        #expect(dataSet.string(.patientID) == "é")
    }
}

@Suite struct ValueTests {
    private func dataSet(_ tag: Tag, _ vr: VR, _ value: String) -> DataSet {
        var dataSet = DataSet()
        dataSet.set(tag, vr, value)
        return dataSet
    }

    @Test(
        arguments: [
            (VR.cs, " CT ", ["CT"]), (.cs, "A\\B \\", ["A", "B", ""]), (.lo, "", []), (.lt, " a\\b ", [" a\\b"]),
            (.ui, "1.2.3\0", ["1.2.3"]), (.ui, "1.2\\1.3\0\0", ["1.2", "1.3"]), (.uc, " a\\ b ", [" a", " b"]),
            (.sh, "x\0\0", ["x"]), (.ut, "line\r\nnext  ", ["line\r\nnext"]),
        ] as [(VR, String, [String])]
    )
    func strings(vr: VR, value: String, expected: [String]) {
        #expect(self.dataSet(.patientComments, vr, value).strings(.patientComments) == expected)
    }

    @Test func absentAndEmpty() {
        let dataSet = self.dataSet(.patientID, .lo, "  ")
        #expect(dataSet.string(.patientID) == nil)
        #expect(dataSet.string(.modality) == nil)
        #expect(dataSet.strings(.modality) == [])
        #expect(dataSet.integer(.rows) == nil)
        #expect(dataSet.items(.modality).isEmpty)
    }

    @Test(
        arguments: [
            (VR.is, "12 ", 12), (.is, "+7", 7), (.is, "-3", -3), (.ds, "4.0", 4), (.ds, "1e2", 100), (.ds, "1.5", nil),
            (.is, "x", nil), (.ds, "nan", nil), (.ds, "0x10", nil), (.is, "99999999999999999999", nil),
        ] as [(VR, String, Int?)]
    )
    func integersFromText(vr: VR, value: String, expected: Int?) {
        #expect(self.dataSet(.instanceNumber, vr, value).integer(.instanceNumber) == expected)
    }

    @Test func decimals() {
        #expect(self.dataSet(.windowCenter, .ds, "40\\ -1.5e3 \\+.5").decimals(.windowCenter) == [40, -1500, 0.5])
        var dataSet = DataSet(encoding: .explicitBigEndian)
        dataSet.set(DataElement(tag: .windowCenter, vr: .fl, value: .bytes(ByteBuffer(bytes: [0x3F, 0xC0, 0, 0]))))
        #expect(dataSet.decimal(.windowCenter) == 1.5)
        dataSet.set(.rows, .ss, integers: [-2])
        #expect(dataSet.decimals(.rows) == [-2])
        #expect(dataSet.string(.rows) == "-2")
    }

    @Test func binaryIntegers() {
        for encoding in [DataSetEncoding.explicitLittleEndian, .explicitBigEndian] {
            var dataSet = DataSet(encoding: encoding)
            for (vr, values) in [
                (VR.us, [0, 65535]), (.ss, [-32768, 32767]), (.ul, [4_294_967_295]), (.sl, [-1]), (.sv, [Int.min]),
                (.uv, [Int.max]), (.at, [0x7FE0_0010]),
            ] {
                dataSet.set(.rows, vr, integers: values)
                #expect(dataSet.integers(.rows) == values)
            }
        }
    }

    @Test func unknownIsReadByTheDictionary() {
        let dataSet = self.dataSet(.patientID, .un, "ID")
        #expect(dataSet.string(.patientID) == "ID")
        #expect(self.dataSet(Tag(0x0009, 0x1001), .un, "ID").string(Tag(0x0009, 0x1001)) == nil)
    }

    @Test func personNames() {
        let name = PersonName(parsing: "Yamada^Tarou^M^Dr^Jr=山田^太郎=やまだ^たろう")
        #expect(name.alphabetic.family == "Yamada")
        #expect(name.alphabetic.given == "Tarou")
        #expect(name.alphabetic.middle == "M")
        #expect(name.alphabetic.prefix == "Dr")
        #expect(name.alphabetic.suffix == "Jr")
        #expect(name.ideographic.family == "山田")
        #expect(name.phonetic.given == "たろう")
        #expect(PersonName(parsing: "").alphabetic.isEmpty)
        #expect(PersonName(parsing: "A^B^C^D^E^F=").alphabetic.suffix == "E")
        #expect(self.dataSet(.patientName, .pn, "Doe^Jane").personName(.patientName)?.alphabetic.given == "Jane")
    }

    @Test(
        arguments: [
            ("20240229", "20240229"), ("2024.02.29", "20240229"), ("20230229", nil), ("20241301", nil), ("2024", nil),
            ("20240100", nil), ("2024010a", nil), ("19000229", nil), ("20000229", "20000229"),
        ] as [(String, String?)]
    )
    func dates(text: String, expected: String?) {
        #expect(DICOMDate(parsing: text)?.description == expected)
    }

    @Test(
        arguments: [
            ("120000", "120000.000000"), ("12", "120000.000000"), ("1230", "123000.000000"),
            ("123045.5", "123045.500000"),
            ("123045.000001", "123045.000001"), ("12:30:45", "123045.000000"), ("235960", "235960.000000"), ("24", nil),
            ("1260", nil), ("123", nil), ("1230.5", nil), ("123045.", nil), ("", nil), ("123045.1234567", nil),
        ] as [(String, String?)]
    )
    func times(text: String, expected: String?) {
        #expect(DICOMTime(parsing: text)?.description == expected)
    }

    @Test func datesAndTimes() throws {
        let full = try #require(DICOMDateTime(parsing: "20240131123045.25-0530"))
        #expect(full.date.description == "20240131")
        #expect(full.time.microsecond == 250_000)
        #expect(full.offsetMinutes == -330)
        #expect(DICOMDateTime(parsing: "2024")?.date.description == "20240101")
        #expect(DICOMDateTime(parsing: "202405+0100")?.offsetMinutes == 60)
        #expect(DICOMDateTime(parsing: "2024051") == nil)
        #expect(DICOMDateTime(parsing: "") == nil)
        #expect(self.dataSet(.studyDate, .da, "20240131").date(.studyDate)?.day == 31)
        #expect(self.dataSet(.studyTime, .tm, "1230").time(.studyTime)?.minute == 30)
    }
}
