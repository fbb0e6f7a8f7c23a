// SPDX-License-Identifier: Apache-2.0

import Catalog
import Lifecycle
import LifecycleFiles
import LifecyclePlanning
import Logging
import Telemetry

/// Loads, plans and explains the rules by which the archive ages.
///
/// Nothing is moved or deleted by it: a coordinator does that, when it was enabled here.
struct LifecycleService: Sendable {
    let catalog: Catalog
    let logger: Logger
    /// One plan at a time: it takes what the machine has.
    private let places = Budget(limit: 1)

    /// Studies of one answer that lists them.
    static let maximumListCount = 10_000

    init(catalog: Catalog, logger: Logger) {
        self.catalog = catalog
        self.logger = logger
    }

    private var planner: Planner { Planner(catalog) }

    /// The rules of a version, with nil those that hold; nil when there are none.
    func rules(version: Int64?) async throws(CatalogError) -> StoredRulesReport? {
        try await catalog.ruleSet(version: version).map { StoredRulesReport($0) }
    }

    /// What rules would make of all studies.
    func plan(_ request: PlanRequest) async throws -> PlanReport {
        let (change, version, day) = try await change(text: request.text, day: request.day)
        return try await report(change, against: version, on: day)
    }

    /// The studies that change or expire by rules.
    func list(_ request: PlanRequest, limit: Int) async throws -> PlanListReport {
        let (change, _, day) = try await change(text: request.text, day: request.day)
        let lease = await BudgetLease.acquire(1, of: places)
        defer { lease.release() }
        if request.after == nil { try await planner.collect() }
        let list = try await planner.list(change, on: day, after: request.after ?? 0, limit: limit)
        return PlanListReport(list, change)
    }

    /// Makes rules those that hold, unless more studies expire by them than may.
    func load(_ request: LoadRequest, by client: String) async throws -> LoadReport {
        guard
            let guardian = ExpiryGuard(
                percentage: request.maximumExpiringPercent ?? ExpiryGuard.defaultPercentage,
                confirmed: request.confirmExpire
            )
        else { throw LifecycleRefusal(.malformed, "the share of studies that may expire is from 0 to 100 percent") }
        let (change, version, day) = try await change(text: request.text, day: nil)
        let plan = try await report(change, against: version, on: day)
        guard guardian.allows(expiring: plan.expiring.studies, of: plan.all.studies) else {
            return LoadReport(refusal: Self.refusal(guardian, plan), plan: plan)
        }
        let loaded = try await catalog.loadRuleSet(
            request.text,
            replacing: version ?? 0,
            loadedBy: client,
            reason: request.reason
        )
        logger.notice(
            "rules were loaded",
            metadata: ["version": "\(loaded)", "expiring": "\(plan.expiring.studies)", "by": "\(client)"]
        )
        do throws(CatalogError) {
            try await renamePlaces(change.new)
        } catch {
            logger.warning(
                "what the rules say of media does not hold yet for packs that are there: load them again",
                metadata: ["reason": "\(error)"]
            )
        }
        return LoadReport(version: loaded, plan: plan)
    }

    /// Why the rules of a version, or those that hold, decide as they do about a study; nil when there is no such study.
    func explain(_ study: String, version: Int64?) async throws -> ExplanationReport? {
        guard let stored = try await catalog.ruleSet(version: version) else { throw LifecycleRefusal.noRules }
        let (ruleSet, day) = (try RuleFile.read(text: stored.text), Self.today)
        let explanation = try await planner.explain(study, by: ruleSet, on: day)
        return explanation.map {
            ExplanationReport($0, study: study, version: stored.version, ruleSet: ruleSet, day: day)
        }
    }

    // MARK: -

    /// The rules to plan, beside those that hold; those by themselves without a text.
    private func change(
        text: String?,
        day: String?
    ) async throws -> (change: RuleSetChange, version: Int64?, day: CalendarDate) {
        let today: CalendarDate
        if let day {
            guard let read = CalendarDate(dicom: day.filter { $0 != "-" }) else {
                throw LifecycleRefusal(.malformed, "'day' must be a day like 2027-01-31")
            }
            today = read
        } else {
            today = Self.today
        }
        let new = try text.map { text throws(RuleSetError) in try RuleFile.read(text: text) }
        let stored = try await catalog.currentRuleSet()
        let old = try stored.map { stored throws(RuleSetError) in try RuleFile.read(text: stored.text) }
        guard let wanted = new ?? old else { throw LifecycleRefusal.noRules }
        return (RuleSetChange(to: wanted, from: old), stored?.version, today)
    }

    private func report(
        _ change: RuleSetChange,
        against version: Int64?,
        on day: CalendarDate
    ) async throws(CatalogError) -> PlanReport {
        let lease = await BudgetLease.acquire(1, of: places)
        defer { lease.release() }
        try await planner.collect()
        return PlanReport(try await planner.plan(change, on: day), change, day: day, against: version)
    }

    static func refusal(_ guardian: ExpiryGuard, _ plan: PlanReport) -> String {
        let what = "\(plan.expiring.studies) of \(plan.all.studies) studies would expire"
        if let confirmed = guardian.confirmed {
            return "\(what), not \(confirmed): look at the plan again"
        }
        return "\(what), more than \(guardian.percentage) percent: look at the plan, and load with "
            + "--confirm-expire \(plan.expiring.studies) if that is right"
    }

    static var today: CalendarDate {
        // The year 9999 is far.
        CalendarDate(dayNumber: Int(Timestamp.now().milliseconds / 86_400_000)) ?? .last
    }
}

/// Why a request about rules is not answered.
struct LifecycleRefusal: Error {
    enum Kind: Sendable {
        case malformed
        case notFound
    }

    let kind: Kind
    let reason: String

    init(_ kind: Kind, _ reason: String) {
        self.kind = kind
        self.reason = reason
    }

    static let noRules = LifecycleRefusal(.notFound, "no such rules were loaded; load some with 'varve lifecycle load'")
}
