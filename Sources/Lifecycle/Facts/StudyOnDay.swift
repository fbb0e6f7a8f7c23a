// SPDX-License-Identifier: Apache-2.0

/// A day of a study's history, or why it is not known.
enum KnownDate: Hashable {
    case known(CalendarDate)
    case unknown(Doubt)

    /// Why a date is not believed.
    enum Doubt: Hashable {
        case missing
        /// One that systems write when they do not know.
        case placeholder(CalendarDate)
        /// The patient would have been born after the study.
        case bornAfterStudy
        /// The latest visit would be before the study, or the study's own date is not known and may be later.
        case visitBeforeStudy
    }

    var day: CalendarDate? {
        if case .known(let day) = self { day } else { nil }
    }
}

/// The facts of a study as they are judged on one day: with every date looked at once, and doubted where it is
/// nonsense.
struct StudyOnDay {
    let facts: StudyFacts
    let day: CalendarDate
    private let study: KnownDate
    private let received: KnownDate
    private let access: KnownDate
    private let birth: KnownDate
    private let visit: KnownDate

    init(_ facts: StudyFacts, on day: CalendarDate) {
        self.facts = facts
        self.day = day
        self.study = Self.believed(facts.studyDate)
        self.received = Self.believed(facts.received)
        self.access = Self.believed(facts.lastAccess)
        self.birth = Self.believedBirth(facts.birthDate, study: study.day)
        self.visit = Self.believedVisit(facts.latestVisit, study: study.day)
    }

    subscript(subject: Condition.DateSubject) -> KnownDate {
        switch subject {
        case .studyAge: study
        case .sinceAccess: access
        case .sinceReceipt: received
        case .patientAge: birth
        case .sinceLatestVisit: visit
        }
    }

    // MARK: Nonsense

    /// The last day that stands for "not known": 1 January 1900, and all before it (`18991230` is day 0 of
    /// spreadsheets).
    ///
    /// No image in an archive is as old, and of patients who are, age decides nothing.
    private static let lastPlaceholder = CalendarDate(year: 1900, month: 1, day: 1)
    /// Day 0 of Unix' clock: what a study is dated by a device without a clock.
    ///
    /// People were born that day.
    private static let epoch = CalendarDate(year: 1970, month: 1, day: 1)

    private static func believed(_ date: CalendarDate?) -> KnownDate {
        guard let date else { return .unknown(.missing) }
        return isBeforeAll(date) || date == epoch ? .unknown(.placeholder(date)) : .known(date)
    }

    private static func believedBirth(_ date: CalendarDate?, study: CalendarDate?) -> KnownDate {
        guard let date else { return .unknown(.missing) }
        if isBeforeAll(date) { return .unknown(.placeholder(date)) }
        if let study, study < date { return .unknown(.bornAfterStudy) }
        return .known(date)
    }

    private static func believedVisit(_ date: CalendarDate?, study: CalendarDate?) -> KnownDate {
        let visit = believed(date)
        guard let day = visit.day else { return visit }
        guard let study, study <= day else { return .unknown(.visitBeforeStudy) }
        return visit
    }

    private static func isBeforeAll(_ date: CalendarDate) -> Bool {
        if let lastPlaceholder { date <= lastPlaceholder } else { false }
    }
}
