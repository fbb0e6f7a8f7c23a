// SPDX-License-Identifier: Apache-2.0

import Lifecycle

/// Makes facts of rows of the catalog.
///
/// Most texts occur in thousands of studies, and are taken apart once. For one page after the other, by one thread.
struct StudyFactsReader {
    /// Texts that are remembered; with more of them all are forgotten, and the next begin anew.
    private static let knownLimit = 10_000

    private var known: [String: KnownTexts] = [:]
    /// Milliseconds since 1970.
    ///
    /// A study that is older, and was not read since, may have been read until then.
    private let accessNotedSince: Int64

    init(accessNotedSince: Int64) {
        self.accessNotedSince = accessNotedSince
    }

    /// The facts in the columns of `FactStatements.page`.
    mutating func facts(
        _ row: PostgresResult.Row,
        accessed: Int64?,
        tags: [String],
        isHeld: Bool
    ) -> StudyFacts {
        var facts = StudyFacts(isHeld: isHeld)
        let received = Int64(row.int(1) ?? 0)
        facts.received = Self.day(milliseconds: received)
        // Read before it was received is what another study of that UID was, which has been deleted for good.
        facts.lastAccess = Self.day(
            milliseconds: max(accessed ?? (received < accessNotedSince ? accessNotedSince : received), received)
        )
        facts.byteCount = row.int(2).map(Int64.init)
        facts.instanceCount = row.int(3).map(Int64.init)
        facts.studyDate = Self.day(row.int(4))
        facts.birthDate = Self.day(row.int(5))
        facts.latestVisit = Self.day(row.int(6))
        facts.studyDescription = KnownTexts([row.text(7)])
        facts.modalities = texts(row.text(8))
        facts.bodyParts = texts(row.text(9))
        facts.stations = texts(row.text(10))
        facts.institutions = texts(row.text(11))
        facts.callingAETitles = texts(row.text(12))
        facts.laterModalities = texts(row.text(13))
        facts.tags = KnownTexts(tags)
        return facts
    }

    /// Texts with a backslash before each.
    private mutating func texts(_ column: String) -> KnownTexts {
        if let found = known[column] { return found }
        let parts = column.split(separator: "\\", omittingEmptySubsequences: false).dropFirst()
        let texts = KnownTexts(parts.map(String.init))
        if known.count >= Self.knownLimit { known.removeAll(keepingCapacity: true) }
        known[column] = texts
        return texts
    }

    /// Days from 1 January 1970 to 1 January 2000, where Postgres begins to count.
    private static let postgresEpoch = 10_957

    private static func day(_ postgresDays: Int?) -> CalendarDate? {
        postgresDays.flatMap { CalendarDate(dayNumber: $0 + postgresEpoch) }
    }

    /// The day in UTC.
    static func day(milliseconds: Int64) -> CalendarDate? {
        let day = milliseconds / 86_400_000 - (milliseconds % 86_400_000 < 0 ? 1 : 0)
        return CalendarDate(dayNumber: Int(day))
    }
}
