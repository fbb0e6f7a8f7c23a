// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import ReplicationProtocol

/// All connections of a server and the tasks that serve their streams.
///
/// Called from the event loops of the connections and from whoever starts and stops the server.
final class ConnectionRegistry: Sendable {
    /// What is to be done with a connection that has just been made.
    enum Admission: Sendable {
        case admit
        /// It may say HELLO and is then told why it is refused.
        case refuse(ReplicationError)
        /// There are so many that not even that is affordable.
        case drop
    }

    private struct State {
        var connections: [ObjectIdentifier: NIOLoopBound<ServerConnection>] = [:]
        var connectionCount = 0
        var taskCount = 0
        var isDraining = false
        /// Resumed when no connection and no task is left.
        var waiters: [CheckedContinuation<Void, Never>] = []

        var isIdle: Bool { connectionCount == 0 && taskCount == 0 }

        mutating func takeWaitersIfIdle() -> [CheckedContinuation<Void, Never>] {
            guard isIdle else { return [] }
            defer { waiters.removeAll() }
            return waiters
        }
    }

    private let maximumConnections: Int
    private let state = NIOLockedValueBox(State())

    init(maximumConnections: Int) {
        self.maximumConnections = maximumConnections
    }

    /// The connections there are.
    var connectionCount: Int { state.withLockedValue { $0.connectionCount } }

    /// A connection is made; unless dropped, it has to be registered.
    func admit() -> Admission {
        state.withLockedValue { state in
            guard !state.isDraining, state.connectionCount < maximumConnections * 2 else { return .drop }
            state.connectionCount += 1
            guard state.connectionCount <= maximumConnections else {
                return .refuse(ReplicationError(.overloaded, "the node has \(maximumConnections) connections already"))
            }
            return .admit
        }
    }

    /// Keeps an admitted connection.
    ///
    /// Called on its event loop.
    func register(_ connection: ServerConnection) {
        let bound = NIOLoopBound(connection, eventLoop: connection.eventLoop)
        let isDraining = state.withLockedValue { state in
            state.connections[ObjectIdentifier(connection)] = bound
            return state.isDraining
        }
        if isDraining { connection.eventLoop.execute { bound.value.drain() } }
    }

    /// A registered connection is gone.
    func connectionEnded(_ connection: ServerConnection) {
        let waiters = state.withLockedValue { state in
            guard state.connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else {
                return [] as [CheckedContinuation<Void, Never>]
            }
            state.connectionCount -= 1
            return state.takeWaitersIfIdle()
        }
        for waiter in waiters { waiter.resume() }
    }

    func taskStarted() {
        state.withLockedValue { $0.taskCount += 1 }
    }

    func taskEnded() {
        let waiters = state.withLockedValue { state in
            state.taskCount -= 1
            return state.takeWaitersIfIdle()
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Asks all connections to leave once their streams have ended.
    func drain() {
        forEach(marking: true) { connection in connection.drain() }
    }

    /// Closes all connections.
    func abort() {
        forEach(marking: true) { connection in connection.abort() }
    }

    /// Returns when no connection and no task is left.
    func idle() async {
        await withCheckedContinuation { continuation in
            let isIdle = state.withLockedValue { state in
                if !state.isIdle { state.waiters.append(continuation) }
                return state.isIdle
            }
            if isIdle { continuation.resume() }
        }
    }

    private func forEach(marking isDraining: Bool, _ body: @escaping @Sendable (ServerConnection) -> Void) {
        let connections = state.withLockedValue { state in
            state.isDraining = isDraining
            return Array(state.connections.values)
        }
        for connection in connections { connection.eventLoop.execute { body(connection.value) } }
    }
}
