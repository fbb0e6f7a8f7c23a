// SPDX-License-Identifier: Apache-2.0

public import DIMSE
import NIOConcurrencyHelpers
public import NIOCore

/// What a service has of a request that it answers with several responses: a way to send all but the last, and word of
/// the peer's C-CANCEL.
///
/// Made by the connection's handler, which writes; may be used from any task until the service has returned its last
/// response.
public final class RequestExchange: Sendable {
    private enum State {
        case open
        /// The peer has cancelled, or the association has ended; the last response is still due.
        case cancelled
        /// The last response is out, or nobody is there to read it.
        case finished
    }

    let command: CommandSet
    let request: QueryRetrieveRequest
    public let eventLoop: any EventLoop
    /// Presentation contexts in which the requestor takes instances.
    public let storeContexts: [NegotiatedContexts.Context]
    private let handler: NIOLoopBound<(AssociationServerHandler, ChannelHandlerContext)>
    private let state = NIOLockedValueBox(State.open)
    /// Of those that wait for a cancellation.
    private let waiting = NIOLockedValueBox<[AsyncStream<Never>.Continuation]>([])

    init(
        command: CommandSet,
        request: QueryRetrieveRequest,
        handler: AssociationServerHandler,
        context: ChannelHandlerContext
    ) {
        self.command = command
        self.request = request
        self.handler = NIOLoopBound((handler, context), eventLoop: context.eventLoop)
        self.eventLoop = context.eventLoop
        self.storeContexts = handler.association?.context.storeContexts ?? []
    }

    /// Whether no more responses are wanted: the peer has cancelled, or is gone.
    public var isCancelled: Bool { self.state.withLockedValue { $0 != .open } }

    /// Waits until no more responses are wanted, or the task that waits is cancelled.
    public func cancellation() async {
        let (stream, continuation) = AsyncStream<Never>.makeStream()
        self.waiting.withLockedValue { $0.append(continuation) }
        // What was cancelled before is seen here, what is cancelled from here on finds the continuation.
        if self.isCancelled { continuation.finish() }
        for await _ in stream {}
    }

    /// Sends responses that are not the last.
    ///
    /// Returns when the connection takes more, so that whoever waits for it is as fast as the peer reads and no faster.
    /// Throws `.cancelled` after a C-CANCEL, `.closed` when the association is gone.
    public func send(_ responses: [QueryRetrieveResponse]) async throws(DICOMNetworkError) {
        let sent = self.eventLoop.makePromise(of: Void.self)
        self.onHandler { handler, context in
            handler.send(responses, of: self, promise: sent, context: context)
        }
        try await DICOMAssociation.value(of: sent.futureResult)
    }

    /// Does something with the connection's handler, on its event loop.
    func onHandler(_ body: @escaping @Sendable (AssociationServerHandler, ChannelHandlerContext) -> Void) {
        let handler = self.handler
        self.eventLoop.execute {
            let (handler, context) = handler.value
            body(handler, context)
        }
    }

    /// Notes that no more responses are wanted.
    func cancel() {
        self.state.withLockedValue { state in
            if state == .open { state = .cancelled }
        }
        for continuation in self.waiting.withLockedValue({ $0 }) { continuation.finish() }
    }

    /// Whether the caller is to send the last response: nobody has, and nobody else will.
    func finish() -> Bool {
        self.state.withLockedValue { state in
            defer { state = .finished }
            return state != .finished
        }
    }
}
