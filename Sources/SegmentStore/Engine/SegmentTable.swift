// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import SegmentFormat

/// Which segments there are and where their records end, for those who read whole segments.
final class SegmentTable: Sendable {
    /// A segment as it is now.
    struct Entry: Hashable, Sendable {
        enum State: Hashable, Sendable {
            /// Records are appended to it; those before `end` are durable.
            case active
            /// Its footer begins at `end`.
            case sealed
            /// A scan has told that its records end at `end`; it has no footer.
            case recovered
        }

        var state: State
        var end: UInt64
        /// When all of it was last read and checked, or else made, in milliseconds since 1970; `nil`: not known yet.
        var checkedAtMilliseconds: Int64?
    }

    private let entries: NIOLockedValueBox<[SegmentID: Entry]>

    init(_ state: ManifestState) {
        var entries: [SegmentID: Entry] = [:]
        for (segment, extent) in state.segments {
            switch extent {
            case .open: entries[segment] = Entry(state: .active, end: UInt64(SegmentHeader.byteCount))
            case .sealed(_, let footerOffset): entries[segment] = Entry(state: .sealed, end: footerOffset)
            case .recovered(let end): entries[segment] = Entry(state: .recovered, end: end)
            }
        }
        for segment in entries.keys { entries[segment]?.checkedAtMilliseconds = state.scrubbed[segment] }
        self.entries = NIOLockedValueBox(entries)
    }

    /// The segments in the order of their numbers.
    var all: [(segment: SegmentID, entry: Entry)] {
        entries.withLockedValue { $0.map { (segment: $0.key, entry: $0.value) } }.sorted { $0.segment < $1.segment }
    }

    func entry(of segment: SegmentID) -> Entry? { entries.withLockedValue { $0[segment] } }

    /// Notes what a segment is now; a new one counts as checked at `createdAtMilliseconds`.
    func set(_ segment: SegmentID, _ state: Entry.State, end: UInt64, createdAtMilliseconds: Int64? = nil) {
        entries.withLockedValue { entries in
            let checkedAt = entries[segment]?.checkedAtMilliseconds ?? createdAtMilliseconds
            entries[segment] = Entry(state: state, end: end, checkedAtMilliseconds: checkedAt)
        }
    }

    func setChecked(_ segment: SegmentID, atMilliseconds time: Int64) {
        entries.withLockedValue { $0[segment]?.checkedAtMilliseconds = time }
    }

    /// The bytes of all segments, and the segment that was checked the longest time ago.
    var scrubState: (byteCount: UInt64, oldest: (segment: SegmentID, entry: Entry)?) {
        entries.withLockedValue { entries in
            var byteCount: UInt64 = 0
            var oldest: (segment: SegmentID, entry: Entry)?
            for (segment, entry) in entries where entry.end > UInt64(SegmentHeader.byteCount) {
                byteCount += entry.end
                guard let known = oldest else {
                    oldest = (segment, entry)
                    continue
                }
                let (age, knownAge) = (entry.checkedAtMilliseconds ?? .min, known.entry.checkedAtMilliseconds ?? .min)
                if age < knownAge || (age == knownAge && segment < known.segment) { oldest = (segment, entry) }
            }
            return (byteCount, oldest)
        }
    }

    func remove(_ segment: SegmentID) { _ = entries.withLockedValue { $0.removeValue(forKey: segment) } }
}
