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
        guard let localReads else { return try await runningRead(id, copies: copies, range: range).value() }
        if let bytes = localReads.read(id, copies: copies, range: range) { return bytes }
        if await looksUp(id, copies: copies, localReads),
            let bytes = localReads.read(id, copies: copies, range: range)
        {
            return bytes
        }
        return try await runningRead(id, copies: copies, range: range).value()
    }

    /// Asks where a record is on this host, and waits for the answer; false when nobody is asked.
    private func looksUp(_ id: RecordID, copies: [NodeID], _ localReads: LocalReads) async -> Bool {
        await withCheckedContinuation { continuation in
            let isAsked = localReads.lookUp(id, copies: copies, client: nearClient) {
                continuation.resume(returning: true)
            }
            if !isAsked { continuation.resume(returning: false) }
        }
    }

    /// As ``read(_:copies:range:)``, for whoever begins many at once: `completion` is called once, on some event loop.
    public func startRead(
        _ id: RecordID,
        copies: [NodeID],
        range: Range<UInt64>?,
        completion: @escaping @Sendable (Result<ByteBuffer, ClusterError>) -> Void
    ) -> PendingRead {
        if let bytes = localReads?.read(id, copies: copies, range: range) {
            completion(.success(bytes))
            return PendingRead {}
        }
        let read = runningRead(id, copies: copies, range: range)
        let isLookedUp = localReads?.lookUp(id, copies: copies, client: nearClient) { [localReads] in
            if let bytes = localReads?.read(id, copies: copies, range: range) {
                completion(.success(bytes))
            } else {
                read.begin(completion)
            }
        }
        if isLookedUp != true { read.begin(completion) }
        return PendingRead { read.cancel() }
    }

    /// A record's metadata, payload byte count and digest, from the first copy that answers.
    public func head(_ id: RecordID, copies: [NodeID]) async throws(ClusterError) -> HeadResult {
        if let localReads {
            if let head = localReads.head(id, copies: copies) { return head }
            if await looksUp(id, copies: copies, localReads), let head = localReads.head(id, copies: copies) {
                return head
            }
        }
        let read = RunningRead<HeadResult>(id, copies: copies, byteCount: 0, cluster: self) { client, patience, done in
            client.startHead(id, patience: patience) { result in
                done(
                    result.flatMap { head in
                        head.map { .success($0) }
                            ?? .failure(ReplicationError(.notFound, "the node does not hold the record"))
                    }
                )
            }
        }
        return try await read.value()
    }

    private func runningRead(_ id: RecordID, copies: [NodeID], range: Range<UInt64>?) -> RunningRead<ByteBuffer> {
        // The size of a whole record is not known yet: taken for one of several megabytes.
        let byteCount = range.map { Int(clamping: $0.upperBound - $0.lowerBound) } ?? 4 << 20
        return RunningRead(id, copies: copies, byteCount: byteCount, cluster: self) { client, patience, done in
            client.startGet(id, range: range, patience: patience, completion: done)
        }
    }

    /// Whether one node's copy is there (`deep`: read whole, all checksums and the digest compared).
    ///
    /// `seconds` is the time it may take, in place of a request's usual one.
    public func check(
        _ id: RecordID,
        on node: NodeID,
        deep: Bool,
        priority: RequestPriority = .foreground,
        seconds: Int64? = nil
    ) async throws(ReplicationError) {
        guard let client = client(of: node) else {
            throw ReplicationError(.notConnected, "the node is not in the placement map")
        }
        if deep {
            try await client.verify(id, priority: priority, timeout: seconds.map { .seconds($0) })
        } else if try await client.head(id, priority: priority, timeout: seconds.map { .seconds($0) }) == nil {
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

    // MARK: - For running reads

    func readBegan() {
        pacing.withLockedValue { $0.budget.readBegan() }
    }

    /// Whether a second copy may be asked beside one that is slow.
    func takeHedge() -> Bool {
        pacing.withLockedValue { $0.takeHedge() }
    }

    /// Notes that a node is asked; how long its answer may take before another is.
    func began(_ node: NodeID, _ weight: Double) -> TimeAmount {
        let patience = pacing.withLockedValue { pacing in
            pacing.nodes[node, default: NodePace()].running += 1
            return pacing.nodes[node]?.patience(weight: weight) ?? configuration.unknownReadPatience
        }
        return TimeAmount(max(configuration.minimumReadPatience, patience))
    }

    /// Notes that a node's read is over; `since` is nil when it failed, which says nothing of its pace.
    func ended(_ node: NodeID, since start: ContinuousClock.Instant?, _ weight: Double) {
        let now = ContinuousClock.now
        pacing.withLockedValue { pacing in
            pacing.nodes[node]?.running -= 1
            if let start { pacing.nodes[node]?.note(now - start, weight: weight, now: now) }
        }
    }

    /// Known copies on connected nodes first, the quickest first; then known copies elsewhere, then the rest of the
    /// group's ranking: a copy may be where the catalog does not know it yet.
    package func readOrder(of id: RecordID, copies: [NodeID]) -> [NodeID] {
        knownOrder(copies) + otherNodes(of: id, than: copies)
    }

    /// Known copies on connected nodes first, the quickest first; then known copies elsewhere.
    func knownOrder(_ copies: [NodeID]) -> [NodeID] {
        guard copies.count > 1 else { return copies }
        let now = ContinuousClock.now
        let costs = pacing.withLockedValue { pacing in copies.map { pacing.nodes[$0]?.cost(now: now) ?? 0 } }
        let ranked = zip(copies, costs).map { (node: $0, cost: $1, isConnected: isConnected($0)) }
        let order =
            ranked.filter(\.isConnected).sorted { $0.cost < $1.cost }.map(\.node)
            + ranked.filter { !$0.isConnected }.map(\.node)
        var seen: Set<NodeID> = []
        return order.filter { seen.insert($0).inserted }
    }

    /// The connected nodes of the record's group, in their order, without `copies`.
    func otherNodes(of id: RecordID, than copies: [NodeID]) -> [NodeID] {
        let ranked = map?.ranking(of: id.group, copies: configuration.copies).map(\.id) ?? []
        return ranked.filter { !copies.contains($0) && isConnected($0) }
    }

    private func isConnected(_ node: NodeID) -> Bool { client(of: node)?.isConnected ?? false }
}

/// A read that was begun without a task that waits for it.
public struct PendingRead: Sendable {
    private let withdraw: @Sendable () -> Void

    init(_ withdraw: @escaping @Sendable () -> Void) { self.withdraw = withdraw }

    /// Gives the read up; unless it has ended, it ends with an error.
    public func cancel() { withdraw() }
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
