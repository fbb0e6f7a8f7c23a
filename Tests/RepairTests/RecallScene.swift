// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import Logging
import NIOConcurrencyHelpers
import Placement
import Repair
import ReplicationProtocol

/// A catalog, storage nodes and packs in memory, of which each may die at any step.
final class RecallWorld: Sendable {
    struct State {
        var term: UInt64 = 1
        var recall = StudyRecall(id: 1, studyInstanceUID: "1.2")
        /// Where the catalog counts copies.
        var instances: [RecordID: [NodeID]] = [:]
        /// What the nodes have.
        var stored: [NodeID: Set<RecordID>] = [:]
        /// What lies in which pack, and what of it is damaged.
        var packs: [UInt64: [RecordID]] = [:]
        var damaged: [UInt64: Set<RecordID>] = [:]
        /// Copies that nodes may be dropping.
        var dropping: [RecordID: [NodeID]] = [:]
        var doubted: [UInt64] = []
        /// Steps until whoever does the next is dead: it may have been done, or not.
        var stepsLeft = Int.max
        /// Answers of nodes to recalls, and to fetches, in turn; then they do as they are told.
        var refusals: [ReplicationError] = []
        var fetchRefusals: [ReplicationError] = []
        var asked: [String] = []
        var pause: Duration?
        /// Packs whose media are missing: they answer as if these were taken out.
        var offline: Set<UInt64> = []
        /// Those that the recall waits for, and those that the catalog knows to be on such media.
        var waitsFor: [UInt64] = []
        var knownOffline: Set<UInt64> = []
        var places: [String] = []
        var place = "file:///cold"
        var givesWay = false
    }

    static let nodes = (1...3).map { NodeID(high: 0, low: UInt64($0)) }
    /// Those of a larger cluster.
    static let allNodes = (1...5).map { NodeID(high: 0, low: UInt64($0)) }
    let state: NIOLockedValueBox<State>

    /// A study that is in packs of at most four records.
    init(instances count: UInt64) {
        var state = State()
        for low in 0..<count {
            guard let id = RecordID(high: 0, low: low) else { continue }
            state.instances[id] = []
            state.packs[1 + low / 4, default: []].append(id)
        }
        self.state = NIOLockedValueBox(state)
    }

    static func map(
        _ nodes: [NodeID] = nodes,
        host: (NodeID) -> String = { "host-\($0.low)" }
    ) -> PlacementMap {
        PlacementMap(
            epoch: MapEpoch(rawValue: 1),
            members: nodes.map { node in
                StorageMember(
                    id: node,
                    name: "storage-\(node.low)",
                    host: "127.0.0.1",
                    port: 7000,
                    domain: FailureDomain(host: host(node))
                )
            }
        )
    }

    /// Works on the recall as a coordinator of the newest term would, with batches of at most three records.
    ///
    /// True when it came to its end, false when it died.
    func work(copies: Int = 3, answering: [NodeID] = nodes, members: [NodeID] = nodes) async -> Bool {
        let (term, recall) = state.withLockedValue { ($0.term, $0.recall) }
        guard recall.state == .underWay else { return true }
        var limits = RecallLimits()
        limits.recordsAtOnce = 3
        let view = RecallView(
            stamp: OrderStamp(term: Term(rawValue: term), mapEpoch: MapEpoch(rawValue: 1)),
            peers: answering.map { Peer(id: $0, world: self) },
            map: Self.map(members),
            copies: copies
        )
        let run = RecallRun(
            ledger: self,
            view: view,
            limits: limits,
            clock: RepairClock(now: { .zero }, sleep: { _ in }),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            givesWay: { self.state.withLockedValue { $0.givesWay } }
        )
        do throws(CatalogError) {
            try await run.run(recall)
            return true
        } catch {
            return false
        }
    }

    /// Another coordinator takes over.
    func takeOver(stepsLeft: Int = .max) {
        state.withLockedValue { state in
            state.term += 1
            state.stepsLeft = stepsLeft
        }
    }

    /// What must hold at every moment: what is counted is there, on enough nodes.
    func objection(least: Int = 2) -> String? {
        state.withLockedValue { state in
            for (record, nodes) in state.instances where !nodes.isEmpty {
                guard nodes.count >= least else { return "a record is counted on too few nodes" }
                for node in nodes where state.stored[node]?.contains(record) != true {
                    return "a copy is counted that is not there"
                }
                for node in nodes where state.dropping[record]?.contains(node) == true {
                    return "a copy is counted that its node may be dropping"
                }
            }
            return nil
        }
    }

    var backCount: Int { state.withLockedValue { $0.instances.values.count { !$0.isEmpty } } }

    /// A step; throws when whoever does it dies before it.
    ///
    /// After the last step that is left nothing is heard any more.
    fileprivate func step<Value>(term: Term?, _ body: (inout State) -> Value) throws(CatalogError) -> Value {
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

    struct Peer: RecallPeer {
        let id: NodeID
        let world: RecallWorld
        var name: String { "storage-\(id.low)" }
        var host: String { "127.0.0.1" }
        var port: Int { 7000 + Int(id.low) }

        func recall(_ request: RecallRequest) async throws(ReplicationError) -> [RecallOutcome] {
            try answer { (state) throws(ReplicationError) in
                let pack = request.reference.pack.low
                state.asked.append("recall \(pack) \(id.low)")
                if let refusal = state.refusals.first {
                    state.refusals.removeFirst()
                    throw refusal
                }
                state.places.append(request.reference.place)
                guard !state.offline.contains(pack) else { throw ReplicationError(.offline, "it is not mounted") }
                return request.records.map { record in
                    if state.stored[id]?.contains(record) ?? false { return .alreadyStored }
                    guard state.packs[pack]?.contains(record) ?? false else { return .absent }
                    guard !(state.damaged[pack]?.contains(record) ?? false) else { return .damaged }
                    state.stored[id, default: []].insert(record)
                    return .stored
                }
            }
        }

        func fetch(_ record: RecordID, from source: any RepairPeer, _ stamp: OrderStamp) async throws(ReplicationError)
        {
            try answer { (state) throws(ReplicationError) in
                if let refusal = state.fetchRefusals.first {
                    state.fetchRefusals.removeFirst()
                    throw refusal
                }
                guard state.stored[source.id]?.contains(record) ?? false else {
                    throw ReplicationError(.notFound, "the source does not have it")
                }
                state.stored[id, default: []].insert(record)
            }
        }

        private func answer<Value>(
            _ body: (inout State) throws(ReplicationError) -> Value
        ) throws(ReplicationError) -> Value {
            let result = world.state.withLockedValue { state -> Result<Value, ReplicationError> in
                guard state.stepsLeft > 0 else { return .failure(ReplicationError(.connectionLost, "it is dead")) }
                state.stepsLeft -= 1
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

extension RecallWorld: RecallLedger {
    func dueRecalls(limit: Int) async throws(CatalogError) -> [StudyRecall] {
        try step(term: nil) { [$0.recall] }
    }

    func recallableRecords(of recall: Int64) async throws(CatalogError) -> [RecallableRecord] {
        try step(term: nil) { state in
            var found: [RecallableRecord] = []
            let cold = state.instances.filter(\.value.isEmpty).map(\.key)
            for (pack, records) in state.packs.sorted(by: { $0.key < $1.key }) {
                found += records.filter { cold.contains($0) }.map { record in
                    RecallableRecord(
                        record: record,
                        byteCount: 10,
                        pack: RecallableRecord.Pack(high: 1, low: pack),
                        dropping: state.dropping[record] ?? []
                    )
                }
            }
            let packed = Set(found.map(\.record))
            return found
                + cold.filter { !packed.contains($0) }.map { RecallableRecord(record: $0, byteCount: 10, pack: nil) }
        }
    }

    func packs(ofStudy study: String) async throws(CatalogError) -> [ColdPack] {
        try step(term: nil) { state in
            state.packs.keys.sorted().map { number in
                var pack = MovePlanTests.pack(.counted, part: Int(number), verifiedAt: 1, isAgain: true)
                pack.digest = SHA256Digest(words: (number, 0, 0, 0))
                pack.place = state.place
                return pack
            }
        }
    }

    func placementNumber(of nodes: [NodeID]) async throws(CatalogError) -> Int32 {
        // A bit for each node.
        try step(term: nil) { _ in nodes.reduce(0) { $0 | 1 << Int32($1.low) } }
    }

    func countRecalled(
        _ records: [RecalledRecord],
        ofRecall recall: Int64,
        term: Term
    ) async throws(CatalogError) -> CountedRecall {
        try step(term: term) { state in
            guard state.recall.state == .underWay else { return .ended }
            var count = 0
            for record in records where state.instances[record.record]?.isEmpty == true {
                let nodes = Self.allNodes.filter { record.placement & 1 << Int32($0.low) != 0 }
                guard !nodes.contains(where: { state.dropping[record.record]?.contains($0) ?? false }) else { continue }
                state.instances[record.record] = nodes
                count += 1
            }
            if count > 0 { state.recall.attemptCount = 0 }
            return .counted(count)
        }
    }

    func finish(recall: Int64, note: String, term: Term) async throws(CatalogError) -> Bool {
        try step(term: term) { state in
            guard !state.instances.values.contains(where: \.isEmpty) else { return false }
            state.recall.state = .done
            return true
        }
    }

    func postpone(
        recall: Int64,
        by delay: Duration?,
        attempts: Int,
        note: String,
        term: Term
    ) async throws(CatalogError) {
        try step(term: term) { state in
            state.recall.attemptCount = attempts
            state.recall.note = note
            state.recall.waitsSinceMilliseconds = nil
            state.waitsFor = []
            state.pause = delay
            if delay == nil { state.recall.state = .needsPerson }
        }
    }

    func waitForMedia(
        recall: Int64,
        packs: [RecallableRecord.Pack],
        pauses: ClosedRange<Duration>,
        note: String,
        term: Term
    ) async throws(CatalogError) {
        try step(term: term) { state in
            state.recall.note = note
            state.recall.waitsSinceMilliseconds = 1
            state.waitsFor = packs.map(\.low)
        }
    }

    func note(_ pack: ColdPack, isOffline: Bool) async throws(CatalogError) {
        try step(term: nil) { state in
            if isOffline { state.knownOffline.insert(pack.idLow) } else { state.knownOffline.remove(pack.idLow) }
        }
    }

    func doubt(_ pack: ColdPack, note: String) async throws(CatalogError) {
        try step(term: nil) { $0.doubted.append(pack.idLow) }
    }
}
