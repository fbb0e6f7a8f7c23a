// SPDX-License-Identifier: Apache-2.0

import Catalog
import Lifecycle
import LifecycleFiles
import Logging
import ServiceLifecycle

/// Orders recalls of studies that were read from packs, where the policy that decides over them says so (`recall-to`), and of those
/// that somebody could not read because their packs are on media that are not at hand.
///
/// Never in the way of a read: that a study was read is noted in memory, once an hour, and looked at here a few seconds later. What
/// is noted when the process ends is lost; the next reading notes it again.
struct RecallBehindReads: Sendable {
    let notes: ColdReadNotes
    let catalog: Catalog
    let logger: Logger

    private static let interval = Duration.seconds(5)

    /// Orders until it is cancelled by graceful shutdown.
    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                // Cancellation ends the wait, and with it the loop.
                try? await Task.sleep(for: Self.interval)
                guard !Task.isCancelled else { break }
                await orderOffline()
                await order()
            }
        }
    }

    /// Without asking any rules: nobody could read them otherwise.
    private func orderOffline() async {
        let taken = notes.offline.take()
        guard !taken.isEmpty else { return }
        var left = taken
        do throws(CatalogError) {
            for study in taken.keys.sorted() {
                let entered = try await catalog.enterRecall(
                    ofStudy: study,
                    urgency: .person,
                    requestedBy: "a reader",
                    reason: "a reader waits: it is on media that are not at hand"
                )
                left[study] = nil
                guard case .entered(let id) = entered else { continue }
                logger.notice(
                    "a study on media that are not at hand is recalled, as a reader waits",
                    metadata: ["recall": "\(id)"]
                )
            }
        } catch {
            notes.offline.putBack(left)
            logger.debug("studies that readers wait for are not recalled yet", metadata: ["error": "\(error)"])
        }
    }

    private func order() async {
        let taken = notes.read.take()
        guard !taken.isEmpty else { return }
        do throws(CatalogError) {
            try await order(taken.keys.sorted())
        } catch {
            notes.read.putBack(taken)
            logger.debug("studies that were read from packs are not recalled yet", metadata: ["error": "\(error)"])
        }
    }

    private func order(_ studies: [String]) async throws(CatalogError) {
        let acts = try await catalog.lifecycleActs()
        guard acts.isActing, let stored = try await catalog.ruleSet(version: acts.actingVersion),
            let rules = rules(stored)
        else { return }
        for study in studies {
            guard let kept = try await catalog.decision(ofStudy: study), kept.version == acts.actingVersion,
                rules.policies.indices.contains(kept.decision.policy)
            else { continue }
            let policy = rules.policies[kept.decision.policy]
            guard let tier = policy.keeping?.recallTier, rules.tiers.indices.contains(tier) else { continue }
            let entered = try await catalog.enterRecall(
                ofStudy: study,
                urgency: .policy,
                requestedBy: "policy \(policy.name) of version \(kept.version)",
                reason: "recall-to: \(rules.tiers[tier].name); it was read from packs"
            )
            if case .entered(let id) = entered {
                logger.info("a study that was read from packs is recalled", metadata: ["recall": "\(id)"])
            }
        }
    }

    /// Nil when this program can't read them, which is said where they are loaded and judged by.
    private func rules(_ stored: StoredRuleSet) -> RuleSet? {
        do throws(RuleSetError) {
            return try RuleFile.read(text: stored.text)
        } catch {
            return nil
        }
    }
}
