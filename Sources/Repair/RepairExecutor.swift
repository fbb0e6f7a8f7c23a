// SPDX-License-Identifier: Apache-2.0

import Catalog
package import Logging
import NIOConcurrencyHelpers
import Placement
import Reconciliation
import ReplicationProtocol

/// Carries out what the queue has, the most urgent first: several copies at once, from and to many nodes.
///
/// Bulk data never comes here: the node that is to have a copy fetches it from another, compares its digest, and says when
/// it is durable; then it is counted, under the leader's term. Each step may be repeated. What was copied and not counted,
/// when a coordinator dies in between, is found on its node, read there, and counted.
package struct RepairExecutor: Sendable {
    private static let batchCount = 128
    /// When less waits than this, more is taken up.
    private static let lowCount = 256
    private static let pagesAtOnce = 16

    /// What has been done since the start of the process.
    package struct Progress: Hashable, Sendable {
        package var itemCount = 0
        package var byteCount: Int64 = 0
    }

    /// What was taken up from the queue.
    private struct Taken: Sendable {
        let items: [RepairItem]
        let hasMore: Bool
    }

    private enum Event: Sendable {
        case ended(RecordID, RepairHand.Failure?)
        case tookUp(Result<Taken, RepairObstacle>)
        /// The placements whose numbers are known now.
        case wrote(Result<[[NodeID]: Int32], RepairObstacle>)
        case tick
    }

    private let ledger: any RepairLedger
    private let plan: RepairPlan
    private let limits: RepairLimits
    /// What is known of the cluster; nil when another coordinator leads.
    private let view: @Sendable () -> RepairView?
    private let done = NIOLockedValueBox(Progress())
    private let clock: RepairClock
    private let logger: Logger

    package init(
        ledger: any RepairLedger,
        plan: RepairPlan,
        limits: RepairLimits,
        clock: RepairClock = .continuous,
        logger: Logger,
        view: @escaping @Sendable () -> RepairView?
    ) {
        self.ledger = ledger
        self.plan = plan
        self.limits = limits
        self.clock = clock
        self.logger = logger
        self.view = view
    }

    package var progress: Progress { done.withLockedValue { $0 } }

    /// Makes copies until nothing is due; how many were counted, and what is in the way of the rest.
    ///
    /// The catalog is asked, and told, beside the copying: no copy waits for another's row.
    package func drain() async -> (count: Int, obstacle: RepairObstacle?) {
        guard let term = view()?.stamp.term else { return (0, nil) }
        let before = progress.itemCount
        let obstacle = await withTaskGroup(of: Event.self, returning: RepairObstacle?.self) { tasks in
            var hand = RepairHand(limits: limits)
            var placements: [[NodeID]: Int32] = [:]
            var obstacle: RepairObstacle?
            var (looksAgain, isTakingUp, isWriting) = (true, false, false)
            // What is done is counted within a second, however little it is.
            var isOverdue = false
            tasks.addTask { await tick() }
            while true {
                let view = view()
                let mayGoOn = view?.stamp.term == term && !Task.isCancelled && obstacle == nil
                if mayGoOn, let view {
                    if looksAgain, !isTakingUp, hand.waitingCount < Self.lowCount {
                        isTakingUp = true
                        let held = hand.held
                        tasks.addTask { await takeUp(held, term) }
                    }
                    for transfer in hand.begin(view, now: clock.now()) {
                        tasks.addTask { await carryOut(transfer) }
                    }
                }
                let isEnough = hand.noteCount >= Self.batchCount || isOverdue || hand.running.isEmpty
                if !isWriting, hand.noteCount > 0, isEnough, obstacle != .staleTerm {
                    (isWriting, isOverdue) = (true, false)
                    let (notes, known) = (hand.takeNotes(), placements)
                    tasks.addTask { await write(notes, known, term) }
                }
                let isAtWork = !hand.running.isEmpty || isTakingUp || isWriting
                if !isAtWork, !mayGoOn || (hand.waitingCount == 0 && !looksAgain) { break }
                if !mayGoOn { tasks.cancelAll() }
                guard let event = await tasks.next() else { break }
                switch event {
                case .ended(let record, let failure):
                    hand.end(record, failure)
                    if failure == .staleTerm { obstacle = .staleTerm }
                case .tookUp(let result):
                    isTakingUp = false
                    switch result {
                    case .success(let taken):
                        looksAgain = taken.hasMore
                        if let view { hand.take(taken.items, view) }
                    case .failure(let failure): obstacle = obstacle ?? failure
                    }
                case .wrote(let result):
                    isWriting = false
                    hand.wrote()
                    switch result {
                    case .success(let known): placements = known
                    case .failure(let failure): obstacle = obstacle ?? failure
                    }
                case .tick:
                    guard mayGoOn else { continue }
                    // Also for what is more urgent than what runs.
                    looksAgain = true
                    isOverdue = hand.noteCount > 0
                    tasks.addTask { await tick() }
                }
            }
            tasks.cancelAll()
            return obstacle
        }
        return (progress.itemCount - before, obstacle)
    }

    private func tick() async -> Event {
        // Ends early when all is done.
        await clock.sleep(.seconds(1))
        return .tick
    }

    /// Takes up more.
    private func takeUp(_ held: [RecordID], _ term: Term) async -> Event {
        do throws(RepairObstacle) {
            return .tookUp(.success(try await claim(held, term)))
        } catch {
            return .tookUp(.failure(error))
        }
    }

    private func claim(_ held: [RecordID], _ term: Term) async throws(RepairObstacle) -> Taken {
        // What a new survey found may be more urgent than all that waits.
        if plan.isFresh { _ = try await plan.fill(ledger, term: term) }
        // Of what is in the queue already and waits there may be much.
        for _ in 0..<Self.pagesAtOnce {
            let items: [RepairItem]
            do throws(CatalogError) {
                items = try await ledger.claimRepairs(term: term, limit: Self.batchCount, held: held)
            } catch {
                throw RepairObstacle(error)
            }
            if !items.isEmpty {
                // What is more urgent than some of these comes first the next time.
                if let next = plan.nextLivingCount, items.contains(where: { $0.livingCount > next }) {
                    _ = try await plan.fill(ledger, term: term)
                }
                return Taken(items: items, hasMore: true)
            }
            guard try await plan.fill(ledger, term: term) else { return Taken(items: [], hasMore: false) }
        }
        return Taken(items: [], hasMore: true)
    }

    /// Writes down what has come to its end.
    private func write(_ notes: RepairHand.Notes, _ placements: [[NodeID]: Int32], _ term: Term) async -> Event {
        var placements = placements
        do throws(CatalogError) {
            var counted: [CountedRepair] = []
            for transfer in notes.made {
                let nodes = (transfer.item.nodes + [transfer.target.id]).sorted()
                let number: Int32
                if let known = placements[nodes] {
                    number = known
                } else {
                    number = try await ledger.placementNumber(of: nodes)
                    placements[nodes] = number
                }
                counted.append(
                    CountedRepair(
                        record: transfer.item.record,
                        placement: transfer.placement,
                        newPlacement: number
                    )
                )
            }
            if !counted.isEmpty { _ = try await ledger.countRepairs(counted, term: term) }
            if !notes.needless.isEmpty { try await ledger.dropRepairs(notes.needless, term: term) }
            if !notes.postponed.isEmpty { try await ledger.postponeRepairs(notes.postponed, term: term) }
        } catch {
            return .wrote(.failure(RepairObstacle(error)))
        }
        for repair in notes.postponed where repair.pause == nil {
            logger.error(
                "a copy cannot be made: a person has to look at it",
                metadata: ["record": "\(repair.record)", "reason": "\(repair.note)"]
            )
        }
        done.withLockedValue { done in
            done.itemCount += notes.made.count
            done.byteCount += notes.made.reduce(0) { $0 + $1.item.byteCount }
        }
        return .wrote(.success(placements))
    }

    private func carryOut(_ transfer: Transfer) async -> Event {
        let record = transfer.item.record
        await waitForTurn(transfer)
        guard !Task.isCancelled else { return .ended(record, .passing("the coordinator stops")) }
        return .ended(record, await makeCopy(transfer))
    }

    /// Ends early when neither node serves anybody any more.
    private func waitForTurn(_ transfer: Transfer) async {
        let end = clock.now() + transfer.delay
        while clock.now() < end, !Task.isCancelled {
            if let view = view(), let source = transfer.sources.first, view.isIdle(transfer.target.id, source.id) {
                return
            }
            // Cancellation ends the wait, and the copy is left to another.
            // Never so short that the clock stands still.
            await clock.sleep(max(.milliseconds(1), min(end - clock.now(), .seconds(1))))
        }
    }

    /// Nil when the target has a whole copy, durably: also one that was made and not counted, or is from before.
    private func makeCopy(_ transfer: Transfer) async -> RepairHand.Failure? {
        var reasons: [String] = []
        var isPassing = false
        for source in transfer.sources {
            do throws(ReplicationError) {
                try await transfer.target.fetch(transfer.item.record, from: source, transfer.stamp)
                return nil
            } catch {
                if error.code == .staleTerm { return .staleTerm }
                reasons.append("\(transfer.target.name) from \(source.name): \(error)")
                isPassing = isPassing || error.mayPass
                // Of these another source knows no better.
                if error.isOfTheTarget { break }
            }
        }
        let reason = reasons.joined(separator: "; ")
        return isPassing ? .passing(reason) : .definite(reason)
    }
}

extension ReplicationError {
    /// Whether it may be otherwise soon, without anybody's doing.
    var mayPass: Bool {
        switch code {
        case .notConnected, .connectionLost, .overloaded, .shuttingDown, .deadlineExceeded, .cancelled, .outcomeUnknown,
            .staleEpoch, .readOnly, .diskFull, .unknown:
            true
        default: false
        }
    }

    fileprivate var isOfTheTarget: Bool {
        switch code {
        case .conflict, .readOnly, .diskFull, .diskFailed, .staleEpoch, .cancelled: true
        default: false
        }
    }
}
