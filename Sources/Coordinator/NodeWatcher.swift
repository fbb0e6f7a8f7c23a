// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOConcurrencyHelpers
import NIOCore
import Placement
import Reconciliation
import ReplicationProtocol
import ReplicationTransport

/// Watches one configured storage node: keeps a connection to its address and asks whether it lives.
///
/// Asked by the coordinator's one task; the connection's callbacks touch nothing here.
final class NodeWatcher: Sendable {
    /// What is known of the node after a beat.
    struct Observation: Sendable {
        let name: String
        let address: NodeAddress
        /// Who stands behind the address; nil until it has answered once.
        let identity: HelloIdentity?
        let status: NodeStatusReport?
        /// Whether it answered now.
        let isAnswering: Bool
        /// Whether it serves nobody, as far as is known.
        let isIdle: Bool
        let client: ReplicationClient
    }

    private struct Memory {
        var identity: HelloIdentity?
        var status: NodeStatusReport?
        var foreground = ForegroundWatch()
    }

    private let start = ContinuousClock.now
    private let node: NamedNode
    private let client: ReplicationClient
    private let memory: NIOLockedValueBox<Memory>

    init(
        node: NamedNode,
        identity: HelloIdentity,
        tls: ReplicationTLS?,
        group: any EventLoopGroup,
        logger: Logger
    ) {
        self.node = node
        var connection = ReplicationClientConfiguration()
        connection.tls = tls
        self.client = ReplicationClient(
            host: node.address.host,
            port: node.address.port,
            identity: identity,
            expectedNodeID: nil,
            expectedName: node.name,
            group: group,
            logger: logger,
            configuration: connection
        )
        self.memory = NIOLockedValueBox(Memory())
    }

    /// Asks the node once and returns what is known then.
    func observe() async -> Observation {
        // A node that does not answer is judged by its silence, whatever the reason.
        let status = try? await client.status(timeout: .seconds(2))
        let identity = client.peer
        return memory.withLockedValue { memory in
            if let status { memory.status = status }
            if let identity { memory.identity = identity }
            let isIdle = memory.foreground.note(status?.foregroundRequestCount, at: ContinuousClock.now - start)
            return Observation(
                name: node.name,
                address: node.address,
                identity: memory.identity,
                status: memory.status,
                isAnswering: status != nil,
                isIdle: isIdle,
                client: client
            )
        }
    }

    func shutdown() async {
        await client.shutdown()
    }
}
