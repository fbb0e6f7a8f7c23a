// SPDX-License-Identifier: Apache-2.0

import Catalog
import Logging
import NIOConcurrencyHelpers
import Placement
import Reconciliation
import ReplicationProtocol

/// Looks at what was reported missing, by the comparison or by `varve verify`, and has the catalog count what is there.
///
/// What is counted no more is made again by repair, as any other copy that is lacking. Each step may be repeated.
struct MissingCopies: Sendable {
    private static let itemsAtOnce = 64
    /// How long an instance is left alone of which no good copy is known.
    private static let lostPause = Duration.seconds(3600)
    /// The longest that what could not be judged is put off.
    private static let longestPause = Duration.seconds(3600)

    let ledger: any ComparisonLedger
    let gate: CountingGate
    let limits: RepairLimits
    let view: @Sendable () -> ComparisonView?
    let pacing: NIOLockedValueBox<TransferPacing>
    let clock: RepairClock
    let logger: Logger

    /// Looks at all that is due, as long as this term lasts.
    func run(_ term: Term) async throws(CatalogError) {
        while !Task.isCancelled, let view = view(), view.stamp.term == term, !view.trusted.isEmpty {
            let due = try await ledger.missingCopies(
                on: view.trusted.sorted(),
                limit: Self.itemsAtOnce,
                term: term
            )
            let verdicts = await judge(due, view)
            // Not looked at because the process ends: they stay due.
            guard !Task.isCancelled else { return }
            for (copy, verdict) in zip(due, verdicts) { try await conclude(copy, verdict, term) }
            guard due.count == Self.itemsAtOnce else { return }
        }
    }

    private func judge(_ copies: [MissingCopy], _ view: ComparisonView) async -> [MissingCopyCheck.Verdict] {
        let check = MissingCopyCheck(view: view)
        return await withTaskGroup(of: (Int, MissingCopyCheck.Verdict).self) { tasks in
            var next = 0
            func begin() {
                guard next < copies.count else { return }
                let (number, copy) = (next, copies[next])
                next += 1
                tasks.addTask { (number, await judge(copy, check)) }
            }
            for _ in 0..<max(1, limits.streamsPerNode) { begin() }
            var verdicts = copies.map { _ in MissingCopyCheck.Verdict.doubtful("it was not looked at") }
            while let (number, verdict) = await tasks.next() {
                verdicts[number] = verdict
                begin()
            }
            return verdicts
        }
    }

    private func judge(_ copy: MissingCopy, _ check: MissingCopyCheck) async -> MissingCopyCheck.Verdict {
        // For each one another copy is read whole: as slowly as copies are made.
        let reader = copy.nodes.first { $0 != copy.node } ?? copy.node
        let pause = pacing.withLockedValue { $0.reserve(byteCount: copy.byteCount, at: reader, now: clock.now()) }
        if pause > .zero { await clock.sleep(pause) }
        guard !Task.isCancelled else { return .doubtful("the coordinator stops") }
        return await check.run(copy)
    }

    private func conclude(
        _ copy: MissingCopy,
        _ verdict: MissingCopyCheck.Verdict,
        _ term: Term
    ) async throws(CatalogError) {
        logger.debug(
            "a copy that was missing was looked at",
            metadata: ["instance": "\(copy.sopInstanceUID)", "record": "\(copy.record)", "verdict": "\(verdict)"]
        )
        switch verdict {
        case .settled:
            try await ledger.settleMissing(copy, term: term)
        case .gone(let witness):
            try await uncount(copy, witness, term)
        case .elsewhere(let node):
            try await recount(copy, node, term)
        case .lost(let reason):
            logger.error(
                "no good copy of an instance is known anywhere; nothing was changed",
                metadata: ["record": "\(copy.record)", "reason": "\(reason)"]
            )
            try await ledger.postponeMissing(
                copy,
                isLost: true,
                pause: Self.lostPause,
                note: reason,
                term: term
            )
        case .doubtful(let reason):
            let doubled = limits.passingPause * (1 << min(copy.attemptCount, 16))
            try await ledger.postponeMissing(
                copy,
                isLost: false,
                pause: min(doubled, Self.longestPause),
                note: reason,
                term: term
            )
        }
    }

    private func uncount(_ copy: MissingCopy, _ witness: NodeID, _ term: Term) async throws(CatalogError) {
        // As it is now, not as it was when the reading began.
        guard let now = view(), now.stamp.term == term, let placement = copy.placement,
            now.trusted.contains(copy.node), now.peers[witness] != nil
        else { return }
        let rest = copy.nodes.filter { $0 != copy.node }
        let number = try await ledger.placementNumber(of: rest)
        let name = now.members[copy.node] ?? "\(copy.node)"
        let witnessName = now.members[witness] ?? "\(witness)"
        let isDone = try await ledger.uncount(
            copy,
            from: placement,
            to: number,
            note: "\(name) does not have it; \(witnessName) does",
            term: term
        )
        // Otherwise its copies are elsewhere now, and it is looked at again.
        guard isDone else { return }
        logger.warning(
            "a copy is not where the catalog says; it is made again",
            metadata: [
                "node": "\(name)", "record": "\(copy.record)", "read from": "\(witnessName)",
            ]
        )
    }

    /// Counts a copy if it is whole still: nothing that was dropped on its node is confirmed meanwhile.
    private func isCounted(
        _ copy: MissingCopy,
        _ node: NodeID,
        from placement: Int32,
        to newPlacement: Int32,
        _ view: ComparisonView
    ) async throws(CatalogError) -> Bool {
        guard gate.enter(node) else { return false }
        defer { gate.leave(node) }
        guard await MissingCopyCheck(view: view).isWhole(copy.record, on: node) else { return false }
        return try await ledger.recount(
            copy.record,
            on: node,
            from: placement,
            to: newPlacement,
            term: view.stamp.term
        )
    }

    private func recount(_ copy: MissingCopy, _ node: NodeID, _ term: Term) async throws(CatalogError) {
        guard let now = view(), now.stamp.term == term, let placement = copy.placement else { return }
        let number = try await ledger.placementNumber(of: (copy.nodes + [node]).sorted())
        let name = now.members[node] ?? "\(node)"
        if try await isCounted(copy, node, from: placement, to: number, now) {
            logger.warning(
                "a copy that was not counted is the last good one known; it is counted",
                metadata: ["node": "\(name)", "record": "\(copy.record)"]
            )
        } else {
            // It is being dropped, or the copies are elsewhere now.
            try await ledger.postponeMissing(
                copy,
                isLost: false,
                pause: limits.passingPause,
                note: "\(name) has a copy that cannot be counted now",
                term: term
            )
        }
    }
}
