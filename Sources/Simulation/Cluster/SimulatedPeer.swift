// SPDX-License-Identifier: Apache-2.0

import Checksums
import Healing
import Placement
import Repair
import ReplicationProtocol
import SegmentFormat

/// A storage node as the real `NodeHealing`, `RepairExecutor` and `ComparisonWorker` speak to it, over a way that delays and may lose.
// Safety: made, used and let go of on its world's one thread, where `WorldExecutor` runs the tasks that have it.
final class SimulatedPeer: HealingPeer, RepairPeer, SurplusPeer, ComparisonPeer, @unchecked Sendable {
    /// Small, so that there is more than one page.
    private static let pageCount = 3

    let node: StorageProcess
    let coordinator: CoordinatorModel
    var world: World { node.world }

    init(_ node: StorageProcess, _ coordinator: CoordinatorModel) {
        self.node = node
        self.coordinator = coordinator
    }

    var id: NodeID { node.store.id }
    var name: String { node.name }
    var host: String { node.name }
    var port: Int { node.store.number }

    func damage(from first: DamageCursor) async throws(ReplicationError) -> DamageReport {
        try await ask { [node] in node.damage(DamageRequest(first: first, limit: Self.pageCount), $0) }
    }

    func pull(_ id: RecordID, from source: any HealingPeer, _ stamp: OrderStamp) async throws(ReplicationError) {
        guard let source = source as? SimulatedPeer else {
            throw ReplicationError(.invalidRequest, "the source is not of this world")
        }
        world.note("\(name) is to fetch \(id) from \(source.name)")
        try await ask { [node] in node.pull(id, from: source.node, stamp, $0) }
        world.mix(id.low)
    }

    func fetch(_ id: RecordID, from source: any RepairPeer, _ stamp: OrderStamp) async throws(ReplicationError) {
        guard let source = source as? SimulatedPeer else {
            throw ReplicationError(.invalidRequest, "the source is not of this world")
        }
        world.note("\(name) is to have a copy of \(id) from \(source.name), term \(stamp.term.rawValue)")
        try await ask { [world, node] reply in
            guard world.has(.countBeforeDurable) else { return node.pull(id, from: source.node, stamp, reply) }
            node.pull(id, from: source.node, stamp) { _ in }
            reply(.success(()))
        }
        world.mix(id.low)
    }

    func digest(of id: RecordID) async throws(ReplicationError) -> SHA256Digest? {
        try await ask { [node] in node.head(id, $0) }?.payloadDigest
    }

    func verify(_ id: RecordID) async throws(ReplicationError) {
        let isWhole = try await ask { [node] in node.hasWhole(id, $0) }
        guard isWhole else { throw ReplicationError(.notFound, "the node does not have the record") }
    }

    func drop(
        _ items: [DropRequest.Item],
        permit: ReferenceID,
        _ stamp: OrderStamp,
        sequence: UInt64
    ) async throws(ReplicationError) -> [RecordDropOutcome] {
        if !items.isEmpty { world.note("\(name) is to drop \(items.map(\.recordID)), term \(stamp.term.rawValue)") }
        // Some are so long on their way that nobody waits any more when they come.
        let extra = world.chance(8) ? world.time(0...2 * Limits.orderTimeout) : 0
        return try await ask(after: extra) { [node] in node.drop(items, permit: permit, stamp, sequence: sequence, $0) }
    }

    func healed(_ stamp: OrderStamp, reconciled: UInt64?) async throws(ReplicationError) -> UInt64 {
        try await ask { [node] in node.healed(HealedRequest(stamp: stamp, reconciled: reconciled), $0) }
    }

    func list(_ group: PlacementGroup, after: RecordID?, limit: Int) async throws(ReplicationError) -> [RecordID] {
        guard coordinator.groups.contains(group) else { return [] }
        let limit = min(limit, Self.pageCount)
        var ids: [RecordID] = []
        // The caller takes a short page for the last one.
        while true {
            let request = ListRequest(group: group, after: ids.last ?? after, limit: limit, timeoutMilliseconds: 0)
            let page = try await ask { [node] in node.list(request, $0) }
            ids += page
            if page.count < limit { return ids }
        }
    }

    func amendments(
        from first: RecordID,
        firstOrder: RecordAmendment.Order,
        to last: RecordID
    ) async throws(ReplicationError) -> AmendmentPage {
        // A run has records in few groups; to ask for the others would take all of its time.
        guard coordinator.groups.contains(first.group) else { return AmendmentPage([], hasMore: false) }
        let request = AmendmentsRequest(first: first, firstOrder: firstOrder, last: last, limit: Self.pageCount)
        return try await ask { [node] in node.amendments(request, $0) }
    }

    func amend(_ amendment: RecordAmendment, _ stamp: OrderStamp) async throws(ReplicationError) {
        try await ask { [node] in node.amend(Amendment(amendment), stamp, $0) }
    }

    func ask<Value: Sendable>(
        after extra: Int64 = 0,
        timeout: Int64 = Limits.orderTimeout,
        _ work: @escaping (@escaping (Result<Value, ReplicationError>) -> Void) -> Void
    ) async throws(ReplicationError) -> Value {
        let (world, node, coordinator) = (world, node, coordinator)
        // A connection ends with the process it leads to, and what was sent on it arrives nowhere else.
        let life = node.isRunning ? node.incarnation : nil
        return try await world.calls.call(in: world, timeout: timeout) { reply in
            world.after(extra + world.time(100...1_500)) {
                guard node.isRunning, life == nil || node.incarnation == life else {
                    return reply(.failure(ReplicationError(.connectionLost, "it is down")))
                }
                guard !coordinator.loses(node, "a request to \(node.name)") else { return }
                node.after(0) {
                    work { result in
                        guard !coordinator.loses(node, "an answer of \(node.name)") else { return }
                        world.after(world.time(100...1_500)) { reply(result) }
                    }
                }
            }
        }
    }
}

/// The catalog as the real `NodeHealing` asks it.
// Safety: made, used and let go of on its world's one thread, where `WorldExecutor` runs the tasks that have it.
final class SimulatedCatalog: HealingCatalog, @unchecked Sendable {
    private let catalog: CatalogModel
    private let world: World

    init(_ catalog: CatalogModel, in world: World) {
        self.catalog = catalog
        self.world = world
    }

    func records(on node: NodeID, after: RecordID?, limit: Int) async throws -> [RecordID] {
        try await ask { [catalog] in catalog.records(on: node, after: after, limit: limit, $0) }
    }

    func unknown(among ids: [RecordID]) async throws -> [RecordID] {
        try await ask { [catalog] in catalog.unknown(among: ids, $0) }
    }

    /// A catalog does not fail in the protocol's words.
    private struct IsAway: Error {}

    private func ask(_ work: (@escaping ([RecordID]?) -> Void) -> Void) async throws -> [RecordID] {
        do {
            return try await world.calls.call(in: world, timeout: Limits.catalogTimeout) { reply in
                work { ids in
                    reply(ids.map { .success($0) } ?? .failure(ReplicationError(.connectionLost, "it is away")))
                }
            }
        } catch {
            throw IsAway()
        }
    }
}
