// SPDX-License-Identifier: Apache-2.0

public import Catalog
public import Lifecycle

/// Judges all studies of an archive by a rule set: what it would make of them, and what that changes.
///
/// Changes nothing but what the catalog notes of studies, and may be used from any task. Memory does not grow with the archive: it
/// goes from page to page, on two ways at once, so that Postgres finds the next studies while these are judged.
public struct Planner: Sendable {
    /// Studies of a page.
    static let pageCount = 10_000
    /// How many parts of the archive are judged at once.
    static let laneCount = 2
    /// Parts of the archive for each lane: as studies are deleted, parts are not of one size.
    static let partsPerLane = 16
    /// For how long what is not in the facts yet is collected before a plan is given up: what is left then is the
    /// archive of before an upgrade.
    public static let collectingLimit = Duration.seconds(60)

    private let source: any FactsSource

    public init(_ source: any FactsSource) {
        self.source = source
    }

    /// Brings the facts up to date.
    ///
    /// Throws `.unavailable` when that takes longer than `limit`: then it has to be asked again, and goes on where it was.
    public func collect(limit: Duration = Planner.collectingLimit) async throws(CatalogError) {
        let end = ContinuousClock.now + limit
        while try await source.collectFacts() {
            guard ContinuousClock.now < end, !Task.isCancelled else {
                throw CatalogError(
                    .unavailable,
                    "the facts that rules decide by are still being collected of studies from before an upgrade; "
                        + "plan again later"
                )
            }
        }
    }

    /// What a rule set makes of all studies on a day, and what changes by it.
    ///
    /// Facts are as they were last collected.
    public func plan(_ change: RuleSetChange, on day: CalendarDate) async throws(CatalogError) -> PlanTotals {
        let last = try await source.lastStudyWithFacts()
        let parts = Self.parts(through: last)
        let results = await withTaskGroup(of: Result<PlanTotals, CatalogError>.self) { group in
            for lane in 0..<Self.laneCount {
                let mine = stride(from: lane, to: parts.count, by: Self.laneCount).map { parts[$0] }
                group.addTask { await judge(mine, change, on: day) }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        var totals = PlanTotals(of: change.new)
        for result in results { totals.add(try result.get()) }
        return totals
    }

    /// Studies that change by a rule set, or expire by it, in the order of the catalog, from the one after `study` on.
    public func list(
        _ change: RuleSetChange,
        on day: CalendarDate,
        after study: Int64 = 0,
        limit: Int
    ) async throws(CatalogError) -> PlanList {
        var found: [(study: Int64, judged: ChangedDecision)] = []
        var next: Int64? = study
        search: while let begin = next, !Task.isCancelled {
            let page = try await source.studyFacts(after: begin, through: .max, limit: Self.pageCount)
            next = page.next
            for row in page.rows {
                let judged = change.judge(row.facts, on: day)
                guard judged.isChanged || judged.decision.expires else { continue }
                guard found.count < limit else {
                    next = found.last?.study
                    break search
                }
                found.append((row.study, judged))
            }
        }
        let uids = found.isEmpty ? [:] : try await source.studyUIDs(found.map(\.study))
        let entries = found.compactMap { study, judged in uids[study].map { PlanList.Entry(study: $0, judged: judged) }
        }
        return PlanList(entries: entries, next: next)
    }

    /// Why the rules decide as they do about a study, by facts that are collected now; nil when there is no such study.
    public func explain(
        _ study: String,
        by ruleSet: RuleSet,
        on day: CalendarDate
    ) async throws(CatalogError) -> Explanation? {
        try await collect()
        return try await source.studyFacts(ofStudy: study).map { ruleSet.explain($0.facts, on: day) }
    }

    private func judge(
        _ parts: [ClosedRange<Int64>],
        _ change: RuleSetChange,
        on day: CalendarDate
    ) async -> Result<PlanTotals, CatalogError> {
        var totals = PlanTotals(of: change.new)
        do throws(CatalogError) {
            for part in parts {
                var next: Int64? = part.lowerBound - 1
                while let begin = next {
                    if Task.isCancelled { throw CatalogError(.unavailable, "the plan was not wanted any more") }
                    let page = try await source.studyFacts(
                        after: begin,
                        through: part.upperBound,
                        limit: Self.pageCount
                    )
                    for row in page.rows { totals.add(row.facts, change.judge(row.facts, on: day)) }
                    next = page.next
                }
            }
        } catch {
            return .failure(error)
        }
        return .success(totals)
    }

    /// All studies, in parts of about the same size; the last takes what comes meanwhile.
    static func parts(through last: Int64) -> [ClosedRange<Int64>] {
        let count = Int64(laneCount * partsPerLane)
        let step = max(1, last / count)
        return (0..<count).map { part in
            let end = part == count - 1 ? Int64.max : (part + 1) * step
            return (part * step + 1)...end
        }
    }
}

/// Studies that a rule set changes something for, or lets expire.
public struct PlanList: Sendable {
    public struct Entry: Sendable, Hashable {
        /// Study Instance UID.
        public let study: String
        public let judged: ChangedDecision
    }

    public let entries: [Entry]
    /// After which study the list goes on; nil: this was all.
    public let next: Int64?
}
