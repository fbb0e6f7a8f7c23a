// SPDX-License-Identifier: Apache-2.0

import DICOM
import Foundation
import NIOCore
import Testing

@Suite struct DICOMJSONTests {
    private func json(_ dataSet: DataSet, _ uri: DICOMJSON.BulkDataURI? = nil) -> String {
        var buffer = ByteBuffer()
        DICOMJSON.write(dataSet, into: &buffer, bulkDataURI: uri)
        return String(buffer: buffer)
    }

    private func json(_ bytes: Bytes, _ uri: DICOMJSON.BulkDataURI? = nil) throws -> String {
        self.json(try DataSetReader.read(bytes.buffer, transferSyntax: .explicitVRLittleEndian).dataSet, uri)
    }

    @Test(
        arguments: [
            (VR.cs, "CT", #""Value":["CT"]"#), (.cs, "A\\\\B ", #""Value":["A",null,"B"]"#), (.lo, "", nil),
            (.lo, "  ", nil),
            (.ui, "1.2.3\0", #""Value":["1.2.3"]"#),
            (.lt, "a\\b\r\n\"x\"\t\u{1}", #""Value":["a\\b\r\n\"x\"\t\u0001"]"#),
            (.da, "20240131", #""Value":["20240131"]"#), (.tm, "1230", #""Value":["1230"]"#),
            (.ur, "http://x/a\\b", #""Value":["http://x/a\\b"]"#), (.ds, "1.50", #""Value":[1.50]"#),
            (.ds, "+1.\\.5\\-00.5\\1E5\\ 12 ", #""Value":[1,0.5,-0.5,1e5,12]"#), (.ds, "1e+05", #""Value":[1e+05]"#),
            (.ds, "0.1234567890123456", #""Value":["0.1234567890123456"]"#), (.ds, "1e999", #""Value":["1e999"]"#),
            (.ds, "abc", #""Value":["abc"]"#), (.ds, "-", #""Value":["-"]"#),
            (.is, "12\\-3\\+007", #""Value":[12,-3,7]"#),
            (.is, "1.0", #""Value":["1.0"]"#), (.is, "99999999999999999999", #""Value":["99999999999999999999"]"#),
            (.is, "5\\\\6", #""Value":[5,null,6]"#),
        ] as [(VR, String, String?)]
    )
    func text(vr: VR, value: String, expected: String?) {
        var dataSet = DataSet()
        dataSet.set(Tag(0x0010, 0x4000), vr, value)
        let tail = expected.map { "," + $0 } ?? ""
        #expect(self.json(dataSet) == #"{"00104000":{"vr":"\#(vr)"\#(tail)}}"#)
    }

    @Test func specificCharacterSetIsCodeStringsWhateverItsRepresentationWas() {
        var dataSet = DataSet()
        dataSet.set(.specificCharacterSet, .ul, integers: [1])
        #expect(self.json(dataSet) == #"{"00080005":{"vr":"CS","Value":["ISO_IR 192"]}}"#)
    }

    @Test func personNames() throws {
        let bytes = Bytes().explicit(.specificCharacterSet, .cs, "ISO_IR 192")
            .explicit(.patientName, .pn, "Wang^XiaoDong=王^小东=\\\\=洪 ")
        let expected =
            #"{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00100010":{"vr":"PN","Value":["#
            + #"{"Alphabetic":"Wang^XiaoDong","Ideographic":"王^小东"},null,{"Ideographic":"洪"}]}}"#
        #expect(try self.json(bytes) == expected)
    }

    @Test func textComesInUTF8WhateverItWas() throws {
        let bytes = Bytes().explicit(.specificCharacterSet, .cs, "ISO_IR 100").explicit(.patientID, .lo, [0xE9])
        #expect(
            try self.json(bytes)
                == #"{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00100020":{"vr":"LO","Value":["é"]}}"#
        )
    }

    @Test func numbers() {
        var dataSet = DataSet()
        dataSet.set(Tag(0x0028, 0x0009), .at, integers: [0x0018_1063, 0x7FE0_0010])
        dataSet.set(.rows, .us, integers: [512, 0])
        dataSet.set(Tag(0x0028, 0x0106), .ss, integers: [-5])
        dataSet.set(Tag(0x0072, 0x0082), .sv, integers: [9_007_199_254_740_993, -1])
        dataSet.set(Tag(0x0072, 0x0083), .uv, integers: [-1])
        #expect(
            self.json(dataSet)
                == #"{"00280009":{"vr":"AT","Value":["00181063","7FE00010"]},"00280010":{"vr":"US","Value":[512,0]},"#
                + #""00280106":{"vr":"SS","Value":[-5]},"00720082":{"vr":"SV","Value":["9007199254740993",-1]},"#
                + #""00720083":{"vr":"UV","Value":["18446744073709551615"]}}"#
        )
    }

    @Test func floats() {
        var dataSet = DataSet()
        var bytes = ByteBuffer()
        for value in [1.5, 0.1, -1e30, .infinity, -.infinity, .nan] as [Float] {
            bytes.writeInteger(value.bitPattern, endianness: .little)
        }
        dataSet.set(DataElement(tag: Tag(0x0018, 0x6020), vr: .fl, value: .bytes(bytes)))
        #expect(
            self.json(dataSet)
                == #"{"00186020":{"vr":"FL","Value":[1.5,0.1,-1e+30,"Infinity","-Infinity","NaN"]}}"#
        )
    }

    @Test func sequences() throws {
        let inner = Bytes().explicit(Tag(0x0008, 0x1155), .ui, "1.2\0")
        let bytes = Bytes().explicit(Tag(0x0008, 0), .ul, [1, 0, 0, 0]).open(Tag(0x0008, 0x1140)).item(inner).item(
            Bytes()
        )
        .close().explicit(Tag(0x0008, 0x1115), .sq, [])
        .open(Tag(0x0009, 0x1001), .un).openItem(Bytes().implicit(.modality, "CT")).close()
        #expect(
            try self.json(bytes)
                == #"{"00081115":{"vr":"SQ"},"00081140":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2"]}},{}]},"#
                + #""00091001":{"vr":"SQ","Value":[{"00080060":{"vr":"CS","Value":["CT"]}}]}}"#
        )
    }

    @Test(
        arguments: [
            ([], ""), ([0x66], "Zg=="), ([0x66, 0x6F], "Zm8="), ([0x66, 0x6F, 0x6F], "Zm9v"),
            ([255, 254, 253, 252], "//79/A=="),
        ] as [([UInt8], String)]
    )
    func inlineBinary(bytes: [UInt8], base64: String) {
        var dataSet = DataSet()
        dataSet.set(DataElement(tag: Tag(0x0009, 0x1001), vr: .ob, value: .bytes(ByteBuffer(bytes: bytes))))
        let tail = bytes.isEmpty ? "" : #","InlineBinary":"\#(base64)""#
        #expect(self.json(dataSet) == #"{"00091001":{"vr":"OB"\#(tail)}}"#)
    }

    @Test func inlineBinaryIsLittleEndian() {
        var dataSet = DataSet(encoding: .explicitBigEndian)
        dataSet.set(DataElement(tag: Tag(0x0009, 0x1001), vr: .ow, value: .bytes(ByteBuffer(bytes: [0, 1, 0, 2]))))
        #expect(self.json(dataSet) == #"{"00091001":{"vr":"OW","InlineBinary":"AQACAA=="}}"#)
    }

    @Test func bulkDataURIs() throws {
        let icon = Bytes().explicit(.pixelData, .ow, [1, 2])
        let bytes = Bytes().explicit(Tag(0x0009, 0x1001), .ob, [1, 2]).open(Tag(0x0088, 0x0200)).item(Bytes()).item(
            icon
        )
        .close().open(.pixelData, .ob).fragment([]).fragment([1, 2]).close()
        let text = try self.json(bytes) { path, element in element.tag.isPixelData ? "/bulk/" + path.urlPath : nil }
        #expect(
            text == #"{"00091001":{"vr":"OB","InlineBinary":"AQI="},"00880200":{"vr":"SQ","Value":[{},"#
                + #"{"7FE00010":{"vr":"OW","BulkDataURI":"/bulk/00880200/1/7FE00010"}}]},"#
                + #""7FE00010":{"vr":"OB","BulkDataURI":"/bulk/7FE00010"}}"#
        )
    }

    @Test func aPlaceholderForPixelDataHasAnAddress() {
        var dataSet = DataSet()
        dataSet.set(DataElement(tag: .pixelData, vr: .ow, value: .bytes(ByteBuffer())))
        #expect(self.json(dataSet) { path, _ in path.urlPath } == #"{"7FE00010":{"vr":"OW","BulkDataURI":"7FE00010"}}"#)
    }

    @Test func unknownOfAKnownElementIsWhatTheDictionarySays() throws {
        let bytes = Bytes().explicit(.modality, .un, "CT").explicit(.rows, .un, [0, 2])
            .explicit(Tag(0x0009, 0x1001), .un, [1])
        #expect(
            try self.json(bytes)
                == #"{"00080060":{"vr":"CS","Value":["CT"]},"00091001":{"vr":"UN","InlineBinary":"AQ=="},"#
                + #""00280010":{"vr":"US","Value":[512]}}"#
        )
    }

    @Test func strings() {
        var buffer = ByteBuffer(string: "[")
        DICOMJSON.writeString("a\"\\\u{7}é", into: &buffer)
        #expect(String(buffer: buffer) == #"["a\"\\\u0007é""#)
    }

    @Test(.enabled(if: Corpus.isPresent, "no corpus: set VARVE_TEST_CORPUS"))
    func everyCorpusFileGivesValidJSON() throws {
        for path in Corpus.files(limitPerFolder: 3) {
            let (bytes, syntax) = try Corpus.dataSet(path)
            let header = try DataSetReader.readHeader(bytes, transferSyntax: syntax)
            var buffer = ByteBuffer()
            DICOMJSON.write(header.dataSet, into: &buffer)
            let object = try JSONSerialization.jsonObject(with: Data(buffer.array)) as? [String: Any]
            let expected = Set(header.dataSet.elements.map(\.tag)).filter { !$0.isGroupLength }
            #expect(object?.count == expected.count, "\(path)")
        }
    }
}
