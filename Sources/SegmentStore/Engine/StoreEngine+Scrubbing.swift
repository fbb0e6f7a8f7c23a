// SPDX-License-Identifier: Apache-2.0

package import Placement
package import SegmentFormat

extension StoreEngine {
    /// How many notes of checked segments wait for a block of the manifest that is written for another reason.
    private static let maximumScrubNoteCount = 32

    /// Notes that all of a segment was read and checked, with or without damage found.
    ///
    /// Durable with the next block of the manifest; a crash before that costs a second check.
    package mutating func noteScrubbed(_ segment: SegmentID) throws(SegmentStoreError) {
        guard segments.entry(of: segment) != nil else { return }
        let now = view.clock.wallMilliseconds()
        segments.setChecked(segment, atMilliseconds: now)
        pendingEntries.append(.scrubbed(segment, atMilliseconds: now))
        if pendingEntries.count >= Self.maximumScrubNoteCount { try flushEntries() }
    }

    /// Checks the segment that was checked the longest time ago, as a whole; returns the ids of damaged records.
    package mutating func scrubOldest() throws(SegmentStoreError) -> [RecordID] {
        guard var scrub = view.oldestScrub() else { return [] }
        while scrub.step() != nil {}
        try recordDamage()
        try noteScrubbed(scrub.segment)
        return scrub.damaged
    }
}
