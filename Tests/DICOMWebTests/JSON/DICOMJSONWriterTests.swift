// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Foundation
import NIOCore
import Testing

private func written(_ fill: (inout DICOMJSONWriter) -> Void) -> String {
    var writer = DICOMJSONWriter()
    fill(&writer)
    return String(buffer: writer.finish())
}

@Suite("Search results as JSON")
struct DICOMJSONWriterTests {
    @Test("No results are an empty array")
    func empty() {
        #expect(written { _ in } == "[]")
    }

    @Test("Results are objects keyed by tag")
    func results() {
        let text = written { writer in
            writer.beginDataSet()
            writer.attribute(.studyDate, .strings(["20240101"]))
            writer.attribute(.accessionNumber, .strings([""]))
            writer.attribute(.modalitiesInStudy, .strings(["CT", "", "SR"]))
            writer.attribute(.patientName, .personNames(["Yamada^Tarou=山田^太郎=やまだ^たろう"]))
            writer.attribute(.numberOfStudyRelatedSeries, .integers([2]))
            writer.endDataSet()
            writer.beginDataSet()
            writer.attribute(.studyID, .empty)
            writer.attribute(0x7FE0_0010, vr: "OW", .bulkDataURI("http://x/\"1"))
            writer.endDataSet()
        }
        #expect(
            text == #"[{"00080020":{"vr":"DA","Value":["20240101"]},"00080050":{"vr":"SH"},"#
                + #""00080061":{"vr":"CS","Value":["CT",null,"SR"]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"#
                + #""Yamada^Tarou","Ideographic":"山田^太郎","Phonetic":"やまだ^たろう"}]},"#
                + #""00201206":{"vr":"IS","Value":[2]}},{"00200010":{"vr":"SH"},"#
                + #""7FE00010":{"vr":"OW","BulkDataURI":"http://x/\"1"}}]"#
        )
    }

    @Test(
        "Numbers keep their value",
        arguments: [
            ("1", "1"), (" 7 ", "7"), ("+5", "5"), ("007", "7"), ("-3", "-3"), ("9007199254740991", "9007199254740991"),
            ("9007199254740993", "\"9007199254740993\""), ("1.50", "\"1.50\""), ("x", "\"x\""),
        ]
    )
    func numbers(text: String, expected: String) {
        let object = written {
            $0.beginDataSet()
            $0.attribute(.seriesNumber, .numberTexts([text]))
            $0.endDataSet()
        }
        #expect(object == #"[{"00200011":{"vr":"IS","Value":["# + expected + "]}}]")
    }

    @Test("A name without its first group, and an empty one")
    func names() {
        let text = written {
            $0.beginDataSet()
            $0.attribute(.patientName, .personNames(["=山田", "", "A=B=C=D"]))
            $0.endDataSet()
        }
        #expect(
            text == #"[{"00100010":{"vr":"PN","Value":[{"Ideographic":"山田"},null,"#
                + #"{"Alphabetic":"A","Ideographic":"B","Phonetic":"C=D"}]}}]"#
        )
    }

    @Test("Any text comes through a JSON reader unchanged")
    func strings() throws {
        var random = SeededGenerator.fromEnvironment()
        for _ in 0..<500 {
            let bytes = (0..<20).map { _ in UInt8.random(in: 0...255, using: &random) }
            let text = "x" + String(decoding: bytes, as: UTF8.self) + "\u{1}\\\"\u{2028}"
            var buffer = ByteBuffer(string: "[")
            JSONText.write(text, into: &buffer)
            buffer.writeString("]")
            let parsed = try JSONSerialization.jsonObject(with: Data(buffer.readableBytesView)) as? [String]
            #expect(parsed == [text])
        }
    }

    @Test("A response can be sent in pieces")
    func pieces() {
        var writer = DICOMJSONWriter()
        var text = ""
        for _ in 0..<3 {
            writer.beginDataSet()
            writer.attribute(.rows, .integers([1]))
            writer.endDataSet()
            text += String(buffer: writer.flush())
            #expect(writer.pendingByteCount == 0)
        }
        text += String(buffer: writer.finish())
        let one = #"{"00280010":{"vr":"US","Value":[1]}}"#
        #expect(text == "[\(one),\(one),\(one)]")
    }
}
