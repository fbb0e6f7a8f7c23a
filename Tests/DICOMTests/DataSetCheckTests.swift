// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Testing

/// A data set in which there is nothing to find.
enum Flawless {
    static let uids = Bytes().explicit(.sopClassUID, .ui, "1.2.840.10008.5.1.4.1.1.2\0")
        .explicit(.sopInstanceUID, .ui, "1.2.3.4\0")

    static let study = Bytes().explicit(.studyInstanceUID, .ui, "1.2.3\0").explicit(
        .seriesInstanceUID,
        .ui,
        "1.2.3.4\0"
    )

    /// `extra` is added between the UIDs of the instance (group 0008) and those of the study (group 0020).
    static func dataSet(_ extra: Bytes = Bytes()) -> Bytes {
        self.uids.raw(extra.array).raw(self.study.array)
    }

    static func number(_ value: Int) -> [UInt8] {
        [UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8)]
    }

    /// An Image Pixel module of 2 by 2 pixels; nil leaves an attribute out.
    static func image(_ changes: [Tag: Int?] = [:], photometric: String = "MONOCHROME2 ", frames: Int? = nil) -> Bytes {
        var bytes = Bytes()
        let standard: [(Tag, Int?)] = [
            (.samplesPerPixel, 1), (.photometricInterpretation, nil), (.planarConfiguration, nil),
            (.numberOfFrames, nil),
            (.rows, 2), (.columns, 2), (.bitsAllocated, 16), (.bitsStored, 12), (.highBit, 11),
            (.pixelRepresentation, 0),
        ]
        for (tag, value) in standard {
            switch tag {
            case .photometricInterpretation: bytes = bytes.explicit(tag, .cs, photometric)
            case .numberOfFrames:
                if let frames { bytes = bytes.explicit(tag, .is, frames < 10 ? "\(frames) " : "\(frames)") }
            default:
                guard let value = changes[tag] ?? value else { continue }
                bytes = bytes.explicit(tag, .us, self.number(value))
            }
        }
        return bytes
    }
}

@Suite struct DataSetCheckTests {
    static func check(_ bytes: Bytes, _ syntax: TransferSyntax = .explicitVRLittleEndian) -> [String] {
        DataSetCheck.check(bytes.buffer, transferSyntax: syntax).findings.map { finding in
            "\(finding.rule.name) \(finding.tagPath ?? "-")"
        }
    }

    private func check(_ bytes: Bytes, _ syntax: TransferSyntax = .explicitVRLittleEndian) -> [String] {
        Self.check(bytes, syntax)
    }

    @Test func nothingToFind() {
        let item = Bytes().explicit(.sopClassUID, .ui, "1.2.840.10008.5.1.4.1.1.2\0")
        let extra = Bytes().explicit(.modality, .cs, "CT").open(Tag(0x0008, 0x1140)).openItem(item).item(item).close()
            .explicit(Tag(0x0009, 0x0010), .lo, "ACME").explicit(Tag(0x0009, 0x1001), .ob, [1, 2])
            .explicit(.patientName, .pn, "Doe^Jane")
        #expect(self.check(Flawless.dataSet(extra)) == [])
        let pixels = Flawless.image().explicit(.pixelData, .ow, [UInt8](repeating: 0, count: 8))
        #expect(self.check(Flawless.dataSet().raw(pixels.array)) == [])
    }

    @Test(arguments: [TransferSyntax.implicitVRLittleEndian, .explicitVRBigEndian, .deflatedExplicitVRLittleEndian])
    func nothingToFindInOtherSyntaxes(syntax: TransferSyntax) throws {
        let pixels = Flawless.image().explicit(.pixelData, .ow, [UInt8](repeating: 0, count: 8))
        let bytes = Flawless.dataSet().raw(pixels.array)
        let dataSet = try DataSetReader.read(bytes.buffer, transferSyntax: .explicitVRLittleEndian).dataSet
        let encoded = try DataSetWriter.write(dataSet, transferSyntax: syntax)
        #expect(DataSetCheck.check(encoded, transferSyntax: syntax).findings == [])
    }

    // MARK: - Structure

    @Test func orderAndDuplicates() {
        let extra = Bytes().explicit(.patientID, .lo, "ID").explicit(.patientName, .pn, "AB").explicit(
            .patientID,
            .lo,
            "ID"
        )
        #expect(
            self.check(Flawless.dataSet(extra)) == ["element-order (0010,0010)", "duplicate-element (0010,0020)"]
        )
    }

    @Test func lengths() {
        let extra = Bytes().explicit(Tag(0x0008, 0), .ul, [9, 0, 0, 0]).raw(Flawless.uids.array)
            .explicit(.modality, .cs, "CTX").explicit(Tag(0x0010, 0), .ul, [10, 0, 0, 0]).explicit(
                .patientID,
                .lo,
                "ID"
            )
        #expect(
            self.check(extra.raw(Flawless.study.array)) == ["group-length (0008,0000)", "odd-length (0008,0060)"]
        )
    }

    @Test func headers() {
        let extra = Bytes().explicit(.modality, VR("ZZ") ?? .un, "CT").implicit(.manufacturer, "ACME")
            .tag(Tag(0x0009, 0x0010)).raw(Array("LO".utf8)).shortLength(2).raw(Array("AC".utf8))
            .tag(Tag(0x0009, 0x1001)).raw(Array("OB".utf8)).raw([1, 0]).length(2).raw([1, 2])
        #expect(
            self.check(Flawless.dataSet(extra))
                == ["unknown-vr (0008,0060)", "missing-vr (0008,0070)", "reserved-bytes (0009,1001)"]
        )
    }

    @Test func encodings() {
        let implicit = Bytes().implicit(.sopClassUID, "1.2.840.10008.5.1.4.1.1.2\0").implicit(.sopInstanceUID, "1.23")
            .implicit(.studyInstanceUID, "1.23").implicit(.seriesInstanceUID, "1.23")
        #expect(self.check(implicit) == ["wrong-encoding -"])
        #expect(self.check(Flawless.dataSet(), .implicitVRLittleEndian) == ["wrong-encoding -"])
        let inner = Bytes().explicit(.modality, .cs, "CT")
        let creator = Bytes().explicit(Tag(0x0009, 0x0010), .lo, "ACME")
        #expect(
            self.check(Flawless.dataSet(creator.open(Tag(0x0009, 0x1001), .un).openItem(inner).close()))
                == ["unknown-encoding (0009,1001)[0]"]
        )
        let plain = Bytes().implicit(.modality, "CT")
        #expect(
            self.check(Flawless.dataSet(creator.open(Tag(0x0009, 0x1001), .un).openItem(plain).close())) == []
        )
        #expect(
            self.check(Flawless.dataSet(Bytes().open(Tag(0x0008, 0x1140)).openItem(plain).close()))
                == ["wrong-encoding (0008,1140)[0]"]
        )
    }

    @Test func delimiters() {
        let inner = Bytes().explicit(.modality, .cs, "CT")
        let sequence = Tag(0x0008, 0x1140)
        for (bytes, expected) in [
            (
                Bytes().explicit(sequence, .sq, Bytes().item(inner).array).tag(.sequenceDelimitation).length(0),
                ["stray-delimiter -"]
            ),
            (Bytes().explicit(.modality, .cs, "CT").tag(.itemDelimitation).length(0), ["stray-delimiter -"]),
            (
                Bytes().explicit(sequence, .sq, Bytes().item(inner).tag(.itemDelimitation).length(0).array),
                ["stray-delimiter (0008,1140)"]
            ),
            (
                Bytes().explicit(sequence, .sq, Bytes().item(inner).close().array), ["stray-delimiter (0008,1140)"]
            ),
            (
                Bytes().open(sequence).tag(.item).length(.max).raw(inner.array).close(),
                ["missing-delimiter (0008,1140)[0]"]
            ),
            (
                Bytes().open(sequence).item(inner).tag(.sequenceDelimitation).length(4),
                ["delimiter-length (0008,1140)"]
            ),
            (Bytes().explicit(sequence, .sq, Array("no items".utf8)), ["sequence-without-items (0008,1140)"]),
        ] { #expect(self.check(Flawless.dataSet(bytes)) == expected) }
        #expect(self.check(Flawless.dataSet().raw([0, 0, 0, 0])) == ["trailing-bytes -"])
    }

    @Test func privateElements() {
        let extra = Bytes().explicit(Tag(0x0009, 0x0010), .lo, "ACME").explicit(Tag(0x0009, 0x0011), .lo, "")
            .explicit(Tag(0x0009, 0x0201), .lo, "").explicit(Tag(0x0009, 0x1001), .lo, "ok")
            .explicit(Tag(0x0009, 0x1101), .lo, "").explicit(Tag(0x0009, 0x1201), .lo, "")
        #expect(
            self.check(Flawless.dataSet(extra)) == [
                "private-creator (0009,0011)", "private-element (0009,0201)", "private-creator (0009,1201)",
            ]
        )
        #expect(
            self.check(Bytes().explicit(Tag(0x0001, 0x0010), .lo, "ACME").raw(Flawless.dataSet().array))
                == ["reserved-group (0001,0010)"]
        )
    }

    @Test func whatStandsBeforeAFaultIsCheckedStill() {
        let bytes = Flawless.uids.explicit(.modality, .cs, "ct").explicit(.patientID, .lo, "ID", declared: 400)
        #expect(self.check(bytes) == ["unreadable (0010,0020)", "characters (0008,0060)"])
        let cut = Flawless.dataSet().raw(Flawless.image().array).explicit(.pixelData, .ow, [1, 2], declared: 8)
        #expect(self.check(cut) == ["unreadable (7FE0,0010)"])
        let noise = Bytes().raw(Array("this is no data set at all, is it".utf8))
        #expect(self.check(noise).contains { $0.hasPrefix("unreadable") })
    }

    @Test func identity() {
        let sr = Bytes().explicit(.sopClassUID, .ui, "").explicit(.studyInstanceUID, .ui, "\0\0")
        #expect(
            self.check(sr) == [
                "padding (0020,000D)", "sop-common (0008,0016)", "sop-common (0008,0018)", "study-uid (0020,000D)",
                "series-uid (0020,000E)",
            ]
        )
        let hanging = Bytes().explicit(.sopClassUID, .ui, "1.2.840.10008.5.1.4.38.1").explicit(
            .sopInstanceUID,
            .ui,
            "1.23"
        )
        #expect(self.check(hanging) == [])
    }

    // MARK: - Bounds

    @Test func findingsAreBoundedAndCounted() {
        var items = Bytes().open(Tag(0x0008, 0x1140))
        for _ in 0..<1000 {
            items = items.item(Bytes().explicit(.modality, .cs, "ct").explicit(.patientID, .lo, "odd"))
        }
        var options = DataSetCheck.Options()
        options.maximumFindingsPerRule = 3
        let report = DataSetCheck.check(
            Flawless.dataSet(items.close()).buffer,
            transferSyntax: .explicitVRLittleEndian,
            options: options
        )
        #expect(report.findings.count == 6)
        #expect(report.errorCount == 1000)
        #expect(report.warningCount == 1000)
        #expect(report.omittedCount == 1994)
        #expect(report.count(of: .oddLength) == 1000)
        #expect(report.findings.last?.tagPath == "(0008,1140)[2].(0010,0020)")
        options.maximumFindingsPerRule = 1000
        options.maximumFindingCount = 10
        let other = DataSetCheck.check(
            Flawless.dataSet(items.close()).buffer,
            transferSyntax: .explicitVRLittleEndian,
            options: options
        )
        #expect(other.findings.count == 10)
    }

    @Test func findingsSayWhereWhatAndWhichRule() {
        let extra = Bytes().explicit(.patientID, .lo, "odd")
        let finding = DataSetCheck.check(Flawless.dataSet(extra).buffer, transferSyntax: .explicitVRLittleEndian)
            .findings.first
        #expect(
            finding?.description
                == "error (0010,0020) the value has 3 bytes, an odd number [odd-length, PS3.5 7.1.1]"
        )
        #expect(finding?.offset == Flawless.uids.array.count)
    }

    @Test func ruleNamesAreUnique() {
        #expect(Set(CheckRule.all.map(\.name)).count == CheckRule.all.count)
        for rule in CheckRule.all { #expect(rule.section.hasPrefix("PS3."), "\(rule.name)") }
    }

    @Test(.enabled(if: Corpus.isPresent, "no corpus: set VARVE_TEST_CORPUS"))
    func scannersOfTheCorpusKeepToTheStandard() throws {
        // Structure, identity and pixel data of real scanners are in order; some values of them are not.
        let structural: [CheckRule] = [
            .unreadable, .oddLength, .elementOrder, .duplicateElement, .missingVR, .wrongEncoding, .strayDelimiter,
            .sopCommon, .studyUID, .seriesUID, .imagePixel, .pixelDataShort, .encapsulation, .fragments, .fileMeta,
            .undecodableText, .dictionaryVR,
        ]
        for path in Corpus.files(limitPerFolder: 3) where !path.hasPrefix("odd/") {
            let report = DataSetCheck.check(file: try Corpus.load(path))
            for rule in structural { #expect(report.count(of: rule) == 0, "\(path): \(rule.name)") }
        }
        for path in Corpus.files(limitPerFolder: 1) where path.hasPrefix("odd/") {
            let report = DataSetCheck.check(file: try Corpus.load(path))
            #expect(report.count(of: .unreadable) == (path == Corpus.cut ? 1 : 0), "\(path)")
        }
    }
}

@Suite struct FileCheckTests {
    private func names(_ file: ByteBuffer) -> [String] {
        DataSetCheck.check(file: file).findings.map { "\($0.rule.name) \($0.tagPath ?? "-")" }
    }

    private func meta(_ instance: String = "1.2.3.4") throws -> FileMeta {
        FileMeta(
            sopClassUID: try UID(validating: "1.2.840.10008.5.1.4.1.1.2"),
            sopInstanceUID: try UID(validating: instance),
            transferSyntax: .explicitVRLittleEndian
        )
    }

    private func file(_ meta: FileMeta) throws -> ByteBuffer {
        var file = try Part10.write(meta)
        file.writeBytes(Flawless.dataSet().array)
        return file
    }

    @Test func whatThisModuleWritesIsInOrder() throws {
        #expect(self.names(try self.file(self.meta())) == [])
    }

    @Test func identityDiffers() throws {
        #expect(self.names(try self.file(self.meta("1.9"))) == ["file-meta-identity (0002,0003)"])
    }

    @Test func missingParts() throws {
        let whole = try self.file(self.meta())
        let noPreamble = try #require(whole.getSlice(at: 128, length: whole.readableBytes - 128))
        #expect(self.names(noPreamble) == ["file-prefix -"])
        #expect(self.names(Flawless.dataSet().buffer) == ["file-prefix -", "file-meta -"])
        var meta = try self.meta()
        meta.elements.remove(.implementationClassUID)
        meta.elements.set(.patientID, .lo, "ID")
        #expect(self.names(try self.file(meta)).prefix(2) == ["file-meta (0002,0012)", "file-meta (0002,0000)"])
        #expect(self.names(ByteBuffer(string: "GIF89a")) == ["file-meta -"])
        meta = try self.meta()
        meta.elements.set(.transferSyntaxUID, .ui, "1.2.3.4")
        #expect(self.names(try self.file(meta)) == ["transfer-syntax (0002,0010)"])
    }

    @Test func wrongGroupLength() throws {
        var file = try self.file(self.meta())
        file.setInteger(UInt32(20), at: 140, endianness: .little)
        #expect(self.names(file) == ["file-meta (0002,0000)"])
    }

    @Test func truncationAtEveryOffset() throws {
        let file = try self.file(self.meta())
        for count in 0..<file.readableBytes {
            let cut = try #require(file.getSlice(at: 0, length: count))
            let isBetweenElements = count > 132 && self.names(cut).allSatisfy { !$0.hasPrefix("unreadable") }
            #expect(DataSetCheck.check(file: cut).hasErrors || isBetweenElements)
        }
    }
}
