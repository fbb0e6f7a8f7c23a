// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol

/// A stream as the server keeps it: the shell around one request's state machine.
///
/// Event-loop state of one connection, which removes it when it is over. The task that serves it is started, cancelled
/// and awaited (by the server's shutdown) through ``ServerConnection``.
class ServerStream: OutboundStream {
    let connection: ServerConnection
    /// When the client stops waiting.
    let deadline: NIODeadline?
    private var task: Task<Void, Never>?
    private var memory = Memory.none
    /// Whether the memory that was asked for is not there yet.
    var isWaitingForMemory: Bool { if case .waiting = memory { !isOver } else { false } }
    private(set) var isOver = false

    private enum Memory {
        case none
        case waiting(MemoryBudget.Ticket)
        case lent(byteCount: Int)
    }

    /// A stream that `header` opens.
    init(_ header: MessageHeader, timeoutMilliseconds: UInt32, connection: ServerConnection) {
        self.connection = connection
        self.deadline = timeoutMilliseconds == 0 ? nil : .now() + .milliseconds(Int64(timeoutMilliseconds))
        super.init(id: header.streamID, priority: header.flags.priority)
    }

    // MARK: - Events, for subclasses

    /// The session has accepted the stream.
    func begin() {}
    /// The memory that was asked for is there.
    func memoryGranted(afterWaiting: Bool) {}
    /// The memory that was asked for will never be there.
    func memoryRefused(_ error: ReplicationError) { fail(error) }
    /// A message has arrived.
    func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        throw ReplicationError(.protocolViolation, "\(header.type.name) in a stream that is no place for it")
    }
    /// A DATA message begins.
    func dataBegan(_ header: MessageHeader) throws(ReplicationError) -> (any InboundStream)? {
        throw ReplicationError(.protocolViolation, "DATA in a stream that is no place for it")
    }
    /// Other streams wait for memory.
    func othersWait() {}
    /// The client no longer wants it, or the connection is gone.
    func cancelled() { end() }
    /// The request cannot be met.
    func fail(_ error: ReplicationError) {
        guard !isOver else { return }
        connection.send(.error(error), on: self)
        end()
    }

    // MARK: - Doing

    /// Asks the budget for memory; ends in ``memoryGranted(afterWaiting:)`` or ``memoryRefused(_:)``.
    final func reserveMemory(byteCount: Int) {
        let bound = NIOLoopBound(self, eventLoop: connection.eventLoop)
        let answer = connection.memory.reserve(
            byteCount: byteCount,
            priority: priority,
            eventLoop: connection.eventLoop
        ) {
            bound.value.memoryArrived(byteCount: byteCount)
        }
        switch answer {
        case .granted:
            memory = .lent(byteCount: byteCount)
            memoryGranted(afterWaiting: false)
            // It has passed those of lesser priority: their bytes may be all that the connection has credit for.
            if connection.hasStreamWaitingForMemory { othersWait() }
        case .waiting(let ticket):
            memory = .waiting(ticket)
            connection.streamWaitsForMemory()
        case .refused(let error):
            memoryRefused(error)
        }
    }

    private func memoryArrived(byteCount: Int) {
        guard !isOver else {
            connection.memory.release(byteCount: byteCount, priority: priority)
            return
        }
        memory = .lent(byteCount: byteCount)
        memoryGranted(afterWaiting: true)
        connection.sendAndFlush()
    }

    /// Runs `work` in a task of its own, on `executor` or else the global one; `finished` is called on the event loop with
    /// its result.
    final func serve<Value: Sendable>(
        on executor: EventLoopExecutor? = nil,
        _ work: @escaping @Sendable () async throws(ReplicationError) -> Value,
        finished: @escaping (Result<Value, ReplicationError>) -> Void
    ) {
        precondition(task == nil, "a stream is served by one task")
        let bound = NIOLoopBound((self, finished), eventLoop: connection.eventLoop)
        let eventLoop = connection.eventLoop
        connection.taskStarted()
        // Cancelled by end(), counted by the server, whose shutdown waits for it.
        task = Task(executorPreference: executor) {
            let result: Result<Value, ReplicationError>
            do throws(ReplicationError) {
                result = .success(try await work())
            } catch {
                result = .failure(error)
            }
            eventLoop.execute {
                let (stream, finished) = bound.value
                stream.taskEnded { finished(result) }
            }
        }
    }

    private func taskEnded(_ finished: () -> Void) {
        task = nil
        finished()
        if isOver { releaseMemory() }
        connection.sendAndFlush()
        connection.taskEnded()
    }

    /// The stream is over.
    ///
    /// Memory goes back once the task that may use it has ended.
    final func end() {
        guard !isOver else { return }
        isOver = true
        ended()
        if let task { task.cancel() } else { releaseMemory() }
        connection.streamEnded(self)
    }

    /// The stream is over: let go of what is held.
    func ended() {}

    private func releaseMemory() {
        switch memory {
        case .none: break
        case .waiting(let ticket): _ = connection.memory.withdraw(ticket)
        case .lent(let byteCount): connection.memory.release(byteCount: byteCount, priority: priority)
        }
        memory = .none
    }
}
