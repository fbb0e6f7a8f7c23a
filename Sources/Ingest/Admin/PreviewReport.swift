// SPDX-License-Identifier: Apache-2.0

/// What `GET /api/v1/nodes/{name}/preview?order=...` answers: what an order about a node would do if it were given now.
public struct PreviewReport: Codable, Sendable {
    /// Copies of instances, and their bytes.
    public struct Amount: Codable, Sendable {
        public var copies: Int
        public var bytes: Int64
    }

    /// What would come to a node and go from it.
    public struct Node: Codable, Sendable {
        public var name: String
        public var id: String
        /// Copies that are made on it because of the order.
        public var receives: Amount
        /// Copies on it that are needed there no more because of the order; they are dropped in the end.
        public var givesUp: Amount
        /// Copies that are made on it anyhow: for repair, or because of an earlier order.
        public var alsoReceives: Amount
        /// Bytes that are free on it now; nil when it does not say.
        public var freeBytes: Int64?
        /// Bytes that are free when it has received all, before anything is dropped.
        public var freeBytesAfterwards: Int64?
        /// Whether less than a twentieth of its room would be left then.
        public var isTooFull: Bool
    }

    /// `drain`, `undrain` or `remove`.
    public var order: String
    /// Why the order would be refused; nil when it would be carried out.
    public var refusal: String?
    /// Placement groups of which copies are made because of the order.
    public var groups: Int
    /// What is made because of the order.
    public var moves: Amount
    /// Whether the amounts are an estimate, made of those sets of instances that could be counted in five seconds.
    public var isEstimate: Bool
    /// Sets of instances (one placement group, copies on the same nodes) that were counted, and all that move.
    public var countedSets: Int
    public var sets: Int
    /// Placement groups, of 1024, that belong to other nodes afterwards, those without instances included.
    public var reassignedGroups: Int
    /// Those that receive or give up something, by name.
    public var nodes: [Node]
    /// Copies made in the whole cluster, over the last minute; nil when none were.
    public var bytesPerSecond: Double?
    public var copiesPerSecond: Double?
    /// How long it takes at that rate; nil when there is no rate.
    public var expectedSeconds: Double?
    /// Copies of an instance that are wanted.
    public var copies: Int
    /// Whether every study then has its copies on distinct hosts.
    public var isSpreadAfterwards: Bool
    /// Placement groups with instances of which that is not so.
    public var shortGroups: Int
    /// Placement groups of which a copy would wait for a node that is away or full.
    public var waitingGroups: Int
}
