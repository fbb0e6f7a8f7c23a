// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOConcurrencyHelpers
import Placement
import SegmentFormat
package import SegmentStore

/// The stores of all disks of a node as one (docs/decisions/0027-several-disks-a-node.md).
///
/// A record lives on one disk; what is said about records (tombstones, holds) is written to every disk. Any task may
/// call any method at any time.
package final class NodeStore: Sendable {
    /// A disk that serves.
    package struct Disk: Sendable {
        package let id: DiskID
        package let path: String
        package let store: SegmentStore
        /// In GiB, as it was at the start; at least 1.
        let weight: Double
    }

    /// A disk that should serve and does not.
    package struct MissingDisk: Hashable, Sendable {
        package let path: String
        package let reason: String
    }

    struct State: Sendable {
        /// Puts on their way, by record.
        var flights: [RecordID: Flight] = [:]
        /// Whether a disk may lack amendments that another has.
        var isUneven: Bool
        /// Whether records may be missing because a disk was, or is.
        var isLacking: Bool
        /// The last order to drop copies that was taken up.
        var lastDrop: Amendment.Order?
    }

    /// Puts of one record that are on their way at once, all to the same disk.
    struct Flight: Sendable {
        var count = 0
        var disk: Disk?
    }

    /// In the order of their ids.
    package let disks: [Disk]
    package let missing: [MissingDisk]
    let registry: DiskRegistry?
    let state: NIOLockedValueBox<State>
    /// One order to drop copies at a time, in the order of their numbers.
    let dropping = Turn()
    /// One amendment at a time: two disks must not judge two of them in different order.
    let amending = Turn()

    init(
        disks: [Disk],
        missing: [MissingDisk],
        registry: DiskRegistry?,
        isUneven: Bool,
        isLacking: Bool
    ) {
        self.disks = disks.sorted { $0.id < $1.id }
        self.missing = missing
        self.registry = registry
        self.state = NIOLockedValueBox(State(isUneven: isUneven, isLacking: isLacking))
    }

    /// A single store, of which nothing is remembered elsewhere.
    package convenience init(_ store: SegmentStore) {
        let disk = Disk(id: DiskID(rawValue: 1), path: "", store: store, weight: 1)
        self.init(disks: [disk], missing: [], registry: nil, isUneven: false, isLacking: false)
    }

    /// Whether a disk may lack what was said about records.
    var isUneven: Bool { state.withLockedValue { $0.isUneven } }

    /// The disks, those first on which a new record of this id goes: weighted rendezvous hashing, ln(u) / weight.
    ///
    /// Nothing depends on two processes agreeing: every disk is asked in the end.
    func ranked(_ id: RecordID) -> [Disk] {
        guard disks.count > 1 else { return disks }
        let scored = disks.map { disk in
            let bits = Self.mix(Self.mix(Self.mix(disk.id.rawValue) ^ id.high) ^ id.low)
            // In (0, 1).
            let number = (Double(bits >> 11) + 0.5) / Double(UInt64(1) << 53)
            return (disk: disk, score: -log(number) / disk.weight)
        }
        return scored.sorted { ($0.score, $0.disk.id) < ($1.score, $1.disk.id) }.map(\.disk)
    }

    /// The finaliser of SplitMix64.
    private static func mix(_ value: UInt64) -> UInt64 {
        var bits = value &+ 0x9e37_79b9_7f4a_7c15
        bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
        return bits ^ (bits >> 31)
    }

    /// Ends all stores in order.
    package func close() async {
        for disk in disks { await disk.store.close() }
        let isEven = state.withLockedValue { !$0.isUneven } && missing.isEmpty
        // Failing to say so costs a comparison of the disks at the next start.
        if isEven { try? await registry?.update { $0.isEven = true } }
    }
}

/// Lets one task after another through, in order.
final class Turn: Sendable {
    private struct State: Sendable {
        var isTaken = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = NIOLockedValueBox(State())

    /// Waits for the turn; `end` gives it on.
    func begin() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLockedValue { state in
                if state.isTaken { state.waiting.append(continuation) }
                defer { state.isTaken = true }
                return !state.isTaken
            }
            if isFree { continuation.resume() }
        }
    }

    func end() {
        let next = state.withLockedValue { state in
            if state.waiting.isEmpty {
                state.isTaken = false
                return nil as CheckedContinuation<Void, Never>?
            }
            return state.waiting.removeFirst()
        }
        next?.resume()
    }
}
