// SPDX-License-Identifier: Apache-2.0

public import Catalog
public import Lifecycle
public import Placement

/// Judges studies by the rules that hold and keeps what comes out, under one coordinator's term.
///
/// It may be cut off anywhere, and begun again by another: how far it is the catalog knows.
public struct LifecycleRound: Sendable {
    /// Studies that are judged and entered at once.
    public static let pageCount = 5_000

    private let catalog: Catalog
    public let ruleSet: RuleSet
    public let version: Int64
    public let day: CalendarDate
    public let term: Term

    public init(catalog: Catalog, ruleSet: RuleSet, version: Int64, day: CalendarDate, term: Term) {
        self.catalog = catalog
        self.ruleSet = ruleSet
        self.version = version
        self.day = day
        self.term = term
    }

    /// The next page of all studies, after new rules were loaded; false when that was the last.
    public func passPage() async throws(CatalogError) -> Bool {
        let cursor = try await catalog.beginPass(version: version, term: term)
        let page = try await catalog.studyFacts(after: cursor, limit: Self.pageCount)
        try await catalog.enter(
            page.rows.map { kept($0) },
            version: version,
            day: day.dayNumber,
            cursor: page.rows.last?.study ?? cursor,
            ends: page.next == nil,
            term: term
        )
        return page.next != nil
    }

    /// Judges some studies again; those that are gone are forgotten, and the notes that named them are done.
    public func judge(_ studies: [Int64], notes: [Int64] = []) async throws(CatalogError) {
        let rows = try await catalog.studyFacts(of: studies)
        let found = Set(rows.map(\.study))
        try await catalog.enter(
            rows.map { kept($0) },
            version: version,
            day: day.dayNumber,
            gone: studies.filter { !found.contains($0) },
            notes: notes,
            term: term
        )
    }

    /// What is kept of a decision.
    private func kept(_ row: StudyFactsRow) -> StudyDecision {
        let decision = ruleSet.decide(row.facts, on: day)
        return StudyDecision(
            study: row.study,
            policy: decision.policy,
            rule: decision.rule,
            nextDue: decision.nextDue?.dayNumber,
            expires: decision.expires,
            wantsPacks: ruleSet.wantsPacks(decision)
        )
    }
}
