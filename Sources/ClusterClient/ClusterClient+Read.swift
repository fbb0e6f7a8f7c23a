// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOConcurrencyHelpers
public import NIOCore
public import Placement
public import ReplicationProtocol
import ReplicationTransport

extension ClusterClient {
    /// Reads `range` of a record's payload (all of it when nil) from the first copy that is whole.
    ///
    /// A node that is down, answers with an error or finds a wrong checksum is passed over for the next copy; beside one
    /// that is slow for what it usually takes the next is asked, and the first good answer counts.
    ///
    /// `copies` are the nodes that hold the record, as the catalog knows it; other nodes of its group are tried after
    /// them.
    public func read(
        _ id: RecordID,
        copies: [NodeID],
        range: Range<UInt64>?
    ) async throws(ClusterError) -> ByteBuffer {
        // The size of a whole record is not known yet: taken for one of several megabytes.
        let byteCount = range.map { Int(clamping: $0.upperBound - $0.lowerBound) } ?? 4 << 20
        return try await firstGoodCopy(of: id, copies: copies, byteCount: byteCount) {
            client throws(ReplicationError) in
            try await client.get(id, range: range)
        }
    }

    /// A record's metadata, payload byte count and digest, from the first copy that answers.
    public func head(_ id: RecordID, copies: [NodeID]) async throws(ClusterError) -> HeadResult {
        try await firstGoodCopy(of: id, copies: copies, byteCount: 0) { client throws(ReplicationError) in
            guard let result = try await client.head(id) else {
                throw ReplicationError(.notFound, "the node does not hold the record")
            }
            return result
        }
    }

    /// Whether one node's copy is there (`deep`: read whole, all checksums and the digest compared).
    public func check(_ id: RecordID, on node: NodeID, deep: Bool) async throws(ReplicationError) {
        guard let client = client(of: node) else {
            throw ReplicationError(.notConnected, "the node is not in the placement map")
        }
        if deep {
            try await client.verify(id)
        } else if try await client.head(id) == nil {
            throw ReplicationError(.notFound, "the node does not hold the record")
        }
    }

    /// One node's own report.
    public func status(of node: NodeID) async throws(ReplicationError) -> NodeStatusReport {
        guard let client = client(of: node) else {
            throw ReplicationError(.notConnected, "the node is not in the placement map")
        }
        return try await client.status()
    }

    private enum Event<Value: Sendable>: Sendable {
        case answered(NodeID, Result<Value, ReplicationError>)
        case slow(NodeID)
    }

    /// The first good answer of the copies, best first; beside one that is slow the next is asked.
    private func firstGoodCopy<Value: Sendable>(
        of id: RecordID,
        copies: [NodeID],
        byteCount: Int,
        _ ask: @escaping @Sendable (ReplicationClient) async throws(ReplicationError) -> Value
    ) async throws(ClusterError) -> Value {
        var race = ReadRace(readOrder(of: id, copies: copies))
        let weight = NodePace.weight(byteCount: byteCount)
        pacing.withLockedValue { $0.budget.readBegan() }
        let result = await withTaskGroup(of: Event<Value>.self) { tasks -> Result<Value, ClusterError> in
            var failures: [String] = []
            var isAbsentEverywhere = true
            var starts: [NodeID: ContinuousClock.Instant] = [:]
            var action = race.start()
            defer {
                tasks.cancelAll()
                // Those that lost have taken at least that long.
                for node in race.running { ended(node, since: starts[node], weight) }
            }
            while true {
                switch action {
                case .ask(let node):
                    guard let client = client(of: node) else {
                        action = race.failed(node)
                        continue
                    }
                    starts[node] = .now
                    let patience = began(node, weight)
                    tasks.addTask { .answered(node, await Self.answer(of: client, ask)) }
                    if race.hasNext {
                        tasks.addTask {
                            // Cut short when the race is over.
                            try? await Task.sleep(for: patience)
                            return .slow(node)
                        }
                    }
                case .wait: break
                case .giveUp:
                    let reasons =
                        failures.isEmpty
                        ? "no node that should hold it is in the map" : failures.joined(separator: "; ")
                    return .failure(
                        ClusterError(
                            isAbsentEverywhere && !failures.isEmpty ? .notFound : .noReadableCopy,
                            "record \(id) could not be read from any copy: \(reasons)"
                        )
                    )
                }
                switch await tasks.next() {
                case .answered(let node, .success(let value)):
                    ended(node, since: starts[node], weight)
                    race.won(node)
                    return .success(value)
                case .answered(let node, .failure(let error)):
                    ended(node, since: nil, weight)
                    let name = map?[node]?.name ?? "\(node)"
                    failures.append("\(name): \(error)")
                    if error.code != .notFound { isAbsentEverywhere = false }
                    action = race.failed(node)
                    guard !Task.isCancelled else { continue }
                    logger.notice(
                        "a copy could not be read, going on to the next",
                        metadata: ["node": "\(name)", "record": "\(id)", "reason": "\(error)"]
                    )
                case .slow(let node):
                    let mayAsk = !Task.isCancelled && race.running.contains(node) && race.hasNext
                    action = mayAsk && pacing.withLockedValue { $0.takeHedge() } ? race.slow(node) : .wait
                case nil: action = .giveUp
                }
            }
        }
        return try result.get()
    }

    /// Apart from the closure of the task group: CONTRIBUTING.md, rule 13.
    private static func answer<Value: Sendable>(
        of client: ReplicationClient,
        _ ask: (ReplicationClient) async throws(ReplicationError) -> Value
    ) async -> Result<Value, ReplicationError> {
        do throws(ReplicationError) {
            return .success(try await ask(client))
        } catch {
            return .failure(error)
        }
    }

    /// Notes that a node is asked; how long its answer may take before another is.
    private func began(_ node: NodeID, _ weight: Double) -> Duration {
        pacing.withLockedValue { pacing in
            pacing.nodes[node, default: NodePace()].running += 1
            let patience = pacing.nodes[node]?.patience(weight: weight) ?? configuration.unknownReadPatience
            return max(configuration.minimumReadPatience, patience)
        }
    }

    /// Notes that a node's read is over; `since` is nil when it failed, which says nothing of its pace.
    private func ended(_ node: NodeID, since start: ContinuousClock.Instant?, _ weight: Double) {
        let now = ContinuousClock.now
        pacing.withLockedValue { pacing in
            pacing.nodes[node]?.running -= 1
            if let start { pacing.nodes[node]?.note(now - start, weight: weight, now: now) }
        }
    }

    /// Known copies on connected nodes first, the quickest first; then known copies elsewhere, then the rest of the
    /// group's ranking: a copy may be where the catalog does not know it yet.
    package func readOrder(of id: RecordID, copies: [NodeID]) -> [NodeID] {
        let connected = connectedNodes
        let ranked = map?.ranking(of: id.group, copies: configuration.copies).map(\.id) ?? []
        let now = ContinuousClock.now
        let costs = pacing.withLockedValue { pacing in copies.map { pacing.nodes[$0]?.cost(now: now) ?? 0 } }
        let byCost = zip(copies, costs).filter { connected.contains($0.0) }.sorted { $0.1 < $1.1 }.map(\.0)
        let order =
            byCost + copies.filter { !connected.contains($0) }
            + ranked.filter { !copies.contains($0) && connected.contains($0) }
        var seen: Set<NodeID> = []
        return order.filter { seen.insert($0).inserted }
    }
}

/// What is known of the nodes' pace, and what asking twice has cost.
struct ReadPacing {
    var nodes: [NodeID: NodePace] = [:]
    var budget = HedgeBudget()
    var hedgeCount = 0

    mutating func takeHedge() -> Bool {
        guard budget.take() else { return false }
        hedgeCount += 1
        return true
    }
}
