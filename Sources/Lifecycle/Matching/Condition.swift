// SPDX-License-Identifier: Apache-2.0

/// What a rule asks of a study.
public indirect enum Condition: Hashable, Sendable {
    case all([Condition])
    case any([Condition])
    case not(Condition)
    /// One of the study's texts of that kind is like one of the patterns.
    case text(TextSubject, [TextPattern])
    /// Every modality of the study is like one of the patterns.
    case everyModality([TextPattern])
    /// How long ago a day is.
    case age(DateSubject, Bounds<CalendarDuration>)
    /// Bytes of all instances as they were received.
    case byteCount(Bounds<Int64>)
    case instanceCount(Bounds<Int64>)
    /// Whether the patient's birth date is known. Never unknown itself.
    case birthDateKnown(Bool)

    /// Texts that are compared with patterns; the raw value is the key of a rule.
    public enum TextSubject: String, Hashable, Sendable, CaseIterable {
        /// Modality (0008,0060), of every series.
        case modality
        /// Body Part Examined (0018,0015), of every series.
        case bodyPart = "body-part"
        /// Study Description (0008,1030).
        case studyDescription = "study-description"
        /// Station Name (0008,1010), of every series.
        case station
        /// Institution Name (0008,0080), of every series.
        case institution
        /// The AE titles that sent instances of it.
        case callingAE = "calling-ae"
        /// Modality of every series of those studies of the patient that are of a later day.
        case laterStudy = "later-study"
        /// What people have marked the study with in the archive.
        case tag
    }

    /// Days whose distance counts; the raw value is the key of a rule.
    public enum DateSubject: String, Hashable, Sendable, CaseIterable {
        /// Since Study Date (0008,0020).
        case studyAge = "study-age"
        /// Since the study was last read.
        case sinceAccess = "since-access"
        /// Since its first instance was received.
        case sinceReceipt = "since-receipt"
        /// Since Patient's Birth Date (0010,0030): the patient's age today, not on the day of the study.
        case patientAge = "patient-age"
        /// Since the latest study of the patient, of any kind; this one counts, too.
        case sinceLatestVisit = "since-latest-visit"
    }
}

extension Condition {
    /// The conditions that a combination is made of; none of others.
    public var parts: [Condition] {
        switch self {
        case .all(let conditions), .any(let conditions): conditions
        case .not(let condition): [condition]
        default: []
        }
    }
}

extension Condition: CustomStringConvertible {
    /// As it is written in a rule; of combinations their word only.
    public var description: String {
        switch self {
        case .all: "all"
        case .any: "any"
        case .not: "not"
        case .text(let subject, let patterns): "\(subject.rawValue): \(Self.list(patterns))"
        case .everyModality(let patterns): "all-modalities: \(Self.list(patterns))"
        case .age(let subject, let bounds): "\(subject.rawValue): \(bounds)"
        case .byteCount(let bounds): "size: \(bounds.text(ByteCount.text))"
        case .instanceCount(let bounds): "instances: \(bounds)"
        case .birthDateKnown(let wanted): "birth-date-known: \(wanted ? "yes" : "no")"
        }
    }

    private static func list(_ patterns: [TextPattern]) -> String {
        patterns.map(\.text).joined(separator: ", ")
    }
}
