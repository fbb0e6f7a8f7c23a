// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol

/// One request of a client, from the call to its end.
///
/// Made by the caller's task and then handed to the client's event loop, which alone touches it from there on. It ends
/// exactly once: by an answer, an error, its deadline, or the caller's cancellation.
class ClientStream: OutboundStream {
    /// The connection that carries it; `nil` before and after.
    private(set) weak var connection: ClientConnection?
    /// Whether the connection knows that it waits for credit.
    var isAwaitingCredit = false
    let timeout: TimeAmount
    private(set) var isOver = false
    private var deadline: (clock: AlarmClock, alarm: AlarmClock.Alarm)?
    private let issuedAt = NIODeadline.now()
    private var lastProgress: NIODeadline

    init(priority: RequestPriority, timeout: TimeAmount) {
        self.timeout = timeout
        self.lastProgress = issuedAt
        super.init(priority: priority)
    }

    /// The time that is left, as it goes into the request; at least 1.
    var timeoutMilliseconds: UInt32 {
        let left = (issuedAt + timeout) - .now()
        return UInt32(clamping: max(1, left.nanoseconds / 1_000_000))
    }

    // MARK: - For subclasses

    /// Gets what the request needs before it can be sent, then calls `ready`.
    func prepare(_ ready: @escaping () -> Void) { ready() }
    /// The stream is open: send the request.
    func begin() {}
    /// A message has arrived.
    func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        throw ReplicationError(.protocolViolation, "\(header.type.name) in a stream that is no place for it")
    }
    /// A DATA message begins.
    func dataBegan(_ header: MessageHeader) throws(ReplicationError) -> (any InboundStream)? {
        throw ReplicationError(.protocolViolation, "DATA in a stream that is no place for it")
    }
    /// The request has failed: tell the caller.
    func failed(_ error: ReplicationError) {}
    /// Whether time that passes is the node's fault.
    var isWaitingForPeer: Bool { true }
    /// The error with which an interruption by `error` is to be reported.
    func interruption(_ error: ReplicationError) -> ReplicationError { error }
    /// The stream is over: let go of what is held.
    func ended() {}

    // MARK: - Life

    /// Starts the clock.
    ///
    /// `expired` is called when the node has let the timeout pass.
    final func startDeadline(on clock: AlarmClock, expired: @escaping () -> Void) {
        guard !isOver else { return }
        let alarm = clock.set(at: lastProgress + timeout) { [self] in
            guard !isOver else { return }
            if !isWaitingForPeer { lastProgress = .now() }
            if lastProgress + timeout > .now() {
                startDeadline(on: clock, expired: expired)
            } else {
                expired()
            }
        }
        deadline = (clock, alarm)
    }

    /// A stream of unlimited length has moved: its clock starts anew.
    final func noteProgress() {
        lastProgress = .now()
    }

    /// A connection has opened the stream.
    final func opened(id: UInt32, by connection: ClientConnection) {
        self.id = id
        self.connection = connection
        self.sequence = MessageSequence()
        begin()
    }

    /// The connection's part is done, but not the request's: it is about to be sent again.
    final func detach() {
        connection?.streamEnded(self)
        connection = nil
    }

    /// The request is over, well or not; the caller has been told.
    final func end() {
        guard !isOver else { return }
        isOver = true
        if let deadline { deadline.clock.withdraw(deadline.alarm) }
        deadline = nil
        ended()
        detach()
    }

    /// The request fails.
    final func fail(_ error: ReplicationError) {
        guard !isOver else { return }
        failed(error)
        end()
    }

    /// The request is given up by this side: the peer is told.
    final func abandon(_ error: ReplicationError) {
        guard !isOver else { return }
        connection?.send(.cancel, on: self)
        let connection = connection
        fail(interruption(error))
        connection?.sendAndFlush()
    }

    /// The connection is gone.
    final func connectionLost(_ error: ReplicationError) {
        connection = nil
        fail(interruption(error))
    }
}
