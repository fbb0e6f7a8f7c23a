// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOConcurrencyHelpers
import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport

/// One read of a record under way: asks its copies as ``ReadRace`` says, until one answers well.
///
/// No task waits in it. It goes on when a node answers, fails or is slow, on the event loop of that node's connection: a
/// study is read by hundreds of these, and a change of thread at each step took longer than the reading.
final class RunningRead<Value: Sendable>: Sendable {
    /// Begins to ask one node.
    typealias Ask =
        @Sendable (
            ReplicationClient, RequestPatience, @escaping @Sendable (Result<Value, ReplicationError>) -> Void
        ) -> PendingRequest

    private struct Asked {
        let request: PendingRequest
        let since: ContinuousClock.Instant
    }

    private struct State {
        var race: ReadRace
        var asked: [NodeID: Asked] = [:]
        var failures: [String] = []
        var isAbsentEverywhere = true
        /// Whether nodes are in the race that the catalog does not name.
        var isExtended = false
        var isWithdrawn = false
        /// Nil before the beginning and after the end.
        var completion: (@Sendable (Result<Value, ClusterError>) -> Void)?
    }

    /// What is to be done once the lock is open.
    private struct End {
        let result: Result<Value, ClusterError>
        let completion: @Sendable (Result<Value, ClusterError>) -> Void
        let losers: [PendingRequest]

        func tell() {
            for request in losers { request.cancel() }
            completion(result)
        }
    }

    private let id: RecordID
    private let copies: [NodeID]
    private let weight: Double
    private let cluster: ClusterClient
    private let ask: Ask
    private let state: NIOLockedValueBox<State>

    init(_ id: RecordID, copies: [NodeID], byteCount: Int, cluster: ClusterClient, ask: @escaping Ask) {
        self.id = id
        self.copies = copies
        self.weight = NodePace.weight(byteCount: byteCount)
        self.cluster = cluster
        self.ask = ask
        self.state = NIOLockedValueBox(State(race: ReadRace(cluster.knownOrder(copies))))
    }

    /// Begins; `completion` is called once.
    func begin(_ completion: @escaping @Sendable (Result<Value, ClusterError>) -> Void) {
        cluster.readBegan()
        let end = state.withLockedValue { state -> End? in
            state.completion = completion
            if state.isWithdrawn { return over(.failure(Self.withdrawn(id)), &state) }
            return proceed(state.race.next(), &state)
        }
        end?.tell()
    }

    /// Gives the read up: it ends, if it has not yet, and the nodes are told.
    func cancel() {
        let end = state.withLockedValue { state in
            state.isWithdrawn = true
            return over(.failure(Self.withdrawn(id)), &state)
        }
        end?.tell()
    }

    /// Begins and waits; cancelling the task withdraws the read.
    func value() async throws(ClusterError) -> Value {
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                begin { continuation.resume(returning: $0) }
            }
        } onCancel: {
            cancel()
        }
        return try result.get()
    }

    private func answered(_ node: NodeID, _ result: Result<Value, ReplicationError>) {
        var failure: (name: String, error: ReplicationError)?
        let end = state.withLockedValue { state -> End? in
            guard state.completion != nil, let asked = state.asked.removeValue(forKey: node) else { return nil }
            switch result {
            case .success(let value):
                cluster.ended(node, since: asked.since, weight)
                state.race.won(node)
                return over(.success(value), &state)
            case .failure(let error):
                cluster.ended(node, since: nil, weight)
                let name = cluster.map?[node]?.name ?? "\(node)"
                failure = (name, error)
                state.failures.append("\(name): \(error)")
                if error.code != .notFound { state.isAbsentEverywhere = false }
                return proceed(state.race.failed(node), &state)
            }
        }
        if let failure {
            cluster.logger.notice(
                "a copy could not be read, going on to the next",
                metadata: ["node": "\(failure.name)", "record": "\(id)", "reason": "\(failure.error)"]
            )
        }
        end?.tell()
    }

    private func isSlow(_ node: NodeID) {
        let end = state.withLockedValue { state -> End? in
            guard state.completion != nil, state.race.running.contains(node) else { return nil }
            if !state.race.hasNext { extend(&state) }
            guard state.race.hasNext, cluster.takeHedge() else { return nil }
            return proceed(state.race.slow(node), &state)
        }
        end?.tell()
    }

    /// Asks the next node when there is one to ask.
    ///
    /// The lock is held meanwhile: asking only puts work on an event loop.
    private func proceed(_ first: ReadRace.Action, _ state: inout State) -> End? {
        var action = first
        while true {
            switch action {
            case .wait: return nil
            case .ask(let node):
                guard let client = cluster.nearClient(of: node) else {
                    action = state.race.failed(node)
                    continue
                }
                let patience = cluster.began(node, weight)
                let request = ask(client, RequestPatience(patience) { self.isSlow(node) }) { self.answered(node, $0) }
                state.asked[node] = Asked(request: request, since: .now)
                return nil
            case .giveUp where !state.isExtended:
                extend(&state)
                action = state.race.next()
            case .giveUp:
                let isAbsent = state.isAbsentEverywhere && !state.failures.isEmpty
                let reasons =
                    state.failures.isEmpty
                    ? "no node that should hold it is in the map" : state.failures.joined(separator: "; ")
                let error = ClusterError(
                    isAbsent ? .notFound : .noReadableCopy,
                    "record \(id) could not be read from any copy: \(reasons)"
                )
                return over(.failure(error), &state)
            }
        }
    }

    /// The rest of the group's nodes: a copy may be where the catalog does not know it yet.
    private func extend(_ state: inout State) {
        guard !state.isExtended else { return }
        state.isExtended = true
        state.race.add(cluster.otherNodes(of: id, than: copies))
    }

    private func over(_ result: Result<Value, ClusterError>, _ state: inout State) -> End? {
        guard let completion = state.completion else { return nil }
        state.completion = nil
        // Those that lost have taken at least that long.
        for (node, asked) in state.asked { cluster.ended(node, since: asked.since, weight) }
        let losers = state.asked.values.map(\.request)
        state.asked = [:]
        return End(result: result, completion: completion, losers: losers)
    }

    private static func withdrawn(_ id: RecordID) -> ClusterError {
        ClusterError(.noReadableCopy, "the reading of record \(id) was given up")
    }
}
