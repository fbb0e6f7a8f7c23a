// SPDX-License-Identifier: Apache-2.0

public import ColdStore
public import Placement
public import ReplicationTransport

/// Everything a storage node is told; what it is not told has the default given here.
public struct StorageNodeConfiguration: Sendable {
    /// The name operators see, unique in the cluster.
    public var name: String
    /// The cluster the node belongs to.
    public var cluster: ClusterID
    /// The node's home, with what it knows of itself; made when it does not exist.
    ///
    /// Its only disk when it has no others.
    public var dataDirectory: String
    /// The directories of the node's disks, each on a disk of its own; none: ``dataDirectory``.
    public var diskDirectories: [String] = []
    /// The address VRP listens on.
    public var host: String
    public var port: Int
    /// The directory in which it listens at a Unix socket, too, for ingest nodes on the same host; none when `nil`.
    public var socketDirectory: String?
    /// Where the node stands; copies of an instance go to different places.
    public var domain: FailureDomain
    /// Bytes of a segment before the next one is begun.
    public var segmentByteCount: Int = 1 << 30
    /// Free bytes on the disk below which no more instances are taken.
    public var minimumFreeBytes: Int = 1 << 30
    /// What the node counts in the placement map.
    ///
    /// 0: it is to hold nothing; `nil`: the GiB of its file systems.
    public var weight: UInt32?
    /// Every byte on the disk is read and checked within so many seconds; 0: never.
    public var scrubSeconds: Int = 14 * 86_400
    /// How often segments are looked at for space to give back, in seconds; 0: never.
    public var compactionSeconds: Int = 60
    /// How long a deleted record is kept, from when the node heard of it, so that it can be taken back; longer when its deletion says so.
    public var deletionGraceSeconds: Int = 30 * 86_400
    /// How long what a compaction has left behind is in the trash before a coordinator may have it destroyed.
    public var trashGraceSeconds: Int = 7 * 86_400
    /// The stores of packs that the node may write and read, when it is ordered to; none: it makes no packs.
    public var coldStores: [ColdPlace] = []
    /// The node's certificate, and whom it trusts; `nil` for plain TCP.
    public var tls: ReplicationTLS?

    public init(
        name: String,
        cluster: ClusterID,
        dataDirectory: String,
        host: String,
        port: Int,
        domain: FailureDomain
    ) {
        self.name = name
        self.cluster = cluster
        self.dataDirectory = dataDirectory
        self.host = host
        self.port = port
        self.domain = domain
    }
}
