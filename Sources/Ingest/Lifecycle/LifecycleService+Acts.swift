// SPDX-License-Identifier: Apache-2.0

import Catalog
import Lifecycle
import LifecycleFiles
import Logging
import Telemetry

extension LifecycleService {
    /// How long studies are marked before they go, if nobody says otherwise: seven days.
    static let defaultExpireAfterSeconds: Int64 = 604_800
    /// Ten years.
    static let maximumExpireAfterSeconds: Int64 = 315_360_000

    /// Whether rules act, and how far rounds are.
    func actsStatus() async throws(CatalogError) -> LifecycleStatusReport {
        let acts = try await catalog.lifecycleActs()
        let totals = try await catalog.decisionTotals(on: Self.today.dayNumber)
        let ruleSet = try await readableRules(acts.judgedVersion)
        let counts = try await catalog.policyCounts().filter { $0.version == acts.judgedVersion }
        let holding = acts.judgedVersion == acts.version ? ruleSet : try await readableRules(acts.version)
        return LifecycleStatusReport(
            version: acts.version,
            isActing: acts.isActing,
            enabledVersion: acts.actingVersion,
            enabledAt: acts.enabledAtMilliseconds.map(Self.text),
            enabledBy: acts.enabledBy.isEmpty ? nil : acts.enabledBy,
            enabledReason: acts.enabledReason.isEmpty ? nil : acts.enabledReason,
            isPaused: acts.isPaused,
            pausedBy: acts.isPaused ? acts.pausedBy : nil,
            pausedReason: acts.isPaused ? acts.pausedReason : nil,
            alarm: acts.alarm.isEmpty ? nil : acts.alarm,
            expireAfterSeconds: acts.expireWaitMilliseconds / 1000,
            expireLimit: acts.expireLimit,
            expiredToday: acts.expiredToday,
            policies: counts.map { count in
                .init(name: Self.name(of: count.policy, ruleSet?.policies.map(\.name)), studies: count.studyCount)
            },
            judgedVersion: acts.judgedVersion,
            marked: totals.marked,
            due: totals.due,
            changed: totals.touched,
            roundStartedAt: acts.roundStartedAtMilliseconds.map(Self.text),
            roundFinishedAt: acts.roundFinishedAtMilliseconds.map(Self.text),
            roundStudies: acts.roundStudyCount,
            notCarriedOut: holding?.notCarriedOut ?? []
        )
    }

    /// The studies that are to expire, those that do first.
    func pending(limit: Int) async throws(CatalogError) -> [PendingReport] {
        var known: [Int64: RuleSet] = [:]
        var reports: [PendingReport] = []
        for kept in try await catalog.markedStudies(limit: limit) {
            if known[kept.version] == nil { known[kept.version] = try await readableRules(kept.version) }
            let ruleSet = known[kept.version]
            reports.append(
                PendingReport(
                    studyInstanceUID: kept.studyInstanceUID,
                    version: kept.version,
                    policy: Self.name(of: kept.decision.policy, ruleSet?.policies.map(\.name)),
                    rule: kept.decision.rule.map { Self.name(of: $0, ruleSet?.rules.map(\.name)) },
                    markedAt: kept.markedAtMilliseconds.map(Self.text),
                    expiresAt: kept.expiresAtMilliseconds.map(Self.text)
                )
            )
        }
        return reports
    }

    /// What the rules made of a study when it was last judged; nil before it was, or while that cannot be read.
    func policy(ofStudy uid: String) async -> StudyPolicyReport? {
        do throws(CatalogError) {
            guard let kept = try await catalog.decision(ofStudy: uid) else { return nil }
            let ruleSet = try await readableRules(kept.version)
            let tags = try await catalog.changeTags(ofStudy: uid, adding: [], removing: [], by: "")
            return StudyPolicyReport(
                version: kept.version,
                policy: Self.name(of: kept.decision.policy, ruleSet?.policies.map(\.name)),
                rule: kept.decision.rule.map { Self.name(of: $0, ruleSet?.rules.map(\.name)) },
                since: Self.day(kept.since),
                nextDue: kept.decision.nextDue.map(Self.day),
                markedAt: kept.markedAtMilliseconds.map(Self.text),
                expiresAt: kept.expiresAtMilliseconds.map(Self.text),
                holds: try await catalog.holds(onStudy: uid).map(\.name),
                tags: tags ?? []
            )
        } catch {
            return nil
        }
    }

    /// Lets the rules that hold act, stops or goes on with it, or asks for a round.
    func act(_ request: LifecycleActRequest, by client: String) async throws -> LifecycleStatusReport {
        let reason = request.reason ?? ""
        guard request.action == .run || reason.contains(where: { !$0.isWhitespace }) else {
            throw LifecycleRefusal(.malformed, "a reason must be given")
        }
        switch request.action {
        case .enable: try await enable(request, by: client, reason: reason)
        case .pause: try await catalog.pauseActs(true, by: client, reason: reason)
        case .resume: try await catalog.pauseActs(false, by: client, reason: reason)
        case .run: try await catalog.requestRound()
        }
        logger.notice("an order about rules", metadata: ["order": "\(request.action.rawValue)", "by": "\(client)"])
        return try await actsStatus()
    }

    /// As `load` does, it plans first, and refuses when more studies expire than may.
    private func enable(_ request: LifecycleActRequest, by client: String, reason: String) async throws {
        guard
            let guardian = ExpiryGuard(
                percentage: request.maximumExpiringPercent ?? ExpiryGuard.defaultPercentage,
                confirmed: request.confirmExpire
            )
        else { throw LifecycleRefusal(.malformed, "the share of studies that may expire is from 0 to 100 percent") }
        let wait = request.expireAfterSeconds ?? Self.defaultExpireAfterSeconds
        guard 0...Self.maximumExpireAfterSeconds ~= wait else {
            throw LifecycleRefusal(
                .malformed,
                "'expireAfterSeconds' is from 0 to \(Self.maximumExpireAfterSeconds), ten years"
            )
        }
        let plan = try await plan(PlanRequest())
        guard let version = plan.against else { throw LifecycleRefusal.noRules }
        guard guardian.allows(expiring: plan.expiring.studies, of: plan.all.studies) else {
            throw CatalogError(.conflict, Self.refusal(guardian, plan))
        }
        let share = Int64(Double(plan.all.studies) * guardian.percentage / 100)
        let isEnabled = try await catalog.enableActs(
            version: version,
            waitMilliseconds: wait * 1000,
            limit: max(share, guardian.confirmed ?? 0),
            by: client,
            reason: reason
        )
        guard isEnabled else {
            throw CatalogError(.conflict, "other rules were loaded this moment; look at them, and enable them then")
        }
    }

    private func readableRules(_ version: Int64) async throws(CatalogError) -> RuleSet? {
        guard version > 0, let stored = try await catalog.ruleSet(version: version) else { return nil }
        do throws(RuleSetError) {
            return try RuleFile.read(text: stored.text)
        } catch {
            // Names are then not known; the coordinator says what is wrong.
            return nil
        }
    }

    private static func name(of place: Int, _ names: [String]?) -> String {
        guard let names, names.indices.contains(place) else { return "#\(place)" }
        return names[place]
    }

    private static func text(_ milliseconds: Int64) -> String { Timestamp(milliseconds: milliseconds).text }

    private static func day(_ number: Int) -> String {
        CalendarDate(dayNumber: number).map { "\($0)" } ?? "-"
    }
}
