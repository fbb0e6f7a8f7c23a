// SPDX-License-Identifier: Apache-2.0

import Catalog
package import Logging
import NIOConcurrencyHelpers
import Placement
import Reconciliation
import ReplicationProtocol

/// Has copies dropped that are beyond those wanted, when all that are wanted have been read and found whole.
///
/// In this order, so that a crash anywhere loses nothing (docs/decisions/0048-dropping-one-copy.md): every keeper has read its
/// copy; the catalog counts the surplus one no more, and has a row that says so; its node is told; the row goes when the node
/// has confirmed. What was not confirmed is asked for first of all, and counted again when it is there.
package struct SurplusDropper: Sendable {
    private static let recordsAtOnce = 64
    /// Bytes of one copy of what is checked before any of it is dropped, about: not for long, so that little changes meanwhile.
    private static let bytesAtOnce: Int64 = 256 << 20
    /// Nodes that drop at the same time.
    private static let nodesAtOnce = 4
    /// How long a deleted record is left alone.
    static let deletedPause = Duration.seconds(3600)

    /// What has been done since the start of the process.
    package struct Progress: Hashable, Sendable {
        package var itemCount = 0
        package var byteCount: Int64 = 0
    }

    private struct State {
        var progress = Progress()
        var pacing: TransferPacing
        /// Orders of a term so far.
        var term = Term(rawValue: 0)
        var sequence: UInt64 = 0
    }

    let ledger: any SurplusLedger
    private let plan: SurplusPlan
    let limits: RepairLimits
    /// What is known of the cluster; nil when another coordinator leads.
    let view: @Sendable () -> SurplusView?
    private let state: NIOLockedValueBox<State>
    private let clock: RepairClock
    let gate: CountingGate
    /// Tells the permits of this process from those of others.
    private let permitPrefix: UInt64
    private let logger: Logger

    package init(
        ledger: any SurplusLedger,
        plan: SurplusPlan,
        limits: RepairLimits,
        gate: CountingGate,
        permitPrefix: UInt64 = .random(in: 0 ... .max),
        clock: RepairClock = .continuous,
        logger: Logger,
        view: @escaping @Sendable () -> SurplusView?
    ) {
        self.ledger = ledger
        self.plan = plan
        self.limits = limits
        self.gate = gate
        self.logger = logger
        self.view = view
        self.state = NIOLockedValueBox(State(pacing: TransferPacing(bytesPerSecond: limits.bytesPerSecond)))
        self.permitPrefix = permitPrefix
        self.clock = clock
    }

    package var progress: Progress { state.withLockedValue { $0.progress } }

    /// Drops what is due as long as `mayGoOn`; how many copies, and what is in the way of the rest.
    ///
    /// Nobody may count copies while it runs, so that none is counted which is being dropped: repair does not run beside it, and the
    /// comparison passes the same ``CountingGate``.
    package func run(while mayGoOn: @escaping @Sendable () -> Bool) async -> (count: Int, obstacle: RepairObstacle?) {
        guard let term = view()?.stamp.term else { return (0, nil) }
        let before = progress.itemCount
        var obstacle: RepairObstacle?
        do throws(RepairObstacle) {
            try await settle(term)
            if limits.dropsSurplus { try await dropAll(term, mayGoOn) }
        } catch {
            obstacle = error
        }
        return (progress.itemCount - before, obstacle)
    }

    private func dropAll(_ term: Term, _ mayGoOn: @escaping @Sendable () -> Bool) async throws(RepairObstacle) {
        let nodes = plan.nodes
        let obstacle = await withTaskGroup(of: RepairObstacle?.self, returning: RepairObstacle?.self) { tasks in
            var next = nodes.startIndex
            var obstacle: RepairObstacle?
            func begin() {
                guard next < nodes.endIndex, obstacle == nil else { return }
                let node = nodes[next]
                next += 1
                tasks.addTask { await drop(on: node, term, mayGoOn) }
            }
            for _ in 0..<Self.nodesAtOnce { begin() }
            while let result = await tasks.next() {
                obstacle = obstacle ?? result
                begin()
            }
            return obstacle
        }
        if let obstacle { throw obstacle }
    }

    /// One page after another of one node's surplus copies; only one order at a time is on its way to a node.
    private func drop(
        on node: NodeID,
        _ term: Term,
        _ mayGoOn: @escaping @Sendable () -> Bool
    ) async -> RepairObstacle? {
        var isAsked = false
        while mayGoOn(), !Task.isCancelled, let view = view(), view.stamp.term == term, let step = plan.next(on: node) {
            do throws(RepairObstacle) {
                // Nothing is counted out that the node would not drop: one of a version before knows no such order.
                if !isAsked, try await !takesOrders(node, view) { return nil }
                isAsked = true
                try await drop(step, view)
            } catch {
                return error
            }
        }
        return nil
    }

    /// Whether a node takes an order to drop nothing.
    private func takesOrders(_ node: NodeID, _ view: SurplusView) async throws(RepairObstacle) -> Bool {
        guard let peer = view.peers[node] else {
            plan.rest(node)
            return false
        }
        do throws(ReplicationError) {
            _ = try await tell(peer, [], view.stamp)
            return true
        } catch {
            if error.code == .staleTerm { throw .staleTerm }
            plan.rest(node)
            logger.info(
                "surplus copies cannot be dropped now",
                metadata: ["node": "\(peer.name)", "reason": "\(error)"]
            )
            return false
        }
    }

    private func drop(_ step: SurplusPlan.Step, _ view: SurplusView) async throws(RepairObstacle) {
        guard let keepers = view.planner.keepers(of: step.set, without: step.node),
            let owner = view.peers[step.node], keepers.allSatisfy({ view.peers[$0] != nil })
        else { return plan.advance(step, to: nil) }
        do throws(CatalogError) {
            let page = try await ledger.surplusRecords(
                placement: step.set.placement,
                group: step.set.group,
                node: step.node,
                after: step.after,
                limit: Self.recordsAtOnce
            )
            let records = Self.beginning(of: page)
            let isLast = page.count < Self.recordsAtOnce && records.count == page.count
            plan.advance(step, to: isLast ? nil : records.last?.record)
            let check = SurplusCheck(
                owner: owner,
                keepers: keepers.compactMap { view.peers[$0] },
                window: limits.streamsPerNode,
                clock: clock,
                delay: { [state, clock] byteCount, node in
                    let now = clock.now()
                    return state.withLockedValue { $0.pacing.reserve(byteCount: byteCount, at: node, now: now) }
                }
            )
            var wanted: [(record: SurplusRecord, item: DropRequest.Item)] = []
            var postponed: [PostponedRepair] = []
            for (record, verdict) in await check.run(records) {
                switch verdict {
                case .surplus(let item): wanted.append((record, item))
                case .passing(let note): postponed.append(self.postponed(record, note, isDefinite: false))
                case .definite(let note): postponed.append(self.postponed(record, note, isDefinite: true))
                }
            }
            try await postpone(postponed, on: owner, view.stamp.term)
            // As it is now, not as it was when the reading began.
            guard !wanted.isEmpty, !Task.isCancelled, let now = self.view(), now.stamp == view.stamp,
                now.planner.keepers(of: step.set, without: step.node) == keepers,
                keepers.allSatisfy({ now.peers[$0] != nil })
            else { return }
            try await order(wanted, step, owner, view)
        } catch {
            throw RepairObstacle(error)
        }
    }

    /// As many records as are read within minutes, and one at least.
    private static func beginning(of records: [SurplusRecord]) -> [SurplusRecord] {
        var byteCount: Int64 = 0
        let end = records.firstIndex { record in
            byteCount += record.byteCount
            return byteCount > bytesAtOnce
        }
        return Array(records.prefix(max(1, end ?? records.count)))
    }

    /// Counts the copies no more, has the node drop them, and notes what came of it.
    private func order(
        _ wanted: [(record: SurplusRecord, item: DropRequest.Item)],
        _ step: SurplusPlan.Step,
        _ owner: any SurplusPeer,
        _ view: SurplusView
    ) async throws(CatalogError) {
        // A copy there is being looked at, to be counted: the next survey finds these again.
        guard gate.enter(step.node) else { return }
        defer { gate.leave(step.node) }
        let term = view.stamp.term
        let begun = Set(
            try await ledger.beginDrops(
                wanted.map(\.record.record),
                on: step.node,
                from: step.set.placement,
                to: try await ledger.placementNumber(of: step.set.nodes.filter { $0 != step.node }),
                term: term
            )
        )
        let ordered = wanted.filter { begun.contains($0.record.record) }
        guard !ordered.isEmpty else { return }
        let outcomes: [RecordDropOutcome]
        do throws(ReplicationError) {
            outcomes = try await tell(owner, ordered.map(\.item), view.stamp)
        } catch {
            // What became of it is found out before anything else is dropped.
            plan.rest(step.node)
            logger.warning(
                "surplus copies could not be dropped now",
                metadata: ["node": "\(owner.name)", "reason": "\(error)"]
            )
            if error.code == .staleTerm { throw CatalogError(.staleTerm, "another coordinator leads") }
            return
        }
        var gone: [SurplusRecord] = []
        var kept: [SurplusRecord] = []
        var postponed: [PostponedRepair] = []
        for ((record, _), outcome) in zip(ordered, outcomes) {
            switch outcome {
            case .dropped, .absent: gone.append(record)
            case .deleted:
                postponed.append(
                    PostponedRepair(
                        record: record.record,
                        pause: Self.deletedPause,
                        attemptCount: record.attemptCount,
                        note: "it is deleted"
                    )
                )
            case .held, .differs, .damaged:
                kept.append(record)
                postponed.append(self.postponed(record, outcome.reason(owner.name), isDefinite: true))
            }
        }
        if !gone.isEmpty { try await ledger.finishDrops(gone.map(\.record), on: step.node, term: term) }
        if !kept.isEmpty {
            let restored = try await restoration(
                kept.map { ($0.record, step.set.nodes.filter { $0 != step.node }) },
                step.node
            )
            try await ledger.restoreDrops(restored, on: step.node, term: term)
        }
        try await postpone(postponed, on: owner, term)
        state.withLockedValue { state in
            state.progress.itemCount += gone.count
            state.progress.byteCount += gone.reduce(0) { $0 + $1.byteCount }
        }
    }

    func tell(
        _ node: any SurplusPeer,
        _ items: [DropRequest.Item],
        _ stamp: OrderStamp
    ) async throws(ReplicationError) -> [RecordDropOutcome] {
        let sequence = state.withLockedValue { state in
            if state.term != stamp.term { (state.term, state.sequence) = (stamp.term, 0) }
            state.sequence += 1
            return state.sequence
        }
        let permit = ReferenceID(high: permitPrefix, low: sequence)
        return try await node.drop(items, permit: permit, stamp, sequence: sequence)
    }

    // MARK: Notes

    private func postponed(_ record: SurplusRecord, _ note: String, isDefinite: Bool) -> PostponedRepair {
        let count = record.attemptCount + (isDefinite ? 1 : 0)
        return PostponedRepair(
            record: record.record,
            pause: isDefinite ? limits.backOff.pause(afterAttempts: count) : limits.passingPause,
            attemptCount: count,
            note: note
        )
    }

    func postpone(
        _ postponed: [PostponedRepair],
        on node: any SurplusPeer,
        _ term: Term
    ) async throws(CatalogError) {
        guard !postponed.isEmpty else { return }
        try await ledger.postponeDrops(postponed, on: node.id, term: term)
        for repair in postponed where repair.pause == nil {
            logger.error(
                "a surplus copy cannot be dropped: a person has to look at it",
                metadata: ["node": "\(node.name)", "record": "\(repair.record)", "reason": "\(repair.note)"]
            )
        }
    }
}

extension RecordDropOutcome {
    /// Why a copy was kept, for people.
    func reason(_ node: String) -> String {
        switch self {
        case .dropped, .absent: "\(node) does not have it"
        case .deleted: "it is deleted"
        case .held: "it is held on \(node)"
        case .differs: "\(node) has other content under its id than the copies that stay"
        case .damaged: "the copy on \(node) is damaged"
        }
    }
}
