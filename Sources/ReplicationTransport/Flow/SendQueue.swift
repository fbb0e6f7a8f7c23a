// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Chunks that a task has handed to a stream and that are not sent yet; the task waits while there are too many.
///
/// Event-loop state of one stream.
struct SendQueue {
    private var chunks = CircularBuffer<ByteBuffer>()
    private(set) var byteCount = 0
    private(set) var isFinished = false
    private var waiter: CheckedContinuation<Bool, Never>?
    private let limit: Int

    init(limit: Int) {
        self.limit = limit
    }

    /// A queue with all there will ever be.
    init(whole payload: [ByteBuffer]) {
        self.limit = 0
        for piece in payload { append(piece) }
        isFinished = true
    }

    /// Bytes that can be sent as one piece.
    var firstByteCount: Int { chunks.first?.readableBytes ?? 0 }

    mutating func append(_ chunk: ByteBuffer) {
        guard chunk.readableBytes > 0 else { return }
        chunks.append(chunk)
        byteCount += chunk.readableBytes
    }

    /// The producer may go on (`true`) at once or when there is room.
    mutating func resumeWhenThereIsRoom(_ continuation: CheckedContinuation<Bool, Never>) {
        if byteCount < limit {
            continuation.resume(returning: true)
        } else {
            waiter = continuation
        }
    }

    /// The producer has no more.
    mutating func finish() {
        isFinished = true
    }

    /// Takes bytes off the first chunk, of which there must be as many.
    mutating func take(byteCount wanted: Int) -> ByteBuffer {
        guard let slice = chunks[chunks.startIndex].readSlice(length: wanted) else {
            preconditionFailure("more bytes are taken than the first chunk has")
        }
        if chunks[chunks.startIndex].readableBytes == 0 { chunks.removeFirst() }
        byteCount -= wanted
        if byteCount < limit, let waiter {
            self.waiter = nil
            waiter.resume(returning: true)
        }
        return slice
    }

    /// The stream is over: the producer is told to stop.
    mutating func close() {
        chunks.removeAll()
        byteCount = 0
        waiter?.resume(returning: false)
        waiter = nil
    }
}
