// SPDX-License-Identifier: Apache-2.0

public import Catalog
import Lifecycle

/// Does what the rules that were enabled want: orders moves, gives up packs that others replace, and lets studies expire.
///
/// Each study is judged again by facts of the moment before anything is done for it; what must not change meanwhile the catalog looks
/// at in the transaction that does it.
public struct LifecycleActing: Sendable {
    /// Studies of one step.
    public static let stepCount = 20
    /// Moves that are open at once; those whose packs merely stand do not count.
    public static let openMoveLimit = 64
    /// A study of which an instance came within so many milliseconds is left alone: a day.
    public static let quietMilliseconds: Int64 = 86_400_000
    /// After this it is looked again at a study for which nothing could be done.
    static let pause = Duration.seconds(3_600)

    /// What a step did.
    public struct Outcome: Sendable, Hashable {
        public var expired = 0
        public var moved = 0
        public var refused = 0
        /// Packs.
        public var gaveUp = 0

        public var isNothing: Bool { self == Outcome() }
    }

    private let catalog: Catalog
    private let round: LifecycleRound
    /// Whether moves drop the copies that nodes have: only then is a study ordered to leave them that is in packs already.
    private let dropsCopies: Bool
    /// Milliseconds since 1970.
    private let now: Int64

    public init(catalog: Catalog, round: LifecycleRound, dropsCopies: Bool, nowMilliseconds now: Int64) {
        self.catalog = catalog
        self.round = round
        self.dropsCopies = dropsCopies
        self.now = now
    }

    private var ruleSet: RuleSet { round.ruleSet }

    /// Does some of what is to be done.
    public func step() async throws(CatalogError) -> Outcome {
        var outcome = Outcome()
        for study in try await catalog.expirableStudies(version: round.version, limit: Self.stepCount) {
            guard try await expire(study, &outcome) else { break }
        }
        for study in try await catalog.movableStudies(version: round.version, limit: Self.stepCount) {
            guard try await move(study, &outcome) else { break }
        }
        return outcome
    }

    /// The decision by facts of this moment; nil when it is not what was kept, which is entered then.
    private func judged(
        _ kept: KeptDecision
    ) async throws(CatalogError) -> (decision: Decision, facts: StudyFacts)? {
        let study = kept.decision.study
        guard let row = try await catalog.studyFacts(of: [study]).first else {
            try await round.judge([study])
            return nil
        }
        let decision = ruleSet.decide(row.facts, on: round.day)
        guard decision.expires == kept.decision.expires, decision.policy == kept.decision.policy,
            decision.rule == kept.decision.rule
        else {
            try await round.judge([study])
            return nil
        }
        return (decision, row.facts)
    }

    /// False: no other study may expire now either.
    private func expire(_ kept: KeptDecision, _ outcome: inout Outcome) async throws(CatalogError) -> Bool {
        guard let (decision, _) = try await judged(kept), let rule = decision.rule.map({ ruleSet.rules[$0] }) else {
            return true
        }
        var generator = SystemRandomNumberGenerator()
        let words = [rule.description].compactMap(\.self) + (rule.condition?.outline ?? [])
        let result = try await catalog.expire(
            kept.studyInstanceUID,
            rule: rule.name,
            graceDays: ruleSet.policies[decision.policy].trash.dayCount(from: round.day),
            quietMilliseconds: Self.quietMilliseconds,
            version: round.version,
            DeletionRequest(
                requestedBy: ruleSet.actor(of: decision, version: round.version),
                reason: words.joined(separator: "; "),
                issuedAtMilliseconds: now,
                reference: (generator.next(), generator.next())
            ),
            term: round.term
        )
        switch result {
        case .expired: outcome.expired += 1
        case .refused(.notActing), .refused(.limitReached): return false
        case .refused(.noSuchStudy): try await round.judge([kept.decision.study])
        case .refused:
            outcome.refused += 1
            try await catalog.lookAgain(at: kept.decision.study, after: Self.pause, term: round.term)
        }
        return true
    }

    /// False: no other move may be ordered now either.
    private func move(_ kept: KeptDecision, _ outcome: inout Outcome) async throws(CatalogError) -> Bool {
        guard let (decision, facts) = try await judged(kept) else { return true }
        var missing: Set<Int> = []
        for tier in ruleSet.packTiers(for: decision) {
            let count = try await catalog.instancesMissing(
                inTier: ruleSet.tiers[tier].name,
                ofStudy: kept.studyInstanceUID
            )
            if count > 0 { missing.insert(tier) }
        }
        guard case .move(let tier, let keepsHot, let soak) = ruleSet.packStep(for: decision, missingIn: missing) else {
            return try await leave(kept, decision, facts, &outcome)
        }
        return try await order(kept, decision, tier: tier, keepsHot: keepsHot, soak: soak, &outcome)
    }

    /// Has a study leave the nodes that is in packs, because it came back or was kept beside them by an earlier policy.
    private func leave(
        _ kept: KeptDecision,
        _ decision: Decision,
        _ facts: StudyFacts,
        _ outcome: inout Outcome
    ) async throws(CatalogError) -> Bool {
        let study = kept.decision.study
        guard dropsCopies, let (tier, soak, stay) = ruleSet.leave(for: decision) else {
            try await giveUp(kept, decision, &outcome)
            return true
        }
        let copies = try await catalog.copiesBesidePacks(
            inTier: ruleSet.tiers[tier].name,
            ofStudy: kept.studyInstanceUID
        )
        guard copies.instanceCount > 0 else {
            try await giveUp(kept, decision, &outcome)
            return true
        }
        let left = copies.cameBackAtMilliseconds.map { milliseconds(left: stay, since: $0, facts) } ?? 0
        guard left <= 0 else {
            try await catalog.lookAgain(at: study, after: max(Self.pause, .milliseconds(left)), term: round.term)
            return true
        }
        return try await order(kept, decision, tier: tier, keepsHot: false, soak: soak, &outcome)
    }

    /// Has packs given up that are in tiers where nothing is wanted any more, when those of the others prove that they hold it.
    private func giveUp(_ kept: KeptDecision, _ decision: Decision, _ outcome: inout Outcome) async throws(CatalogError)
    {
        let study = kept.decision.study
        let wanted = Set(ruleSet.packTiers(for: decision).map { ruleSet.tiers[$0].name })
        let packs = try await catalog.packs(ofStudy: kept.studyInstanceUID).filter { $0.state == .counted }
        let left = Set(packs.map(\.tier)).subtracting(wanted).sorted()
        guard !decision.isHeld, !left.isEmpty else {
            try await catalog.lookAgain(at: study, after: nil, term: round.term)
            return
        }
        let result = try await catalog.giveUpPacks(
            ofStudy: kept.studyInstanceUID,
            inTiers: left,
            note: "given up by \(ruleSet.actor(of: decision, version: round.version)): it is in "
                + wanted.sorted().joined(separator: ", "),
            version: round.version,
            term: round.term
        )
        let pause: Duration?
        switch result {
        case .done(let givenUp, let unproven, let needed):
            outcome.gaveUp += givenUp
            // What is needed is so for as long as something is in the trash.
            pause = unproven > 0 ? Self.pause : needed > 0 ? .seconds(86_400) : nil
        case .busy: pause = Self.pause
        }
        try await catalog.lookAgain(at: study, after: pause, term: round.term)
    }

    /// How much is left of a stay that began when the study came back, or on the day on which it was read last.
    private func milliseconds(left stay: CalendarDuration, since cameBack: Int64, _ facts: StudyFacts) -> Int64 {
        let read = facts.lastAccess.map { Int64($0.dayNumber) * 86_400_000 } ?? 0
        return max(cameBack, read) + Int64(stay.dayCount(from: round.day)) * 86_400_000 - now
    }

    /// False: no other move may be ordered now either.
    private func order(
        _ kept: KeptDecision,
        _ decision: Decision,
        tier: Int,
        keepsHot: Bool,
        soak: CalendarDuration,
        _ outcome: inout Outcome
    ) async throws(CatalogError) -> Bool {
        let study = kept.decision.study
        let result = try await catalog.orderMove(
            ofStudy: kept.studyInstanceUID,
            tier: ruleSet.tiers[tier].name,
            place: ruleSet.tiers[tier].storePlace.place,
            keepsHot: keepsHot,
            soak: .seconds(86_400 * soak.dayCount(from: round.day)),
            rule: (
                by: ruleSet.actor(of: decision, version: round.version),
                reason: "policy \(ruleSet.policies[decision.policy].name)"
            ),
            version: round.version,
            mostAtOnce: Self.openMoveLimit,
            term: round.term
        )
        switch result {
        case .ordered: outcome.moved += 1
        case .underWay: outcome.refused += 1
        case .notActing, .full: return false
        }
        try await catalog.lookAgain(at: study, after: Self.pause, term: round.term)
        return true
    }
}
