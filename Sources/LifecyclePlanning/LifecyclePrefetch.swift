// SPDX-License-Identifier: Apache-2.0

public import Catalog
import Lifecycle

/// Orders the recall of a patient's earlier studies when a new one arrives, as `prefetch` of the rules says.
///
/// Each new study is looked at once. What is ordered twice is one recall, so that it may be cut off anywhere and done again.
public struct LifecyclePrefetch: Sendable {
    private let catalog: Catalog
    private let round: LifecycleRound

    public init(catalog: Catalog, round: LifecycleRound) {
        self.catalog = catalog
        self.round = round
    }

    /// Looks at studies of which something changed; how many recalls were ordered.
    public func run(_ studies: [Int64]) async throws(CatalogError) -> Int {
        let ruleSet = round.ruleSet
        guard !ruleSet.prefetches.isEmpty else { return 0 }
        // Most are old studies: their facts say so at once.
        let new = try await catalog.studyFacts(of: studies)
            .filter { ruleSet.wantsPriors(of: $0.facts, on: round.day) }
        let open = Set(try await catalog.studiesNotPrefetched(new.map(\.study)))
        var count = 0
        for row in new where open.contains(row.study) {
            count += try await fetchPriors(of: row)
            try await catalog.notePrefetched([row.study], term: round.term)
        }
        return count
    }

    private func fetchPriors(of row: StudyFactsRow) async throws(CatalogError) -> Int {
        let uids = try await catalog.coldPriors(ofStudy: row.study)
        guard !uids.isEmpty else { return 0 }
        let others = try await catalog.studyFacts(of: uids.keys.sorted())
            .map { PriorStudy(study: $0.study, facts: $0.facts) }
        var count = 0
        for prior in round.ruleSet.priors(of: row.facts, among: others, on: round.day) {
            guard let uid = uids[prior.study] else { continue }
            let entered = try await catalog.enterRecall(
                ofStudy: uid,
                urgency: .policy,
                requestedBy: "prefetch \(round.ruleSet.prefetches[prior.rule].name) of version \(round.version)",
                reason: "the patient has a new study"
            )
            if case .entered = entered { count += 1 }
        }
        return count
    }
}
