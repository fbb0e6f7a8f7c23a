// SPDX-License-Identifier: Apache-2.0

public import Placement

/// An instance's record and where the catalog says that its copies are.
public struct NamedCopies: Hashable, Sendable {
    public var record: RecordID
    public var nodes: [NodeID]

    public init(record: RecordID, nodes: [NodeID]) {
        self.record = record
        self.nodes = nodes
    }
}

/// What a comparison of catalog and nodes has counted.
public struct ComparisonCounts: Hashable, Sendable {
    /// Copies that are where the catalog says.
    public var presentCount = 0
    /// Copies on nodes that were not asked, because they are away or not sure what they have.
    public var unaskedCount = 0
    /// Copies that the catalog names and the node does not list.
    public var missingCount = 0
    /// Copies on nodes of which the catalog does not say that they have one.
    public var uncountedCount = 0
    /// Records that no row names; their store may be under way.
    public var orphanCount = 0
    /// Records of instances in the trash of which their node was not told yet.
    public var trashedCount = 0

    public init() {}

    /// In the order in which the catalog keeps them.
    var values: [Int64] {
        [presentCount, unaskedCount, missingCount, uncountedCount, orphanCount, trashedCount].map(Int64.init)
    }

    init(values: [Int]) {
        guard values.count >= 6 else { return }
        presentCount = values[0]
        unaskedCount = values[1]
        missingCount = values[2]
        uncountedCount = values[3]
        orphanCount = values[4]
        trashedCount = values[5]
    }
}

/// How far the comparison is.
public struct ComparisonPosition: Hashable, Sendable {
    /// The group that is compared next; nil when a newer program counts them otherwise.
    public var group: PlacementGroup?
    /// How long ago the one before was; nil for the first of all.
    public var age: Duration?

    public init(group: PlacementGroup?, age: Duration?) {
        self.group = group
        self.age = age
    }
}

/// A copy that the catalog names and its node did not list.
public struct MissingCopy: Hashable, Sendable {
    public var record: RecordID
    public var node: NodeID
    /// Times that it could not be judged.
    public var attemptCount: Int
    /// Bytes of the payload.
    public var byteCount: Int64
    /// Where the instance's copies are counted now; nil when it is not in the catalog any more.
    public var placement: Int32?
    public var nodes: [NodeID]
    /// Empty when it is not in the catalog any more.
    public var sopInstanceUID: String

    public init(
        record: RecordID,
        node: NodeID,
        attemptCount: Int = 0,
        byteCount: Int64 = 0,
        placement: Int32?,
        nodes: [NodeID],
        sopInstanceUID: String = ""
    ) {
        self.record = record
        self.node = node
        self.attemptCount = attemptCount
        self.byteCount = byteCount
        self.placement = placement
        self.nodes = nodes
        self.sopInstanceUID = sopInstanceUID
    }
}

/// How the comparison stands, as the coordinator in office wrote it down.
public struct ComparisonOverview: Hashable, Sendable {
    /// Groups of the pass under way that have been compared.
    public var groupCount: Int
    /// Milliseconds since 1970 when the pass under way and the last complete one began, and when that ended.
    public var startedAtMilliseconds: Int64?
    public var lastStartedAtMilliseconds: Int64?
    public var lastFinishedAtMilliseconds: Int64?
    /// What the pass under way, the last complete one, and all together have counted.
    public var counts: ComparisonCounts
    public var lastCounts: ComparisonCounts
    public var totalCounts: ComparisonCounts
    /// Copies that were missing and are counted no more, and copies that were found and are counted again, since the
    /// cluster began.
    public var uncountedTotal: Int
    public var recountedTotal: Int
    /// Missing copies that are still to be looked at.
    public var waitingCount: Int
    /// Instances of which no good copy is known anywhere.
    public var lostCount: Int
    /// The first of those.
    public var lost: [LostInstance]
}

/// An instance of which no good copy is known anywhere.
public struct LostInstance: Hashable, Sendable {
    public var record: RecordID
    public var sopInstanceUID: String
    public var studyInstanceUID: String
    public var note: String
}
