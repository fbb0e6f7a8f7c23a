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
            (.modality, .cs, "CT"), (.protocolName, .lo, ""), (.numberOfStudyRelatedInstances, .is, "3"),
            (Tag(0x0008, 0x0053), .cs, "CLASSIC"), (Tag(0x0009, 0x1001), .lo, "1"),
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

    @Test func keysThatTheCatalogDoesNotHoldAreMatchedOnInstances() throws {
        let query = try Self.query("STUDY", [(.protocolName, .lo, "HE*"), (.stationName, .sh, "")])
        #expect(query.objectKeys.map(\.tag) == [.protocolName])
        #expect(query.objectKeys.first?.condition == .values(["HE*"]))
        #expect(query.matches.isEmpty)
        // A star alone matches everything, and nothing is read for what is only asked for.
        #expect(try Self.query("STUDY", [(.protocolName, .lo, "*")]).objectKeys.isEmpty)
        #expect(try Self.query("PATIENT", [(.protocolName, .lo, "HEAD")], model: .patientRoot).objectKeys.isEmpty)
    }

    private static func withSequence(_ items: [SequenceItem]) throws -> FindQuery {
        var dataSet = identifier("STUDY", [])
        dataSet.set(DataElement(tag: .requestAttributesSequence, vr: .sq, value: .items(items)))
        return try FindQuery(dataSet, model: .studyRoot, options: [], retrieveAETitle: "VARVE")
    }

    @Test func sequencesWithoutAValueMatchEverythingAndComeBackEmpty() throws {
        for items in [
            [], [SequenceItem(DataSet())], [SequenceItem(Self.identifier(nil, [(.scheduledProcedureStepID, .sh, "")]))],
        ] {
            let query = try Self.withSequence(items)
            #expect(query.hasUnsupportedKeys)
            #expect(query.matches.isEmpty && query.objectKeys.isEmpty)
            let bytes = try FindResult(values: [:]).identifier(for: query, syntax: .implicitVRLittleEndian)
            let read = try DataSetReader.read(bytes, transferSyntax: .implicitVRLittleEndian).dataSet
            #expect(read[.requestAttributesSequence]?.value == .items([]))
        }
    }

    @Test func aSequenceIsMatchedByOneItemAndComesBackWithWhatWasAskedFor() throws {
        func item(_ id: String, _ description: String) -> SequenceItem {
            SequenceItem(
                Self.identifier(nil, [(.scheduledProcedureStepID, .sh, id), (Tag(0x0040, 0x0007), .lo, description)])
            )
        }
        let query = try Self.withSequence([item("S?", "")])
        #expect(!query.hasUnsupportedKeys)
        #expect(query.objectKeys.count == 1)
        var object = DataSet()
        object.set(
            DataElement(
                tag: .requestAttributesSequence,
                vr: .sq,
                value: .items([item("T1", "a"), item("S1", "Schädel")])
            )
        )
        #expect(query.objectKeys.allSatisfy { $0.matches(object) })
        // Both keys have to match in the same item.
        #expect(try !Self.withSequence([item("S1", "a")]).objectKeys.allSatisfy { $0.matches(object) })
        #expect(try !Self.withSequence([item("U1", "")]).objectKeys.allSatisfy { $0.matches(object) })
        #expect(try !Self.withSequence([item("S1", "")]).objectKeys.allSatisfy { $0.matches(DataSet()) })
        #expect(throws: QueryRefusal.self) { try Self.withSequence([item("S1", ""), item("T1", "")]) }
        var result = FindResult(values: [:])
        result.object = object
        let bytes = try result.identifier(
            for: Self.withSequence([SequenceItem(Self.identifier(nil, [(.scheduledProcedureStepID, .sh, "S1")]))]),
            syntax: .explicitVRBigEndian
        )
        let read = try DataSetReader.read(bytes, transferSyntax: .explicitVRBigEndian).dataSet
        #expect(read.items(.requestAttributesSequence).map { $0.string(.scheduledProcedureStepID) } == ["T1", "S1"])
        #expect(read.items(.requestAttributesSequence).allSatisfy { $0.count == 1 })
    }

    @Test(arguments: [
        ("DA", "20240110", "20240101-20240131", true), ("DA", "20240110", "-20240109", false),
        ("DA", "20240110", "20240110", true), ("DA", "2024.01.10", "20240110-", true), ("TM", "101500", "10-11", true),
        ("TM", "113000.5", "10-11", true), ("TM", "123000", "10-11", false), ("IS", " 7", "07", true),
        ("DS", "2.50", "2.5", true), ("DS", "2.51", "2.5", false), ("LO", "HEAD NECK", "HEAD*", true),
        ("LO", "HEAD", "head", false), ("LO", "aXbXc", "a*X?", true), ("LO", "aXbX", "a*X?", false),
        ("PN", "Müller^Jörg", "mueller*", false), ("PN", "Müller^Jörg", "MÜLLER^j*", true), ("UI", "1.2", "1.*", false),
        ("UI", "1.2", "1.2", true), ("LO", "any", "a?", false), ("SH", "", "**?", false),
    ])
    func comparesValuesByTheirKind(vr: String, value: String, key: String, isMatch: Bool) throws {
        let tag = Tag(0x0040, 0xA123)
        let vr = try #require(VR(vr))
        var (object, identifier) = (DataSet(), DataSet())
        object.set(tag, vr, value)
        identifier.set(tag, vr, key)
        // As UTF-8, for the names.
        object.set(.specificCharacterSet, .cs, "ISO_IR 192")
        identifier.set(.specificCharacterSet, .cs, "ISO_IR 192")
        let element = try #require(identifier[tag])
        let condition = try ObjectKey(element, of: identifier)
        #expect(condition?.matches(object) == isMatch)
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
