// SPDX-License-Identifier: Apache-2.0

import Catalog
import DICOM
import DICOMWeb
import DIMSE

/// Finds the instances that a C-GET or C-MOVE names.
///
/// Below PATIENT, and without a Patient ID, this goes on while the catalog is away, as WADO-RS does.
package struct InstanceSelection: Sendable {
    private let directory: any InstanceDirectory
    private let source: any FindSource

    package init(directory: any InstanceDirectory, source: any FindSource) {
        self.directory = directory
        self.source = source
    }

    /// The instances, by study, series and number; what is not here is not among them.
    package func instances(_ keys: RetrieveKeys) async throws(RetrieveFailure) -> [StoredInstance] {
        var found: [StoredInstance] = []
        for study in try await studies(keys) {
            switch keys.level {
            case .patient, .study:
                found += try await directory.instances(of: .study(study))
            case .series:
                for series in keys.series {
                    found += try await directory.instances(of: .series(study: study, series: series))
                }
            case .image:
                found += try await images(keys, study: study)
            }
        }
        return found
    }

    /// The studies to look in; of a patient who is named, only those that are the patient's.
    private func studies(_ keys: RetrieveKeys) async throws(RetrieveFailure) -> [String] {
        guard !keys.patientID.isEmpty else { return keys.studies }
        var matches = [QIDOMatch(.patientID, .single(keys.patientID))]
        if !keys.studies.isEmpty { matches.append(QIDOMatch(.studyInstanceUID, .anyOf(keys.studies))) }
        let query = FindQuery(level: .study, matches: matches)
        var studies: [String] = []
        var next: CatalogCursor?
        repeat {
            let page = try await source.matches(query, after: next, limit: FindService.pageCount)
            for match in page.matches {
                if case .strings(let uids)? = match.values[.studyInstanceUID] { studies += uids }
            }
            next = page.next
        } while next != nil
        return studies
    }

    /// One instance is looked up; of several, the series is read and sifted.
    private func images(_ keys: RetrieveKeys, study: String) async throws(RetrieveFailure) -> [StoredInstance] {
        guard let series = keys.series.first else { return [] }
        let single = keys.instances.count == 1 ? keys.instances.first : nil
        let found = try await directory.instances(
            of: single.map { .instance(study: study, series: series, instance: $0) }
                ?? .series(study: study, series: series)
        )
        let wanted = Set(keys.instances)
        return found.filter { wanted.contains($0.sopInstanceUID) }
    }
}
