// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol

/// What the calling task holds of its request, whose stream lives on the event loop.
final class RequestSlot<Stream: ClientStream>: Sendable {
    private enum State {
        case empty
        case cancelled
        case running(Stream)
    }

    let eventLoop: any EventLoop
    private let core: NIOLoopBoundBox<ClientCore>
    private let state: NIOLoopBoundBox<State>

    init(_ client: ReplicationClient) {
        self.eventLoop = client.eventLoop
        self.core = client.core
        self.state = NIOLoopBoundBox.makeBoxSendingValue(.empty, eventLoop: client.eventLoop)
    }

    /// Makes the stream on the event loop and submits it.
    func submit(_ make: @escaping @Sendable () -> Stream) {
        eventLoop.execute { [self] in
            let stream = make()
            switch state.value {
            case .empty:
                state.value = .running(stream)
                core.value.submit(stream)
            case .cancelled, .running:
                stream.fail(Self.cancellation)
            }
        }
    }

    /// The calling task was cancelled: the request is withdrawn, or will not be made.
    func cancel() {
        abandon(Self.cancellation)
    }

    /// The request is withdrawn.
    func abandon(_ error: ReplicationError) {
        eventLoop.execute { [self] in
            switch state.value {
            case .empty: state.value = .cancelled
            case .running(let stream): stream.abandon(error)
            case .cancelled: break
            }
        }
    }

    /// Calls `body` with the stream, on the event loop, after it was submitted.
    func withStream(_ body: @escaping @Sendable (Stream?) -> Void) {
        eventLoop.execute { [self] in
            switch state.value {
            case .running(let stream): body(stream)
            case .empty, .cancelled: body(nil)
            }
        }
    }

    private static var cancellation: ReplicationError {
        ReplicationError(.cancelled, "the calling task was cancelled")
    }
}

extension ReplicationClient {
    /// Makes a request and waits for its end.
    ///
    /// Cancelling the task withdraws it.
    func perform<Stream: ClientStream, Value: Sendable>(
        _ slot: RequestSlot<Stream>,
        _ make: @escaping @Sendable (@escaping @Sendable (Result<Value, ReplicationError>) -> Void) -> Stream
    ) async throws(ReplicationError) -> Value {
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                slot.submit { make { continuation.resume(returning: $0) } }
            }
        } onCancel: {
            slot.cancel()
        }
        return try result.get()
    }
}
