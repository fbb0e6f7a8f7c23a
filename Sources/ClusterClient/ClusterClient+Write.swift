// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import Placement
public import ReplicationProtocol
import ReplicationTransport

extension ClusterClient {
    /// Writes a record, its payload in `pieces`, to its group's nodes and returns those that hold it durably, at least `ack` distinct hosts.
    ///
    /// - Throws: ``ClusterError`` `.notEnoughCopies`, `.refused` or `.noMap`.
    public func write(_ request: PutRequest, pieces: [ByteBuffer]) async throws(ClusterError) -> [NodeID] {
        try await write(request) { client throws(ReplicationError) in
            try await client.put(request, pieces: pieces)
        }
    }

    /// As ``write(_:pieces:)`` for a payload that is produced meanwhile; `chunks` is iterated once for each node,
    /// and again when a node's answer was lost.
    public func write<Chunks: AsyncSequence & Sendable>(
        _ request: PutRequest,
        chunks: Chunks
    ) async throws(ClusterError) -> [NodeID] where Chunks.Element == ByteBuffer {
        try await write(request) { client throws(ReplicationError) in
            try await client.put(request, chunks: chunks)
        }
    }

    private enum Event: Sendable {
        case answered(NodeID, Result<PutOutcome, ReplicationError>)
        case slow
    }

    private func write(
        _ request: PutRequest,
        put: @escaping @Sendable (ReplicationClient) async throws(ReplicationError) -> PutOutcome
    ) async throws(ClusterError) -> [NodeID] {
        guard let map else {
            throw ClusterError(.noMap, "no placement map yet: is a coordinator running?")
        }
        let group = request.recordID.group
        let ranking = writable(map.ranking(of: group, copies: configuration.copies))
        var quorum = WriteQuorum(
            ranking: ranking,
            copies: configuration.copies,
            acknowledgements: configuration.acknowledgements,
            spread: configuration.acknowledgementSpread
        )
        let start = ContinuousClock.now
        let patience = configuration.slowNodeDelay + .seconds(Int64(request.payloadByteCount >> 24))
        let (result, refusals, isForGood) = await withTaskGroup(of: Event.self) { tasks in
            var refusals: [String] = []
            var isForGood = false
            var action = quorum.start()
            if case .put = action { tasks.addTask { await Self.slowEvent(after: patience) } }
            while true {
                switch action {
                case .put(let nodes):
                    for node in nodes { tasks.addTask { await self.put(to: node, put) } }
                case .succeed, .fail:
                    tasks.cancelAll()
                    return (action, refusals, isForGood)
                }
                switch await tasks.next() {
                case .answered(let node, .success):
                    action = quorum.acknowledged(node, at: ContinuousClock.now - start)
                    if quorum.isTooLate { refusals.append("the copies came too far apart; send it again") }
                case .answered(let node, .failure(let error)):
                    refusals.append("\(map[node]?.name ?? "\(node)"): \(error)")
                    isForGood = isForGood || error.code == .conflict
                    action = quorum.failed(node)
                case .slow: action = quorum.slow()
                case nil: return (.fail(durable: []), refusals, isForGood)
                }
            }
        }
        if case .succeed(let nodes) = result { return nodes }
        var durable: [NodeID] = []
        if case .fail(let nodes) = result { durable = nodes }
        let reasons = refusals.isEmpty ? "" : " (\(refusals.joined(separator: "; ")))"
        throw ClusterError(
            isForGood ? .refused : .notEnoughCopies,
            "\(durable.count) of \(configuration.acknowledgements) copies durable,"
                + " \(ranking.count) of \(map.members.count) nodes usable\(reasons)",
            durable: durable
        )
    }

    /// The members that may be tried: those the coordinator calls down come last, in case it is wrong.
    private func writable(_ ranking: [StorageMember]) -> [StorageMember] {
        let connected = connectedNodes
        let usable = ranking.filter { $0.state != .removed && $0.state != .out && $0.state != .draining }
        return usable.filter { connected.contains($0.id) } + usable.filter { !connected.contains($0.id) }
    }

    private func put(
        to node: NodeID,
        _ put: @Sendable (ReplicationClient) async throws(ReplicationError) -> PutOutcome
    ) async -> Event {
        guard let client = client(of: node) else {
            return .answered(node, .failure(ReplicationError(.notConnected, "the node has left the map")))
        }
        do throws(ReplicationError) {
            // Whether a put that was sent completely is durable is for the same node to say, before another is tried.
            let outcome = try await client.repeating { () async throws(ReplicationError) -> PutOutcome in
                try await put(client)
            }
            return .answered(node, .success(outcome))
        } catch {
            return .answered(node, .failure(error))
        }
    }

    private static func slowEvent(after delay: Duration) async -> Event {
        // Cancelled when the write is decided; the event then arrives unused.
        try? await Task.sleep(for: delay)
        return .slow
    }
}
