// SPDX-License-Identifier: Apache-2.0

import DIMSE
import Testing

@Suite struct AETitleTests {
    @Test(arguments: [
        ("VARVE", "VARVE"), ("  VARVE   ", "VARVE"), ("A B", "A B"), ("0123456789ABCDEF", "0123456789ABCDEF"),
        ("VARVE\0\0", "VARVE"), ("  0123456789ABCDEF  ", "0123456789ABCDEF"),
    ])
    func acceptsAndTrims(_ text: String, _ value: String) throws {
        #expect(try AETitle(text).value == value)
    }

    @Test(arguments: ["", "   ", "0123456789ABCDEFG", "A\\B", "A\tB", "A\u{1B}B", "A\0B", "ÄÖ", "A\u{7F}"])
    func refuses(_ text: String) {
        #expect(throws: DIMSEError.self) { try AETitle(text) }
    }

    @Test(arguments: [("1.2.3", true), ("1.02.3", true), ("", false), ("1.2.a", false), ("1.2 ", false)])
    func checksUIDs(_ text: String, _ isValid: Bool) {
        #expect(UIDText.isValid(text) == isValid)
    }

    @Test func checksTheLengthOfUIDs() {
        #expect(UIDText.isValid(String(repeating: "1", count: 64)))
        #expect(!UIDText.isValid(String(repeating: "1", count: 65)))
    }

    @Test func classifiesStatuses() {
        #expect(DIMSEStatus.success.isSuccess)
        #expect(DIMSEStatus.coercionOfDataElements.isWarning)
        #expect(!DIMSEStatus.duplicateSOPInstance.isWarning)
        #expect(DIMSEStatus.pending.isPending)
        #expect("\(DIMSEStatus.unrecognizedOperation)" == "0211H")
        #expect("\(DIMSEStatus.outOfResources)" == "A700H")
    }
}
