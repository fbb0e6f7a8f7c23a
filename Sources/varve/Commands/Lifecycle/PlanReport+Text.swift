// SPDX-License-Identifier: Apache-2.0

import Ingest

extension PlanReport {
    /// The plan for people: policies, rules, what changes, what expires.
    var text: String {
        let title = "on \(day), \(all.studies) studies" + (against.map { ", beside version \($0)" } ?? "")
        let parts = [title, shares("POLICY", policies), shares("RULE", rules), changeText, expiryText]
        return parts.joined(separator: "\n\n")
    }

    private func shares(_ title: String, _ shares: [Share]) -> String {
        var table = TextTable([title, "STUDIES", "INSTANCES", "BYTES"], rightAligned: [1, 2, 3])
        for share in shares { table.add([share.name] + columns(share.amount)) }
        return table.text
    }

    private var changeText: String {
        guard against != nil else { return "no rules hold yet: every study gets its first policy" }
        guard changed.studies > 0 else { return "nothing changes" }
        var table = TextTable(["FROM", "TO", "STUDIES", "INSTANCES", "BYTES"], rightAligned: [2, 3, 4])
        for change in changes { table.add([change.from ?? "-", change.to] + columns(change.amount)) }
        return table.text
    }

    private var expiryText: String {
        var lines = ["expire           \(line(expiring))" + (against == nil ? "" : "; before: \(line(expiringBefore))")]
        lines.append("held             \(held.studies) studies, \(withheldByHold.studies) of which would expire")
        lines.append("not known        \(withheldByDoubt.studies) studies might expire if more were known of them")
        lines.append("several policies \(uncertain.studies) studies, as it is not known which is theirs")
        return lines.joined(separator: "\n")
    }

    private func line(_ amount: Amount) -> String { "\(amount.studies) studies, \(readableBytes(amount.bytes))" }

    private func columns(_ amount: Amount) -> [String] {
        [String(amount.studies), String(amount.instances), readableBytes(amount.bytes)]
    }
}
