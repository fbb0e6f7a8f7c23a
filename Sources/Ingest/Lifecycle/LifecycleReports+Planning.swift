// SPDX-License-Identifier: Apache-2.0

import Catalog
import Lifecycle
import LifecyclePlanning
import Telemetry

extension StoredRulesReport {
    init(_ stored: StoredRuleSet) {
        self.init(
            version: stored.version,
            loadedAt: Timestamp(milliseconds: stored.loadedAtMilliseconds).text,
            loadedBy: stored.loadedBy,
            reason: stored.reason,
            sha256: "\(stored.digest)",
            text: stored.text
        )
    }
}

extension PlanReport {
    init(_ totals: PlanTotals, _ change: RuleSetChange, day: CalendarDate, against version: Int64?) {
        let (new, old) = (change.new, change.old)
        let ruleNames = new.rules.map(\.name) + ["(default)"]
        self.init(
            day: "\(day)",
            against: version,
            all: Amount(totals.all),
            policies: zip(new.policies, totals.policies).map { Share(name: $0.name, amount: Amount($1)) },
            rules: zip(ruleNames, totals.rules).map { Share(name: $0, amount: Amount($1)) },
            expiring: Amount(totals.expiring),
            expiringBefore: Amount(totals.expiringBefore),
            held: Amount(totals.held),
            withheldByHold: Amount(totals.withheldByHold),
            withheldByDoubt: Amount(totals.withheldByDoubt),
            uncertain: Amount(totals.uncertain),
            changed: Amount(totals.changed),
            changes: totals.transitions
                .sorted { ($0.key.from ?? -1, $0.key.to) < ($1.key.from ?? -1, $1.key.to) }
                .map { transition, amount in
                    Change(
                        from: transition.from.flatMap { old?.policies[$0].name },
                        to: new.policies[transition.to].name,
                        amount: Amount(amount)
                    )
                }
        )
    }
}

extension PlanReport.Amount {
    fileprivate init(_ amount: StudyAmount) {
        self.init(studies: amount.studies, instances: amount.instances, bytes: amount.bytes)
    }
}

extension PlanListReport {
    init(_ list: PlanList, _ change: RuleSetChange) {
        self.init(
            studies: list.entries.map { entry in
                let decision = entry.judged.decision
                return Study(
                    studyInstanceUID: entry.study,
                    from: entry.judged.before.flatMap { change.old?.policies[$0.policy].name },
                    to: change.new.policies[decision.policy].name,
                    rule: decision.rule.map { change.new.rules[$0].name },
                    expires: decision.expires
                )
            },
            next: list.next
        )
    }
}

extension ExplanationReport {
    init(_ explanation: Explanation, study: String, version: Int64, ruleSet: RuleSet, day: CalendarDate) {
        let decision = explanation.decision
        self.init(
            studyInstanceUID: study,
            version: version,
            day: "\(day)",
            policy: explanation.policy,
            rule: decision.rule.map { ruleSet.rules[$0].name },
            expires: decision.expires,
            isHeld: decision.isHeld,
            alsoPossible: decision.alsoPossible.map { ruleSet.policies[$0].name },
            nextDue: decision.nextDue.map { "\($0)" },
            rules: explanation.rules.map { rule in
                Rule(
                    name: rule.name,
                    policy: rule.policy,
                    matches: rule.match.rawValue,
                    isPassedOver: rule.isPassedOver,
                    conditions: rule.lines.map { "\($0)" }
                )
            },
            text: "\(explanation)"
        )
    }
}
