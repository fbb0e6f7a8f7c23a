// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import ReplicationProtocol
import SegmentFormat

/// One instance on its way in: copies by the real `WriteQuorum`, then the catalog or the journal.
///
/// Follows `ClusterClient.write` and `Registrar.enter` step by step.
final class StoreOperation {
    enum Outcome {
        case entered, noted, duplicate
    }

    enum Failure: Error {
        case notEnoughCopies, conflict, unavailable
    }

    struct Stored {
        var nodes: [NodeID]
        var outcome: Outcome
    }

    private let ingest: IngestProcess
    private let instance: Instance
    private let receivedAt: Int64
    private let completion: (Result<Stored, Failure>) -> Void
    private var quorum: WriteQuorum
    private let map: PlacementMap
    private var puts: [NodeID: ClientPut] = [:]
    private var isDecided = false
    private var firstNodes: [NodeID] = []

    private var world: World { ingest.world }

    init(_ ingest: IngestProcess, _ instance: Instance, completion: @escaping (Result<Stored, Failure>) -> Void) {
        self.ingest = ingest
        self.instance = instance
        self.receivedAt = ingest.wallMilliseconds
        self.completion = completion
        self.map = ingest.map
        let plan = ingest.world.plan
        var ranking = ingest.writable(instance.recordID.group)
        if plan.defect == .ignoreHosts {
            for index in ranking.indices { ranking[index].domain = FailureDomain(host: ranking[index].name) }
        }
        quorum = WriteQuorum(
            ranking: ranking,
            copies: plan.defect == .acknowledgeOneCopy ? 1 : plan.copies,
            acknowledgements: plan.defect == .acknowledgeOneCopy ? 1 : plan.acknowledgements,
            spread: .microseconds(Limits.acknowledgementSpread)
        )
    }

    func start() {
        world.atEnd { [weak self] in self?.puts = [:] }
        ingest.after(Limits.slowNodeDelay + Int64(instance.payload.readableBytes) * 5) { [self] in
            guard !isDecided else { return }
            perform(quorum.slow())
        }
        perform(quorum.start())
    }

    private func perform(_ action: WriteQuorum.Action) {
        switch action {
        case .put(let nodes):
            if firstNodes.isEmpty { firstNodes = nodes }
            for node in nodes { put(to: node) }
        case .succeed(let nodes):
            decide()
            enter(world.has(.forgetReplacements) ? firstNodes : nodes)
        case .fail(let durable):
            decide()
            if world.has(.acknowledgeFailedWrite), !durable.isEmpty { return enter(durable) }
            completion(.failure(.notEnoughCopies))
        }
    }

    /// The write is decided: puts under way are given up.
    private func decide() {
        isDecided = true
        let open = puts.sorted { $0.key < $1.key }
        puts = [:]
        for (_, put) in open { put.abandon(ReplicationError(.cancelled, "the write is decided")) }
    }

    /// Asks the same node again, twice at most, when all was sent and the answer was lost; as `repeating` does.
    private func put(to node: NodeID, repetitions: Int = 0) {
        let request = PutRequest(
            recordID: instance.recordID,
            recordType: 1,
            metadata: instance.metadata(receivedAtMilliseconds: receivedAt).encode(),
            payloadByteCount: UInt64(instance.payload.readableBytes),
            payloadDigest: instance.digest,
            mapEpoch: map.epoch
        )
        let put = ClientPut(ingest, request, payload: instance.payload) { [self] result in
            // Answers come back through the event loop of the task that waits.
            ingest.after(0) {
                guard !self.isDecided else { return }
                if case .failure(let error) = result, error.retry == .sameNode, repetitions < 2 {
                    self.puts[node] = nil
                    return self.whenConnected(node, patience: Limits.repeatPatience) { isConnected in
                        guard !self.isDecided else { return }
                        if isConnected {
                            self.put(to: node, repetitions: repetitions + 1)
                        } else {
                            self.answered(node, result)
                        }
                    }
                }
                self.answered(node, result)
            }
        }
        puts[node] = put
        ingest.submit(put, to: node)
    }

    private func whenConnected(_ node: NodeID, patience: Int64, _ body: @escaping (Bool) -> Void) {
        if ingest.isConnected(node) { return body(true) }
        guard patience > 0 else { return body(false) }
        ingest.after(20_000) { self.whenConnected(node, patience: patience - 20_000, body) }
    }

    private func answered(_ node: NodeID, _ result: Result<PutOutcome, ReplicationError>) {
        guard !isDecided else { return }
        puts[node] = nil
        switch result {
        case .success: perform(quorum.acknowledged(node, at: .microseconds(world.now)))
        case .failure(let error):
            world.note("\(ingest.name): put of \(instance.name) to \(ingest.name(of: node)) fails: \(error.code)")
            perform(quorum.failed(node))
        }
    }

    // MARK: The catalog

    private func enter(_ nodes: [NodeID]) {
        let entry = CatalogModel.Entry(
            recordID: instance.recordID,
            nodes: nodes,
            study: instance.studyInstanceUID,
            instance: instance.sopInstanceUID,
            contentDigest: instance.digest
        )
        if ingest.catalogIsAway { return note(entry) }
        ingest.commit(entry) { [self] result in
            switch result {
            case .success(.committed): completion(.success(Stored(nodes: nodes, outcome: .entered)))
            case .success(.duplicate): completion(.success(Stored(nodes: nodes, outcome: .duplicate)))
            case .success(.conflict):
                if world.has(.conflictAsDuplicate) {
                    completion(.success(Stored(nodes: nodes, outcome: .duplicate)))
                } else {
                    completion(.failure(.conflict))
                }
            case .failure(let failure):
                if failure == .outcomeUnknown, world.has(.loseUnknownOutcome) {
                    return completion(.success(Stored(nodes: nodes, outcome: .entered)))
                }
                ingest.catalogFailed()
                note(entry)
            }
        }
    }

    private func note(_ entry: CatalogModel.Entry) {
        let nearest = world.plan.copies + 1
        ingest.find(entry.study, entry.instance, nearest: nearest) { [self] result in
            // Without an answer it can't be told whether the UID is taken.
            let first: IngestProcess.Found? = if case .success(let found) = result { found } else { nil }
            let isFirst = first == nil || first?.recordID == entry.recordID
            guard isFirst || first?.metadata.receivedDigest == entry.contentDigest else {
                return completion(.failure(.conflict))
            }
            let outcome = Stored(nodes: entry.nodes, outcome: isFirst ? .noted : .duplicate)
            if world.has(.acknowledgeBeforeJournal) { completion(.success(outcome)) }
            ingest.journal(entry) { [self] isDurable in
                if world.has(.acknowledgeBeforeJournal) { return }
                completion(isDurable ? .success(outcome) : .failure(.unavailable))
            }
        }
    }
}
