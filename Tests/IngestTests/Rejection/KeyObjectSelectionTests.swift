// SPDX-License-Identifier: Apache-2.0

import DICOM
import Ingest
import NIOCore
import Testing

struct KeyObjectSelectionTests {
    private typealias Reference = KeyObjectSelection.Reference

    /// A document that names instances of a study: series, and instances of each.
    static func document(
        code: String? = "113001",
        scheme: String? = "DCM",
        sopClass: String = KeyObjectSelection.sopClassUID,
        studies: [(uid: String, series: [(uid: String, instances: [String])])] = [
            ("1.2.1", [("1.2.1.1", ["1.2.1.1.1"])])
        ]
    ) -> DataSet {
        var dataSet = DataSet()
        dataSet.set(Tag(0x0008, 0x0016), .ui, sopClass)
        var title = DataSet()
        if let code { title.set(Tag(0x0008, 0x0100), .sh, code) }
        if let scheme { title.set(Tag(0x0008, 0x0102), .sh, scheme) }
        title.set(Tag(0x0008, 0x0104), .lo, "A title")
        dataSet.set(sequence(Tag(0x0040, 0xA043), [title]))
        let items = studies.map { study in
            var item = DataSet()
            item.set(
                sequence(
                    Tag(0x0008, 0x1115),
                    study.series.map { series in
                        var item = DataSet()
                        item.set(sequence(Tag(0x0008, 0x1199), series.instances.map(referenced)))
                        item.set(Tag(0x0020, 0x000E), .ui, series.uid)
                        return item
                    }
                )
            )
            item.set(Tag(0x0020, 0x000D), .ui, study.uid)
            return item
        }
        dataSet.set(sequence(Tag(0x0040, 0xA375), items))
        return dataSet
    }

    private static func referenced(_ uid: String) -> DataSet {
        var item = DataSet()
        item.set(Tag(0x0008, 0x1150), .ui, "1.2.840.10008.5.1.4.1.1.2")
        item.set(Tag(0x0008, 0x1155), .ui, uid)
        return item
    }

    private static func sequence(_ tag: Tag, _ items: [DataSet]) -> DataElement {
        DataElement(tag: tag, vr: .sq, value: .items(items.map { SequenceItem($0) }))
    }

    @Test(
        arguments: [
            ("113001", "DCM", RejectionTitle.quality), ("113037", "DCM", .patientSafety),
            ("113038", "DCM", .incorrectWorklist), ("113039", "DCM", .retentionExpired),
            ("113000", "DCM", nil), ("113001", "99LOCAL", nil), ("TEACHING", "DCM", nil),
        ] as [(String, String, RejectionTitle?)]
    )
    func `the title says whether it rejects`(code: String, scheme: String, title: RejectionTitle?) throws {
        let document = try KeyObjectSelection.read(Self.document(code: code, scheme: scheme))
        #expect(document.rejection == title)
        #expect((document.titleCode, document.titleScheme) == (code, scheme))
        #expect(document.references.count == (title == nil ? 0 : 1))
    }

    @Test func `instances of several series and studies come in their order, each once`() throws {
        let document = try KeyObjectSelection.read(
            Self.document(studies: [
                ("1.1", [("1.1.1", ["1.1.1.2", "1.1.1.1", "1.1.1.2"]), ("1.1.2", ["1.1.2.1"])]),
                ("1.2", [("1.2.1", ["1.2.1.1", "1.1.1.1"])]),
            ])
        )
        #expect(
            document.references == [
                Reference(study: "1.1", series: "1.1.1", instance: "1.1.1.2"),
                Reference(study: "1.1", series: "1.1.1", instance: "1.1.1.1"),
                Reference(study: "1.1", series: "1.1.2", instance: "1.1.2.1"),
                Reference(study: "1.2", series: "1.2.1", instance: "1.2.1.1"),
            ]
        )
    }

    @Test(
        arguments: [
            (document(sopClass: "1.2.840.10008.5.1.4.1.1.2"), "no Key Object Selection"),
            (DataSet(), "no Key Object Selection"),
            (document(code: nil), "no Code Value"), (document(scheme: nil), "no Coding Scheme"),
            (document(studies: []), "names no instance"), (document(studies: [("1.2", [])]), "names no instance"),
            (document(studies: [("1.2", [("1.2.1", [])])]), "names no instance"),
            (document(studies: [("", [("1.2.1", ["1.2.1.1"])])]), "no Study Instance UID"),
            (document(studies: [("1.2", [("", ["1.2.1.1"])])]), "no Series Instance UID"),
            (document(studies: [("1.2", [("1.2.1", ["1.2.1.1", ""])])]), "no Referenced SOP Instance UID"),
            (document(studies: [("1.2", [("1.2.1", ["not a uid"])])]), "no Referenced SOP Instance UID"),
        ] as [(DataSet, String)]
    )
    func `what cannot be understood is refused as a whole`(dataSet: DataSet, reason: String) {
        let fault = #expect(throws: KeyObjectSelection.Fault.self) { try KeyObjectSelection.read(dataSet) }
        #expect(fault?.reason.contains(reason) == true, "\(fault?.reason ?? "")")
    }

    @Test func `a title without a sequence is refused`() {
        var dataSet = Self.document()
        dataSet.remove(Tag(0x0040, 0xA043))
        let fault = #expect(throws: KeyObjectSelection.Fault.self) { try KeyObjectSelection.read(dataSet) }
        #expect(fault?.reason.contains("title") == true)
    }

    @Test func `as many references as the limit are read, and one more is refused`() throws {
        var uids = (0..<KeyObjectSelection.maximumReferenceCount).map { "1.2.3.\($0)" }
        let full = Self.document(studies: [("1.2", [("1.2.3", uids)])])
        #expect(try KeyObjectSelection.read(full).references.count == uids.count)
        uids.append("1.2.4")
        let over = Self.document(studies: [("1.2", [("1.2.3", uids)])])
        let fault = #expect(throws: KeyObjectSelection.Fault.self) { try KeyObjectSelection.read(over) }
        #expect(fault?.reason.contains("more than") == true)
    }

    /// A document that was cut is refused by the parser, or lacks what is behind the cut; it never names more.
    @Test func `no part of a document names other instances than the whole`() throws {
        let whole = Self.document(studies: [("1.1", [("1.1.1", ["1.1.1.1", "1.1.1.2"]), ("1.1.2", ["1.1.2.1"])])])
        let all = Set(try KeyObjectSelection.read(whole).references)
        let bytes = try DataSetWriter.write(whole, transferSyntax: .explicitVRLittleEndian)
        for count in 0..<bytes.readableBytes {
            let part = try #require(bytes.getSlice(at: bytes.readerIndex, length: count))
            // Errors are the expected answer.
            guard let read = try? DataSetReader.read(part, transferSyntax: .explicitVRLittleEndian).dataSet,
                let document = try? KeyObjectSelection.read(read)
            else { continue }
            #expect(all.isSuperset(of: document.references))
        }
        let read = try DataSetReader.read(bytes, transferSyntax: .explicitVRLittleEndian).dataSet
        #expect(Set(try KeyObjectSelection.read(read).references) == all)
    }
}
