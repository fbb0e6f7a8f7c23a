// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
public import NIOCore
public import ReplicationProtocol

/// The bytes of a stream as they arrive, for one task to read, once.
///
/// Bounded by the stream's credit: what is read here is granted to the sender anew. Ends with `nil` only when the
/// stream is complete; a broken one throws.
public struct ChunkSequence: AsyncSequence, Sendable {
    public typealias Element = ByteBuffer
    public typealias Failure = ReplicationError

    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let reader: ChunkReader
        fileprivate let observer: (@Sendable (_ byteCount: Int) -> Void)?

        /// The next bytes; `nil` after the last.
        public mutating func next() async throws(ReplicationError) -> ByteBuffer? {
            try await next(isolation: nil)
        }

        /// The next bytes; `nil` after the last.
        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(ReplicationError) -> ByteBuffer? {
            let chunk = try await reader.queue.next()
            if let chunk { observer?(chunk.readableBytes) }
            return chunk
        }
    }

    private let reader: ChunkReader
    private var observer: (@Sendable (_ byteCount: Int) -> Void)?

    /// `abandoned` is called when nobody can read any more.
    init(_ queue: ChunkQueue, abandoned: @escaping @Sendable () -> Void) {
        self.reader = ChunkReader(queue, abandoned: abandoned)
    }

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(reader: reader, observer: observer)
    }

    /// The same bytes; `observer` is called with the length of each chunk that is taken.
    func observed(by observer: @escaping @Sendable (_ byteCount: Int) -> Void) -> ChunkSequence {
        var sequence = self
        sequence.observer = observer
        return sequence
    }
}

/// Lives as long as somebody may read.
private final class ChunkReader: Sendable {
    let queue: ChunkQueue
    private let abandoned: @Sendable () -> Void

    init(_ queue: ChunkQueue, abandoned: @escaping @Sendable () -> Void) {
        self.queue = queue
        self.abandoned = abandoned
    }

    deinit { abandoned() }
}

/// The queue between an event loop, which puts chunks in, and the one task that takes them out.
final class ChunkQueue: Sendable {
    private struct State {
        var chunks = CircularBuffer<ByteBuffer>()
        /// How it ends once the chunks are taken.
        var end: Result<Void, ReplicationError>?
        var waiter: Waiter?
    }

    private typealias Waiter = CheckedContinuation<Result<ByteBuffer?, ReplicationError>, Never>

    private enum Taken {
        case result(Result<ByteBuffer?, ReplicationError>)
        case wait
    }

    private let state = NIOLockedValueBox(State())
    private let consumed: @Sendable (_ byteCount: Int) -> Void

    /// `consumed` is called, by the reading task, with the length of each chunk that is taken.
    init(consumed: @escaping @Sendable (_ byteCount: Int) -> Void) {
        self.consumed = consumed
    }

    /// More bytes.
    func append(_ chunk: ByteBuffer) {
        let waiter = state.withLockedValue { state in
            guard state.end == nil else { return nil as Waiter? }
            if let waiter = state.waiter {
                state.waiter = nil
                return waiter
            }
            state.chunks.append(chunk)
            return nil
        }
        waiter?.resume(returning: .success(chunk))
    }

    /// No more bytes: all are there.
    func finish() {
        end(.success(()))
    }

    /// No more bytes; those not yet taken are dropped.
    func fail(_ error: ReplicationError) {
        end(.failure(error))
    }

    /// The next bytes, for the one reading task.
    func next() async throws(ReplicationError) -> ByteBuffer? {
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let taken = state.withLockedValue { state -> Taken in
                    if let chunk = state.chunks.popFirst() { return .result(.success(chunk)) }
                    if let end = state.end { return .result(end.map { nil }) }
                    guard state.waiter == nil else {
                        return .result(.failure(ReplicationError(.internal, "two tasks read one sequence")))
                    }
                    state.waiter = continuation
                    return .wait
                }
                switch taken {
                case .result(let result): continuation.resume(returning: result)
                case .wait: break
                }
            }
        } onCancel: {
            fail(ReplicationError(.cancelled, "the reading task was cancelled"))
        }
        let chunk = try result.get()
        if let chunk { consumed(chunk.readableBytes) }
        return chunk
    }

    private func end(_ end: Result<Void, ReplicationError>) {
        let waiter = state.withLockedValue { state in
            guard state.end == nil else { return nil as Waiter? }
            state.end = end
            if case .failure = end { state.chunks.removeAll() }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: end.map { nil })
    }
}
