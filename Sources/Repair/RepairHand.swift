// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Reconciliation
import ReplicationProtocol

/// A copy that is being made.
struct Transfer: Sendable {
    let item: RepairItem
    /// Where the instance's copies are when it begins.
    let placement: Int32
    let target: any RepairPeer
    /// In the order in which they are asked; the first has a place reserved.
    let sources: [any RepairPeer]
    let stamp: OrderStamp
    /// How long it waits for its turn.
    let delay: Duration
}

/// What a run of the executor has in hand: what waits, what runs, what is to be written down.
///
/// Owned by the one task that runs; decides, and does nothing.
struct RepairHand {
    private struct Waiting {
        let item: RepairItem
        var difference: Difference?
        var version: Int
    }

    /// Why an item could not be done.
    enum Failure: Sendable, Equatable {
        /// Something is away or busy: it counts for nothing.
        case passing(String)
        /// It was refused or is not there.
        case definite(String)
        case staleTerm
    }

    /// What has come to its end, to be written down.
    struct Notes: Sendable {
        var made: [Transfer] = []
        var needless: [RecordID] = []
        var postponed: [PostponedRepair] = []

        var count: Int { made.count + needless.count + postponed.count }
        var records: [RecordID] { made.map(\.item.record) + needless + postponed.map(\.record) }
    }

    private let limits: RepairLimits
    private var slots: TransferSlots
    private var pacing: TransferPacing
    private var waiting: [Waiting] = []
    private(set) var running: [RecordID: Transfer] = [:]
    private var notes = Notes()
    /// What is being written down.
    private var writing = Notes()

    init(limits: RepairLimits) {
        self.limits = limits
        self.slots = TransferSlots(maximumPerNode: limits.streamsPerNode)
        self.pacing = TransferPacing(bytesPerSecond: limits.bytesPerSecond)
    }

    /// Everything that has been taken up and not been written down.
    var held: [RecordID] {
        (waiting.map(\.item.record) + running.keys + notes.records + writing.records).sorted()
    }

    var waitingCount: Int { waiting.count }
    var noteCount: Int { notes.count }

    mutating func take(_ items: [RepairItem], _ view: RepairView) {
        for item in items {
            waiting.append(Waiting(item: item, difference: Self.difference(of: item, view), version: view.version))
        }
    }

    /// What can be begun now; what need not or cannot be done is noted.
    ///
    /// Looks no further than it has to: when one copy has ended there is room for one, however many wait.
    mutating func begin(_ view: RepairView, now: Duration) -> [Transfer] {
        var begun: [Transfer] = []
        slots.idle = view.idle
        var open = view.peers.keys.count { slots.isOpen(target: $0) }
        var done: [Int] = []
        for index in waiting.indices {
            guard open > 0 else { break }
            if waiting[index].version != view.version {
                waiting[index].difference = Self.difference(of: waiting[index].item, view)
                waiting[index].version = view.version
            }
            let entry = waiting[index]
            guard let placement = entry.item.placement, let difference = entry.difference,
                difference.kind != .surplus
            else {
                notes.needless.append(entry.item.record)
                done.append(index)
                continue
            }
            switch difference.step {
            case .drop:
                notes.needless.append(entry.item.record)
                done.append(index)
            case .wait(let obstacle):
                postpone(entry.item, .passing(obstacle.reason))
                done.append(index)
            case .copy(let target, let sources):
                let order = sources.filter { view.peers[$0] != nil }
                guard let peer = view.peers[target], !order.isEmpty else {
                    postpone(entry.item, .passing("a node is away"))
                    done.append(index)
                    continue
                }
                guard slots.isOpen(target: target), let source = slots.take(target: target, sources: order) else {
                    continue
                }
                if !slots.isOpen(target: target) { open -= 1 }
                let transfer = Transfer(
                    item: entry.item,
                    placement: placement,
                    target: peer,
                    sources: ([source] + order.filter { $0 != source }).compactMap { view.peers[$0] },
                    stamp: view.stamp,
                    delay: view.isIdle(target, source)
                        ? .zero : pacing.reserve(byteCount: entry.item.byteCount, at: target, now: now)
                )
                running[entry.item.record] = transfer
                begun.append(transfer)
                done.append(index)
            }
        }
        for index in done.reversed() { waiting.remove(at: index) }
        return begun
    }

    /// A copy has come to its end.
    mutating func end(_ record: RecordID, _ failure: Failure?) {
        guard let transfer = running.removeValue(forKey: record) else { return }
        if let source = transfer.sources.first { slots.giveBack(target: transfer.target.id, source: source.id) }
        switch failure {
        case nil: notes.made.append(transfer)
        case .staleTerm: break
        case .passing, .definite:
            if let failure { postpone(transfer.item, failure) }
        }
    }

    /// Hands over what is to be written down; it stays in hand until ``wrote()``.
    mutating func takeNotes() -> Notes {
        writing = notes
        notes = Notes()
        return writing
    }

    /// Forgets what was handed over.
    mutating func wrote() {
        writing = Notes()
    }

    private mutating func postpone(_ item: RepairItem, _ failure: Failure) {
        switch failure {
        case .passing(let note):
            notes.postponed.append(
                PostponedRepair(
                    record: item.record,
                    pause: limits.passingPause,
                    attemptCount: item.attemptCount,
                    note: note
                )
            )
        case .definite(let note):
            notes.postponed.append(
                PostponedRepair(
                    record: item.record,
                    pause: limits.backOff.pause(afterAttempts: item.attemptCount + 1),
                    attemptCount: item.attemptCount + 1,
                    note: note
                )
            )
        case .staleTerm: break
        }
    }

    private static func difference(of item: RepairItem, _ view: RepairView) -> Difference? {
        guard let placement = item.placement else { return nil }
        return view.planner.difference(
            of: ActualSet(placement: placement, group: item.record.group, nodes: item.nodes)
        )
    }
}

extension Difference.Obstacle {
    /// In words for people.
    var reason: String {
        switch self {
        case .noSource: "no node that has a copy answers"
        case .targetAway: "the node that should have it is away"
        case .noTarget: "no other node takes it"
        case .targetUnsteady: "the node that should have it has come not long ago"
        }
    }
}
