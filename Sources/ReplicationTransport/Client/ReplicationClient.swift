// SPDX-License-Identifier: Apache-2.0

public import Logging
import NIOConcurrencyHelpers
public import NIOCore
public import Placement
public import ReplicationProtocol

/// Talks to one peer: keeps one connection to it and carries any number of requests at once.
///
/// Begins to connect when it is made and goes on trying, with growing pauses, until it is shut down. Requests made
/// before the first attempt has ended wait for it; after that, requests fail at once while there is no connection.
/// Cancelling the calling task withdraws the request. All of it may be used from any task. Whoever makes a client
/// shuts it down; one that is merely dropped goes on connecting.
public final class ReplicationClient: Sendable {
    let configuration: ReplicationClientConfiguration
    /// The loop that the connection lives on.
    public let eventLoop: any EventLoop
    let core: NIOLoopBoundBox<ClientCore>
    private let nextWaiter = NIOLockedValueBox<UInt64>(0)
    private let peerBox: NIOLockedValueBox<HelloIdentity?>

    /// Makes a client and begins to connect.
    ///
    /// - Parameters:
    ///   - host: the peer's address.
    ///   - port: the peer's port.
    ///   - localSocket: the path of the peer's Unix socket, in case it is on this host; where nobody listens there, the
    ///     peer is reached by its port.
    ///   - identity: who we are.
    ///   - expectedNodeID: the node that must answer there; `nil` for any of the cluster.
    ///   - expectedName: the name that its certificate must have; `nil` for any storage node's. Without TLS nothing is
    ///     compared with it.
    ///   - group: the client takes one of its loops for good.
    ///   - logger: for the comings and goings of the connection.
    ///   - configuration: timeouts and limits.
    public init(
        host: String,
        port: Int,
        localSocket: String? = nil,
        identity: HelloIdentity,
        expectedNodeID: NodeID?,
        expectedName: String? = nil,
        group: any EventLoopGroup,
        logger: Logger,
        configuration: ReplicationClientConfiguration = ReplicationClientConfiguration()
    ) {
        self.configuration = configuration
        self.eventLoop = group.next()
        let peer = NIOLockedValueBox<HelloIdentity?>(nil)
        self.peerBox = peer
        let hello = Hello(identity: identity, expectedNodeID: expectedNodeID)
        let eventLoop = eventLoop
        self.core = NIOLoopBoundBox.makeBoxSendingValue(
            ClientCore(
                host: host,
                port: port,
                localSocket: localSocket,
                hello: hello,
                expectedName: expectedName,
                configuration: configuration,
                eventLoop: eventLoop,
                logger: logger,
                peer: peer
            ),
            eventLoop: eventLoop
        )
        let core = core
        eventLoop.execute { core.value.start() }
    }

    /// Whether there is a connection at the moment.
    public var isConnected: Bool { peerBox.withLockedValue { $0 != nil } }

    /// Who answered, while there is a connection.
    public var peer: HelloIdentity? { peerBox.withLockedValue { $0 } }

    /// Returns when there is a connection; throws when the client is shut down or the task cancelled meanwhile.
    public func waitUntilConnected() async throws(ReplicationError) {
        let core = core
        let number = nextWaiter.withLockedValue { number in
            number += 1
            return number
        }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                eventLoop.execute { core.value.awaitConnection(number, continuation) }
                // A cancellation before this line may have come too early to find the waiter.
                if Task.isCancelled { eventLoop.execute { core.value.stopAwaitingConnection(number) } }
            }
        } onCancel: {
            eventLoop.execute { core.value.stopAwaitingConnection(number) }
        }
        return try result.get()
    }

    /// Ends the connection once the requests under way have ended, but at the latest after `gracePeriod`.
    public func shutdown(gracePeriod: TimeAmount = .seconds(5)) async {
        let core = core
        let alarm = eventLoop.scheduleTask(in: gracePeriod) { core.value.abort() }
        await withCheckedContinuation { continuation in
            eventLoop.execute { core.value.stop(continuation) }
        }
        alarm.cancel()
    }
}
