// SPDX-License-Identifier: Apache-2.0

/// Decides which nodes one record is written to, and when the write has succeeded or failed.
///
/// Pure: events in, actions out; ClusterClient sends the puts and runs the clock. Starts with the first `copies`
/// usable nodes of the ranking, each on a host of its own. A node that fails or is slow is replaced by the next in
/// order. Success needs `acknowledgements` durable copies on distinct hosts (design: promise 1), and those within
/// `spread`: a node that has lost a copy by damage is judged by what others have, and until the second copy is durable
/// nobody has it (docs/decisions/0036-losses-settle.md).
public struct WriteQuorum: Sendable {
    /// What the shell has to do next.
    public enum Action: Equatable, Sendable {
        /// Send the record to these nodes (possibly none: go on waiting).
        case put([NodeID])
        /// The write is durable on these nodes. Puts still under way may be given up.
        case succeed([NodeID])
        /// No more nodes to try; `durable` lists the nodes that hold a copy all the same.
        case fail(durable: [NodeID])
    }

    private let copies: Int
    private let acknowledgements: Int
    private let spread: Duration
    private var firstAcknowledgement: Duration?
    /// Whether the copies that would have made the success came too far apart.
    public private(set) var isTooLate = false
    private var candidates: [StorageMember]
    private var inFlight: [StorageMember] = []
    private var late: [StorageMember] = []
    private var durable: [StorageMember] = []
    private var isDecided = false

    /// Prepares a write.
    ///
    /// - Parameters:
    ///   - ranking: the group's nodes in order of preference, only those that may be written to.
    ///   - copies: wanted copies, at least 1.
    ///   - acknowledgements: durable copies that make a success, 1 ... `copies`.
    ///   - spread: the time within which those must come.
    public init(ranking: [StorageMember], copies: Int, acknowledgements: Int, spread: Duration = .seconds(300)) {
        precondition(acknowledgements >= 1 && copies >= acknowledgements, "a quorum needs 1 <= ack <= copies")
        self.candidates = ranking
        self.copies = copies
        self.acknowledgements = acknowledgements
        self.spread = spread
    }

    /// Begins the write.
    ///
    /// Fails at once when the ranking has too few hosts.
    public mutating func start() -> Action {
        advance()
    }

    /// The node's copy is durable; `time` is when that was heard, on any clock that only goes forward.
    public mutating func acknowledged(_ node: NodeID, at time: Duration) -> Action {
        guard let member = remove(node) else { return .put([]) }
        durable.append(member)
        let first = firstAcknowledgement ?? time
        firstAcknowledgement = first
        if durable.count == acknowledgements, time - first > spread, !isDecided {
            (isDecided, isTooLate) = (true, true)
            return .fail(durable: durable.map(\.id))
        }
        return advance()
    }

    /// The node refused, failed or could not be reached.
    public mutating func failed(_ node: NodeID) -> Action {
        guard remove(node) != nil else { return .put([]) }
        return advance()
    }

    /// Every put under way has taken longer than a healthy node needs: replacements are started beside them.
    public mutating func slow() -> Action {
        late.append(contentsOf: inFlight)
        inFlight.removeAll()
        return advance()
    }

    private mutating func remove(_ node: NodeID) -> StorageMember? {
        if let index = inFlight.firstIndex(where: { $0.id == node }) { return inFlight.remove(at: index) }
        if let index = late.firstIndex(where: { $0.id == node }) { return late.remove(at: index) }
        return nil
    }

    private mutating func advance() -> Action {
        guard !isDecided else { return .put([]) }
        // While copies beyond the quorum are on their way, they are waited for: they fail, succeed or become late.
        if durable.count >= copies || (durable.count >= acknowledgements && inFlight.isEmpty) {
            isDecided = true
            return .succeed(durable.map(\.id))
        }
        var puts: [NodeID] = []
        while durable.count + inFlight.count < copies, let next = nextCandidate() {
            inFlight.append(next)
            puts.append(next.id)
        }
        if durable.count + inFlight.count + late.count < acknowledgements {
            isDecided = true
            return .fail(durable: durable.map(\.id))
        }
        return .put(puts)
    }

    /// The next node on a host that holds or awaits no copy yet.
    private mutating func nextCandidate() -> StorageMember? {
        let taken = durable + inFlight + late
        let index = candidates.firstIndex { candidate in
            !taken.contains { $0.domain == candidate.domain || $0.id == candidate.id }
        }
        return index.map { candidates.remove(at: $0) }
    }
}
