// SPDX-License-Identifier: Apache-2.0

import Catalog
import ColdStore

extension PackLibrary {
    /// Why nobody is given what a pack has whose medium has to be brought first.
    static func offline(_ reasons: [String], retryAfterSeconds: Int) -> RetrieveFailure {
        RetrieveFailure(
            .offline,
            "the study is on media that are not at hand; that it comes back is ordered, ask again in"
                + " \(words(retryAfterSeconds)) (\(reasons.joined(separator: "; ")))",
            retryAfterSeconds: retryAfterSeconds
        )
    }

    /// When whoever wants to read from a pack that is not at hand is to come back.
    static func retryAfterSeconds(_ pack: ColdPack) -> Int {
        // A place that can't be read has no store that would say so.
        let media = (try? ColdPlace(pack.place))?.media ?? .usual
        return media.retryAfterSeconds
    }

    /// A time for people: `4 hours`.
    static func words(_ seconds: Int) -> String {
        let units = [(86_400, "day"), (3600, "hour"), (60, "minute")]
        let (length, name) = units.first { seconds >= $0.0 && seconds % $0.0 == 0 } ?? (1, "second")
        let count = seconds / length
        return "\(count) \(name)\(count == 1 ? "" : "s")"
    }
}
