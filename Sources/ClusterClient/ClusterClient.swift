// SPDX-License-Identifier: Apache-2.0

public import Logging
import NIOConcurrencyHelpers
public import NIOCore
import NIOPosix
public import Placement
public import ReplicationProtocol
public import ReplicationTransport

/// The storage nodes as one: quorum writes, and reads that go to another copy when one fails.
///
/// Holds a connection to each node of the current placement map, and for reads one on each event loop that asks, and
/// follows the map when it changes. Shared by all requests of an ingest node; keeps nothing about a record beyond a call.
/// Never removes anything.
public final class ClusterClient: Sendable {
    /// Copies, quorum and patience.
    public struct Configuration: Sendable {
        /// Copies an instance should have.
        public var copies: Int
        /// Durable copies on distinct hosts that make a success.
        public var acknowledgements: Int
        /// How long a put may take before a replacement is started beside it.
        ///
        /// Large payloads get a second for each 16 MiB on top.
        public var slowNodeDelay: Duration = .seconds(3)
        /// The time within which the copies that make a success must come; coordinators wait longer before they judge
        /// what a node has lost (docs/decisions/0036-losses-settle.md).
        public var acknowledgementSpread: Duration = .seconds(300)
        /// How long a read waits for a copy at least, and for one on a node not known yet, before the next is asked too.
        public var minimumReadPatience: Duration = .milliseconds(50)
        public var unknownReadPatience: Duration = .seconds(1)
        /// The directory with the sockets of the storage nodes on this host; `nil` when there are none.
        public var socketDirectory: String?
        /// Timeouts and limits of the connection to each node.
        public var connections = ReplicationClientConfiguration()

        public init(copies: Int, acknowledgements: Int) {
            self.copies = copies
            self.acknowledgements = acknowledgements
        }
    }

    struct State {
        var map: PlacementMap?
        var clients: [NodeID: NodeClient] = [:]
        var isShutDown = false
    }

    /// A node's connections and the address they were made for.
    struct NodeClient {
        let host: String
        let port: Int
        let client: ReplicationClient
        /// Further ones, by the event loop that they live on.
        var near: [ObjectIdentifier: ReplicationClient] = [:]

        var all: [ReplicationClient] { [client] + near.values }
    }

    /// Connections to one node on further event loops at most: a node has room for so many in all.
    private static let nearLimit = 3

    let configuration: Configuration
    private let identity: HelloIdentity
    private let group: any EventLoopGroup
    private let loops: Set<ObjectIdentifier>
    let logger: Logger
    let state = NIOLockedValueBox(State())
    let pacing = NIOLockedValueBox(ReadPacing())
    /// Nil when no storage node is on this host.
    let localReads: LocalReads?

    /// A client that presents itself as `identity`; it connects once it has a map.
    public init(
        configuration: Configuration,
        identity: HelloIdentity,
        group: any EventLoopGroup,
        logger: Logger
    ) {
        self.configuration = configuration
        self.identity = identity
        self.group = group
        self.loops = Set(group.makeIterator().map { ObjectIdentifier($0) })
        self.logger = logger
        self.localReads = configuration.socketDirectory.map {
            LocalReads(directory: $0, cluster: identity.clusterID)
        }
    }

    /// The epoch of the current map; 0 before the first.
    public var mapEpoch: MapEpoch {
        state.withLockedValue { $0.map?.epoch } ?? MapEpoch(rawValue: 0)
    }

    /// The current map.
    public var map: PlacementMap? {
        state.withLockedValue { $0.map }
    }

    /// The nodes with an open connection.
    public var connectedNodes: Set<NodeID> {
        let clients = state.withLockedValue { $0.clients }
        return Set(clients.filter { $0.value.client.isConnected }.map(\.key))
    }

    /// Reads for which a second copy was asked because the first was slow.
    public var hedgedReadCount: Int { pacing.withLockedValue { $0.hedgeCount } }

    /// Reads that were served from the files of storage nodes on this host.
    public var localReadCount: Int { localReads?.readCount ?? 0 }

    /// Reads under way at each node that was ever asked.
    package var readsUnderWay: [NodeID: Int] { pacing.withLockedValue { $0.nodes.mapValues(\.running) } }

    /// Takes a map over: connects to new nodes, and drops the connections of nodes that left or moved.
    public func update(_ map: PlacementMap) async {
        let dropped = state.withLockedValue { state -> [NodeClient] in
            guard !state.isShutDown else { return [] }
            var dropped: [NodeClient] = []
            for (id, client) in state.clients {
                let member = map[id]
                if member?.host != client.host || member?.port != client.port {
                    state.clients[id] = nil
                    dropped.append(client)
                }
            }
            for member in map.members where member.state != .removed && state.clients[member.id] == nil {
                state.clients[member.id] = makeClient(for: member)
            }
            state.map = map
            return dropped
        }
        for client in dropped.flatMap(\.all) { await client.shutdown() }
    }

    private func makeClient(for member: StorageMember) -> NodeClient {
        NodeClient(host: member.host, port: member.port, client: makeClient(for: member, on: group))
    }

    private func makeClient(for member: StorageMember, on group: any EventLoopGroup) -> ReplicationClient {
        var logger = logger
        logger[metadataKey: "node"] = "\(member.name)"
        return ReplicationClient(
            host: member.host,
            port: member.port,
            localSocket: configuration.socketDirectory.flatMap { LocalSocket.path(of: member.id, in: $0) },
            identity: identity,
            expectedNodeID: member.id,
            expectedName: member.name,
            group: group,
            logger: logger,
            configuration: configuration.connections
        )
    }

    /// The connection of `node`, when it is in the map.
    func client(of node: NodeID) -> ReplicationClient? {
        state.withLockedValue { $0.clients[node]?.client }
    }

    /// As ``client(of:)``, for a read: one on the caller's event loop, if that is one of ours.
    ///
    /// Otherwise a record goes from one loop to another on its way, and waking a thread takes longer than to check what it
    /// brings. The first who asks on a loop has the connection made, and does not wait for it.
    func nearClient(of node: NodeID) -> ReplicationClient? {
        guard let loop = MultiThreadedEventLoopGroup.currentEventLoop, loops.contains(ObjectIdentifier(loop)) else {
            return client(of: node)
        }
        return state.withLockedValue { state in
            guard let known = state.clients[node] else { return nil }
            if known.client.eventLoop === loop { return known.client }
            if let near = known.near[ObjectIdentifier(loop)] { return near.isConnected ? near : known.client }
            if known.near.count < Self.nearLimit, let member = state.map?[node] {
                state.clients[node]?.near[ObjectIdentifier(loop)] = makeClient(for: member, on: loop)
            }
            return known.client
        }
    }

    /// Closes all connections; calls under way fail.
    public func shutdown() async {
        let clients = state.withLockedValue { state in
            state.isShutDown = true
            let clients = state.clients.values.flatMap(\.all)
            state.clients = [:]
            return clients
        }
        for client in clients { await client.shutdown() }
    }
}
