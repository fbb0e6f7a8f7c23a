// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import DIMSE
import Ingest
import NIOCore
import SegmentFormat
import Testing

/// What C-GET and C-MOVE decide before they send: all of it without a network.
@Suite struct RetrievalTests {
    private static func keys(
        _ level: String,
        _ values: [(Tag, VR, String)],
        model: QueryRetrieveSOPClass.Model = .studyRoot
    ) throws -> RetrieveKeys {
        var dataSet = DataSet()
        dataSet.set(.queryRetrieveLevel, .cs, level)
        for (tag, vr, value) in values { dataSet.set(tag, vr, value) }
        return try RetrieveKeys(dataSet, model: model)
    }

    private static func offending(
        _ level: String,
        _ values: [(Tag, VR, String)],
        model: QueryRetrieveSOPClass.Model = .studyRoot
    ) -> Tag? {
        do {
            try keys(level, values, model: model).requireKeysAbove()
            return nil
        } catch let error as QueryRefusal {
            #expect(error.status == .identifierDoesNotMatchSOPClass)
            return error.offending.first
        } catch {
            Issue.record(error)
            return nil
        }
    }

    // MARK: keys

    @Test func readsListsAtTheLevelAndOneValueAbove() throws {
        let study = try Self.keys(
            "STUDY",
            [(.studyInstanceUID, .ui, "1.2\\1.3\\1.2"), (.modality, .cs, "CT")]
        )
        #expect(study.studies == ["1.2", "1.3"])
        let series = try Self.keys(
            "SERIES",
            [(.studyInstanceUID, .ui, "1.2"), (.seriesInstanceUID, .ui, "1.4\\1.5")]
        )
        #expect(series.series == ["1.4", "1.5"])
        let image = try Self.keys(
            "IMAGE",
            [
                (.patientID, .lo, "P1"), (.studyInstanceUID, .ui, "1.2"), (.seriesInstanceUID, .ui, "1.4"),
                (.sopInstanceUID, .ui, "1.6\\1.7"),
            ],
            model: .patientRoot
        )
        #expect(image.instances == ["1.6", "1.7"])
        #expect(image.patientID == "P1")
        #expect(
            try Self.keys("PATIENT", [(.patientID, .lo, "P1")], model: .patientRoot).studies.isEmpty
        )
    }

    @Test func refusesWhatDoesNotNameInstances() {
        #expect(Self.offending("STUDY", []) == .studyInstanceUID)
        #expect(Self.offending("STUDY", [(.studyInstanceUID, .ui, "*")]) == .studyInstanceUID)
        #expect(Self.offending("SERIES", [(.seriesInstanceUID, .ui, "1.4")]) == .studyInstanceUID)
        let two: [(Tag, VR, String)] = [
            (.studyInstanceUID, .ui, "1.2\\1.3"), (.seriesInstanceUID, .ui, "1.4"),
        ]
        #expect(Self.offending("SERIES", two) == .studyInstanceUID)
        #expect(
            Self.offending("IMAGE", [(.studyInstanceUID, .ui, "1.2"), (.seriesInstanceUID, .ui, "1.4")])
                == .sopInstanceUID
        )  // swift-format-ignore
        #expect(Self.offending("PATIENT", [(.patientID, .lo, "")], model: .patientRoot) == .patientID)
        #expect(Self.offending("PATIENT", [(.patientID, .lo, "P*")], model: .patientRoot) == .patientID)
        #expect(Self.offending("PATIENT", [(.patientID, .lo, "P1")]) == .queryRetrieveLevel)
    }

    @Test func relationalKeysAboveTheLevelMayBeMissingOrLists() throws {
        let image = try Self.keys("IMAGE", [(.sopInstanceUID, .ui, "1.6\\1.7")])
        #expect(image.studies.isEmpty && image.series.isEmpty && image.instances.count == 2 && !image.isHierarchical)
        let series = try Self.keys(
            "SERIES",
            [(.studyInstanceUID, .ui, "1.2\\1.3"), (.seriesInstanceUID, .ui, "1.4")]
        )
        #expect(series.studies == ["1.2", "1.3"] && !series.isHierarchical)
        #expect(try Self.keys("STUDY", [(.studyInstanceUID, .ui, "1.2\\1.3")]).isHierarchical)
        // The level's own key is always needed, and what is there has to be UIDs.
        #expect(Self.offending("IMAGE", [(.studyInstanceUID, .ui, "1.2"), (.seriesInstanceUID, .ui, "1.4")]) != nil)
        #expect(throws: QueryRefusal.self) { try Self.keys("IMAGE", [(.seriesInstanceUID, .ui, "1.4")]) }
        #expect(throws: QueryRefusal.self) {
            try Self.keys("IMAGE", [(.sopInstanceUID, .ui, "1.6"), (.seriesInstanceUID, .ui, "1.*")])
        }
    }

    // MARK: syntaxes

    private static let ct = "1.2.840.10008.5.1.4.1.1.2"
    private static let jpegLS = TransferSyntax.jpegLSLossless.uid.string
    private static let explicit = TransferSyntax.explicitVRLittleEndian.uid.string
    private static let implicit = TransferSyntax.implicitVRLittleEndian.uid.string

    private static func choice(
        _ accepted: [(String, String)],
        canDecode: Bool = true
    ) throws
        -> SuboperationSyntax?
    {
        let proposed = accepted.enumerated().map { index, pair in
            ProposedContext(id: UInt8(2 * index + 1), abstractSyntax: pair.0, transferSyntaxes: [pair.1])
        }
        let results = proposed.map {
            ContextResult(id: $0.id, result: .acceptance, transferSyntax: $0.transferSyntaxes[0])
        }
        let contexts = NegotiatedContexts(proposed: proposed, results: results).accepted
        return SuboperationSyntax(try StoredInstance.made(), contexts: contexts, canDecode: canDecode)
    }

    @Test func passesTheStoredSyntaxThroughWhereItWasAccepted() throws {
        let choice = try Self.choice([(Self.ct, Self.explicit), (Self.ct, Self.jpegLS)])
        #expect(choice?.contextID == 3)
        #expect(choice?.form == .stored)
    }

    @Test func decodesWhereItWasNot() throws {
        #expect(try Self.choice([(Self.ct, Self.implicit), (Self.ct, Self.explicit)])?.contextID == 3)
        #expect(try Self.choice([(Self.ct, Self.implicit)])?.form == .native(.implicitVRLittleEndian))
        #expect(try Self.choice([(Self.ct, Self.implicit)], canDecode: false) == nil)
        #expect(try Self.choice([(Self.ct, TransferSyntax.rleLossless.uid.string)]) == nil)
        #expect(try Self.choice([("1.2.840.10008.5.1.4.1.1.4", Self.jpegLS)]) == nil)
        #expect(try Self.choice([]) == nil)
    }

    // MARK: streams

    @Test(arguments: [
        TransferSyntax?.none, .explicitVRLittleEndian, .implicitVRLittleEndian, .explicitVRBigEndian,
    ])
    func takesTheFileMetaInformationAway(syntax: TransferSyntax?) throws {
        let made = try MadeInstance.asReceived(
            .init(name: "words"),
            try MadeInstance.dataSet(.init(name: "words")),
            .explicitVRLittleEndian
        )
        var expected = made.dataSet
        if let syntax {
            let read = try DataSetReader.read(made.dataSet, transferSyntax: .explicitVRLittleEndian)
                .dataSet
            expected = try DataSetWriter.write(read, transferSyntax: syntax)
        }
        let split = made.metadata.dataSetOffset
        let header = try #require(made.payload.getSlice(at: 0, length: split))
        let rest = try #require(
            made.payload.getSlice(at: split, length: made.payload.readableBytes - split)
        )
        // The header in a buffer of its own, and with all that follows.
        for buffers in [[made.payload], [header, rest], [header, ByteBuffer(), rest]] {
            var stream = OutgoingDataSet(syntax: syntax)
            let ready = try stream.add(buffers) + stream.finish()
            #expect(ready.reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) } == expected)
        }
    }
}
