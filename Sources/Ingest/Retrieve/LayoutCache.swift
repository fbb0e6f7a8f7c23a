// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import Placement

/// What is known of instances whose frames were asked for lately: who looks at one frame will look at the next.
///
/// A record never changes, so what was read of it stays true; where it is now the catalog says each time.
final class LayoutCache: Sendable {
    private struct Entry {
        let layout: FrameReader.Layout
        let byteCount: Int
        var lastUse: UInt64
    }

    private struct State {
        var entries: [RecordID: Entry] = [:]
        var byteCount = 0
        var clock: UInt64 = 0
    }

    private let byteLimit: Int
    private let state = NIOLockedValueBox(State())

    /// Keeps the layouts of instances whose headers have `byteLimit` bytes together.
    init(byteLimit: Int) { self.byteLimit = byteLimit }

    subscript(id: RecordID) -> FrameReader.Layout? {
        state.withLockedValue { state in
            guard let entry = state.entries[id] else { return nil }
            state.clock += 1
            state.entries[id]?.lastUse = state.clock
            return entry.layout
        }
    }

    /// Keeps a layout that was read from a header of `byteCount` bytes; one that is a large part of all is not kept.
    func keep(_ layout: FrameReader.Layout, _ id: RecordID, byteCount: Int) {
        guard byteCount <= byteLimit / 16 else { return }
        state.withLockedValue { state in
            state.byteCount += byteCount - (state.entries[id]?.byteCount ?? 0)
            state.clock += 1
            state.entries[id] = Entry(layout: layout, byteCount: byteCount, lastUse: state.clock)
            guard state.byteCount > byteLimit else { return }
            // A tenth at once, so that the sorting is not done each time.
            for (id, entry) in state.entries.sorted(by: { $0.value.lastUse < $1.value.lastUse }) {
                guard state.byteCount > byteLimit - byteLimit / 10 else { break }
                state.entries[id] = nil
                state.byteCount -= entry.byteCount
            }
        }
    }
}
