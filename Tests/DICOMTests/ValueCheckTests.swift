// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Testing

@Suite struct ValueCheckTests {
    /// The rules that (0011,1001) with this value breaks.
    private func rules(_ vr: VR, _ value: [UInt8], characterSet: String = "") -> [String] {
        let padded = value.count % 2 == 0 ? value : value + [vr == .ui ? 0 : 0x20]
        var head = Bytes()
        if !characterSet.isEmpty {
            head = head.explicit(
                .specificCharacterSet,
                .cs,
                characterSet.utf8.count % 2 == 0 ? characterSet : characterSet + " "
            )
        }
        let bytes = head.raw(Flawless.uids.array).explicit(Tag(0x0011, 0x0010), .lo, "ACME")
            .explicit(Tag(0x0011, 0x1001), vr, padded).raw(Flawless.study.array)
        let report = DataSetCheck.check(bytes.buffer, transferSyntax: .explicitVRLittleEndian)
        for finding in report.findings { #expect(finding.tagPath == "(0011,1001)") }
        return report.findings.map(\.rule.name)
    }

    @Test(
        arguments: [
            (VR.ae, "STORE SCP"), (.ae, "A\\B"), (.as, "030Y"), (.as, "001D\\002W\\003M"), (.cs, "AB_1 2\\\\C"),
            (.da, "20240229"), (.da, "20240101\\"), (.ds, "-1.5E+10"), (.ds, " 1 \\ +.5 "), (.ds, "1234567890123456"),
            (.dt, "2024"), (.dt, "20240131120000.123456-0500"), (.is, "-2147483648"), (.is, "+007"),
            (.lo, "Any text, {~}"),
            (.lt, "line\r\nline\tline\u{C}"), (.pn, "A^B^C^D^E=F=G"), (.pn, "A\\B"), (.sh, "1234567890123456"),
            (.st, "a\\b"),
            (.tm, "12"), (.tm, "123045.123456"), (.tm, "235960"), (.uc, "x"), (.ui, "1.2.840.0.1"),
            (.ur, "http://a/b?c#d"),
            (.ut, "any\\thing"), (.ui, ""), (.ui, "2.25.301452049339268168405964274361167652378"),
        ] as [(VR, String)]
    )
    func validText(vr: VR, value: String) {
        #expect(self.rules(vr, Array(value.utf8)) == [])
    }

    @Test(
        arguments: [
            (VR.ae, "12345678901234567", ["value-length"]), (.ae, "  ", ["characters"]), (.ae, "A\tB", ["characters"]),
            (.as, "30Y", ["value-syntax"]), (.as, "030X", ["value-syntax"]), (.as, "0Y30", ["value-syntax"]),
            (.cs, "lower", ["characters"]), (.cs, "ABCDEFGHIJKLMNOPQ", ["value-length"]), (.cs, "A-B", ["characters"]),
            (.da, "20240230", ["value-syntax"]), (.da, "2024.02.29", ["value-form"]), (.da, "202402", ["value-syntax"]),
            (.da, "20240101-20240201", ["value-syntax"]), (.ds, "1,5", ["value-syntax"]),
            (.ds, "nan", ["value-syntax"]),
            (.ds, "1.23456789012345678", ["value-length"]), (.ds, "1 2", ["value-syntax"]),
            (.dt, "20241", ["value-syntax"]),
            (.dt, "yesterday!", ["value-syntax"]), (.is, "1.0", ["value-syntax"]),
            (.is, "2147483648", ["value-syntax"]),
            (.is, "99999999999999999999", ["value-syntax"]), (.is, "", []), (.is, "0000000000001", ["value-length"]),
            (.lo, String(repeating: "x", count: 66), ["value-length"]), (.lo, "two\nlines", ["characters"]),
            (.lt, "bell\u{7}", ["characters"]), (.pn, "A^B^C^D^E^F", ["value-syntax"]),
            (.pn, "A=B=C=D", ["value-syntax"]),
            (.pn, String(repeating: "x", count: 66), ["value-length"]), (.sh, "12345678901234567", ["value-length"]),
            (.sh, "nul\0\0\0", ["padding"]), (.tm, "24", ["value-syntax"]), (.tm, "12:30:45", ["value-form"]),
            (.tm, "1230.5", ["value-syntax"]), (.ui, "1.2 ", ["padding"]), (.ui, "1.2.3\0\0\0", ["padding"]),
            (.ui, "1.02", ["value-form"]), (.ui, "1..2", ["uid"]), (.ui, "1.2.x", ["uid"]), (.ui, ".1.2", ["uid"]),
            (.ui, String(repeating: "1", count: 66), ["uid"]), (.ur, "http://a b", ["characters"]),
            (.cs, "é", ["characters", "characters"]), (.st, String(repeating: "x", count: 1026), ["value-length"]),
            (.lt, String(repeating: "x", count: 10242), ["value-length"]),
        ] as [(VR, String, [String])]
    )
    func brokenText(vr: VR, value: String, expected: [String]) {
        #expect(self.rules(vr, Array(value.utf8)) == expected)
    }

    @Test(arguments: [VR.us, .ss, .ul, .sl, .uv, .sv, .fl, .fd, .at, .ow, .ol, .of, .ov, .od])
    func lengthsOfNumbers(vr: VR) {
        let width = vr == .at ? 4 : vr.wordByteCount
        #expect(self.rules(vr, [UInt8](repeating: 1, count: 2 * width)) == [])
        if width > 2 { #expect(self.rules(vr, [UInt8](repeating: 1, count: width + 2)) == ["number-length"]) }
    }

    @Test(
        arguments: [
            ("", [0x41, 0xE9], ["undecodable-text"]), ("ISO_IR 100", [0x41, 0xE9], []),
            ("ISO_IR 100", [0x93, 0x41], ["undecodable-text"]), ("ISO_IR 192", [0xC3, 0xA9], []),
            ("ISO_IR 192", [0x41, 0xE9], ["undecodable-text"]), ("ISO_IR 192", [0xEF, 0xBF, 0xBD, 0x41], []),
            ("ISO_IR 100", [0x1B, 0x24, 0x42, 0x3B, 0x33, 0x1B, 0x28, 0x42], ["undecodable-text"]),
            ("\\ISO 2022 IR 87", [0x1B, 0x24, 0x42, 0x3B, 0x33, 0x1B, 0x28, 0x42], []),
            ("\\ISO 2022 IR 87", [0x1B, 0x24, 0x29, 0x43, 0xFB, 0xF3], ["undecodable-text"]),
            ("\\ISO 2022 IR 149", [0xFB, 0xF3], ["undecodable-text"]),
            ("\\ISO 2022 IR 149", [0x1B, 0x24, 0x29, 0x43, 0xFB, 0xF3], []),
            ("GB18030", [0xCD, 0xF5], []), ("GBK", [0xFF, 0xFF], ["undecodable-text"]),
            ("ISO 2022 IR 13\\ISO 2022 IR 87", [0xD4, 0xCF, 0x1B, 0x28, 0x4A, 0x41], []),
        ] as [(String, [UInt8], [String])]
    )
    func textOfCharacterSets(terms: String, bytes: [UInt8], expected: [String]) {
        #expect(self.rules(.lo, bytes, characterSet: terms) == expected)
    }

    @Test(
        arguments: [
            ("ISO_IR 100", []), ("\\ISO 2022 IR 87", []), ("ISO 2022 IR 13\\ISO 2022 IR 87", []), ("ISO_IR 192", []),
            ("GB18030", []), ("GBK", []), ("ISO 2022 IR 6\\ISO 2022 IR 100", []), ("ISO_IR 13", []), ("ISO_IR 203", []),
            ("ISO 2022 IR 203\\ISO 2022 IR 159", []), ("ISO_IR 6", ["character-set-form"]),
            ("ISO IR 100", ["character-set-form"]), ("iso_ir_100", ["character-set-form"]),
            ("ISO-IR 192", ["character-set-form"]), ("UTF-8", ["character-set-form"]),
            ("ISO 2022 IR 192", ["character-set-form"]), ("ISO_IR 999", ["character-set-term"]),
            ("LATIN1", ["character-set-term"]), ("ISO_IR 192\\ISO 2022 IR 87", ["character-set-term"]),
            ("ISO_IR 100\\ISO 2022 IR 87", ["character-set-form"]), ("ISO 2022 IR 87", ["character-set-form"]),
            ("ISO_IR 87", ["character-set-form", "character-set-form"]), ("ISO 2022 IR 100\\", ["character-set-form"]),
        ] as [(String, [String])]
    )
    func characterSetTerms(terms: String, expected: [String]) {
        let value = terms.utf8.count % 2 == 0 ? terms : terms + " "
        let bytes = Bytes().explicit(.specificCharacterSet, .cs, value).raw(Flawless.dataSet().array)
        let names = DataSetCheck.check(bytes.buffer, transferSyntax: .explicitVRLittleEndian).findings.map(\.rule.name)
        #expect(names.filter { $0 != "characters" } == expected)
    }

    @Test func theDictionary() {
        for (bytes, expected) in [
            (Bytes().explicit(.modality, .lo, "CT"), ["dictionary-vr (0008,0060)"]),
            (Bytes().explicit(.modality, .un, "CT"), []),
            (Bytes().explicit(.modality, .un, "ct"), ["characters (0008,0060)"]),
            (Bytes().explicit(.modality, .cs, "CT\\MR "), ["multiplicity (0008,0060)"]),
            (Bytes().explicit(Tag(0x0008, 0x0099), .cs, "CT"), ["unknown-element (0008,0099)"]),
        ] { #expect(DataSetCheckTests.check(Flawless.dataSet(bytes)) == expected) }
        let tail = Bytes().explicit(.smallestImagePixelValue, .ss, [1, 0]).explicit(
            .largestImagePixelValue,
            .us,
            [1, 0]
        )
        .explicit(.windowCenter, .ds, "1\\2\\3 ").explicit(.windowWidth, .fd, [UInt8](repeating: 0, count: 8))
        .explicit(Tag(0x6000, 0x3000), .ob, [1, 2]).explicit(Tag(0x6002, 0x3000), .ow, [1, 2])
        #expect(DataSetCheckTests.check(Flawless.dataSet().raw(tail.array)) == ["dictionary-vr (0028,1051)"])
        let position = Bytes().explicit(Tag(0x0020, 0x0032), .ds, "1\\2 ")
        #expect(DataSetCheckTests.check(Flawless.dataSet().raw(position.array)) == ["multiplicity (0020,0032)"])
    }
}
