// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Logging
import NIOConcurrencyHelpers
import ServiceLifecycle
import Telemetry

/// Works on requests for storage commitment: looks at the copies until all are good or patience is over, then reports
/// until the requestor has taken it.
///
/// What it knows is in the catalog, so that any ingest node goes on where another stopped.
package final class CommitmentWorker: Sendable {
    /// How long a request is a process's own without a sign of life.
    package static let claim = Duration.seconds(60)
    /// The same while a report is delivered: longer than all that the requestor may take.
    private static let deliveryClaim = Duration.seconds(180)
    /// Requests worked on at once.
    private static let runningLimit = 4

    private let ledger: any CommitmentLedger
    private let check: CommitmentCheck
    private let delivery: any CommitmentDelivering
    private let schedule: CommitmentSchedule
    private let holder: String
    private let metrics: CommitmentMetrics
    private let logger: Logger
    private let running = NIOLockedValueBox<Set<Int64>>([])

    package init(
        ledger: any CommitmentLedger,
        check: CommitmentCheck,
        delivery: any CommitmentDelivering,
        schedule: CommitmentSchedule,
        holder: String,
        metrics: CommitmentMetrics,
        logger: Logger
    ) {
        self.ledger = ledger
        self.check = check
        self.delivery = delivery
        self.schedule = schedule
        self.holder = holder
        self.metrics = metrics
        self.logger = logger
    }

    /// Works until graceful shutdown or cancellation.
    func run() async {
        await cancelWhenGracefulShutdown {
            var round = 0
            while !Task.isCancelled {
                for commitment in await self.claimed() {
                    // Nobody waits for it: a shutdown must not wait for requestors that don't answer, and whatever this
                    // does not come to, another process does when the claim has run out.
                    Task { await self.work(on: commitment) }
                }
                if round.isMultiple(of: 3_600) { await self.forgetOld() }
                round += 1
                // Cancellation ends the wait, and with it the loop.
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    /// What is due and nobody works on; counted as running from here on.
    private func claimed() async -> [Commitment] {
        let busy = running.withLockedValue { $0 }
        guard busy.count < Self.runningLimit else { return [] }
        do throws(CatalogError) {
            let claimed = try await ledger.claimCommitments(
                by: holder,
                for: Self.claim,
                except: busy.sorted(),
                limit: Self.runningLimit - busy.count
            )
            running.withLockedValue { $0.formUnion(claimed.map(\.id)) }
            return claimed
        } catch {
            // The catalog's absence is told by those who need it more often.
            logger.debug("requests for storage commitment cannot be looked for", metadata: ["reason": "\(error)"])
            return []
        }
    }

    private func forgetOld() async {
        // Losing the error is right: they are forgotten an hour later.
        _ = try? await ledger.forgetCommitments(finishedBefore: schedule.memory)
    }

    /// One step with a claimed request: to its end, or to when it is due again.
    package func work(on commitment: Commitment) async {
        defer { running.withLockedValue { _ = $0.remove(commitment.id) } }
        do throws(CatalogError) {
            guard let failures = try await result(of: commitment) else { return }
            try await report(commitment, failures)
        } catch {
            // Somebody goes on with it when the claim has run out.
            logger.notice(
                "storage commitment goes on later: the catalog is away",
                metadata: ["commitment": "\(commitment.id)", "reason": "\(error)"]
            )
        }
    }

    // MARK: Looking

    /// One failure for each instance; nil when it is put off, or another's.
    ///
    /// What was found out in an earlier step is not looked at again, unless that is long ago.
    private func result(of commitment: Commitment) async throws(CatalogError) -> [Int]? {
        let instances = commitment.request.instances
        var failures = known(of: commitment) ?? Array(repeating: Self.undecided, count: instances.count)
        let open = failures.indices.filter { failures[$0] == Self.undecided }
        guard !open.isEmpty else { return failures }
        let age = Duration.seconds(commitment.ageSeconds)
        var waiting: (count: Int, reason: String) = (0, "")
        for start in stride(from: 0, to: open.count, by: CommitmentCheck.windowCount) {
            let window = open[start..<min(start + CommitmentCheck.windowCount, open.count)]
            for (index, verdict) in zip(window, try await check.verdicts(on: window.map { instances[$0] })) {
                switch verdict {
                case .committed: failures[index] = 0
                case .failed(let failure): failures[index] = failure.rawValue
                case .waiting(let failure, let reason):
                    if age < schedule.patience(for: failure) {
                        waiting = (waiting.count + 1, reason)
                    } else {
                        failures[index] = failure.rawValue
                    }
                }
            }
            guard try await ledger.keepCommitment(commitment.id, by: holder, for: Self.claim) else {
                delivery.forget(commitment.id)
                return nil
            }
        }
        guard try await ledger.noteCommitment(commitment.id, by: holder, failures: failures) else {
            delivery.forget(commitment.id)
            return nil
        }
        guard waiting.count > 0 else { return failures }
        _ = try await ledger.postponeCommitment(
            commitment.id,
            by: holder,
            for: schedule.delayBetweenChecks(age: age),
            claim: Self.claim,
            isAttempt: false,
            note: "waiting for \(waiting.count) of \(instances.count) instances: \(waiting.reason)"
        )
        return nil
    }

    /// In place of a failure: it may still pass.
    private static let undecided = -1

    /// What was found out before; nil when nothing was, or too long ago.
    private func known(of commitment: Commitment) -> [Int]? {
        guard let failures = commitment.failures, failures.count == commitment.request.instances.count,
            .seconds(commitment.resultAgeSeconds) < schedule.resultLifetime
        else { return nil }
        return failures
    }

    // MARK: Reporting

    private func report(_ commitment: Commitment, _ failures: [Int]) async throws(CatalogError) {
        guard try await ledger.keepCommitment(commitment.id, by: holder, for: Self.deliveryClaim) else {
            return delivery.forget(commitment.id)
        }
        let failedCount = failures.count { $0 != 0 }
        var metadata: Logger.Metadata = [
            "requestor": "\(commitment.request.requestor)", "commitment": "\(commitment.id)",
            "instances": "\(failures.count)", "failed": "\(failedCount)",
        ]
        do throws(CommitmentUndelivered) {
            try await delivery.deliver(commitment, failures: failures)
        } catch {
            metadata["reason"] = "\(error.reason)"
            guard .seconds(commitment.ageSeconds) < schedule.reportingTime else {
                logger.error("a report of storage commitment is given up", metadata: metadata)
                metrics.givenUp()
                return try await finish(commitment, note: "given up: \(error.reason)")
            }
            logger.warning("a report of storage commitment did not arrive, trying again later", metadata: metadata)
            metrics.failedReport()
            _ = try await ledger.postponeCommitment(
                commitment.id,
                by: holder,
                for: schedule.delayBetweenReports(attemptCount: commitment.attemptCount),
                claim: Self.claim,
                isAttempt: true,
                note: error.reason
            )
            return
        }
        logger.info("storage commitment reported", metadata: metadata)
        metrics.reported(committed: failures.count - failedCount, failed: failedCount)
        try await finish(commitment, note: "reported: \(failures.count - failedCount) committed, \(failedCount) failed")
    }

    private func finish(_ commitment: Commitment, note: String) async throws(CatalogError) {
        delivery.forget(commitment.id)
        _ = try await ledger.finishCommitment(commitment.id, by: holder, note: note)
    }
}
