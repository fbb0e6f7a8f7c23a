// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
public import Placement
public import SegmentFormat

extension SegmentStore {
    /// What a compaction did.
    public struct CompactionReport: Hashable, Sendable {
        /// The segment that is in the trash now.
        public var segment: SegmentID
        /// The bytes of its records that were copied elsewhere.
        public var copiedByteCount: UInt64
        /// The bytes of its records that nobody needed.
        public var deadByteCount: UInt64
    }

    /// How many segments one call looks at.
    private static let examinedCount = 32

    /// Looks at some segments after those that the last call looked at, and compacts the first of which the part that
    /// `Configuration.compactionThreshold` names is dead; `nil` when there was none.
    ///
    /// Runs in the background, beside reads and writes. Fails with `.overloaded` while another one runs.
    public func compactNext() async throws(SegmentStoreError) -> CompactionReport? {
        let isFirst = compaction.withLockedValue { state in
            defer { state.isRunning = true }
            return !state.isRunning
        }
        guard isFirst else { throw SegmentStoreError(.overloaded, "a compaction is running") }
        defer { compaction.withLockedValue { $0.isRunning = false } }
        for segment in nextSegments() {
            let usage = try await background.run { [view] () throws(SegmentStoreError) in
                try view.usage(of: segment)
            }
            compaction.withLockedValue { $0.last = segment }
            guard let usage, usage.deadFraction >= view.configuration.compactionThreshold else { continue }
            return try await compact(usage)
        }
        return nil
    }

    private func nextSegments() -> [SegmentID] {
        let last = compaction.withLockedValue { $0.last }
        let all = view.segments.all.filter { $0.entry.state != .active }.map(\.segment)
        let rest = all.filter { $0 > last } + all.filter { $0 <= last }
        return Array(rest.prefix(Self.examinedCount))
    }

    private func compact(_ usage: SegmentUsage) async throws(SegmentStoreError) -> CompactionReport {
        var run = try await perform { (engine) throws(SegmentStoreError) in try engine.beginCompaction(usage) }
        var isCopying = true
        while isCopying {
            (run, isCopying) = try await background.run { [run] () throws(SegmentStoreError) in
                var run = run
                let isCopying = try run.step()
                return (run, isCopying)
            }
        }
        try await perform { [run] (engine) throws(SegmentStoreError) in try engine.publish(run) }
        var isMoving = true
        while isMoving {
            (run, isMoving) = try await perform { [run] (engine) throws(SegmentStoreError) in
                var run = run
                let isMoving = try engine.move(&run)
                return (run, isMoving)
            }
        }
        try await perform { [run] (engine) throws(SegmentStoreError) in try engine.retire(run) }
        return CompactionReport(
            segment: usage.segment,
            copiedByteCount: usage.liveByteCount,
            deadByteCount: usage.byteCount - usage.liveByteCount
        )
    }

    /// Removes the file of a retired segment for good, when its time in the trash is over.
    ///
    /// `permit` is what a coordinator of the term `authority` issued for it. Fails with `.staleTerm` when a higher term
    /// has been heard of, with `.held` before the time is over, and with `.notFound` when the segment is not in the trash.
    public func purge(
        _ segment: SegmentID,
        permit: Amendment.Reference,
        under authority: Term
    ) async throws(SegmentStoreError) {
        try await perform { (engine) throws(SegmentStoreError) in
            try engine.purge(segment, permit: permit, under: authority)
        }
    }
}

/// Where compaction is in the ring of segments.
struct CompactionState: Sendable {
    var isRunning = false
    var last = SegmentID(rawValue: 0)
}
