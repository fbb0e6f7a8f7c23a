// SPDX-License-Identifier: Apache-2.0

import Catalog
import Lifecycle
import LifecycleFiles
import LifecyclePlanning
import Logging
import NIOConcurrencyHelpers
import Placement
import Telemetry

/// Judges the archive by the rules that hold while its coordinator leads, and does what those want that were enabled.
///
/// ``run()`` is one task. How far it is the catalog knows: who leads next goes on there. It works half of the time at most.
final class LifecycleWorker: Sendable {
    /// Between two looks whether there is something to do.
    private static let interval = Duration.seconds(2)
    /// Notes or studies of one step.
    private static let stepCount = 2_000

    private let catalog: Catalog
    /// Between the beginnings of two rounds of what is due; nil: there is none but by order.
    private let period: Duration?
    /// Whether moves drop the copies that storage nodes have.
    private let dropsCopies: Bool
    private let logger: Logger
    private let term = NIOLockedValueBox<Term?>(nil)

    init(catalog: Catalog, period: Duration?, dropsCopies: Bool, logger: Logger) {
        self.catalog = catalog
        self.period = period
        self.dropsCopies = dropsCopies
        self.logger = logger
    }

    /// Tells under which term this coordinator leads; nil: it does not.
    func update(_ term: Term?) {
        self.term.withLockedValue { $0 = term }
    }

    /// Works until the task is cancelled.
    func run() async {
        var rules: (version: Int64, ruleSet: RuleSet?)?
        var lastFailure = ""
        while !Task.isCancelled {
            var wait = Self.interval
            if let term = term.withLockedValue({ $0 }) {
                let start = ContinuousClock.now
                do throws(CatalogError) {
                    if try await step(term, &rules) { wait = ContinuousClock.now - start }
                    lastFailure = ""
                } catch {
                    // Said once, not each time; that another leads its coordinator finds out by itself.
                    let failure = "\(error)"
                    if error.code != .staleTerm, failure != lastFailure {
                        logger.warning("studies cannot be judged by rules now", metadata: ["reason": "\(failure)"])
                        lastFailure = failure
                    }
                }
            }
            // Cancellation ends the wait, and with it the loop.
            try? await Task.sleep(for: wait)
        }
    }

    /// Does a little; whether there is more to do at once.
    private func step(
        _ term: Term,
        _ rules: inout (version: Int64, ruleSet: RuleSet?)?
    ) async throws(CatalogError) -> Bool {
        let acts = try await catalog.lifecycleActs()
        guard acts.version > 0 else { return false }
        if rules?.version != acts.version { rules = (acts.version, try await read(acts.version)) }
        guard let ruleSet = rules?.ruleSet else { return false }
        let now = Timestamp.now().milliseconds
        // The year 9999 is far.
        let day = CalendarDate(dayNumber: Int(now / 86_400_000)) ?? .last
        let round = LifecycleRound(catalog: catalog, ruleSet: ruleSet, version: acts.version, day: day, term: term)
        if acts.judgedVersion < acts.version {
            if try await !round.passPage() {
                logger.notice("all studies were judged by the rules", metadata: ["version": "\(acts.version)"])
            }
            return true
        }
        let touched = try await catalog.touchedStudies(limit: Self.stepCount)
        if !touched.notes.isEmpty {
            // Before the notes are done with: who leads next finds them otherwise.
            if acts.isActing {
                let count = try await LifecyclePrefetch(catalog: catalog, round: round).run(touched.studies)
                if count > 0 { logger.info("priors of new studies are recalled", metadata: ["studies": "\(count)"]) }
            }
            try await round.judge(touched.studies, notes: touched.notes)
            return true
        }
        if acts.roundFinishedAtMilliseconds == nil {
            let due = try await catalog.dueStudies(on: day.dayNumber, limit: Self.stepCount)
            if due.isEmpty { try await catalog.noteRound(begins: false, term: term) }
            try await round.judge(due)
            return true
        }
        if acts.isRoundRequested || isDue(acts) {
            try await catalog.noteRound(begins: true, term: term)
            return true
        }
        guard acts.isActing else { return false }
        let outcome = try await LifecycleActing(
            catalog: catalog,
            round: round,
            dropsCopies: dropsCopies,
            nowMilliseconds: now
        ).step()
        if outcome.expired > 0 || outcome.moved > 0 || outcome.gaveUp > 0 {
            logger.notice(
                "rules acted",
                metadata: [
                    "expired": "\(outcome.expired)", "moves": "\(outcome.moved)", "packs given up": "\(outcome.gaveUp)",
                    "version": "\(acts.version)",
                ]
            )
        }
        return !outcome.isNothing
    }

    private func isDue(_ acts: LifecycleActs) -> Bool {
        guard let period, let since = acts.sinceRound else { return period != nil }
        return since >= period
    }

    /// The rules of a version; nil when this program can't read them, which is said once.
    private func read(_ version: Int64) async throws(CatalogError) -> RuleSet? {
        guard let stored = try await catalog.ruleSet(version: version) else { return nil }
        do throws(RuleSetError) {
            return try RuleFile.read(text: stored.text)
        } catch {
            logger.error(
                "the rules in the catalog can't be read by this program",
                metadata: ["version": "\(version)", "reason": "\(error)"]
            )
            return nil
        }
    }
}
