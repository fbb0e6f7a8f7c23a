// SPDX-License-Identifier: Apache-2.0

extension RuleSetReader {
    /// Reads `offline-media` of a tier: `{retry-after: 4 hours}`, of a bucket also `restore-for: 7 days`.
    mutating func readOfflineMedia(
        _ value: LocatedValue,
        of tier: String,
        in place: Tier.Place?
    ) -> Tier.OfflineMedia? {
        let what = "'offline-media' of \(tier)"
        if case .nodes? = place {
            report(
                value.location,
                "\(tier) has 'offline-media', and is one of nodes",
                "leave it out: only packs can be on media that are taken out"
            )
            return nil
        }
        guard let fields = fields(of: value, what, keys: ["retry-after", "restore-for"]) else { return nil }
        let advice = "write 'offline-media: {retry-after: 4 hours}'"
        let retryAfter = required("retry-after", of: fields, advice).flatMap { readWait($0, of: what) }
        var restoreDays: Int?
        if let restore = fields["restore-for"] {
            if case .directory? = place {
                report(
                    restore.location,
                    "\(what) has 'restore-for', and is one of a directory",
                    "leave it out: it is for archive classes of buckets"
                )
                return nil
            }
            guard let days = readRestoreDays(restore, of: what) else { return nil }
            restoreDays = days
        }
        return retryAfter.map { Tier.OfflineMedia(retryAfterSeconds: $0, restoreDays: restoreDays) }
    }

    /// Minutes, hours or days, in seconds: from a minute to a year.
    private mutating func readWait(_ value: LocatedValue, of what: String) -> Int? {
        guard let text = text(value, "'retry-after' of \(what)") else { return nil }
        let words = text.split(separator: " ")
        let units = [("minutes", 60), ("hours", 3600), ("days", 86_400)]
        if words.count == 2, words[0].utf8.count <= 6, words[0].utf8.allSatisfy({ 0x30...0x39 ~= $0 }),
            let count = Int(words[0]),
            let unit = units.first(where: { $0.0 == words[1] || (count == 1 && $0.0.dropLast() == words[1]) }),
            60...366 * 86_400 ~= count * unit.1
        {
            return count * unit.1
        }
        report(
            value.location,
            "'retry-after' of \(what) is \(quoted(text))",
            "write a number of minutes, hours or days, as '4 hours', up to a year"
        )
        return nil
    }

    private mutating func readRestoreDays(_ value: LocatedValue, of what: String) -> Int? {
        guard let duration = duration(value, "'restore-for' of \(what)") else { return nil }
        let days: Int? =
            switch duration.unit {
            case .days: duration.count
            case .weeks: duration.count * 7
            case .months, .years: nil
            }
        if let days, 1...366 ~= days { return days }
        report(
            value.location,
            "'restore-for' of \(what) is \(quoted("\(duration)"))",
            "write a number of days or weeks, up to 366 days"
        )
        return nil
    }
}
