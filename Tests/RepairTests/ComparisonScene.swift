// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import Logging
import NIOConcurrencyHelpers
import Placement
import Repair
import ReplicationProtocol

/// A catalog and storage nodes in memory that are compared.
final class ComparisonWorld: Sendable {
    struct Node {
        var records: Set<RecordID> = []
        var damaged: Set<RecordID> = []
        var isAway = false
        /// Its word counts.
        var isTrusted = true
        /// What it has deleted.
        var deleted: Set<RecordID> = []
        /// It has more than it lists.
        var listsNothing = false
        /// What it has other content of than others.
        var odd: Set<RecordID> = []
    }

    struct State {
        var term = Term(rawValue: 5)
        var time = Duration.zero
        var placements: [[NodeID]] = []
        var instances: [RecordID: Int32] = [:]
        var trash: Set<RecordID> = []
        var nodes: [NodeID: Node] = [:]
        var position = ComparisonPosition(group: PlacementGroup(rawValue: 0), age: nil)
        var counts = ComparisonCounts()
        var groupCount = 0
        var reports: [MissingCopy] = []
        var lost: Set<RecordID> = []
        var postponed: [RecordID: (until: Duration, note: String)] = [:]
        var uncounted: [RecordID: NodeID] = [:]
        /// Happens once, right before a copy is counted no more.
        var beforeUncounting: (@Sendable (inout State) -> Void)?
        /// Happens when a copy is counted.
        var whenCounted: (@Sendable (NodeID) -> Void)?
        /// What a sound cold pack holds; and whose copies were ordered to be dropped for it.
        var packed: Set<RecordID> = []
        var coldOrders: [RecordID: [NodeID]] = [:]
        /// Copies that are being dropped: not to be counted.
        var dropping: Set<RecordID> = []
    }

    let ids: [NodeID]
    let state: NIOLockedValueBox<State>

    init(nodes count: UInt64 = 3) {
        ids = (1...count).map { NodeID(high: 1, low: $0) }
        var state = State()
        for id in ids { state.nodes[id] = Node() }
        self.state = NIOLockedValueBox(state)
    }

    static func number(of nodes: [NodeID], _ state: inout State) -> Int32 {
        let sorted = nodes.sorted()
        if let found = state.placements.firstIndex(of: sorted) { return Int32(found) }
        state.placements.append(sorted)
        return Int32(state.placements.count - 1)
    }

    /// Enters an instance that is counted on the nodes with these numbers, from 0, and is on those of `present`; `isCold`: also
    /// one that is counted on none.
    @discardableResult
    func store(
        _ number: UInt64,
        counted: [Int],
        present: [Int],
        group: UInt64 = 0,
        isCold: Bool = false
    ) -> RecordID {
        guard let record = RecordID(high: group << 48, low: number) else { preconditionFailure("no record id") }
        state.withLockedValue { state in
            if !counted.isEmpty || isCold {
                state.instances[record] = Self.number(of: counted.map { ids[$0] }, &state)
            }
            for node in present { state.nodes[ids[node]]?.records.insert(record) }
        }
        return record
    }

    /// The numbers of the nodes that an instance is counted on.
    func counted(_ record: RecordID) -> [Int] {
        let nodes = state.withLockedValue { state in state.instances[record].map { state.placements[Int($0)] } ?? [] }
        return nodes.compactMap { ids.firstIndex(of: $0) }
    }

    func change(_ node: Int, _ body: (inout Node) -> Void) {
        state.withLockedValue { state in
            guard var found = state.nodes[ids[node]] else { return }
            body(&found)
            state.nodes[ids[node]] = found
        }
    }

    var view: ComparisonView {
        let (term, nodes) = state.withLockedValue { ($0.term, $0.nodes) }
        return ComparisonView(
            stamp: OrderStamp(term: term, mapEpoch: MapEpoch(rawValue: 1)),
            members: Dictionary(ids.map { ($0, "storage-\($0.low)") }) { first, _ in first },
            peers: ids.filter { nodes[$0]?.isAway == false }.map { ComparisonTestPeer(id: $0, world: self) },
            trusted: Set(ids.filter { nodes[$0]?.isAway == false && nodes[$0]?.isTrusted == true })
        )
    }

    /// A coordinator that has just taken office.
    func worker(
        period: Duration? = .seconds(1024),
        gate: CountingGate = CountingGate(),
        following: @escaping @Sendable (PlacementGroup) -> PlacementGroup = { $0.next }
    ) -> ComparisonWorker {
        var limits = RepairLimits()
        limits.bytesPerSecond = 0
        let worker = ComparisonWorker(
            ledger: self,
            gate: gate,
            limits: limits,
            period: period,
            interval: .seconds(1),
            following: following,
            clock: RepairClock(
                now: { [state] in state.withLockedValue { $0.time } },
                sleep: { [state] time in state.withLockedValue { $0.time += time } }
            ),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        worker.update(view)
        return worker
    }

    func change<Value>(_ term: Term, _ body: (inout State) -> Value) throws(CatalogError) -> Value {
        let result = state.withLockedValue { state -> Value? in
            guard state.term == term else { return nil }
            return body(&state)
        }
        guard let result else { throw CatalogError(.staleTerm, "over") }
        return result
    }
}

extension ComparisonWorld: ComparisonLedger {
    func namedCopies(
        in range: ClosedRange<RecordID>,
        after: RecordID?,
        limit: Int
    ) async throws(CatalogError) -> [NamedCopies] {
        state.withLockedValue { state in
            let found = state.instances.filter { record, _ in
                range.contains(record) && after.map { record > $0 } ?? true
            }
            return found.sorted { $0.key < $1.key }.prefix(limit).map {
                NamedCopies(record: $0.key, nodes: state.placements[Int($0.value)])
            }
        }
    }

    func explain(_ records: [RecordID]) async throws(CatalogError) -> (trashed: Int, orphans: Int) {
        state.withLockedValue { state in
            let unnamed = records.filter { state.instances[$0] == nil }
            let trashed = unnamed.count { state.trash.contains($0) }
            return (trashed, unnamed.count - trashed)
        }
    }

    func comparisonPosition() async throws(CatalogError) -> ComparisonPosition {
        state.withLockedValue { $0.position }
    }

    func noteComparison(
        of group: PlacementGroup,
        _ counts: ComparisonCounts,
        term: Term
    ) async throws(CatalogError) {
        try change(term) { state in
            guard state.position.group == group else { return }
            state.counts.presentCount += counts.presentCount
            state.counts.unaskedCount += counts.unaskedCount
            state.counts.missingCount += counts.missingCount
            state.counts.uncountedCount += counts.uncountedCount
            state.counts.orphanCount += counts.orphanCount
            state.counts.trashedCount += counts.trashedCount
            state.groupCount += 1
            let next = (group.rawValue + 1) % UInt16(PlacementGroup.count)
            state.position = ComparisonPosition(group: PlacementGroup(rawValue: next), age: .zero)
        }
    }

    func reportMissing(_ copies: [(record: RecordID, node: NodeID)]) async throws(CatalogError) {
        state.withLockedValue { state in
            for (record, node) in copies {
                let isKnown = state.reports.contains { $0.record == record && $0.node == node }
                guard !isKnown, let number = state.instances[record],
                    state.placements[Int(number)].contains(node)
                else { continue }
                state.reports.append(MissingCopy(record: record, node: node, placement: number, nodes: []))
            }
        }
    }

    func missingCopies(on nodes: [NodeID], limit: Int, term: Term) async throws(CatalogError) -> [MissingCopy] {
        try change(term) { state in
            let due = state.reports.filter { report in
                nodes.contains(report.node) && state.postponed[report.record].map { $0.until <= state.time } ?? true
            }
            return due.prefix(limit).map { report in
                var report = report
                report.placement = state.instances[report.record]
                report.nodes = report.placement.map { state.placements[Int($0)] } ?? []
                return report
            }
        }
    }

    func settleMissing(_ copy: MissingCopy, term: Term) async throws(CatalogError) {
        try change(term) { state in
            state.reports.removeAll { $0.record == copy.record && $0.node == copy.node }
        }
    }

    func uncount(
        _ copy: MissingCopy,
        from placement: Int32,
        to newPlacement: Int32,
        note: String,
        term: Term
    ) async throws(CatalogError) -> Bool {
        try change(term) { state in
            let happens = state.beforeUncounting
            state.beforeUncounting = nil
            happens?(&state)
            guard state.instances[copy.record] == placement, !state.placements[Int(newPlacement)].isEmpty else {
                return false
            }
            state.instances[copy.record] = newPlacement
            state.uncounted[copy.record] = copy.node
            state.reports.removeAll { $0.record == copy.record && $0.node == copy.node }
            return true
        }
    }

    func recount(
        _ record: RecordID,
        on node: NodeID,
        from placement: Int32,
        to newPlacement: Int32,
        term: Term
    ) async throws(CatalogError) -> Bool {
        try change(term) { state in
            guard state.instances[record] == placement, !state.dropping.contains(record) else { return false }
            state.whenCounted?(node)
            state.instances[record] = newPlacement
            return true
        }
    }

    func postponeMissing(
        _ copy: MissingCopy,
        isLost: Bool,
        pause: Duration,
        note: String,
        term: Term
    ) async throws(CatalogError) {
        try change(term) { state in
            if isLost { state.lost.insert(copy.record) }
            state.postponed[copy.record] = (state.time + pause, note)
        }
    }

    func orderColdDrop(_ record: RecordID, on node: NodeID, term: Term) async throws(CatalogError) -> Bool {
        try change(term) { state in
            guard state.packed.contains(record), let number = state.instances[record],
                state.placements[Int(number)].isEmpty
            else { return false }
            state.coldOrders[record, default: []].append(node)
            return true
        }
    }

    func placementNumber(of nodes: [NodeID]) async throws(CatalogError) -> Int32 {
        state.withLockedValue { Self.number(of: nodes, &$0) }
    }
}

/// A connection to one of the nodes.
struct ComparisonTestPeer: ComparisonPeer {
    let id: NodeID
    let world: ComparisonWorld

    var name: String { "storage-\(id.low)" }

    private func ask<Value>(
        _ body: (inout ComparisonWorld.Node) -> Result<Value, ReplicationError>
    ) throws(ReplicationError) -> Value {
        let result = world.state.withLockedValue { state -> Result<Value, ReplicationError> in
            guard var node = state.nodes[id], !node.isAway else {
                return .failure(ReplicationError(.notConnected, "away"))
            }
            defer { state.nodes[id] = node }
            return body(&node)
        }
        return try result.get()
    }

    func list(_ group: PlacementGroup, after: RecordID?, limit: Int) async throws(ReplicationError) -> [RecordID] {
        try ask { node -> Result<[RecordID], ReplicationError> in
            guard !node.listsNothing else { return .success([]) }
            let all = node.records.filter { record in record.group == group && after.map { record > $0 } ?? true }
            return .success(Array(all.sorted().prefix(limit)))
        }
    }

    func digest(of record: RecordID) async throws(ReplicationError) -> SHA256Digest? {
        try ask { node -> Result<SHA256Digest?, ReplicationError> in
            if node.deleted.contains(record) { return .failure(ReplicationError(.notFound, "deleted")) }
            guard node.records.contains(record) else { return .success(nil) }
            return .success(SHA256Digest(words: (record.high, record.low, node.odd.contains(record) ? 1 : 0, 0)))
        }
    }

    func verify(_ record: RecordID) async throws(ReplicationError) {
        try ask { node -> Result<Void, ReplicationError> in
            if !node.records.contains(record) { return .failure(ReplicationError(.notFound, "not there")) }
            return node.damaged.contains(record) ? .failure(ReplicationError(.corrupt, "damaged")) : .success(())
        }
    }
}
