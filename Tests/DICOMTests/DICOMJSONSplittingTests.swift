// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Testing

@Suite("The objects of a JSON array")
struct DICOMJSONSplittingTests {
    private func split(_ text: String, _ limits: ReadLimits = .standard) throws -> [String] {
        try DICOMJSON.split(ByteBuffer(string: text), limits: limits).map { String(buffer: $0) }
    }

    @Test(
        "Each object is a text of its own",
        arguments: [
            ("[]", []), (#"{"a":1}"#, [#"{"a":1}"#]), (#" [ {"a":[{},"]}"]} , {} ] "#, [#"{"a":[{},"]}"]}"#, "{}"]),
            ("\u{FEFF}[{}]", ["{}"]),
        ]
    )
    func objects(_ text: String, _ expected: [String]) throws {
        #expect(try split(text) == expected)
    }

    @Test("An object that is no data set does not keep the others from being read")
    func separate() throws {
        let texts = try DICOMJSON.split(ByteBuffer(string: #"[{"no tag":1},{"00100020":{"vr":"LO","Value":["A"]}}]"#))
        #expect(throws: DICOMError.self) { try DICOMJSON.read(texts[0]) }
        #expect(try DICOMJSON.read(texts[1]).string(.patientID) == "A")
    }

    @Test(
        "Texts that are no array of objects",
        arguments: ["", "[", "[{}", "[1]", "[{},]", "{}{}", "[{}]x", "nul", "[{\"a\"}]"]
    )
    func rubbish(_ text: String) {
        #expect(throws: DICOMError.self) { try split(text) }
    }

    @Test("Limits")
    func limits() throws {
        var limits = ReadLimits()
        limits.maximumItemCount = 2
        #expect(try split("[{},{}]", limits).count == 2)
        #expect { try split("[{},{},{}]", limits) } throws: { ($0 as? DICOMError)?.code == .limitExceeded }
        limits.maximumJSONByteCount = 4
        #expect { try split("[{},{}]", limits) } throws: { ($0 as? DICOMError)?.code == .limitExceeded }
        let deep = String(repeating: "[", count: 500)
        #expect { try split("{\"a\":" + deep) } throws: { ($0 as? DICOMError)?.code == .limitExceeded }
    }
}
