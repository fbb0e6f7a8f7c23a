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
        self.entries = NIOLockedValueBox(entries)
    }

    /// The segments in the order of their numbers.
    var all: [(segment: SegmentID, entry: Entry)] {
        entries.withLockedValue { $0.map { (segment: $0.key, entry: $0.value) } }.sorted { $0.segment < $1.segment }
    }

    /// The first segment at or after `segment`.
    func first(from segment: SegmentID) -> (segment: SegmentID, entry: Entry)? {
        entries.withLockedValue { entries in
            entries.keys.filter { $0 >= segment }.min().flatMap { found in entries[found].map { (found, $0) } }
        }
    }

    func entry(of segment: SegmentID) -> Entry? { entries.withLockedValue { $0[segment] } }

    func set(_ segment: SegmentID, _ state: Entry.State, end: UInt64) {
        entries.withLockedValue { $0[segment] = Entry(state: state, end: end) }
    }

    func remove(_ segment: SegmentID) { _ = entries.withLockedValue { $0.removeValue(forKey: segment) } }
}
