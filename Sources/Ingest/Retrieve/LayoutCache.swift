// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import Placement

/// What is known of instances whose frames were asked for lately: who looks at one frame will look at the next.
///
/// A record never changes, so what was read of it stays true; where it is now the catalog says each time.
final class LayoutCache: Sendable {
    /// Longer headers are not kept, in bytes.
    static let maximumHeaderByteCount = 64 << 10

    private struct Entry {
        let layout: FrameReader.Layout
        var lastUse: UInt64
    }

    private struct State {
        var entries: [RecordID: Entry] = [:]
        var clock: UInt64 = 0
    }

    private let limit: Int
    private let state = NIOLockedValueBox(State())

    /// Keeps the layouts of `limit` instances.
    init(limit: Int) { self.limit = limit }

    subscript(id: RecordID) -> FrameReader.Layout? {
        state.withLockedValue { state in
            guard let entry = state.entries[id] else { return nil }
            state.clock += 1
            state.entries[id]?.lastUse = state.clock
            return entry.layout
        }
    }

    func keep(_ layout: FrameReader.Layout, _ id: RecordID) {
        guard limit > 0 else { return }
        state.withLockedValue { state in
            if state.entries.count >= limit {
                // A tenth at once, so that the sorting is not done each time.
                let oldest = state.entries.sorted { $0.value.lastUse < $1.value.lastUse }.prefix(limit / 10 + 1)
                for (id, _) in oldest { state.entries[id] = nil }
            }
            state.clock += 1
            state.entries[id] = Entry(layout: layout, lastUse: state.clock)
        }
    }
}
