// SPDX-License-Identifier: Apache-2.0

import Catalog
import DICOM
import DICOMWeb
import DIMSE
import Ingest
import Testing

@Suite struct InstanceSelectionTests {
    /// Studies of patients, given out in pages.
    private struct Studies: FindSource {
        let studies: [(patient: String, study: String)]
        var failure: RetrieveFailure?

        func matches(
            _ query: FindQuery,
            after cursor: CatalogCursor?,
            limit: Int
        ) async throws(RetrieveFailure) -> FindPage {
            if let failure { throw failure }
            let wanted = studies.filter { study in
                query.matches.allSatisfy { match in
                    switch match.condition {
                    case .single(let value): value == study.patient
                    case .anyOf(let values): values.contains(study.study)
                    default: false
                    }
                }
            }
            let start = cursor.flatMap { Int($0.text) } ?? 0
            let page = wanted[start...].prefix(limit)
            return FindPage(
                matches: page.map { FindResult(values: [.studyInstanceUID: .strings([$0.study])]) },
                next: page.endIndex < wanted.endIndex ? CatalogCursor(text: "\(page.endIndex)") : nil
            )
        }
    }

    /// Two series of two instances of the study 1.2.3.
    private static func archive() throws -> MemoryArchive {
        let archive = MemoryArchive()
        for series in 1...2 {
            for instance in 1...2 {
                var shape = MadeInstance.Shape(name: "any")
                (shape.series, shape.instance) = (series, instance)
                let dataSet = try MadeInstance.dataSet(shape)
                _ = archive.add(try MadeInstance.asReceived(shape, dataSet, .explicitVRLittleEndian))
            }
        }
        return archive
    }

    private static func select(
        _ level: String,
        _ values: [(Tag, String)],
        from studies: Studies = Studies(studies: [])
    ) async throws -> [String] {
        var identifier = DataSet()
        identifier.set(.queryRetrieveLevel, .cs, level)
        for (tag, value) in values { identifier.set(tag, tag == .patientID ? .lo : .ui, value) }
        let selection = InstanceSelection(directory: try archive(), source: studies)
        return try await selection.instances(RetrieveKeys(identifier, model: .patientRoot)).map(\.sopInstanceUID)
    }

    @Test func findsWhatEachLevelNames() async throws {
        let study: (Tag, String) = (.studyInstanceUID, "1.2.3")
        #expect(try await Self.select("STUDY", [study]).count == 4)
        #expect(
            try await Self.select("SERIES", [study, (.seriesInstanceUID, "1.2.3.2")]) == ["1.2.3.2.1", "1.2.3.2.2"]
        )
        let series: (Tag, String) = (.seriesInstanceUID, "1.2.3.1")
        for (uids, found) in [
            ("1.2.3.1.2", ["1.2.3.1.2"]), ("1.2.3.1.2\\9.9\\1.2.3.1.1", ["1.2.3.1.1", "1.2.3.1.2"]),
            // Of another series.
            ("1.2.3.2.1", []),
        ] {
            #expect(try await Self.select("IMAGE", [study, series, (.sopInstanceUID, uids)]) == found)
        }
        #expect(try await Self.select("STUDY", [(.studyInstanceUID, "9.9")]).isEmpty)
    }

    @Test func aPatientsStudiesAreReadToTheLastPage() async throws {
        // The one that is there comes after all others.
        let others = (0..<450).map { (patient: "P1", study: "9.\($0)") }
        let studies = Studies(studies: others + [("P1", "1.2.3"), ("P2", "1.2.4")])
        #expect(try await Self.select("PATIENT", [(.patientID, "P1")], from: studies).count == 4)
        #expect(try await Self.select("PATIENT", [(.patientID, "P2")], from: studies).isEmpty)
    }

    /// A patient who is named is checked; the catalog has to know.
    @Test func anotherPatientsStudyIsNotFound() async throws {
        let study: (Tag, String) = (.studyInstanceUID, "1.2.3")
        var studies = Studies(studies: [("P1", "1.2.3")])
        #expect(try await Self.select("STUDY", [(.patientID, "P1"), study], from: studies).count == 4)
        #expect(try await Self.select("STUDY", [(.patientID, "P2"), study], from: studies).isEmpty)
        studies.failure = RetrieveFailure(.unavailable, "away")
        await #expect(throws: RetrieveFailure.self) {
            try await Self.select("STUDY", [(.patientID, "P1"), study], from: studies)
        }
        #expect(try await Self.select("STUDY", [study], from: studies).count == 4)
    }
}
