// SPDX-License-Identifier: Apache-2.0

import Logging
package import Placement
import SegmentFormat

extension StoreEngine {
    /// Writes damage that was found since the last time into the manifest, so that the next start knows it.
    package mutating func recordDamage() throws(SegmentStoreError) {
        // A segment that went to the trash meanwhile needs nothing any more.
        let news = facts.takeUnrecorded().filter { segments.entry(of: $0.segment) != nil }
        guard !news.isEmpty else { return }
        try append(news.map { .unreadable($0.segment, $0.unreadable) })
    }

    /// Clears, durably, the mark of each of `ranges` that misses nothing any more; returns how many are left.
    ///
    /// `ranges` are the answer of `StoreView.damage`. `isReconciled`: the caller has compared this store with its peers
    /// and fetched what it lacked, so what nobody can name is not missing either. `elsewhere`: records of which the
    /// caller knows that they are safe elsewhere and need not be here; reads of them fail as before.
    @discardableResult
    package mutating func clearDamage(
        _ ranges: [DamagedRange],
        isReconciled: Bool = false,
        elsewhere: Set<RecordID> = []
    ) throws(SegmentStoreError) -> Int {
        try recordDamage()
        let healed = ranges.filter { range in
            range.missing.allSatisfy { elsewhere.contains($0) } && (range.isComplete || isReconciled)
        }
        if !healed.isEmpty {
            let gone = Set(healed.map(\.quarantined))
            let entries = healed.map { range -> ManifestEntry in
                let (segment, unreadable) = (range.quarantined.segment, range.quarantined.unreadable)
                return range.holdsSound ? .sound(segment, unreadable) : .healed(segment, unreadable)
            }
            try append(entries)
            facts.update { facts in
                facts.quarantined.removeAll { gone.contains($0) }
                facts.healed += healed.filter { !$0.holdsSound }.map(\.quarantined)
            }
            logger.info("damage is healed", metadata: ["ranges": "\(healed.count)"])
        }
        return facts.current.quarantined.count { $0.kind == .damaged }
    }
}
