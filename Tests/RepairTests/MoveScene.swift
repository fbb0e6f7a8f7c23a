// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import Logging
import NIOConcurrencyHelpers
import Placement
import Repair
import ReplicationProtocol

/// A catalog, storage nodes and a store of packs in memory, of which each may die at any step.
final class MoveWorld: Sendable {
    /// What lies in the store under a pack's id.
    struct Object: Equatable {
        var records: [RecordID]
        var isDamaged = false
    }

    struct State {
        var term: UInt64 = 1
        var move = MovePlanTests.move()
        var soak = Duration.seconds(60)
        var packs: [UInt64: (pack: ColdPack, records: [RecordID])] = [:]
        var instances: [RecordID: [NodeID]] = [:]
        var objects: [UInt64: Object] = [:]
        /// Steps until whoever does the next is dead: it may have been done, or not.
        var stepsLeft = Int.max
        /// Answers of nodes, in turn; then they do as they are told.
        var refusals: [ReplicationError] = []
        /// How many packs are damaged by the store as soon as they lie there.
        var damages = 0
        var asked: [String] = []
        /// Who has read a pack last.
        var readers: [UInt64: NodeID] = [:]
        var hold: Int64?
        /// What is known to be on media that are not at hand.
        var offline: Set<UInt64> = []
    }

    static let nodes = (1...3).map { NodeID(high: 0, low: UInt64($0)) }
    let state: NIOLockedValueBox<State>

    init(instances count: UInt64) {
        var state = State()
        for low in 0..<count {
            if let id = RecordID(high: 0, low: low) { state.instances[id] = Array(Self.nodes.prefix(2)) }
        }
        self.state = NIOLockedValueBox(state)
    }

    /// Works on the move as a coordinator of the newest term would, with packs of at most four records.
    ///
    /// True when it came to its end, false when it died.
    func work() async -> Bool {
        let (term, move, isDue) = state.withLockedValue { state in
            let packs = state.packs.values.map(\.pack).filter { $0.state != .givenUp }
            let isStanding =
                (state.move.soakLeft ?? .zero) > .zero
                && packs.allSatisfy { $0.state == .counted && $0.verifiedAtMilliseconds != nil }
            return (state.term, state.move, state.move.state == .underWay && !isStanding)
        }
        guard isDue else { return true }
        var limits = MoveLimits()
        limits.recordsAPack = 4
        limits.dropsAtOnce = 3
        limits.dropsCopies = true
        let view = MoveView(
            stamp: OrderStamp(term: Term(rawValue: term), mapEpoch: MapEpoch(rawValue: 1)),
            peers: Self.nodes.map { Peer(id: $0, world: self) },
            members: Set(Self.nodes)
        )
        let run = MoveRun(
            ledger: self,
            view: view,
            limits: limits,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        ) { 1_790_000_000_000 }
        do throws(CatalogError) {
            try await run.run(move)
            return true
        } catch {
            return false
        }
    }

    /// Another coordinator takes over, after a while.
    func takeOver(after time: Duration = .zero, stepsLeft: Int = .max) {
        state.withLockedValue { state in
            state.term += 1
            state.stepsLeft = stepsLeft
            if let left = state.move.soakLeft { state.move.soakLeft = left - time }
        }
    }

    /// What must hold at every moment: what is read from was read back, is sound and whole, and nothing is gone.
    func objection(instances: Int) -> String? {
        state.withLockedValue { state in
            guard state.instances.count == instances else { return "an instance is gone" }
            let sound = state.packs.values.filter { pack, records in
                pack.state == .counted && state.objects[pack.idLow] == Object(records: records)
            }
            let packed = Set(sound.flatMap(\.records))
            for (record, nodes) in state.instances where nodes.isEmpty && !packed.contains(record) {
                return "the last copy of a record was dropped"
            }
            for (pack, records) in state.packs.values where pack.state == .counted {
                guard pack.verifiedAtMilliseconds != nil else { return "a pack is counted that nobody has read" }
                guard let object = state.objects[pack.idLow], object.records == records else {
                    return "a pack is counted that is not what was planned"
                }
            }
            return nil
        }
    }

    /// Whether every instance is in a sound pack that is read from.
    var isPacked: Bool {
        state.withLockedValue { state in
            let counted = state.packs.values.filter { $0.pack.state == .counted }
            let sound = counted.allSatisfy { state.objects[$0.pack.idLow]?.isDamaged == false }
            return sound && Set(counted.flatMap(\.records)).isSuperset(of: state.instances.keys)
        }
    }

    /// A step; throws when whoever does it dies before it.
    ///
    /// After the last step that is left nothing is heard any more.
    fileprivate func step<Value>(
        term: Term?,
        _ body: (inout State) -> Value
    ) throws(CatalogError) -> Value {
        let result = state.withLockedValue { state -> Result<Value, CatalogError> in
            if let term, term.rawValue < state.term { return .failure(CatalogError(.staleTerm, "another leads")) }
            guard state.stepsLeft > 0 else { return .failure(CatalogError(.unavailable, "it is dead")) }
            state.stepsLeft -= 1
            let value = body(&state)
            // Done, and not heard.
            if state.stepsLeft == 0 { return .failure(CatalogError(.unavailable, "it died")) }
            return .success(value)
        }
        return try result.get()
    }

    struct Peer: PackPeer {
        let id: NodeID
        let world: MoveWorld
        var name: String { "storage-\(id.low)" }
        var host: String { "127.0.0.1" }
        var port: Int { 7000 + Int(id.low) }

        func buildPack(_ request: BuildPackRequest) async throws(ReplicationError) -> BuiltPack {
            try answer("build") { (state) throws(ReplicationError) in
                let known = state.objects[request.reference.pack.low]
                if let known, known.records != request.records { throw ReplicationError(.conflict, "another pack") }
                if known?.isDamaged ?? false { throw ReplicationError(.corrupt, "rotten") }
                if known == nil {
                    state.objects[request.reference.pack.low] = Object(
                        records: request.records,
                        isDamaged: state.damages > 0
                    )
                    state.damages = max(0, state.damages - 1)
                }
                return BuiltPack(
                    outcome: known == nil ? .stored : .alreadyStored,
                    byteCount: 100,
                    digest: SHA256Digest(words: (request.reference.pack.low, 0, 0, 0))
                )
            }
        }

        func verifyPack(_ request: VerifyPackRequest) async throws(ReplicationError) {
            try answer("verify") { (state) throws(ReplicationError) in
                guard let object = state.objects[request.reference.pack.low] else {
                    throw ReplicationError(.notFound, "no such pack")
                }
                guard !object.isDamaged else { throw ReplicationError(.corrupt, "rotten") }
            }
        }

        private func answer<Value>(
            _ what: String,
            _ body: (inout State) throws(ReplicationError) -> Value
        ) throws(ReplicationError) -> Value {
            let result = world.state.withLockedValue { state -> Result<Value, ReplicationError> in
                guard state.stepsLeft > 0 else { return .failure(ReplicationError(.connectionLost, "it is dead")) }
                state.stepsLeft -= 1
                state.asked.append("\(what) \(id.low)")
                if let refusal = state.refusals.first {
                    state.refusals.removeFirst()
                    return .failure(refusal)
                }
                do throws(ReplicationError) {
                    let value = try body(&state)
                    if state.stepsLeft == 0 { return .failure(ReplicationError(.connectionLost, "it died")) }
                    return .success(value)
                } catch {
                    return .failure(error)
                }
            }
            return try result.get()
        }
    }
}

extension MoveWorld: MoveLedger {
    func dueMoves(limit: Int) async throws(CatalogError) -> [PackMove] {
        try step(term: nil) { [$0.move] }
    }

    func packs(ofMove move: Int64) async throws(CatalogError) -> [ColdPack] {
        try step(term: nil) { state in
            state.packs.values.map(\.pack).filter { $0.state != .givenUp }.sorted { $0.part < $1.part }
        }
    }

    func movableRecords(of move: Int64) async throws(CatalogError) -> [MovableRecord] {
        try step(term: nil) { state in
            let packed = Set(state.packs.values.filter { $0.pack.state != .givenUp }.flatMap(\.records))
            return state.instances.keys.filter { !packed.contains($0) }.sorted()
                .map { MovableRecord(record: $0, byteCount: 10) }
        }
    }

    func planPacks(
        _ packs: [(high: UInt64, low: UInt64, records: [RecordID])],
        ofMove move: Int64,
        createdAtMilliseconds: Int64,
        term: Term
    ) async throws(CatalogError) {
        try step(term: term) { state in
            guard state.packs.values.allSatisfy({ $0.pack.state == .givenUp }) else { return }
            for (index, planned) in packs.enumerated() {
                var pack = MovePlanTests.pack(.planned, part: index + 1)
                (pack.idHigh, pack.idLow) = (planned.high, planned.low)
                (pack.partCount, pack.instanceCount) = (packs.count, planned.records.count)
                state.packs[planned.low] = (pack, planned.records)
            }
        }
    }

    func records(ofPack pack: ColdPack) async throws(CatalogError) -> [RecordID] {
        try step(term: nil) { $0.packs[pack.idLow]?.records ?? [] }
    }

    func sources(ofPack pack: ColdPack) async throws(CatalogError) -> [PackSource] {
        try step(term: nil) { state in
            (state.packs[pack.idLow]?.records ?? []).compactMap { record in
                state.instances[record].map { PackSource(nodes: $0, instanceCount: 1, byteCount: 10) }
            }
        }
    }

    func noteBuilt(
        _ pack: ColdPack,
        byteCount: Int64,
        digest: SHA256Digest,
        by node: NodeID,
        term: Term
    ) async throws(CatalogError) {
        try step(term: term) { state in
            guard state.packs[pack.idLow]?.pack.state == .planned else { return }
            state.packs[pack.idLow]?.pack.state = .placed
            state.packs[pack.idLow]?.pack.digest = digest
            state.packs[pack.idLow]?.pack.writer = node
        }
    }

    func note(_ pack: ColdPack, isOffline: Bool) async throws(CatalogError) {
        try step(term: nil) { _ = $0.offline.insert(pack.idLow) }
    }

    func noteSound(_ pack: ColdPack, by node: NodeID?, term: Term) async throws(CatalogError) {
        try step(term: term) { state in
            guard let known = state.packs[pack.idLow]?.pack, known.state != .planned, known.state != .givenUp else {
                return
            }
            if known.state == .placed { state.packs[pack.idLow]?.pack.state = .verified }
            state.packs[pack.idLow]?.pack.verifiedAtMilliseconds = 1
            state.readers[pack.idLow] = node
            state.packs[pack.idLow]?.pack.isVerifiedAgain = state.move.soakLeft.map { $0 <= .zero } ?? false
            state.move.attemptCount = 0
        }
    }

    func replace(
        _ pack: ColdPack,
        byHigh high: UInt64,
        low: UInt64,
        createdAtMilliseconds: Int64,
        note: String,
        term: Term
    ) async throws(CatalogError) -> Bool {
        try step(term: term) { state in
            guard let old = state.packs[pack.idLow], old.pack.state != .givenUp else { return true }
            guard !old.records.contains(where: { state.instances[$0]?.isEmpty ?? false }) else {
                state.packs[pack.idLow]?.pack.verifiedAtMilliseconds = nil
                return false
            }
            state.packs[pack.idLow]?.pack.state = .givenUp
            let kept = old.records.filter { state.instances[$0] != nil }
            guard !kept.isEmpty else { return true }
            var new = MovePlanTests.pack(.planned, part: old.pack.part)
            (new.idHigh, new.idLow) = (high, low)
            (new.partCount, new.instanceCount) = (old.pack.partCount, kept.count)
            state.packs[low] = (new, kept)
            return true
        }
    }

    func dropPackedCopies(ofMove move: Int64, limit: Int, term: Term) async throws(CatalogError) -> PackedDrop {
        try step(term: term) { state in
            guard state.move.state == .underWay, state.move.drops else { return .done }
            for (pack, records) in state.packs.values.sorted(by: { $0.pack.part < $1.pack.part }) {
                let hot = records.filter { state.instances[$0]?.isEmpty == false }
                guard pack.state == .counted, !hot.isEmpty else { continue }
                if let hold = state.hold { return .held(hold) }
                let reader = state.readers[pack.idLow]
                guard pack.isVerifiedAgain, let reader, reader != pack.writer else {
                    return .unproven(high: pack.idHigh, low: pack.idLow)
                }
                for record in hot.prefix(limit) { state.instances[record] = [] }
                return .dropped(min(limit, hot.count))
            }
            return .done
        }
    }

    func recheckPacks(olderThan age: Duration, limit: Int, term: Term) async throws(CatalogError) -> Int { 0 }

    func countPacks(ofMove move: Int64, takesOver: Bool, term: Term) async throws(CatalogError) {
        try step(term: term) { state in
            let live = state.packs.filter { $0.value.pack.state != .givenUp }
            guard live.values.allSatisfy({ $0.pack.state == .verified || $0.pack.state == .counted }) else { return }
            for id in live.keys {
                state.packs[id]?.pack.state = .counted
                state.packs[id]?.pack.isVerifiedAgain = false
            }
            state.move.soakLeft = state.soak
            state.move.attemptCount = 0
        }
    }

    func finish(move: Int64, note: String, term: Term) async throws(CatalogError) {
        try step(term: term) { $0.move.state = .done }
    }

    func postpone(
        move: Int64,
        by delay: Duration?,
        attempts: Int,
        note: String,
        term: Term
    ) async throws(CatalogError) {
        try step(term: term) { state in
            state.move.attemptCount = attempts
            state.move.note = note
            if delay == nil { state.move.state = .needsPerson }
        }
    }
}
