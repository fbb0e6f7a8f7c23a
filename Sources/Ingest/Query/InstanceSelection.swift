// SPDX-License-Identifier: Apache-2.0

import Catalog
import DICOM
import DICOMWeb
import DIMSE
import Telemetry

/// Finds the instances that a C-GET or C-MOVE names.
///
/// Below PATIENT, without a Patient ID and with the unique keys of all levels above, this goes on while the catalog is away, as WADO-RS does.
package struct InstanceSelection: Sendable {
    private let directory: any InstanceDirectory
    private let source: any FindSource
    private let accessNotes: AccessNotes?

    package init(directory: any InstanceDirectory, source: any FindSource, accessNotes: AccessNotes? = nil) {
        self.directory = directory
        self.source = source
        self.accessNotes = accessNotes
    }

    /// The instances, by study, series and number; what is not here is not among them.
    ///
    /// Their studies count as read.
    package func instances(_ keys: RetrieveKeys) async throws(RetrieveFailure) -> [StoredInstance] {
        let found = try await selected(keys)
        if let accessNotes {
            let now = Timestamp.now().milliseconds
            var last = ""
            for instance in found where instance.studyInstanceUID != last {
                last = instance.studyInstanceUID
                accessNotes.note(last, at: now)
            }
        }
        return found
    }

    private func selected(_ keys: RetrieveKeys) async throws(RetrieveFailure) -> [StoredInstance] {
        guard keys.isHierarchical else { return try await relational(keys) }
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

    /// Instances of which the studies or series are not named: the catalog knows these by the level's own key, which it has an
    /// index of.
    private func relational(_ keys: RetrieveKeys) async throws(RetrieveFailure) -> [StoredInstance] {
        var matches: [QIDOMatch] = []
        if !keys.patientID.isEmpty { matches.append(QIDOMatch(.patientID, .single(keys.patientID))) }
        if !keys.studies.isEmpty { matches.append(QIDOMatch(.studyInstanceUID, .anyOf(keys.studies))) }
        if !keys.series.isEmpty { matches.append(QIDOMatch(.seriesInstanceUID, .anyOf(keys.series))) }
        if !keys.instances.isEmpty { matches.append(QIDOMatch(.sopInstanceUID, .anyOf(keys.instances))) }
        var places: [Place] = []
        var wanted: [Place: Set<String>] = [:]
        for match in try await all(FindQuery(level: keys.level, matches: matches)) {
            guard let study = match.text(.studyInstanceUID), let series = match.text(.seriesInstanceUID) else {
                continue
            }
            let place = Place(study: study, series: series)
            if wanted[place] == nil { places.append(place) }
            wanted[place, default: []].formUnion([match.text(.sopInstanceUID)].compactMap { $0 })
        }
        var found: [StoredInstance] = []
        for place in places {
            let names = wanted[place] ?? []
            let single = names.count == 1 ? names.first : nil
            let instances = try await directory.instances(
                of: single.map { .instance(study: place.study, series: place.series, instance: $0) }
                    ?? .series(study: place.study, series: place.series)
            )
            found += keys.level == .series ? instances : instances.filter { names.contains($0.sopInstanceUID) }
        }
        return found
    }

    /// A series in its study.
    private struct Place: Hashable {
        let study: String
        let series: String
    }

    /// All that matches, page by page.
    private func all(_ query: FindQuery) async throws(RetrieveFailure) -> [FindResult] {
        var found: [FindResult] = []
        var next: CatalogCursor?
        repeat {
            let page = try await source.matches(query, after: next, limit: FindService.pageCount)
            found += page.matches
            next = page.next
        } while next != nil
        return found
    }

    /// The studies to look in; of a patient who is named, only those that are the patient's.
    private func studies(_ keys: RetrieveKeys) async throws(RetrieveFailure) -> [String] {
        guard !keys.patientID.isEmpty else { return keys.studies }
        var matches = [QIDOMatch(.patientID, .single(keys.patientID))]
        if !keys.studies.isEmpty { matches.append(QIDOMatch(.studyInstanceUID, .anyOf(keys.studies))) }
        return try await all(FindQuery(level: .study, matches: matches)).compactMap { $0.text(.studyInstanceUID) }
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
