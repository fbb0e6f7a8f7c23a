// SPDX-License-Identifier: Apache-2.0

import DICOM
import Testing

@Suite struct RegistryTests {
    @Test(arguments: [
        (Tag(0x0008, 0x0005), "SpecificCharacterSet", "Specific Character Set", VR.cs, "1-n"),
        (Tag(0x0010, 0x0010), "PatientName", "Patient's Name", .pn, "1"),
        (Tag(0x0020, 0x000D), "StudyInstanceUID", "Study Instance UID", .ui, "1"),
        (Tag(0x0020, 0x0032), "ImagePositionPatient", "Image Position (Patient)", .ds, "3"),
        (Tag(0x0028, 0x0106), "SmallestImagePixelValue", "Smallest Image Pixel Value", .us, "1"),
        (Tag(0x7FE0, 0x0010), "PixelData", "Pixel Data", .ow, "1"),
        (Tag(0x7FE0, 0x0001), "ExtendedOffsetTable", "Extended Offset Table", .ov, "1"),
        (Tag(0xFFFC, 0xFFFC), "DataSetTrailingPadding", "Data Set Trailing Padding", .ob, "1"),
        (Tag(0x0000, 0x0002), "AffectedSOPClassUID", "Affected SOP Class UID", .ui, "1"),
        (Tag(0x6000, 0x3000), "OverlayData", "Overlay Data", .ow, "1"),
        (Tag(0x6012, 0x0010), "OverlayRows", "Overlay Rows", .us, "1"),
        (Tag(0x50FE, 0x3000), "CurveData", "Curve Data", .ow, "1"),
    ])
    func entries(tag: Tag, keyword: String, name: String, vr: VR, multiplicity: String) throws {
        let entry = try #require(DataDictionary.entry(for: tag))
        #expect(entry.keyword == keyword)
        #expect(entry.name == name)
        #expect(entry.vr == vr)
        #expect(entry.multiplicity == multiplicity)
        #expect(entry.tag == tag)
        #expect(DataDictionary.vr(for: tag).vr == vr)
    }

    @Test func ambiguousRepresentations() {
        #expect(DataDictionary.vr(for: Tag(0x0028, 0x0106)).ambiguity == .unsignedOrSigned)
        #expect(DataDictionary.vr(for: .pixelData).ambiguity == .bytesOrWords)
        #expect(DataDictionary.vr(for: Tag(0x0028, 0x3006)).ambiguity == .unsignedOrWords)
        #expect(DataDictionary.vr(for: .patientName).ambiguity == .none)
    }

    @Test func tagsThatHaveNoEntry() {
        #expect(DataDictionary.entry(for: Tag(0x0009, 0x0010)) == nil)
        #expect(DataDictionary.vr(for: Tag(0x0009, 0x0010)).vr == .lo)
        #expect(DataDictionary.vr(for: Tag(0x0009, 0x1010)).vr == .un)
        #expect(DataDictionary.vr(for: Tag(0x0009, 0x0000)).vr == .ul)
        #expect(DataDictionary.vr(for: Tag(0x0018, 0x0000)).vr == .ul)
        #expect(DataDictionary.vr(for: Tag(0x0018, 0xFFFE)).vr == .un)
        #expect(DataDictionary.vr(for: Tag(0x6001, 0x3000)).vr == .un)
    }

    @Test func keywords() {
        #expect(DataDictionary.tag(forKeyword: "PatientID") == .patientID)
        #expect(DataDictionary.tag(forKeyword: "NoSuchKeyword") == nil)
        #expect(DataDictionary.tag(forKeyword: "") == nil)
    }

    @Test func wellKnownTagsHaveTheirKeywords() {
        let named: [(Tag, String)] = [
            (.sopClassUID, "SOPClassUID"), (.sopInstanceUID, "SOPInstanceUID"), (.studyDate, "StudyDate"),
            (.modality, "Modality"), (.numberOfFrames, "NumberOfFrames"), (.transferSyntaxUID, "TransferSyntaxUID"),
        ]
        for (tag, keyword) in named { #expect(DataDictionary.tag(forKeyword: keyword) == tag) }
    }

    @Test(arguments: [
        ("1.2.840.10008.1.2", false, false, false, false), ("1.2.840.10008.1.2.1", true, false, false, false),
        ("1.2.840.10008.1.2.1.99", true, false, true, false), ("1.2.840.10008.1.2.2", true, true, false, false),
        ("1.2.840.10008.1.2.4.50", true, false, false, true), ("1.2.840.10008.1.2.4.80", true, false, false, true),
        ("1.2.840.10008.1.2.4.94", true, false, false, false), ("1.2.840.10008.1.2.4.95", true, false, true, false),
        ("1.2.840.10008.1.2.4.100.1", true, false, false, true), ("1.2.840.10008.1.2.5", true, false, false, true),
        ("1.2.840.10008.1.2.1.98", true, false, false, true), ("1.2.840.10008.1.20", false, false, false, false),
        ("1.2.840.10008.1.2.4.201", true, false, false, true), ("1.2.840.10008.1.2.8.1", true, false, false, true),
    ])
    func syntaxes(uid: String, explicit: Bool, big: Bool, deflated: Bool, encapsulated: Bool) throws {
        let syntax = try #require(TransferSyntax.known(uid))
        #expect(syntax.isExplicitVR == explicit)
        #expect(syntax.isBigEndian == big)
        #expect(syntax.isDeflated == deflated)
        #expect(syntax.isEncapsulated == encapsulated)
        #expect(syntax.uid.string == uid)
        #expect(!syntax.name.isEmpty)
    }

    @Test func syntaxLookUpIgnoresPadding() {
        #expect(TransferSyntax.known("1.2.840.10008.1.2.1\0") == .explicitVRLittleEndian)
        #expect(TransferSyntax.known("1.2.3") == nil)
        #expect(TransferSyntax.all.count > 55)
    }

    @Test func storageClasses() throws {
        let all = UIDRegistry.allStorageSOPClasses
        #expect(all.count > 200)
        #expect(Set(all).count == all.count)
        #expect(UIDRegistry.isStorageSOPClass(try UID(validating: "1.2.840.10008.5.1.4.1.1.2")))
        #expect(!UIDRegistry.isStorageSOPClass(try UID(validating: "1.2.840.10008.1.1")))
        #expect(!UIDRegistry.isStorageSOPClass(try UID(validating: "1.2.840.10008.1.20.1")))
        #expect(!UIDRegistry.isStorageSOPClass(try UID(validating: "1.2.840.10008.1.3.10")))
        #expect(UIDRegistry.name(of: try UID(validating: "1.2.840.10008.5.1.4.1.1.2")) == "CT Image Storage")
        for uid in all { #expect((try? UID(validating: uid.string)) == uid) }
    }
}

@Suite struct ValueTypeTests {
    @Test func tags() {
        let tag = Tag(0x7FE0, 0x0010)
        #expect(tag.rawValue == 0x7FE0_0010)
        #expect(tag.description == "(7FE0,0010)")
        #expect(tag.hexadecimal == "7FE00010")
        #expect(Tag(hexadecimal: "7fe00010") == tag)
        #expect(Tag(hexadecimal: "(7FE0,0010)") == tag)
        #expect(Tag(hexadecimal: "7FE0001") == nil)
        #expect(Tag(hexadecimal: "7FE000100") == nil)
        #expect(Tag(hexadecimal: "PatientID") == nil)
        #expect(Tag(8, 5) < Tag(8, 6))
        #expect(Tag(0x0009, 0x0010).isPrivateCreator)
        #expect(!Tag(0x0009, 0x0001).isPrivateCreator)
        #expect(Tag(0x0009, 0x1001).isPrivate)
        #expect(Tag(hexadecimal: "00000000") == Tag(0, 0))
    }

    @Test func representations() {
        let long: [VR] = [.ob, .od, .of, .ol, .ov, .ow, .sq, .sv, .uc, .un, .ur, .ut, .uv]
        let short: [VR] = [
            .ae, .as, .at, .cs, .da, .ds, .dt, .fd, .fl, .is, .lo, .lt, .pn, .sh, .sl, .ss, .st, .tm, .ui, .ul, .us,
        ]
        #expect(long.allSatisfy { $0.hasLongLength && $0.isKnown })
        #expect(short.allSatisfy { !$0.hasLongLength && $0.isKnown })
        #expect(VR("PN") == .pn)
        #expect(VR("PNX") == nil)
        #expect(VR("ZZ")?.isKnown == false)
        #expect(VR.pn.description == "PN")
        #expect(VR(rawValue: 0x0001).description == "??")
    }

    @Test(arguments: ["1.2.840.10008.1.2", "2.25.301452049339268168405964274361167652378", "1.2.003.4", "1"])
    func goodUIDs(text: String) throws {
        #expect(try UID(validating: text).string == text)
        #expect(try UID(validating: text + "\0").string == text)
        #expect(try UID(validating: " " + text + "  ").string == text)
    }

    @Test(arguments: ["", "\0", " ", ".", "1.2.x", "1,2", String(repeating: "1", count: 65)])
    func badUIDs(text: String) {
        #expect(readError { _ = try UID(validating: text) }?.code == .invalidUID)
    }

    @Test func lenientUIDs() throws {
        let uid = try UID(lenient: "dccc9599-a_B.1\0")
        #expect(uid.string == "dccc9599-a_B.1")
        #expect(!uid.isConformant)
        #expect(try UID(lenient: "1.2.3").isConformant)
        for text in ["", "..", "a/b", "a b", "a%2f", "\u{E9}"] {
            #expect(readError { _ = try UID(lenient: text) }?.code == .invalidUID)
        }
    }

    @Test func pathsReadLikeTheStandard() {
        let path = TagPath(steps: [.init(tag: Tag(0x0040, 0x0275), item: 2)], tag: Tag(0x0040, 0x0007))
        #expect(path.description == "(0040,0275)[2].(0040,0007)")
        #expect(path.urlPath == "00400275/2/00400007")
    }
}
