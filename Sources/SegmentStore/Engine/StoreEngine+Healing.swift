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

    /// Reads once more what a start could not read and nobody can name, so that a failed read costs nothing that the disk has.
    ///
    /// A tombstone or a hold among it need not be anywhere else.
    private mutating func reread(_ range: DamagedRange) throws(SegmentStoreError) -> DamagedRange {
        let (segment, unreadable) = (range.quarantined.segment, range.quarantined.unreadable)
        guard !range.isComplete, unreadable.record == nil, segments.entry(of: segment) != nil else { return range }
        var recovery = SegmentRecovery(
            configuration: configuration,
            files: files,
            index: index,
            isManifestWhole: true,
            known: [],
            logger: logger
        )
        var range = range
        do {
            let (isSound, change) = try recovery.reread(segment, unreadable.range)
            range.holdsSound = range.holdsSound || isSound
            facts.update { $0.recordCount += change }
        } catch let error as IndexFailure {
            throw fail("\(error)")
        } catch {
            // As before: the mark stays, or the caller knows what is missing.
            logger.warning("a damaged range can't be read again", metadata: ["reason": "\(error)"])
        }
        try observe(recovery.highestTerm)
        return range
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
        let ranges = try ranges.map { range throws(SegmentStoreError) in try reread(range) }
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
