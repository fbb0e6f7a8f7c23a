// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import Logging
import NIOConcurrencyHelpers
import Placement
import Repair
import ReplicationProtocol

/// A catalog, storage nodes and a store in memory, of which each may die at any step: packs that are read, and those that go.
final class PackCareWorld: Sendable {
    enum Life: Equatable { case counted, marked, beingRemoved, removed }

    struct State {
        var term: UInt64 = 1
        var packs: [UInt64: (pack: ColdPack, life: Life)] = [:]
        /// What may not go any more.
        var wanted: Set<UInt64> = []
        var objects: Set<UInt64> = []
        var attempts: [UInt64: Int] = [:]
        /// What came of readings; an empty text: it is sound.
        var ended: [UInt64: (failure: String, isDamaged: Bool, by: NodeID?)] = [:]
        var notes: [String] = []
        var asked: [String] = []
        /// What nodes answer, by number.
        var refusals: [UInt64: ReplicationError] = [:]
        var away: Set<UInt64> = []
        var rewrites = 0
        var repackings = 0
        /// What is known to be on media that are not at hand.
        var offline: Set<UInt64> = []
        var stepsLeft = Int.max
    }

    static let nodes = (1...3).map { NodeID(high: 0, low: UInt64($0)) }
    let state: NIOLockedValueBox<State>

    /// Packs written by node 1, all of which are to be read, and may go.
    init(packs count: UInt64) {
        var state = State()
        for low in 1...count {
            var pack = MovePlanTests.pack(.counted, part: 1)
            (pack.idHigh, pack.idLow, pack.writer) = (0, low, Self.nodes[0])
            pack.digest = SHA256Digest(words: (low, 0, 0, 0))
            state.packs[low] = (pack, .counted)
            state.objects.insert(low)
            state.attempts[low] = 0
        }
        self.state = NIOLockedValueBox(state)
    }

    var view: PackCareView {
        let (term, away) = state.withLockedValue { ($0.term, $0.away) }
        return PackCareView(
            stamp: OrderStamp(term: Term(rawValue: term), mapEpoch: MapEpoch(rawValue: 1)),
            peers: Self.nodes.filter { !away.contains($0.low) }.map { Peer(id: $0, world: self) }
        )
    }

    static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// Reads what is due as a coordinator of the newest term would; false when it died.
    func read() async -> Bool {
        let run = PackReadingRun(ledger: self, view: view, limits: PackCareLimits(), logger: Self.logger)
        do throws(CatalogError) {
            for due in try await duePackReadings(limit: 10, term: view.stamp.term) { try await run.run(due) }
            return true
        } catch {
            return false
        }
    }

    /// Marks and removes; false when it died.
    func remove() async -> Bool {
        let run = PackRemovalRun(
            ledger: self,
            view: view,
            limits: PackCareLimits(),
            logger: Self.logger
        ) { 1_790_000_000_000 }
        do throws(CatalogError) {
            try await run.mark()
            try await run.remove()
            return true
        } catch {
            return false
        }
    }

    func takeOver(stepsLeft: Int = .max) {
        state.withLockedValue { state in
            state.term += 1
            state.stepsLeft = stepsLeft
        }
    }

    /// A step of the catalog; what is done last may go unheard.
    private func step<Value>(_ term: Term, _ body: (inout State) -> Value) throws(CatalogError) -> Value {
        let result = state.withLockedValue { state -> Result<Value, CatalogError> in
            guard term.rawValue == state.term else { return .failure(CatalogError(.staleTerm, "another leads")) }
            guard state.stepsLeft > 0 else { return .failure(CatalogError(.unavailable, "it is dead")) }
            state.stepsLeft -= 1
            let value = body(&state)
            if state.stepsLeft == 0 { return .failure(CatalogError(.unavailable, "it died")) }
            return .success(value)
        }
        return try result.get()
    }

    struct Peer: PackCarePeer {
        let id: NodeID
        let world: PackCareWorld
        var name: String { "storage-\(id.low)" }

        func verifyPack(_ request: VerifyPackRequest) async throws(ReplicationError) {
            try answer("verify", request.reference) { state, low in
                guard state.objects.contains(low) else { return ReplicationError(.notFound, "no such pack") }
                return request.digest == state.packs[low]?.pack.digest ? nil : ReplicationError(.corrupt, "another")
            }
        }

        func removePack(_ request: RemovePackRequest) async throws(ReplicationError) {
            try answer("remove", request.reference) { state, low in
                state.objects.remove(low)
                return nil
            }
        }

        private func answer(
            _ what: String,
            _ reference: PackReference,
            _ body: (inout State, UInt64) -> ReplicationError?
        ) throws(ReplicationError) {
            let failure = world.state.withLockedValue { state -> ReplicationError? in
                guard state.stepsLeft > 0 else { return ReplicationError(.connectionLost, "it is dead") }
                state.stepsLeft -= 1
                state.asked.append("\(what) \(reference.pack.low) by \(id.low)")
                if let refusal = state.refusals[id.low] { return refusal }
                let failure = body(&state, reference.pack.low)
                // Done, and not heard.
                return state.stepsLeft == 0 ? ReplicationError(.connectionLost, "it died") : failure
            }
            if let failure { throw failure }
        }
    }
}

extension PackCareWorld: PackCareLedger {
    func duePackReadings(limit: Int, term: Term) async throws(CatalogError) -> [DuePackReading] {
        try step(term) { state in
            state.attempts.filter { state.ended[$0.key] == nil }.sorted { $0.key < $1.key }.prefix(limit).compactMap {
                (low, attempts) in
                state.packs[low].map { DuePackReading(pack: $0.pack, attemptCount: attempts) }
            }
        }
    }

    func endReading(
        of pack: ColdPack,
        by node: NodeID?,
        isDamaged: Bool,
        failure: String?,
        term: Term
    ) async throws(CatalogError) {
        try step(term) { $0.ended[pack.idLow] = (failure ?? "", isDamaged, node) }
    }

    func note(_ pack: ColdPack, isOffline: Bool) async throws(CatalogError) {
        state.withLockedValue { state in
            if isOffline { state.offline.insert(pack.idLow) } else { state.offline.remove(pack.idLow) }
        }
    }

    func postponeReading(
        of pack: ColdPack,
        by delay: Duration,
        attempts: Int,
        term: Term
    ) async throws(CatalogError) {
        try step(term) { $0.attempts[pack.idLow] = attempts }
    }

    func markPacks(grace: Duration, limit: Int, term: Term) async throws(CatalogError) -> Int {
        try step(term) { state in
            var count = 0
            for (low, entry) in state.packs where entry.life == .counted && !state.wanted.contains(low) {
                state.packs[low]?.life = .marked
                count += 1
            }
            return count
        }
    }

    func rewritePack(
        asHigh high: UInt64,
        low: UInt64,
        createdAtMilliseconds: Int64,
        term: Term
    ) async throws(CatalogError) -> Bool {
        try step(term) { state in
            guard state.rewrites > 0 else { return false }
            state.rewrites -= 1
            return true
        }
    }

    func repack(limit: Int, term: Term) async throws(CatalogError) -> Repacking {
        try step(term) { state in
            let count = min(limit, state.repackings)
            state.repackings -= count
            return Repacking(recalledCount: count)
        }
    }

    func beginPackRemovals(limit: Int, term: Term) async throws(CatalogError) -> [ColdPack] {
        try step(term) { state in
            for (low, entry) in state.packs where entry.life == .marked {
                state.packs[low]?.life = state.wanted.contains(low) ? .counted : .beingRemoved
            }
            return state.packs.values.filter { $0.life == .beingRemoved }.map(\.pack).sorted { $0.idLow < $1.idLow }
        }
    }

    func noteRemoved(_ pack: ColdPack, by node: NodeID, term: Term) async throws(CatalogError) {
        try step(term) { $0.packs[pack.idLow]?.life = .removed }
    }

    func postponeRemoval(
        of pack: ColdPack,
        by delay: Duration,
        note: String,
        term: Term
    ) async throws(CatalogError) {
        try step(term) { $0.notes.append(note) }
    }
}
