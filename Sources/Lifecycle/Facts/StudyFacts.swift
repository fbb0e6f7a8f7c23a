// SPDX-License-Identifier: Apache-2.0

/// What is known of one study: all that rules decide by.
///
/// A plain value that the catalog fills. What it does not know stays nil or incomplete, and no rule then takes it for
/// anything. Personal data: not for logs.
public struct StudyFacts: Hashable, Sendable {
    // Of the study and its series.
    public var modalities = KnownTexts.unknown
    public var bodyParts = KnownTexts.unknown
    public var studyDescription = KnownTexts.unknown
    public var stations = KnownTexts.unknown
    public var institutions = KnownTexts.unknown
    public var callingAETitles = KnownTexts.unknown
    public var tags = KnownTexts.unknown

    /// Study Date.
    public var studyDate: CalendarDate?
    /// When its first instance was received.
    public var received: CalendarDate?
    /// When it was last read; a study that was never read: when it was received.
    public var lastAccess: CalendarDate?

    // Of the patient.
    public var birthDate: CalendarDate?
    /// The Study Date of the patient's latest study of any kind, this one included; nil where a study of the patient's
    /// has none, as that might be the latest.
    public var latestVisit: CalendarDate?
    /// The modalities of the patient's studies that are of a later day than this one: complete, and none, where there
    /// is no such study.
    public var laterModalities = KnownTexts.unknown

    /// Bytes of all instances as they were received.
    public var byteCount: Int64?
    public var instanceCount: Int64?

    /// Legal hold: whatever the rules say, the study does not expire and no copy of it is removed.
    public var isHeld: Bool

    /// Facts of which nothing is known yet but whether the study is held: that must always be known.
    public init(isHeld: Bool) {
        self.isHeld = isHeld
    }

    subscript(subject: Condition.TextSubject) -> KnownTexts {
        switch subject {
        case .modality: modalities
        case .bodyPart: bodyParts
        case .studyDescription: studyDescription
        case .station: stations
        case .institution: institutions
        case .callingAE: callingAETitles
        case .laterStudy: laterModalities
        case .tag: tags
        }
    }
}

/// The texts that a study has of one kind, and whether there may be others that nobody knows.
public struct KnownTexts: Hashable, Sendable {
    public let texts: [FoldedText]
    /// No series lacks the value.
    ///
    /// When one does, that none matches is not known.
    public let isComplete: Bool

    /// Empty texts count as values that are not known.
    public init(_ texts: [String], isComplete: Bool = true) {
        self.texts = texts.map { FoldedText($0) }.filter { !$0.bytes.isEmpty }
        self.isComplete = isComplete && self.texts.count == texts.count
    }

    public static let unknown = KnownTexts([], isComplete: false)

    /// Whether one of the texts is like one of the patterns.
    func hasMatch(of patterns: [TextPattern]) -> Truth {
        for text in texts where Self.isLike(text, patterns) { return .yes }
        return isComplete ? .no : .unknown
    }

    /// Whether each of the texts is like one of the patterns; unknown where there is none.
    func allMatch(_ patterns: [TextPattern]) -> Truth {
        for text in texts where !Self.isLike(text, patterns) { return .no }
        return isComplete && !texts.isEmpty ? .yes : .unknown
    }

    private static func isLike(_ text: FoldedText, _ patterns: [TextPattern]) -> Bool {
        for pattern in patterns where pattern.matches(text) { return true }
        return false
    }
}
