// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Testing

@Suite struct DataSetDumpTests {
    private func dump(_ bytes: Bytes, _ options: DataSetDump.Options = .standard) throws -> [String] {
        let dataSet = try DataSetReader.read(bytes.buffer, transferSyntax: .explicitVRLittleEndian).dataSet
        var lines: [String] = []
        DataSetDump.write(dataSet, options: options) { lines.append($0) }
        return lines
    }

    /// Lines with their runs of spaces made one.
    private func squeezed(_ lines: [String]) -> [String] {
        lines.map { line in
            let indent = line.prefix { $0 == " " }
            return indent + line.split(separator: " ").joined(separator: " ")
        }
    }

    @Test func everythingHasItsLine() throws {
        let inner = Bytes().explicit(.modality, .cs, "CT")
        let bytes = Bytes().explicit(.specificCharacterSet, .cs, "ISO_IR 100")
            .explicit(.sopClassUID, .ui, "1.2.840.10008.5.1.4.1.1.2\0").open(Tag(0x0008, 0x1140)).openItem(inner)
            .item(Bytes()).close().explicit(Tag(0x0009, 0x0010), .lo, "ACME").explicit(
                Tag(0x0009, 0x1001),
                .un,
                [1, 255]
            )
            .explicit(Tag(0x0009, 0x2001), .ob, []).explicit(.patientName, .pn, [0x4A, 0xE9])
            .explicit(Tag(0x0028, 0x0009), .at, [0x18, 0, 0x63, 0x10]).explicit(.rows, .us, [0, 2])
            .open(.pixelData, .ob).fragment([0, 0, 0, 0]).fragment([1, 2]).close()
        #expect(
            self.squeezed(try self.dump(bytes)) == [
                "(0008,0005) CS [ISO_IR 100] # 10, 1 SpecificCharacterSet",
                "(0008,0016) UI [1.2.840.10008.5.1.4.1.1.2] CT Image Storage # 26, 1 SOPClassUID",
                "(0008,1140) SQ (2 items) # u/l ReferencedImageSequence", "  item 1 of 2 # u/l",
                "    (0008,0060) CS [CT] # 2, 1 Modality", "  item 2 of 2 # -",
                "(0009,0010) LO [ACME] # 4, 1 PrivateCreator", "(0009,1001) UN 01\\FF # 2 Private \"ACME\"",
                "(0009,2001) OB (no value) # 0, 0 Private", "(0010,0010) PN [Jé] # 2, 1 PatientName",
                "(0028,0009) AT (0018,1063) # 4, 1 FrameIncrementPointer", "(0028,0010) US 512 # 2, 1 Rows",
                "(7FE0,0010) OB (encapsulated, 1 fragment) # u/l PixelData", "  offset table 0 # 4, 1",
                "  fragment 1 01\\02 # 2",
            ]
        )
    }

    @Test func longValuesAreCut() throws {
        let text = String(repeating: "x", count: 100)
        var fragments = Bytes().explicit(Tag(0x0009, 0x1001), .ob, [UInt8](repeating: 1, count: 100))
            .explicit(Tag(0x0010, 0x4000), .lt, text).open(.pixelData, .ob).fragment([])
        for _ in 0..<10 { fragments = fragments.fragment([7, 7]) }
        let lines = self.squeezed(try self.dump(fragments.close()))
        #expect(lines[0].hasPrefix("(0009,1001) OB 01\\01\\01") && lines[0].contains("\\01... # 100"))
        #expect(lines[1] == "(0010,4000) LT [\(String(repeating: "x", count: 64))...] # 100, 1 PatientComments")
        #expect(lines.last == "  ... 2 more # 4")
        var options = DataSetDump.Options()
        options.maximumValueCount = nil
        options.showsOffsets = true
        let whole = self.squeezed(try self.dump(fragments.close(), options))
        #expect(whole[1] == "(0010,4000) LT [\(text)] # 100, 1 @112 PatientComments")
    }

    @Test(
        arguments: [
            ("plain, é 王", "plain, é 王"), ("\u{1B}[31mred", "\\u{1B}[31mred"), ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{9B}2J", "\\u{9B}2J"), ("\u{202E}txt.exe", "\\u{202E}txt.exe"), ("\u{7F}\u{0}", "\\u{7F}\\u{0}"),
            ("\u{2066}x\u{2028}", "\\u{2066}x\\u{2028}"),
        ]
    )
    func terminalSafety(text: String, expected: String) throws {
        #expect(TerminalText.escaped(text) == expected)
        let value = Array(text.utf8)
        let bytes = Bytes().explicit(.specificCharacterSet, .cs, "ISO_IR 192").explicit(Tag(0x0009, 0x0010), .lo, value)
            .explicit(Tag(0x0009, 0x1001), .lo, value).explicit(.patientComments, .lt, value)
        for line in try self.dump(bytes) {
            #expect(line.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F && $0 != "\u{202E}" })
        }
    }
}
