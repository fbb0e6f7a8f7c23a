// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import DIMSE
import Ingest
import NIOCore
import Testing

// Testing has a type of that name, too.
typealias Tag = DICOM.Tag

@Suite struct FindQueryTests {
    private static func identifier(_ level: String?, _ keys: [(Tag, VR, String)]) -> DataSet {
        var dataSet = DataSet()
        if let level { dataSet.set(.queryRetrieveLevel, .cs, level) }
        for (tag, vr, value) in keys { dataSet.set(tag, vr, value) }
        return dataSet
    }

    private static func query(
        _ level: String?,
        _ keys: [(Tag, VR, String)],
        model: QueryRetrieveSOPClass.Model = .studyRoot,
        options: QueryRetrieveOptions = []
    ) throws -> FindQuery {
        try FindQuery(identifier(level, keys), model: model, options: options, retrieveAETitle: "VARVE")
    }

    private static func refusal(
        _ level: String?,
        _ keys: [(Tag, VR, String)],
        model: QueryRetrieveSOPClass.Model = .studyRoot,
        options: QueryRetrieveOptions = []
    ) -> QueryRefusal? {
        do throws(QueryRefusal) {
            _ = try FindQuery(identifier(level, keys), model: model, options: options, retrieveAETitle: "VARVE")
            return nil
        } catch {
            return error
        }
    }

    // MARK: levels

    @Test(
        arguments: [
            (nil, .studyRoot), ("", .studyRoot), ("PATIENT", .studyRoot), ("WORKLIST", .patientRoot),
            ("study", .patientRoot),
        ] as [(String?, QueryRetrieveSOPClass.Model)]
    )
    func refusesALevelThatIsNone(level: String?, model: QueryRetrieveSOPClass.Model) {
        let refusal = Self.refusal(level, [], model: model)
        #expect(refusal?.status.rawValue == 0xA900)
        #expect(refusal?.offending == [.queryRetrieveLevel])
    }

    @Test func needsTheUniqueKeysAbove() throws {
        #expect(Self.refusal("SERIES", [])?.offending == [.studyInstanceUID])
        #expect(Self.refusal("SERIES", [(.studyInstanceUID, .ui, "")])?.offending == [.studyInstanceUID])
        #expect(Self.refusal("SERIES", [(.studyInstanceUID, .ui, "1.2\\1.3")])?.offending == [.studyInstanceUID])
        #expect(Self.refusal("STUDY", [], model: .patientRoot)?.offending == [.patientID])
        #expect(Self.refusal("STUDY", [(.patientID, .lo, "P*")], model: .patientRoot)?.offending == [.patientID])
        #expect(Self.refusal("IMAGE", [(.studyInstanceUID, .ui, "1.2")])?.offending == [.seriesInstanceUID])
        #expect(Self.refusal("PATIENT", [], model: .patientRoot) == nil)
        #expect(Self.refusal("STUDY", []) == nil)
        #expect(Self.refusal("IMAGE", [(.studyInstanceUID, .ui, "1.2"), (.seriesInstanceUID, .ui, "1.3")]) == nil)
    }

    @Test func aRelationalQueryNeedsThemNot() throws {
        let query = try Self.query("IMAGE", [(.modality, .cs, "CT")], model: .patientRoot, options: .relational)
        #expect(query.matches == [QIDOMatch(.modality, .single("CT"))])
    }

    // MARK: matching

    @Test func readsEachKindOfMatching() throws {
        let query = try Self.query(
            "STUDY",
            [
                (.patientName, .pn, "Doe^J*"), (.patientID, .lo, "A?1"), (.studyDate, .da, "20240101-20240131"),
                (.studyTime, .tm, "-1200"), (.studyInstanceUID, .ui, "1.2\\1.3"), (.accessionNumber, .sh, "77"),
                (.modalitiesInStudy, .cs, "CT\\MR"), (.studyDescription, .lo, ""), (.studyID, .sh, "*"),
            ]
        )
        #expect(
            query.matches == [
                QIDOMatch(.studyDate, .range(lower: "20240101", upper: "20240131")),
                QIDOMatch(.studyTime, .range(lower: nil, upper: "1200")),
                QIDOMatch(.accessionNumber, .single("77")),
                QIDOMatch(.modalitiesInStudy, .anyOf(["CT", "MR"])),
                QIDOMatch(.patientName, .wildcard("Doe^J*")), QIDOMatch(.patientID, .wildcard("A?1")),
                QIDOMatch(.studyInstanceUID, .anyOf(["1.2", "1.3"])),
            ]
        )
        #expect(!query.hasUnsupportedKeys)
    }

    @Test(arguments: [
        (Tag.studyDate, VR.da, "2024*"), (.studyDate, .da, "20240230-x"), (.studyTime, .tm, "25"),
        (.studyInstanceUID, .ui, "1.2.*"), (.studyInstanceUID, .ui, "1.2?"), (.patientBirthDate, .da, "????0101"),
        (.patientID, .lo, "A\\B"), (.studyTime, .tm, "2200-0600"),
    ])
    func refusesWildcardsAndValuesWhereTheyMeanNothing(tag: Tag, vr: VR, value: String) {
        let refusal = Self.refusal("STUDY", [(tag, vr, value)])
        #expect(refusal?.status == .identifierDoesNotMatchSOPClass)
        #expect(refusal?.offending == [tag])
        #expect(refusal?.comment.contains(value) == false)
    }

    @Test func aLoneStarMatchesAllAlsoWhereItIsNoWildcard() throws {
        let query = try Self.query("STUDY", [(.studyDate, .da, "*"), (.studyInstanceUID, .ui, "*")])
        #expect(query.matches.isEmpty)
    }

    @Test func timesMayWrapWhenTheyBoundOnePointWithDates() throws {
        let keys: [(Tag, VR, String)] = [(.studyDate, .da, "20240101-20240102"), (.studyTime, .tm, "2200-0600")]
        let query = try Self.query("STUDY", keys, options: .combinedDateTime)
        #expect(query.combinesDateAndTime)
        #expect(query.matches.contains(QIDOMatch(.studyTime, .range(lower: "2200", upper: "0600"))))
        #expect(Self.refusal("STUDY", [keys[1]], options: .combinedDateTime)?.offending == [.studyTime])
        #expect(try Self.query("STUDY", [], options: .fuzzyNames).isFuzzy)
    }

    @Test func listsOfUIDsMayBeLong() throws {
        let uids = (0..<6_000).map { "1.2.\($0)" }
        let query = try Self.query("STUDY", [(.studyInstanceUID, .ui, uids.joined(separator: "\\"))])
        #expect(query.matches == [QIDOMatch(.studyInstanceUID, .anyOf(uids))])
        let more = (0...10_000).map { "1.\($0)" }.joined(separator: "\\")
        #expect(Self.refusal("STUDY", [(.studyInstanceUID, .ui, more)])?.offending == [.studyInstanceUID])
    }

    @Test func readsKeysInTheCharacterSetOfTheIdentifier() throws {
        var dataSet = Self.identifier("STUDY", [(.specificCharacterSet, .cs, "ISO_IR 100")])
        dataSet.set(
            DataElement(tag: .patientName, vr: .pn, value: .bytes(ByteBuffer(bytes: [0x4D, 0xFC, 0x6C, 0x2A])))
        )
        let query = try FindQuery(dataSet, model: .studyRoot, options: [], retrieveAETitle: "VARVE")
        #expect(query.matches == [QIDOMatch(.patientName, .wildcard("Mül*"))])
    }

    // MARK: keys

    @Test func whatIsNoKeyNeitherMatchesNorFilters() throws {
        let query = try Self.query(
            "STUDY",
            [
                (Tag(0x0008, 0x0000), .ul, "0000"), (.specificCharacterSet, .cs, "ISO_IR 100"),
                (.timezoneOffsetFromUTC, .sh, "+0100"), (Tag(0x0009, 0x0010), .lo, "ACME 1.0"),
                (Tag(0x0009, 0x1001), .lo, "some value"), (.retrieveAETitle, .ae, "OTHER"),
            ]
        )
        #expect(query.matches.isEmpty)
        // The private attribute comes back empty in its block, and the status says that it is not supported.
        #expect(query.hasUnsupportedKeys)
        #expect(
            query.keys.map(\.tag) == [
                .queryRetrieveLevel, .retrieveAETitle, .instanceAvailability, Tag(0x0009, 0x0010),
                Tag(0x0009, 0x1001), .studyInstanceUID,
            ]
        )
        #expect(query.keys[3].source == .constant("ACME 1.0"))
        #expect(query.keys[4].source == .constant(""))
        #expect(query.keys[1].source == .constant("VARVE"))
    }

    @Test func keysOfLowerLevelsAndUnknownOnesAreUnsupported() throws {
        let keys: [(Tag, VR, String)] = [
            (.modality, .cs, "CT"), (.protocolName, .lo, "HEAD"), (.numberOfStudyRelatedInstances, .is, "3"),
        ]
        for key in keys {
            let query = try Self.query("STUDY", [key])
            #expect(query.hasUnsupportedKeys)
            #expect(query.matches.isEmpty)
            #expect(query.keys.contains { $0.tag == key.0 })
        }
        #expect(try !Self.query("STUDY", [(.numberOfStudyRelatedInstances, .is, "")]).hasUnsupportedKeys)
        let patient = try Self.query(
            "PATIENT",
            [(.numberOfPatientRelatedStudies, .is, ""), (.patientName, .pn, "A*")],
            model: .patientRoot
        )
        #expect(!patient.hasUnsupportedKeys)
        #expect(try Self.query("PATIENT", [(.studyDate, .da, "")], model: .patientRoot).hasUnsupportedKeys)
    }

    @Test func sequenceKeysAreUnsupportedWhetherEmptyOrNot() throws {
        for items in [[], [SequenceItem(Self.identifier(nil, [(.scheduledProcedureStepID, .sh, "1")]))]] {
            var dataSet = Self.identifier("STUDY", [])
            dataSet.set(DataElement(tag: .requestAttributesSequence, vr: .sq, value: .items(items)))
            let query = try FindQuery(dataSet, model: .studyRoot, options: [], retrieveAETitle: "VARVE")
            #expect(query.hasUnsupportedKeys)
            #expect(query.matches.isEmpty)
            let bytes = try FindResult(values: [:]).identifier(for: query, syntax: .implicitVRLittleEndian)
            let read = try DataSetReader.read(bytes, transferSyntax: .implicitVRLittleEndian).dataSet
            #expect(read[.requestAttributesSequence]?.value == .items([]))
        }
    }

    // MARK: results

    @Test(arguments: [
        TransferSyntax.implicitVRLittleEndian, .explicitVRLittleEndian, .explicitVRBigEndian,
    ])
    func writesWhatWasAskedFor(syntax: TransferSyntax) throws {
        let query = try Self.query(
            "STUDY",
            [
                (.patientName, .pn, ""), (.modalitiesInStudy, .cs, ""), (.numberOfStudyRelatedSeries, .is, ""),
                (.studyDescription, .lo, ""), (.accessionNumber, .sh, ""),
            ]
        )
        let result = FindResult(values: [
            .patientName: .personNames(["Doe^Jane"]), .modalitiesInStudy: .strings(["CT", "MR"]),
            .numberOfStudyRelatedSeries: .integers([3]), .studyInstanceUID: .strings(["1.2.3"]),
            .studyDescription: .strings(["CT THORAX"]), .patientID: .strings(["not asked for"]),
        ])
        let bytes = try result.identifier(for: query, syntax: syntax)
        let read = try DataSetReader.read(bytes, transferSyntax: syntax).dataSet
        #expect(read[.specificCharacterSet] == nil)
        #expect(read.string(.queryRetrieveLevel) == "STUDY")
        #expect(read.string(.retrieveAETitle) == "VARVE")
        #expect(read.string(.instanceAvailability) == "ONLINE")
        #expect(read.string(.patientName) == "Doe^Jane")
        #expect(read.strings(.modalitiesInStudy) == ["CT", "MR"])
        #expect(read.integer(.numberOfStudyRelatedSeries) == 3)
        #expect(read.string(.studyInstanceUID) == "1.2.3")
        #expect(read[.accessionNumber]?.value.isEmpty == true)
        #expect(read[.patientID] == nil)
    }

    @Test func textBeyondASCIIGoesOutAsUTF8() throws {
        let query = try Self.query("STUDY", [(.patientName, .pn, ""), (.specificCharacterSet, .cs, "ISO_IR 100")])
        let result = FindResult(values: [.patientName: .personNames(["Müller^Jörg=山田^太郎"])])
        let bytes = try result.identifier(for: query, syntax: .implicitVRLittleEndian)
        let read = try DataSetReader.read(bytes, transferSyntax: .implicitVRLittleEndian).dataSet
        #expect(read.string(.specificCharacterSet) == "ISO_IR 192")
        #expect(read.string(.patientName) == "Müller^Jörg=山田^太郎")
    }

    @Test func numbersOfBinaryRepresentationsStayBinary() throws {
        let query = try Self.query(
            "IMAGE",
            [(.studyInstanceUID, .ui, "1.2"), (.seriesInstanceUID, .ui, "1.3"), (.rows, .us, ""), (.columns, .us, "")]
        )
        let result = FindResult(values: [.rows: .integers([512])])
        let bytes = try result.identifier(for: query, syntax: .explicitVRBigEndian)
        let read = try DataSetReader.read(bytes, transferSyntax: .explicitVRBigEndian).dataSet
        #expect(read.integer(.rows) == 512)
        #expect(read[.columns]?.value.isEmpty == true)
    }
}
