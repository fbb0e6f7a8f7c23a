// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import Placement

/// The instances of an archive that was never scanned: instance `n` is the same in every run.
///
/// A study has 100 instances in two series, a patient three studies on average, and a name occurs in proportion to how
/// common it is. UIDs are as long as scanners make them.
struct SyntheticArchive: Sendable {
    static let instancesPerStudy = 100
    private static let instancesPerSeries = 50
    private static let studiesPerPatient = 3
    private static let days = 3650

    let nodes: [NodeID]

    /// Instance `number` of the archive.
    func entry(_ number: Int) -> InstanceEntry {
        let study = number / Self.instancesPerStudy
        let (series, instance) = (number % Self.instancesPerStudy).quotientAndRemainder(
            dividingBy: Self.instancesPerSeries
        )
        let uid = "\(Self.studyUID(study)).\(series + 1).\(1000 + instance)"
        var hasher = SHA256Hasher()
        hasher.update(Array(uid.utf8))
        let digest = hasher.digest()
        guard
            let record = RecordID(
                studyInstanceUID: Self.studyUID(study),
                sopInstanceUID: uid,
                payloadDigest: digest
            )
        else { preconditionFailure("a digest has the bytes of a record id") }
        return InstanceEntry(
            patient: Self.patient(ofStudy: study),
            study: Self.study(study),
            series: SeriesAttributes(
                seriesInstanceUID: "\(Self.studyUID(study)).\(series + 1)",
                modality: Self.modality(study),
                number: series + 1,
                description: series == 0 ? "AXIAL 5.0 B30f" : "AXIAL 1.0 B70f",
                bodyPartExamined: "CHEST",
                stationName: "STATION\(study % 40)",
                date: Self.date(study),
                time: "101500",
                institutionName: "General Hospital"
            ),
            instance: InstanceAttributes(
                sopInstanceUID: uid,
                sopClassUID: "1.2.840.10008.5.1.4.1.1.2",
                number: instance + 1,
                rows: 512,
                columns: 512
            ),
            contentDigest: digest,
            pixelDigest: digest,
            receivedTransferSyntax: "1.2.840.10008.1.2.1",
            storedTransferSyntax: "1.2.840.10008.1.2.4.80",
            receivedByteCount: 526_000 + instance,
            storedByteCount: 200_000 + instance * 97 % 50_000,
            recordID: record,
            // Pairs of nodes, as placement would choose them.
            nodes: [nodes[study % nodes.count], nodes[(study + 1) % nodes.count]],
            receivedAtMilliseconds: 1_600_000_000_000 + Int64(number) * 37,
            callingAETitle: "STATION\(study % 40)"
        )
    }

    static func studyUID(_ study: Int) -> String {
        // 1.3.12.2.1107.5.1.4.7xxxx: the form of a large maker's scanners.
        "1.3.12.2.1107.5.1.4.\(73_000 + study % 40).30000\(13_100_000_000_000_000 + study * 1009)"
    }

    static func patientID(ofStudy study: Int) -> String {
        "P\(10_000_000 + scrambled(study / studiesPerPatient, below: 89_999_999))"
    }

    static func accessionNumber(_ study: Int) -> String { "A\(100_000_000 + study)" }

    static func date(_ study: Int) -> String {
        // Ten years from 2015 on, of months with 28 days: every one is a date.
        let day = scrambled(study, below: days)
        let (year, rest) = day.quotientAndRemainder(dividingBy: 365)
        let (month, dayOfMonth) = (min(rest, 335)).quotientAndRemainder(dividingBy: 28)
        return "\(2015 + year)\(twoDigits(month + 1))\(twoDigits(dayOfMonth + 1))"
    }

    /// A family name: some are common, most are rare.
    static func familyName(ofStudy study: Int) -> String {
        let syllables = [
            "ba", "ce", "do", "fu", "ga", "hi", "jo", "ke", "la", "mu", "ne", "po", "ra", "si", "to", "vu",
        ]
        let patient = study / studiesPerPatient
        var rank = scrambled(patient, below: 4096)
        // Half of all share a sixteenth of the names.
        if patient % 2 == 0 { rank /= 16 }
        var name = ""
        for _ in 0..<3 {
            name = syllables[rank % 16] + name
            rank /= 16
        }
        return name.uppercased()
    }

    private static func patient(ofStudy study: Int) -> PatientAttributes {
        let patient = study / studiesPerPatient
        let given = ["ANNA", "BEN", "CARLA", "DAVID", "EVA", "FELIX", "GRETA", "HUGO"][patient % 8]
        return PatientAttributes(
            patientID: patientID(ofStudy: study),
            issuer: "HOSPITAL",
            name: "\(familyName(ofStudy: study))^\(given)",
            birthDate: "\(1925 + patient % 90)\(twoDigits(1 + patient % 12))\(twoDigits(1 + patient % 28))",
            sex: patient % 2 == 0 ? "F" : "M"
        )
    }

    private static func study(_ study: Int) -> StudyAttributes {
        StudyAttributes(
            studyInstanceUID: studyUID(study),
            date: date(study),
            time: "\(twoDigits(7 + study % 12))\(twoDigits(study % 60))00",
            accessionNumber: accessionNumber(study),
            description: "\(modality(study)) THORAX WITH CONTRAST",
            referringPhysicianName: "REFERRER\(study % 200)^DR",
            studyID: "S\(study)"
        )
    }

    private static func modality(_ study: Int) -> String { ["CT", "CT", "MR", "CT", "CR", "PT"][study % 6] }

    private static func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

    /// A number below `limit` that looks drawn by lot.
    static func scrambled(_ number: Int, below limit: Int) -> Int {
        var bits = UInt64(truncatingIfNeeded: number) &* 0x9e37_79b9_7f4a_7c15
        bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
        return Int((bits ^ (bits >> 31)) % UInt64(limit))
    }
}
