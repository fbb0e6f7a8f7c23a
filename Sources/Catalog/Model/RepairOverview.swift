// SPDX-License-Identifier: Apache-2.0

public import Placement

/// How much is where it is not wanted.
public struct RepairAmount: Hashable, Sendable {
    public var instanceCount: Int
    /// Bytes of one copy each.
    public var byteCount: Int64
    /// Parts that have not been counted yet and are not in the sums.
    public var uncountedCount: Int

    public init(instanceCount: Int = 0, byteCount: Int64 = 0, uncountedCount: Int = 0) {
        self.instanceCount = instanceCount
        self.byteCount = byteCount
        self.uncountedCount = uncountedCount
    }

    public static func + (left: Self, right: Self) -> Self {
        Self(
            instanceCount: left.instanceCount + right.instanceCount,
            byteCount: left.byteCount + right.byteCount,
            uncountedCount: left.uncountedCount + right.uncountedCount
        )
    }
}

/// How repair stands, as the coordinator in office last wrote it down.
public struct RepairOverview: Hashable, Sendable {
    /// Part of what the last survey found, less what has been done since.
    public struct Difference: Hashable, Sendable {
        /// 1 repair, 2 drain, 3 rebalance, 4 surplus: to be dropped.
        public var kind: Int
        /// Copies that can be read.
        public var livingCount: Int
        /// Whether those are fewer than wanted.
        public var isShort: Bool
        /// 0 none, 1 no source, 2 the target is away, 3 no target, 4 the target has come not long ago.
        public var obstacle: Int
        public var amount: RepairAmount
    }

    /// Items of the queue that are alike.
    public struct Queued: Hashable, Sendable {
        public var kind: Int
        /// 1 waiting, 2 taken up, 3 needs a person.
        public var state: Int
        public var count: Int
    }

    /// Copies that the coordinator wants of an instance; 0 before the first survey.
    public var copies: Int
    /// Copies made since the cluster began, and their bytes.
    public var madeCount: Int
    public var madeByteCount: Int64
    /// Over the last minute; nil when that was not written down lately.
    public var rate: (items: Double, bytes: Double)? { rateIsRecent ? (itemsPerSecond, bytesPerSecond) : nil }
    var itemsPerSecond: Double
    var bytesPerSecond: Double
    var rateIsRecent: Bool
    /// When the last survey ended, in milliseconds since 1970.
    public var surveyedAtMilliseconds: Int64?
    /// What operators have to know; empty when there is nothing.
    public var alarm: String
    public var differences: [Difference]
    public var queue: [Queued]
    /// Surplus copies dropped since the cluster began, and their bytes.
    public var droppedCount: Int
    public var droppedByteCount: Int64

    /// Instances with fewer copies that can be read than wanted, by how many can.
    public var underReplicated: [(livingCount: Int, amount: RepairAmount)] {
        let short = differences.filter(\.isShort)
        return Set(short.map(\.livingCount)).sorted().map { count in
            (count, short.filter { $0.livingCount == count }.reduce(RepairAmount()) { $0 + $1.amount })
        }
    }

    /// Copies that are to be made, of a kind or all; what nothing can be done about now included.
    public func remaining(kind: Int? = nil) -> RepairAmount {
        differences.filter { $0.kind < 4 && (kind == nil || $0.kind == kind) }.reduce(RepairAmount()) { $0 + $1.amount }
    }

    /// Copies that cannot be made now, by the reason.
    public func waiting(obstacle: Int) -> RepairAmount {
        differences.filter { $0.kind < 4 && $0.obstacle == obstacle }.reduce(RepairAmount()) { $0 + $1.amount }
    }

    /// Copies beyond those wanted.
    public var surplus: RepairAmount {
        differences.filter { $0.kind == 4 }.reduce(RepairAmount()) { $0 + $1.amount }
    }

    /// Items of the queue that a person has to look at.
    public var stuckCount: Int { queue.filter { $0.state == 3 }.reduce(0) { $0 + $1.count } }
}

/// A copy that could not be made, or dropped, and is not tried again.
public struct StuckRepair: Hashable, Sendable {
    public var record: RecordID
    /// Of the instance; empty when it has been deleted.
    public var sopInstanceUID: String
    public var studyInstanceUID: String
    public var attemptCount: Int
    /// Why.
    public var note: String
}
