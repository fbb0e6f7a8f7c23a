// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Testing

@Suite struct DICOMJSONReadingTests {
    private func read(_ json: String, _ limits: ReadLimits = .standard) throws(DICOMError) -> DataSet {
        try DICOMJSON.read(ByteBuffer(string: json), limits: limits)
    }

    private func json(_ dataSet: DataSet) -> String {
        var buffer = ByteBuffer()
        DICOMJSON.write(dataSet, into: &buffer)
        return String(buffer: buffer)
    }

    /// The value of one element (0009,1001) with these members.
    private func value(_ vr: String, _ members: String) throws -> [UInt8] {
        let element = try #require(try self.read(#"{"00091001":{"vr":"\#(vr)",\#(members)}}"#)[Tag(0x0009, 0x1001)])
        #expect(element.vr.description == vr)
        return try #require(element.array)
    }

    // MARK: - Every representation

    @Test(
        arguments: [
            ("AE", #""Value":["SCP","B"]"#, "SCP\\B "), ("AS", #""Value":["030Y"]"#, "030Y"),
            ("CS", #""Value":["A",null,"B"]"#, "A\\\\B"), ("CS", #""Value":[null,"B"]"#, "\\B"),
            ("CS", #""Value":["A",null]"#, "A\\"), ("CS", #""Value":[null]"#, ""), ("CS", #""Value":[]"#, ""),
            ("CS", #""Value":null"#, ""), ("DA", #""Value":["20240131"]"#, "20240131"),
            ("DS", #""Value":[1.50,"2.5",-3e-5]"#, "1.50\\2.5\\-3e-5"),
            ("DS", #""Value":[12345678901234567890.123456789]"#, "12345678901234567890.123456789"),
            ("DT", #""Value":["20240131120000.5+0100"]"#, "20240131120000.5+0100 "),
            ("IS", #""Value":[1,"2",-3,4.0]"#, "1\\2\\-3\\4"),
            ("IS", #""Value":[99999999999999999999]"#, "99999999999999999999"),
            ("LO", #""Value":["é\u00e9\ud83d\ude00"]"#, "éé😀"), ("LT", #""Value":["a\\b\r\n\t\""]"#, "a\\b\r\n\t\""),
            ("PN", #""Value":[{"Alphabetic":"A^B","Ideographic":"王","Phonetic":"c"}]"#, "A^B=王=c"),
            ("PN", #""Value":[{"Phonetic":"c"},null,{"Alphabetic":"D"},{},"E^F"]"#, "==c\\\\D\\\\E^F "),
            ("PN", #""Value":[{"Alphabetic":null,"Ideographic":"b","Other":{"x":[1]}}]"#, "=b"),
            ("SH", #""Value":[5]"#, "5 "), ("ST", #""Value":["x\\y"]"#, "x\\y "), ("TM", #""Value":["1230"]"#, "1230"),
            ("UC", #""Value":["a","b"]"#, "a\\b "), ("UI", #""Value":["1.2.3"]"#, "1.2.3\0"),
            ("UR", #""Value":["http:\/\/x\/y"]"#, "http://x/y"), ("UT", #""Value":["\u0041"]"#, "A "),
        ] as [(String, String, String)]
    )
    func text(vr: String, members: String, expected: String) throws {
        let value = try self.value(vr, members)
        let padded = expected.utf8.count % 2 != 0 ? expected + " " : expected
        #expect(value == Array(padded.utf8))
    }

    @Test(
        arguments: [
            ("AT", #""Value":["7FE00010","00100020"]"#, [0xE0, 0x7F, 0x10, 0, 0x10, 0, 0x20, 0]),
            ("US", #""Value":[1,"65535"]"#, [1, 0, 255, 255]), ("SS", #""Value":[-2,-32768]"#, [254, 255, 0, 128]),
            ("UL", #""Value":[4294967295]"#, [255, 255, 255, 255]), ("SL", #""Value":[-2147483648]"#, [0, 0, 0, 128]),
            ("UV", #""Value":["18446744073709551615"]"#, [UInt8](repeating: 255, count: 8)),
            ("UV", #""Value":[9007199254740993]"#, [1, 0, 0, 0, 0, 0, 32, 0]),
            ("UV", #""Value":[18446744073709551614]"#, [254, 255, 255, 255, 255, 255, 255, 255]),
            ("SV", #""Value":["-9223372036854775808"]"#, [0, 0, 0, 0, 0, 0, 0, 128]),
            ("SV", #""Value":[-9007199254740993]"#, [255, 255, 255, 255, 255, 255, 223, 255]),
            ("FL", #""Value":[1.5,"-2",null]"#, []), ("FL", #""Value":[1.5,"-2"]"#, [0, 0, 0xC0, 0x3F, 0, 0, 0, 0xC0]),
            ("FL", #""Value":["NaN",Infinity,"-Infinity"]"#, [0, 0, 0xC0, 0x7F, 0, 0, 0x80, 0x7F, 0, 0, 0x80, 0xFF]),
            ("FD", #""Value":[0.1]"#, [0x9A, 0x99, 0x99, 0x99, 0x99, 0x99, 0xB9, 0x3F]),
            ("FD", #""Value":[-Infinity]"#, [0, 0, 0, 0, 0, 0, 0xF0, 0xFF]),
            ("US", #""Value":[null]"#, []), ("US", #""Value":[]"#, []),
            ("OB", #""InlineBinary":"AQID""#, [1, 2, 3, 0]), ("OW", #""InlineBinary":"AQACAA==""#, [1, 0, 2, 0]),
            ("OD", #""InlineBinary":"AAAAAAAA8D8=""#, [0, 0, 0, 0, 0, 0, 0xF0, 0x3F]),
            ("OF", #""InlineBinary":"AACAPw==""#, [0, 0, 0x80, 0x3F]),
            ("OL", #""InlineBinary":"AQAAAA""#, [1, 0, 0, 0]),
            ("OV", #""InlineBinary":"\/\/\/\/\/\/\/\/\/\/8=""#, [UInt8](repeating: 255, count: 8)),
            ("UN", #""InlineBinary":["AQI="]"#, [1, 2]), ("OB", #""InlineBinary":"""#, []),
        ] as [(String, String, [UInt8])]
    )
    func bytes(vr: String, members: String, expected: [UInt8]) throws {
        if members.contains("2\",null") {
            #expect(readError { _ = try self.value(vr, members) }?.code == .invalidValue)
            return
        }
        #expect(try self.value(vr, members) == expected)
    }

    @Test func sequencesAndTheOrderOfMembers() throws {
        let dataSet = try self.read(
            #"""
            {"00400275":{"Value":[{"00400007":{"Value":["x"],"vr":"LO"},"00400009":{"vr":"SH"}},{},null],"vr":"SQ"},
             "00081115":{"vr":"SQ"},"00081140":{"Value":[],"vr":"SQ"},"00081150" : { "vr" : "UI" , "Value" : [ "1.2" ] }}
            """#
        )
        #expect(dataSet.elements.map(\.tag.hexadecimal) == ["00081115", "00081140", "00081150", "00400275"])
        #expect(dataSet[Tag(0x0008, 0x1115)]?.value == .items([]))
        #expect(dataSet[Tag(0x0008, 0x1140)]?.value == .items([]))
        let items = dataSet.items(Tag(0x0040, 0x0275))
        #expect(items.map(\.count) == [2, 0, 0])
        #expect(items.first?.string(Tag(0x0040, 0x0007)) == "x")
    }

    @Test func theCharacterSetIsUTF8() throws {
        let plain = try self.read(#"{"00100010":{"vr":"PN","Value":[{"Alphabetic":"A"}]}}"#)
        #expect(plain.elements.map(\.tag) == [.patientName])
        let declared = try self.read(
            #"{"00080005":{"vr":"CS","Value":["ISO_IR 100"]},"00100020":{"vr":"LO","Value":["é"]}}"#
        )
        #expect(declared.string(.specificCharacterSet) == "ISO_IR 192")
        #expect(declared.string(.patientID) == "é")
        let nested = try self.read(
            #"{"00081140":{"vr":"SQ","Value":[{"00100010":{"vr":"PN","Value":[{"Ideographic":"王"}]}}]}}"#
        )
        #expect(nested.string(.specificCharacterSet) == "ISO_IR 192")
        let bytes = try DataSetWriter.write(nested, transferSyntax: .explicitVRLittleEndian)
        let back = try DataSetReader.read(bytes, transferSyntax: .explicitVRLittleEndian).dataSet
        #expect(back.items(Tag(0x0008, 0x1140)).first?.personName(.patientName)?.ideographic.family == "王")
    }

    /// An empty repertoire in an item would make Latin-1 of its UTF-8, and more of it each time it is read.
    @Test(arguments: [#""vr":"CS""#, #""vr":"CS","Value":[null]"#, #""vr":"UN","InlineBinary":"SVNPX0lSIDEwMA==""#])
    func anItemThatNamesARepertoireIsUTF8(repertoire: String) throws {
        let item = #"{"00080005":{\#(repertoire)},"00100020":{"vr":"LO","Value":["é"]}}"#
        let read = try self.read(#"{"00081140":{"vr":"SQ","Value":[\#(item)]}}"#)
        let bytes = try DataSetWriter.write(read, transferSyntax: .explicitVRLittleEndian)
        let back = try DataSetReader.read(bytes, transferSyntax: .explicitVRLittleEndian).dataSet
        for dataSet in [read, back] {
            let item = try #require(dataSet.items(Tag(0x0008, 0x1140)).first)
            #expect(item.string(.patientID) == "é")
            #expect(item.string(.specificCharacterSet) == "ISO_IR 192")
        }
    }

    @Test func bytesThatDoNotBelongStayOneACharacter() throws {
        var dataSet = DataSet()
        dataSet.set(DataElement(tag: .modality, vr: .cs, value: .bytes(ByteBuffer(bytes: [0xC3, 0xA9]))))
        #expect(try self.read(self.json(dataSet)) == dataSet)
    }

    // MARK: - Bulk data

    @Test func bulkDataComesFromACallback() throws {
        let json = #"""
            {"00091001":{"vr":"UT","BulkDataURI":"a"},"00880200":{"vr":"SQ","Value":[{},{"7FE00010":
            {"BulkDataURI":"b","vr":"OW"}}]},"7FE00010":{"vr":"OB","BulkDataURI":"c"}}
            """#
        var asked: [String] = []
        let dataSet = try DICOMJSON.read(ByteBuffer(string: json)) { reference throws(DICOMError) in
            asked.append("\(reference.path) \(reference.vr) \(reference.uri)")
            switch reference.uri {
            case "c": return .fragments(EncapsulatedValue(fragments: [ByteBuffer(bytes: [1, 2])]))
            default: return .bytes(ByteBuffer(string: "\(reference.uri)!"))
            }
        }
        #expect(asked == ["(0009,1001) UT a", "(0088,0200)[1].(7FE0,0010) OW b", "(7FE0,0010) OB c"])
        #expect(dataSet[Tag(0x0009, 0x1001)]?.array == Array("a!".utf8))
        #expect(dataSet.items(Tag(0x0088, 0x0200)).last?[.pixelData]?.array == Array("b!".utf8))
        #expect(dataSet[.pixelData]?.value == .fragments(EncapsulatedValue(fragments: [ByteBuffer(bytes: [1, 2])])))
        let placeholders = try self.read(json)
        #expect(placeholders[.pixelData]?.value.isEmpty == true)
    }

    @Test func anErrorOfTheCallbackNamesItsPlace() {
        let json = #"{"00880200":{"vr":"SQ","Value":[{"7FE00010":{"vr":"OW","BulkDataURI":"b"}}]}}"#
        let error = readError {
            _ = try DICOMJSON.read(ByteBuffer(string: json)) { _ throws(DICOMError) in
                throw DICOMError(.invalidValue, "not to be had")
            }
        }
        #expect(error?.tagPath == "(0088,0200)[0].(7FE0,0010)")
    }

    // MARK: - Round trips

    /// One element of each of the 34 representations, with several values where it may have them.
    static let everyRepresentation: DataSet = {
        var dataSet = DataSet()
        dataSet.set(.specificCharacterSet, .cs, "ISO_IR 192")
        var element: UInt16 = 0x1000
        func next() -> Tag {
            element += 1
            return Tag(0x0009, element)
        }
        for (vr, text) in [
            (VR.ae, "A\\B"), (.as, "030Y"), (.cs, "A\\\\C"), (.da, "20240131"), (.ds, "1.50\\0.1234567890123456"),
            (.dt, "20240131"), (.is, "-3\\99999999999999999999"), (.lo, "é\\王"), (.lt, "a\\b\r\n"),
            (.pn, "A^B=王^小=c\\D"),
            (.sh, "x"), (.st, "\"q\""), (.tm, "1230"), (.uc, "long\\longer"), (.ui, "1.2\\1.3"), (.ur, "http://a/\\b"),
            (.ut, "\u{1}text"),
        ] { dataSet.set(next(), vr, text) }
        for (vr, numbers) in [
            (VR.at, [0x7FE0_0010, 0x0010_0020]), (.us, [0, 65535]), (.ss, [-32768, 1]), (.ul, [4_294_967_295]),
            (.sl, [-2_147_483_648]), (.uv, [-1, 1]), (.sv, [Int.min, Int.max, 9_007_199_254_740_993]),
        ] { dataSet.set(next(), vr, integers: numbers) }
        for (vr, bytes) in [
            (VR.fl, [0, 0, 0xC0, 0x3F, 0, 0, 0xC0, 0x7F, 0xCD, 0xCC, 0xCC, 0x3D]),
            (.fd, [0x9A, 0x99, 0x99, 0x99, 0x99, 0x99, 0xB9, 0x3F, 0, 0, 0, 0, 0, 0, 0xF0, 0x7F]),
            (.ob, [1, 2, 3, 4]), (.od, [UInt8](0..<8)), (.of, [1, 2, 3, 4]), (.ol, [9, 8, 7, 6]),
            (.ov, [UInt8](0..<16)), (.ow, [1, 2]), (.un, [255, 0]),
        ] as [(VR, [UInt8])] {
            dataSet.set(DataElement(tag: next(), vr: vr, value: .bytes(ByteBuffer(bytes: bytes))))
        }
        var item = DataSet()
        item.set(next(), .lo, "in an item, é")
        dataSet.set(DataElement(tag: next(), vr: .sq, value: .items([SequenceItem(item), SequenceItem(DataSet())])))
        for vr in [VR.lo, .us, .fd, .at, .ob, .pn] {
            dataSet.set(DataElement(tag: next(), vr: vr, value: .bytes(ByteBuffer())))
        }
        // Read again, so that items have the character set of what encloses them.
        guard let bytes = try? DataSetWriter.write(dataSet, transferSyntax: .explicitVRLittleEndian),
            let read = try? DataSetReader.read(bytes, transferSyntax: .explicitVRLittleEndian)
        else { return DataSet() }
        return read.dataSet
    }()

    @Test func everyRepresentationThereAndBack() throws {
        let original = Self.everyRepresentation
        #expect(Set(original.elements.map(\.vr)).count == 34)
        let json = self.json(original)
        let back = try self.read(json)
        for (left, right) in zip(original.elements, back.elements) { #expect(left == right, "\(left.vr)") }
        #expect(back == original)
        #expect(self.json(back) == json)
    }

    /// Members come in alphabetical order there: values before their VR, and empty values as empty strings.
    @Test func whatPydicomWrites() throws {
        let dataSet = try self.read(PydicomSample.json)
        let digits = Array(PydicomSample.explicitLittleEndian)
        let expected = stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(digits[$0...$0 + 1]), radix: 16)
        }
        #expect(try DataSetWriter.write(dataSet, transferSyntax: .explicitVRLittleEndian).array == expected)
        let read = try DataSetReader.read(ByteBuffer(bytes: expected), transferSyntax: .explicitVRLittleEndian).dataSet
        #expect(self.json(read) == self.json(dataSet))
    }

    @Test func bigEndianAndImplicitGiveTheSameJSON() throws {
        let json = self.json(Self.everyRepresentation)
        let big = try DataSetWriter.write(Self.everyRepresentation, transferSyntax: .explicitVRBigEndian)
        let dataSet = try DataSetReader.read(big, transferSyntax: .explicitVRBigEndian).dataSet
        #expect(self.json(dataSet) == json)
        #expect(try self.read(self.json(dataSet)) == Self.everyRepresentation)
    }

    @Test(.enabled(if: Corpus.isPresent, "no corpus: set VARVE_TEST_CORPUS"))
    func everyCorpusHeaderThereAndBack() throws {
        for path in Corpus.files(limitPerFolder: 3) {
            let (bytes, syntax) = try Corpus.dataSet(path)
            let header = try DataSetReader.readHeader(bytes, transferSyntax: syntax)
            let json = self.json(header.dataSet)
            let back = try self.read(json)
            #expect(self.json(back) == json, "\(path)")
            // What text and numbers mean is kept; padding and the form of numbers are not.
            let again = try DataSetWriter.write(back, transferSyntax: .explicitVRLittleEndian, options: .canonical)
            let read = try DataSetReader.read(again, transferSyntax: .explicitVRLittleEndian).dataSet
            #expect(self.json(read) == json, "\(path)")
        }
    }

    // MARK: - Leniency

    @Test func whatIsAcceptedBeyondTheStandard() throws {
        let dataSet = try self.read("\u{FEFF}[{\"0010001a\":{\"vr\":\"LO\"},\"00080060\":{\"Value\":[\"CT\"]}}]\n")
        #expect(dataSet.string(.modality) == "CT")
        #expect(dataSet.elements.map(\.tag.hexadecimal) == ["00080060", "0010001A"])
        #expect(try self.read(#"{"00080000":{"vr":"UL","Value":[1]}}"#).isEmpty)
    }

    @Test func listsOfDataSets() throws {
        let list = try DICOMJSON.readAll(ByteBuffer(string: #"[{},{"00080060":{"vr":"CS","Value":["CT"]}}]"#))
        #expect(list.map(\.count) == [0, 1])
        #expect(try DICOMJSON.readAll(ByteBuffer(string: "[]")).isEmpty)
        #expect(try DICOMJSON.readAll(ByteBuffer(string: "{}")).count == 1)
        #expect(readError { _ = try self.read("[{},{}]") }?.code == .invalidJSON)
        // A name in one data set says nothing about the next.
        let two = try DICOMJSON.readAll(
            ByteBuffer(string: #"[{"00100020":{"vr":"LO","Value":["é"]}},{"00100020":{"vr":"LO","Value":["e"]}}]"#)
        )
        #expect(two.map(\.count) == [2, 1])
    }
}
