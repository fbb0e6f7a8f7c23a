// SPDX-License-Identifier: Apache-2.0

/// What `GET /api/v1/status` answers: the cluster at a glance.
public struct StatusReport: Codable, Sendable {
    /// One storage node as the catalog knows it and as it answers now.
    public struct Node: Codable, Sendable {
        public var name: String
        public var id: String
        public var address: String
        /// `site/rack/host`.
        public var domain: String
        /// The state as the coordinator sees it (`up`, `suspect`, `down`, ...); `unreachable` when this ingest node
        /// cannot reach it.
        public var state: String
        public var acceptsWrites: Bool
        public var records: Int?
        public var usedBytes: Int64?
        public var freeBytes: Int64?
        /// Of the file systems that it is on.
        public var capacityBytes: Int64?
        /// Its weight in the placement map: its share of the groups is to those of the others as this is to theirs.
        public var weight: Int
        /// The weight that it would have; the map follows when shares differ by more than a tenth, and have for an hour.
        public var saysWeight: Int?
        /// Why the node takes no writes, when it does not.
        public var reason: String?
    }

    public var version: String
    public var cluster: String
    public var mapEpoch: UInt64
    /// The coordinator in office, or nil when the lease has run out.
    public var coordinator: String?
    public var copies: Int
    public var acknowledgements: Int
    public var codec: String
    public var nodes: [Node]
    public var studies: Int
    public var series: Int
    public var instances: Int
    public var receivedBytes: Int64
    public var storedBytes: Int64
    /// Instances of which fewer copies than wanted can be read.
    public var underReplicated: Int
    public var repair: RepairReport
    /// Accepted instances that are fetched again; nil while that cannot be read.
    public var watch: WatchReport?
    /// Nil when the catalog cannot say.
    public var comparison: ComparisonReport?
    /// Nil when the catalog cannot say, or no rules were loaded.
    public var lifecycle: LifecycleStatusReport?
}

/// One row of `GET /api/v1/studies`.
public struct StudyReport: Codable, Sendable {
    public var studyInstanceUID: String
    public var patientID: String
    public var patientName: String
    /// `YYYYMMDD`, or empty.
    public var studyDate: String
    public var studyDescription: String
    public var modalities: [String]
    public var series: Int
    public var instances: Int
    /// Bytes as received (data sets) and as stored, one copy.
    public var receivedBytes: Int64
    public var storedBytes: Int64
    /// RFC 3339, UTC.
    public var receivedAt: String

    /// Received over stored bytes: 2.0 means that a copy takes half the room.
    public var compressionRatio: Double {
        storedBytes > 0 ? Double(receivedBytes) / Double(storedBytes) : 1
    }
}

/// What `GET /api/v1/studies/{uid}` answers: the study and where every copy of every instance is.
public struct StudyDetailReport: Codable, Sendable {
    /// One copy of an instance.
    public struct Copy: Codable, Sendable {
        public var node: String
        /// `good`, `missing`, `damaged` or `unreachable`.
        public var state: String
        /// What the node said, when the copy is not good.
        public var reason: String?
    }

    /// One instance and its copies.
    public struct Instance: Codable, Sendable {
        public var sopInstanceUID: String
        public var seriesInstanceUID: String
        public var sopClassUID: String
        public var recordID: String
        public var receivedTransferSyntax: String
        public var storedTransferSyntax: String
        public var receivedBytes: Int64
        public var storedBytes: Int64
        public var copies: [Copy]
        /// Whether it is in cold packs only, one of which was sound when all of it was read last.
        public var isPacked: Bool?
    }

    /// The codec that was chosen for the images of a series that are alike.
    public struct Codec: Codable, Sendable {
        public var seriesInstanceUID: String
        /// The class of the policy, and what the images have in common.
        public var scope: String
        public var codec: String
        /// The candidates and what each made of the sample frames.
        public var trial: String
    }

    public var study: StudyReport
    /// Choices of codecs, where the policy left one.
    public var codecs: [Codec]
    /// Copies each instance should have.
    public var wantedCopies: Int
    /// Whether every byte of each copy was read and checked (`verify=true`) or only its presence.
    public var verified: Bool
    public var instances: [Instance]
    /// The packs that hold it or did, the last first; nil when the catalog could not say.
    public var packs: [PackReport]?
    /// The orders to move it into packs, the last first.
    public var moves: [MoveReport]?
    /// The orders that it come back from packs, the last first.
    public var recalls: [RecallReport]?
    /// What the rules in force make of it; nil before it was judged.
    public var policy: StudyPolicyReport?

    /// Instances with fewer good copies than wanted, but for those that are in a sound pack only.
    public var incompleteInstances: Int {
        instances.count { instance in
            instance.isPacked != true && instance.copies.count { $0.state == "good" } < wantedCopies
        }
    }
}
