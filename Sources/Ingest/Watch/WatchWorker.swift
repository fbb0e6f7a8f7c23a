// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Logging
import NIOConcurrencyHelpers
import NIOCore
import ServiceLifecycle
import Telemetry

/// Fetches samples of what was accepted again, through the public interface, and says when one does not come back as it
/// came (docs/decisions/0051-looking-again.md).
///
/// What it knows is in the catalog, so that any ingest node goes on where another stopped; while that is away nothing is
/// looked at, and nothing else waits for it.
package final class WatchWorker: Sendable {
    /// How long a look is a process's own: longer than a fetch may take.
    package static let claim = Duration.seconds(900)
    /// Looks at once, and new ones a second.
    private static let runningLimit = 4
    /// Rounds of a second from one reading of the overview to the next.
    private static let overviewInterval = 10

    private let ledger: any WatchLedger
    private let fetcher: any WatchFetching
    private let intake: WatchIntake
    private let schedule: WatchSchedule
    /// The ingest node's name, by which its samples and its claims go.
    private let name: String
    private let sampleLimit: Int
    private let metrics: WatchMetrics
    private let logger: Logger
    private let running = NIOLockedValueBox<Set<Int64>>([])

    package init(
        ledger: any WatchLedger,
        fetcher: any WatchFetching,
        intake: WatchIntake,
        schedule: WatchSchedule,
        name: String,
        sampleLimit: Int,
        metrics: WatchMetrics,
        logger: Logger
    ) {
        self.ledger = ledger
        self.fetcher = fetcher
        self.intake = intake
        self.schedule = schedule
        self.name = name
        self.sampleLimit = sampleLimit
        self.metrics = metrics
        self.logger = logger
    }

    /// Works until graceful shutdown or cancellation.
    func run() async {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                var round = 0
                while !Task.isCancelled {
                    await self.enterSamples()
                    for look in await self.claimed() {
                        group.addTask { await self.work(on: look) }
                    }
                    if round.isMultiple(of: Self.overviewInterval) { await self.readOverview() }
                    round += 1
                    // Cancellation ends the wait, and with it the loop.
                    try? await Task.sleep(for: .seconds(1))
                }
            }
        }
    }

    // MARK: Samples

    /// Enters what the store path has left; what the catalog does not take now is tried again.
    package func enterSamples() async {
        let samples = intake.take()
        for (index, sample) in samples.enumerated() {
            do throws(CatalogError) {
                let isEntered = try await ledger.enterSample(
                    sample.instance,
                    acceptedBy: name,
                    age: .nanoseconds((NIODeadline.now() - sample.acceptedAt).nanoseconds),
                    firstAgeSeconds: schedule.firstAge,
                    limit: sampleLimit
                )
                metrics.sampled(isEntered: isEntered)
            } catch {
                intake.giveBack(samples[index...])
                return logger.debug("samples cannot be entered", metadata: ["reason": "\(error)"])
            }
        }
    }

    private func readOverview() async {
        do throws(CatalogError) {
            metrics.found(try await ledger.watchOverview())
        } catch {
            // `varve_catalog_up` says so.
            return
        }
    }

    // MARK: Looks

    /// What is due and nobody looks at; counted as running from here on.
    package func claimed() async -> [WatchLook] {
        let busy = running.withLockedValue { $0 }
        guard fetcher.isReady, busy.count < Self.runningLimit else { return [] }
        do throws(CatalogError) {
            let looks = try await ledger.claimLooks(
                by: name,
                for: Self.claim,
                deference: schedule.deference,
                except: busy.sorted(),
                limit: Self.runningLimit - busy.count
            )
            running.withLockedValue { $0.formUnion(looks.map(\.id)) }
            return looks
        } catch {
            // The catalog's absence is told by those who need it more often.
            logger.debug("samples cannot be looked for", metadata: ["reason": "\(error)"])
            return []
        }
    }

    /// Fetches a claimed sample, and notes what came of it.
    package func work(on look: WatchLook) async {
        defer { running.withLockedValue { _ = $0.remove(look.id) } }
        let answer = await fetcher.fetch(look.instance)
        // What was broken off here says nothing.
        guard !Task.isCancelled else { return }
        do throws(CatalogError) {
            let standing = answer == .same ? nil : try await ledger.watchStanding(of: look.instance)
            let verdict = schedule.verdict(on: answer, to: WatchLookState(look), standing)
            try await note(verdict, answer, look)
        } catch {
            // It is looked at again when the catalog is back.
            logger.debug("a sample goes on later: the catalog is away", metadata: ["reason": "\(error)"])
        }
    }

    private func note(
        _ verdict: WatchVerdict,
        _ answer: WatchAnswer,
        _ look: WatchLook
    ) async throws(CatalogError) {
        var metadata: Logger.Metadata = [
            "record": "\(look.instance.recordID)", "age": "\(look.ageSeconds) s",
        ]
        let result: String
        switch verdict {
        case .passed(let nextAge):
            guard try await ledger.passLook(look.id, by: name, nextAgeSeconds: nextAge) else { return }
            result = answer.name
            if look.isAlarm { logger.notice("an accepted instance comes back again", metadata: metadata) }
        case .ended(let why):
            guard try await ledger.dropSample(look.id, by: name) else { return }
            result = "ended"
            metadata["reason"] = "\(why)"
            logger.info("an accepted instance is not fetched again any more", metadata: metadata)
        case .failed(let isAlarm, let delay):
            let isNoted = try await ledger.failLook(
                look.id,
                by: name,
                as: answer.name,
                note: answer.note,
                isAlarm: isAlarm,
                retryAfter: delay
            )
            guard isNoted else { return }
            result = answer.name
            metadata["result"] = "\(answer.name)"
            // What was answered, which `varve watch` shows, may name UIDs.
            if isAlarm, !look.isAlarm {
                logger.error("an accepted instance does not come back as it came", metadata: metadata)
            } else {
                logger.info("an accepted instance did not come back, trying again", metadata: metadata)
            }
        }
        metrics.checked(plannedAge: look.plannedAgeSeconds, result: result, at: Timestamp.now().milliseconds)
    }
}

extension WatchLookState {
    init(_ look: WatchLook) {
        self.init(
            plannedAge: look.plannedAgeSeconds,
            age: look.ageSeconds,
            failureCount: look.failureCount,
            failing: .seconds(look.failingSeconds),
            isAlarm: look.isAlarm,
            isNoted: look.instance.isNoted
        )
    }
}
