// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import ReplicationProtocol
import SegmentFormat
import SegmentStore
import SimulatedDisk

/// An ingest node: its connections, what it knows of map and catalog, and its journal.
///
/// The decisions are those of `ClusterClient`, `RecordDirectory`, `FallbackDirectory`, `CatalogHealth` and `MapFollower`.
final class IngestProcess: Process {
    /// A record as the storage nodes describe it.
    struct Found {
        var recordID: RecordID
        var nodes: [NodeID]
        var metadata: InstanceMetadata

        /// The first that was received counts.
        func precedes(_ other: Found) -> Bool {
            (metadata.receivedAtMilliseconds, recordID) < (other.metadata.receivedAtMilliseconds, other.recordID)
        }
    }

    let id: NodeID
    let catalog: CatalogModel
    private(set) var disk: SimulatedDisk
    let faults: DiskFaults
    private(set) var map: PlacementMap
    private(set) var catalogIsAway = false
    private(set) var records: JournalModel?
    private var links: [NodeID: ClientLink] = [:]
    private let nodes: [StorageProcess]
    private let ways: [Link]
    private var skew: Int64 = 0
    private var isJournalBusy = false
    private var noting: [(JournalModel.Entry, (Bool) -> Void)] = []
    /// Entries that the catalog refused, by SOP Instance UID and record; kept for the checks.
    var refused: (RecordID) -> Void = { _ in }
    /// What the catalog has of packs.
    var moves: MoveModel?

    init(world: World, number: Int, nodes: [StorageProcess], ways: [Link], catalog: CatalogModel) {
        self.id = NodeID(high: 9, low: UInt64(number + 1))
        self.nodes = nodes
        self.ways = ways
        self.catalog = catalog
        self.map = catalog.map
        self.faults = DiskFaults(seed: world.plan.seed &* 37 &+ UInt64(number))
        self.disk = SimulatedDisk(seed: world.plan.seed &+ 1000 &+ UInt64(number))
        super.init(world: world, name: "ingest-\(number)")
    }

    var wallMilliseconds: Int64 { 1_800_000_000_000 + world.now / 1000 + skew }

    var journalCount: Int { records?.count ?? 0 }

    /// How many entries of its journal are not settled, leaving aside records that were deleted meanwhile.
    func owes(beside deleted: Set<RecordID>) -> Int {
        guard let records, records.count > 0 else { return 0 }
        return deleted.isEmpty ? records.count : records.all.count { !deleted.contains($0.recordID) }
    }

    func jumpClock(by milliseconds: Int64) { skew += milliseconds }

    func name(of node: NodeID) -> String { map[node]?.name ?? "\(node)" }

    // MARK: Life

    func start() {
        let faults = faults
        disk.setFaults { [weak disk] event in
            guard let disk else { return nil }
            return faults.decide(event, on: disk)
        }
        guard let opened = try? JournalModel(opening: disk, skipsSync: world.has(.skipJournalSync)) else {
            // The next attempt may find its disk in a better mood.
            tellDiskFaults()
            disk = disk.afterProcessKill()
            return world.after(200_000) { [self] in if !isRunning { start() } }
        }
        records = opened
        started()
        tellDiskFaults()
        catalogIsAway = false
        isJournalBusy = false
        noting = []
        links = [:]
        connect()
        watchCatalog()
        drainSoon()
        world.note("\(name) starts, \(journalCount) in its journal")
    }

    /// To all members that it has no way to yet.
    private func connect() {
        for (node, way) in zip(nodes, ways) where map[node.store.id] != nil && links[node.store.id] == nil {
            let link = ClientLink(self, node, way)
            links[node.store.id] = link
            link.start()
        }
    }

    func die(withPower: Bool) {
        died()
        world.note("\(name) dies\(withPower ? " with its machine" : "")")
        for way in ways {
            for wire in way.wires where !withPower { wire.killed(.toServer) }
            way.wires = []
        }
        for link in links.values { link.forget() }
        links = [:]
        records = nil
        disk = withPower ? disk.afterPowerLoss(using: &world.random) : disk.afterProcessKill()
    }

    func tellDiskFaults() {
        for (kind, detail) in faults.takeHappened() {
            world.count(kind == .diskFull ? .journalFull : .journalSyncError, "\(name): \(detail)")
        }
    }

    // MARK: The cluster

    func submit(_ stream: ClientStream, to node: NodeID) {
        guard let link = links[node] else {
            return stream.fail(ReplicationError(.notConnected, "the node has left the map"))
        }
        link.submit(stream)
    }

    func isConnected(_ node: NodeID) -> Bool { links[node]?.isConnected ?? false }

    /// The members that may be written to, connected ones first.
    func writable(_ group: PlacementGroup) -> [StorageMember] {
        let ranking = map.ranking(of: group, copies: world.plan.copies)
        let usable = ranking.filter { $0.state != .removed && $0.state != .out && $0.state != .draining }
        return usable.filter { isConnected($0.id) } + usable.filter { !isConnected($0.id) }
    }

    private func readOrder(_ id: RecordID, _ copies: [NodeID]) -> [NodeID] {
        let ranked = map.ranking(of: id.group, copies: world.plan.copies).map(\.id)
        let known = copies.filter { isConnected($0) } + copies.filter { !isConnected($0) }
        return known + ranked.filter { !copies.contains($0) && isConnected($0) }
    }

    /// A record's payload from the first copy that is whole.
    func read(_ id: RecordID, copies: [NodeID], _ completion: @escaping (ByteBuffer?) -> Void) {
        firstGoodCopy(readOrder(id, copies)[...]) { [self] done in
            ClientGet(self, id) { done(try? $0.get()) }
        } _: {
            completion($0)
        }
    }

    private func head(_ id: RecordID, copies: [NodeID], _ completion: @escaping (HeadResult?) -> Void) {
        firstGoodCopy(readOrder(id, copies)[...]) { [self] done in
            ClientHead(self, id) { done((try? $0.get()).flatMap { $0 }) }
        } _: {
            completion($0)
        }
    }

    private func firstGoodCopy<Value>(
        _ nodes: ArraySlice<NodeID>,
        _ ask: @escaping (@escaping (Value?) -> Void) -> ClientStream,
        _ completion: @escaping (Value?) -> Void
    ) {
        guard let node = nodes.first else { return completion(nil) }
        let stream = ask { [self] value in
            if let value { return completion(value) }
            after(0) { self.firstGoodCopy(nodes.dropFirst(), ask, completion) }
        }
        submit(stream, to: node)
    }

    // MARK: Without the catalog

    enum FindFailure: Error {
        case tooManySilent, unreadable
    }

    /// The record of an instance that counts, as the storage nodes know it.
    func find(
        _ study: String,
        _ instance: String,
        nearest: Int?,
        _ completion: @escaping (Result<Found?, FindFailure>) -> Void
    ) {
        guard let range = RecordID.range(studyInstanceUID: study, sopInstanceUID: instance) else {
            return completion(.success(nil))
        }
        let group = range.lowerBound.group
        let members =
            if let nearest {
                Array(map.ranking(of: group, copies: world.plan.copies).prefix(nearest))
            } else {
                map.members.filter { $0.state != .removed }
            }
        var holders: [RecordID: [NodeID]] = [:]
        var silent: Set<FailureDomain> = []
        var waiting = members.count
        for member in members {
            let request = ListRequest(
                group: group,
                after: range.lowerBound.predecessor,
                limit: 4096,
                timeoutMilliseconds: UInt32(Limits.requestTimeout / 1000)
            )
            let stream = ClientList(self, request) { [self] result in
                switch result {
                case .success(let ids):
                    for id in ids where range.contains(id) { holders[id, default: []].append(member.id) }
                case .failure: silent.insert(member.domain)
                }
                waiting -= 1
                guard waiting == 0 else { return }
                guard silent.count < world.plan.acknowledgements else { return completion(.failure(.tooManySilent)) }
                describe(holders.sorted { $0.key < $1.key }[...], instance, nil, completion)
            }
            submit(stream, to: member.id)
        }
        if members.isEmpty { completion(.failure(.tooManySilent)) }
    }

    private func describe(
        _ holders: ArraySlice<(key: RecordID, value: [NodeID])>,
        _ instance: String,
        _ best: Found?,
        _ completion: @escaping (Result<Found?, FindFailure>) -> Void
    ) {
        guard let (id, nodes) = holders.first else { return completion(.success(best)) }
        head(id, copies: nodes) { [self] head in
            guard let head, let metadata = try? InstanceMetadata(decoding: head.metadata) else {
                return completion(.failure(.unreadable))
            }
            let found = Found(recordID: id, nodes: nodes, metadata: metadata)
            var best = best
            if metadata.sopInstanceUID == instance, best.map({ !$0.precedes(found) }) ?? true { best = found }
            describe(holders.dropFirst(), instance, best, completion)
        }
    }

    // MARK: The catalog

    /// Asks the catalog to commit, with the deadline that is the client's.
    func commit(
        _ entry: CatalogModel.Entry,
        _ completion: @escaping (Result<CatalogModel.Outcome, CatalogModel.Failure>) -> Void
    ) {
        var isOver = false
        catalog.commit(
            entry,
            callback { result in
                guard !isOver else { return }
                isOver = true
                completion(result)
            }
        )
        after(Limits.catalogTimeout) {
            guard !isOver else { return }
            isOver = true
            completion(.failure(.outcomeUnknown))
        }
    }

    func catalogFailed() { catalogIsAway = true }

    private func watchCatalog() {
        after(Limits.healthInterval) { [self] in
            catalog.fetchMap(
                callback { [self] map in
                    catalogIsAway = map == nil
                    guard let map, map.epoch > self.map.epoch else { return }
                    self.map = map
                    connect()
                }
            )
            watchCatalog()
        }
    }

    /// Where an instance is: by the catalog, or without it by the nodes.
    func lookUp(
        _ instance: Instance,
        _ completion: @escaping (Result<(RecordID, [NodeID])?, FindFailure>) -> Void
    ) {
        let ask = { [self] in
            find(instance.studyInstanceUID, instance.sopInstanceUID, nearest: nil) { result in
                completion(result.map { $0.map { ($0.recordID, $0.nodes) } })
            }
        }
        if catalogIsAway { return ask() }
        var isOver = false
        catalog.lookUp(
            instance.sopInstanceUID,
            callback { [self] result in
                guard !isOver else { return }
                isOver = true
                switch result {
                case .success(let entry): completion(.success(entry.map { ($0.recordID, $0.nodes) }))
                case .failure:
                    catalogFailed()
                    ask()
                }
            }
        )
        after(Limits.catalogTimeout) { [self] in
            guard !isOver else { return }
            isOver = true
            catalogFailed()
            ask()
        }
    }

    // MARK: The journal

    /// Notes an entry; tells whether it is durable.
    func journal(_ entry: CatalogModel.Entry, _ completion: @escaping (Bool) -> Void) {
        noting.append(
            (
                JournalModel.Entry(
                    recordID: entry.recordID,
                    nodes: entry.nodes,
                    study: entry.study,
                    instance: entry.instance
                ), completion
            )
        )
        writeJournal()
    }

    private func writeJournal() {
        guard !isJournalBusy, !noting.isEmpty else { return }
        isJournalBusy = true
        after(world.time(100...900)) { [self] in
            let batch = noting
            noting = []
            let isDurable = (try? records?.append(batch.map(\.0))) != nil
            tellDiskFaults()
            after(world.time(5...60)) { [self] in
                isJournalBusy = false
                for (_, completion) in batch { completion(isDurable) }
                writeJournal()
            }
        }
    }

    private func drainSoon() {
        after(Limits.healthInterval) { [self] in
            guard !catalogIsAway, journalCount > 0, !world.has(.neverDrain) else { return drainSoon() }
            JournalDrainModel(self).run { [self] in drainSoon() }
        }
    }

    /// Changes the journal in one step.
    func withJournal<Value>(_ body: (inout JournalModel) throws -> Value) -> Value? {
        guard var journal = records else { return nil }
        defer {
            records = journal
            tellDiskFaults()
        }
        return try? body(&journal)
    }

    /// What the catalog is to know of a record, from the record alone.
    func describe(_ entry: JournalModel.Entry, _ completion: @escaping (CatalogModel.Entry?) -> Void) {
        head(entry.recordID, copies: entry.nodes) { [self] head in
            guard let head, let metadata = try? InstanceMetadata(decoding: head.metadata) else {
                return completion(nil)
            }
            // Its attributes are in its payload.
            read(entry.recordID, copies: entry.nodes) { bytes in
                guard bytes != nil else { return completion(nil) }
                completion(
                    CatalogModel.Entry(
                        recordID: entry.recordID,
                        nodes: entry.nodes,
                        study: metadata.studyInstanceUID,
                        instance: metadata.sopInstanceUID,
                        contentDigest: metadata.receivedDigest
                    )
                )
            }
        }
    }
}
