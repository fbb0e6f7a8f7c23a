// SPDX-License-Identifier: Apache-2.0

public import Placement
public import Reconciliation
public import Repair
public import ReplicationTransport

/// Everything a coordinator is told; what it is not told has the default given here.
public struct CoordinatorConfiguration: Sendable {
    /// The name operators see, unique in the cluster; the lease is held under it.
    public var name: String
    /// The cluster it leads.
    public var cluster: ClusterID
    /// Connection string of the catalog (libpq's form; several hosts are allowed).
    public var catalog: String
    /// The storage nodes by name and address.
    ///
    /// Who stands behind an address is what its HELLO says.
    public var storageNodes: [NamedNode]
    /// How long the lease lasts without being renewed; a standby takes over after it.
    public var leaseMilliseconds: Int64 = 10_000
    /// How often nodes are asked whether they live, and the lease is renewed.
    public var heartbeatMilliseconds: Int64 = 1_000
    /// How long a node's loss without names is left alone before the node is compared with the others.
    ///
    /// Longer than the `acknowledgement-spread-seconds` of every ingest node. Also how long a node has to be sure of what it has
    /// before its word counts that it does not have something.
    public var lossSettlingSeconds = 600
    /// How long it takes until the catalog has been compared once with all that the storage nodes have; 0: never.
    public var verifySeconds = 604_800
    /// Every cold pack is read whole again when that was done last so many seconds ago; 0: never.
    public var packVerifySeconds = 90 * 86_400
    /// Whether copies on storage nodes are dropped of studies that were moved into cold packs.
    ///
    /// They do not come back yet: there is no recall.
    public var dropsPackedCopies = false
    /// Whether packs go from their stores of which all was deleted and is run out, and those that were given up.
    public var purgesPacks = false
    /// How long such a pack has been marked before it goes, in seconds.
    public var packGraceSeconds = 7 * 86_400
    /// How long after the beginning of one round the next judges the studies that are due by the rules; 0: by order only.
    public var lifecycleRoundSeconds = 86_400
    /// When what storage nodes have in their trash is destroyed.
    public var purge = PurgeLimits()
    /// Copies an instance should have: what every ingest node is told.
    public var copies = 2
    /// How long silences of nodes mean what.
    public var membership = MembershipLimits()
    /// How much is copied at once, and how fast.
    public var repair = RepairLimits()
    /// The coordinator's certificate, and whom it trusts; `nil` for plain TCP.
    public var tls: ReplicationTLS?

    public init(name: String, cluster: ClusterID, catalog: String, storageNodes: [NamedNode]) {
        self.name = name
        self.cluster = cluster
        self.catalog = catalog
        self.storageNodes = storageNodes
    }
}

/// A network address, `host:port`.
public struct NodeAddress: Hashable, Sendable, CustomStringConvertible {
    public let host: String
    public let port: Int

    /// Reads `host:port` (`[v6]:port` for IPv6); nil for anything else.
    public init?(_ text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65_535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { return nil }
        self.host = String(host)
        self.port = port
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// A storage node as the configuration names it, `NAME=host:port`.
public struct NamedNode: Hashable, Sendable {
    public let name: String
    public let address: NodeAddress

    /// Reads `NAME=host:port`; nil for anything else.
    public init?(_ text: some StringProtocol) {
        guard let equals = text.firstIndex(of: "="), equals > text.startIndex,
            let address = NodeAddress(text[text.index(after: equals)...])
        else { return nil }
        self.name = String(text[..<equals])
        self.address = address
    }
}
