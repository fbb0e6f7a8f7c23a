// SPDX-License-Identifier: Apache-2.0

import Checksums
import Placement

/// An entry checked and brought into the form the catalog stores, before it joins a batch.
struct PreparedEntry: Sendable {
    /// The series an instance belongs to, as a key.
    struct SeriesKey: Hashable, Sendable {
        let study: String
        let series: String
    }

    /// What makes two patients one.
    struct PatientKey: Hashable, Sendable {
        let patientID: String
        let issuer: String
        /// The Study Instance UID for a patient without Patient ID, who is that study's own.
        let scope: String
    }

    let entry: InstanceEntry
    let seriesKey: SeriesKey
    /// Which attributes of patient, study and series have a value: one bit each.
    let filledAttributes: UInt32

    /// Throws `.invalid` for what the catalog cannot hold: an absent or overlong UID or Patient ID.
    init(_ original: InstanceEntry) throws(CatalogError) {
        var entry = original
        entry.patient.clean()
        entry.study.clean()
        entry.series.clean()
        entry.instance.clean()
        entry.receivedTransferSyntax = StoredText.clean(entry.receivedTransferSyntax)
        entry.storedTransferSyntax = StoredText.clean(entry.storedTransferSyntax)
        entry.callingAETitle = StoredText.clean(entry.callingAETitle)
        for (name, uid) in [
            ("Study Instance UID", entry.study.studyInstanceUID),
            ("Series Instance UID", entry.series.seriesInstanceUID),
            ("SOP Instance UID", entry.instance.sopInstanceUID),
            ("SOP Class UID", entry.instance.sopClassUID),
        ] where uid.isEmpty || uid.utf8.count > StoredText.maximumUIDByteCount {
            throw CatalogError(.invalid, "the instance's \(name) is empty or too long to be catalogued")
        }
        guard original.patient.patientID.utf8.count <= StoredText.maximumKeyByteCount,
            original.patient.issuer.utf8.count <= StoredText.maximumKeyByteCount
        else {
            throw CatalogError(.invalid, "the instance's Patient ID or its issuer is too long to be catalogued")
        }
        self.entry = entry
        self.seriesKey = SeriesKey(study: entry.study.studyInstanceUID, series: entry.series.seriesInstanceUID)
        let filled = [
            !entry.patient.name.isEmpty, !entry.patient.birthDate.isEmpty, !entry.patient.sex.isEmpty,
            !entry.study.date.isEmpty, !entry.study.time.isEmpty, !entry.study.accessionNumber.isEmpty,
            !entry.study.studyID.isEmpty, !entry.study.description.isEmpty,
            !entry.study.referringPhysicianName.isEmpty,
            entry.series.number != nil, !entry.series.date.isEmpty, !entry.series.time.isEmpty,
            !entry.series.modality.isEmpty, !entry.series.description.isEmpty, !entry.series.bodyPartExamined.isEmpty,
            !entry.series.stationName.isEmpty, !entry.series.laterality.isEmpty, !entry.series.institutionName.isEmpty,
        ]
        self.filledAttributes = filled.reduce(0) { $0 << 1 | ($1 ? 1 : 0) }
    }

    var sopInstanceUID: String { entry.instance.sopInstanceUID }

    var patientKey: PatientKey {
        PatientKey(
            patientID: entry.patient.patientID,
            issuer: entry.patient.issuer,
            scope: entry.patient.patientID.isEmpty ? entry.study.studyInstanceUID : ""
        )
    }

    /// The texts that are stored by number.
    var terms: [String] {
        [entry.instance.sopClassUID, entry.receivedTransferSyntax, entry.storedTransferSyntax, entry.callingAETitle]
    }

    /// The set of nodes, ascending, each once.
    var placement: [NodeID] {
        if entry.nodes.count < 2 { return entry.nodes }
        var sorted = entry.nodes.sorted()
        var previous: NodeID?
        sorted.removeAll { node in
            defer { previous = node }
            return node == previous
        }
        return sorted
    }
}
