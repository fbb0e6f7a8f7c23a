// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import ReplicationProtocol
import SegmentFormat
import SegmentStore

/// What clients and the coordinator do: store, store again, store other content under the same UID, read, hold, delete.
final class Workload {
    private let world: World
    private let cluster: SimulatedCluster
    private var instances: [Instance] = []
    private(set) var openCount = 0

    init(_ cluster: SimulatedCluster) {
        self.world = cluster.world
        self.cluster = cluster
        let plan = world.plan
        let studies = world.number(1...4)
        for number in 0..<plan.instanceCount {
            let byteCount =
                switch world.number(0...19) {
                case 0: 0
                case 1...13: world.number(1...2_000)
                case 14...17: world.number(2_000...Limits.wholeByteCount)
                default: world.number(Limits.wholeByteCount...40_000)
                }
            let study = world.number(1...studies)
            instances.append(
                Instance(seed: plan.seed, number: number, version: 0, study: study, byteCount: max(1, byteCount))
            )
            // Some UIDs come with two contents.
            if world.chance(15) {
                let other = Instance(
                    seed: plan.seed,
                    number: number,
                    version: 1,
                    study: study,
                    byteCount: world.number(1...3_000)
                )
                instances.append(other)
            }
        }
        let byUID = Dictionary(grouping: instances, by: \.sopInstanceUID)
        cluster.oracle.candidates = { byUID[$0] ?? [] }
        cluster.coordinator.groups = Set(instances.map(\.recordID.group))
    }

    /// Spreads the work over the time that the plan gives it.
    func start() {
        let duration = world.plan.duration
        for instance in instances {
            for _ in 0..<(world.chance(20) ? 2 : 1) {
                openCount += 1
                world.after(world.time(0...duration)) { [self] in store(instance, attempts: 4) }
            }
        }
        for _ in 0..<instances.count {
            openCount += 1
            world.after(world.time(duration / 10...duration)) { [self] in
                if let instance = world.pick(instances) { read(instance) } else { openCount -= 1 }
            }
        }
        for _ in 0..<world.number(2...6) { world.after(world.time(duration / 3...duration)) { [self] in amend() } }
    }

    // MARK: Storing

    /// A client sends an instance until it is told that it is stored, or gives up.
    private func store(_ instance: Instance, attempts: Int) {
        guard !cluster.oracle.doomed.contains(instance.recordID), let ingest = world.pick(cluster.ingests) else {
            openCount -= 1
            return
        }
        var isOver = false
        let again = { [self] in
            isOver = true
            if attempts > 1 {
                world.after(world.time(10_000...800_000)) { self.store(instance, attempts: attempts - 1) }
            } else {
                openCount -= 1
            }
        }
        guard ingest.isRunning else { return again() }
        world.after(Limits.clientTimeout) { [self] in
            guard !isOver else { return }
            world.count(.clientGivesUp, instance.name)
            again()
        }
        ingest.after(world.time(50...2_000)) { [self] in
            let operation = StoreOperation(ingest, instance) { [self] result in
                // The answer goes to the client, unless it is gone.
                guard !isOver else { return }
                switch result {
                case .success(let stored):
                    isOver = true
                    openCount -= 1
                    cluster.oracle.promised(instance, stored)
                case .failure(.conflict):
                    isOver = true
                    openCount -= 1
                    world.note("\(instance.name) is refused as a conflict")
                case .failure(let failure):
                    world.note("\(instance.name) is not stored: \(failure)")
                    again()
                }
            }
            operation.start()
        }
    }

    // MARK: Reading

    private func read(_ instance: Instance, isFinal: Bool = false) {
        guard let ingest = world.pick(cluster.ingests.filter(\.isRunning)) else {
            openCount -= 1
            return
        }
        var isOver = false
        let end = { [self] in
            if !isOver { openCount -= 1 }
            isOver = true
        }
        world.after(Limits.clientTimeout * 2) { [self] in
            if !isOver, isFinal { world.violate("a read of \(instance.name) does not end") }
            end()
        }
        ingest.after(world.time(50...2_000)) { [self] in
            ingest.lookUp(instance) { [self] result in
                guard case .success(let place?) = result else {
                    if isFinal { cluster.oracle.read(instance, nil, isFinal: true) }
                    return end()
                }
                ingest.readAnywhere(place.0, copies: place.1) { [self] bytes in
                    if !isOver, !cluster.oracle.doomed.contains(place.0) {
                        cluster.oracle.read(instance, bytes, isFinal: isFinal)
                    }
                    end()
                }
            }
        }
    }

    /// Reads this and that when the work is done, and things go wrong again.
    func readMore(over time: Int64) {
        for _ in 0..<instances.count {
            openCount += 1
            world.after(world.time(0...time)) { [self] in
                if let instance = world.pick(instances) { read(instance) } else { openCount -= 1 }
            }
        }
    }

    // MARK: Holding and deleting

    private func amend() {
        // Deletions wait for the catalog, and for what it is owed.
        let kept = cluster.oracle.kept.filter { promise in
            let id = promise.instance.recordID
            // What is held no coordinator deletes.
            guard cluster.coordinator.moves.holds[promise.instance.studyInstanceUID] == nil else { return false }
            return cluster.catalog.rows[promise.instance.sopInstanceUID]?.first?.recordID == id
                && !cluster.ingests.contains { !$0.isRunning || $0.records?.names(id) ?? true }
        }
        guard !cluster.catalog.isAway, let promise = world.pick(kept) else { return }
        let id = promise.instance.recordID
        if world.chance(50) { cluster.coordinator.takeOver() }
        let isHeldFirst = world.chance(50)
        let isStale = world.plan.allows(.staleCoordinator) && world.chance(40)
        let term = cluster.coordinator.term
        if isHeldFirst { order(.hold, id, term) }
        cluster.oracle.willDelete(id)
        world.after(isHeldFirst ? world.time(30_000...300_000) : 0) { [self] in order(.tombstone, id, term) }
        guard isStale, let other = world.pick(kept), other.instance.recordID != id else { return }
        // Someone who slept through a takeover wants to delete another one.
        world.after(world.time(350_000...600_000)) { [self] in
            world.count(.staleCoordinator, "")
            cluster.coordinator.takeOver()
            order(.hold, other.instance.recordID, cluster.coordinator.term)
            cluster.oracle.willDelete(other.instance.recordID)
            world.after(world.time(1_000...50_000)) { [self] in order(.tombstone, other.instance.recordID, term) }
        }
    }

    private func order(_ kind: Amendment.Kind, _ id: RecordID, _ term: Term) {
        let amendment = cluster.coordinator.order(kind, id, term: term)
        let stamp = OrderStamp(term: term, mapEpoch: cluster.catalog.map.epoch)
        for node in cluster.nodes where node.isRunning && !cluster.coordinator.loses(node, "an order to \(node.name)") {
            let applied: (Result<AppendOutcome, SegmentStoreError>) -> Void = { [self] result in
                world.note(
                    "\(node.name): \(kind == .hold ? "hold" : "deletion") under term \(term.rawValue): \(result)"
                )
                if kind == .tombstone, !result.isRefusal { cluster.catalog.deleted.insert(id) }
                guard case .success = result else { return }
                if kind == .hold {
                    cluster.oracle.held(id, on: node.store.id)
                } else {
                    cluster.oracle.deleted(id, on: node.store.id, under: term)
                }
                cluster.oracle.heard(term, on: node.store.id)
            }
            node.amend(amendment, stamp, applied: applied)
        }
    }

    // MARK: The end

    /// Reads everything that was promised.
    func readAll() {
        for promise in cluster.oracle.kept where !cluster.oracle.isReported(promise) {
            openCount += 1
            world.after(world.time(0...500_000)) { [self] in read(promise.instance, isFinal: true) }
        }
    }

    /// Every way between an ingest node and a storage node takes puts of every kind, many at once.
    func probe() {
        for ingest in cluster.ingests {
            for node in cluster.nodes where node.isRunning && !node.store.isUnsound {
                for (index, byteCount) in [100, Limits.streamCredit + 500, Limits.wholeByteCount * 2].enumerated() {
                    let number = 10_000 + Int(ingest.id.low) * 1000 + node.store.number * 10 + index
                    let instance = Instance(
                        seed: world.plan.seed,
                        number: number,
                        version: 0,
                        study: 1,
                        byteCount: byteCount
                    )
                    openCount += 1
                    probe(instance, ingest, node)
                }
            }
        }
    }

    private func probe(_ instance: Instance, _ ingest: IngestProcess, _ node: StorageProcess) {
        let request = PutRequest(
            recordID: instance.recordID,
            recordType: 1,
            metadata: instance.metadata(receivedAtMilliseconds: ingest.wallMilliseconds).encode(),
            payloadByteCount: UInt64(instance.payload.readableBytes),
            payloadDigest: instance.digest,
            mapEpoch: ingest.map.epoch
        )
        let put = ClientPut(ingest, request, payload: instance.payload) { [self] result in
            if case .failure(let error) = result {
                world.violate("after all is healed a put of \(ingest.name) to \(node.name) fails: \(error)")
            }
            openCount -= 1
        }
        ingest.submit(put, to: node.store.id)
    }
}

extension Result where Success == AppendOutcome, Failure == SegmentStoreError {
    /// Whether a deletion has not taken place, and will not be found to have by the next start either.
    fileprivate var isRefusal: Bool {
        switch self {
        case .success: false
        case .failure(let error): error.code == .held || error.code == .staleTerm || error.code == .full
        }
    }
}
