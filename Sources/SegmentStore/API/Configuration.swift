// SPDX-License-Identifier: Apache-2.0

public import Placement

extension SegmentStore {
    /// Where a store is and what its limits are.
    public struct Configuration: Sendable {
        /// When a batch of records is written and synced.
        public struct GroupCommit: Sendable {
            /// A batch is closed when its records have this many bytes.
            public var maximumByteCount = 8 << 20
            /// A batch is closed when it has this many records.
            public var maximumRecordCount = 64
            /// The longest that the writer waits for company for a record; one that has none to expect does not wait.
            public var maximumDelay = Duration.milliseconds(2)

            public init() {}
        }

        /// The store's own directory, on the disk that it stands for.
        public var directory: String
        public var clusterID: ClusterID
        public var nodeID: NodeID
        /// The size at which a segment is sealed and the next one begun.
        public var segmentByteCount: UInt64 = 1 << 30
        /// How much of a segment is reserved on disk at a time.
        public var allocationByteCount: UInt64 = 64 << 20
        /// Below this much free space only tombstones and amendments are taken.
        public var softLimitFreeBytes: UInt64 = 1 << 30
        /// Below this much free space nothing is taken; at most half of the soft limit counts.
        public var hardLimitFreeBytes: UInt64 = 64 << 20
        public var groupCommit = GroupCommit()
        /// Within this time every byte is read from the disk and checked again; `nil` for never.
        public var scrubDeadline: Duration? = .seconds(14 * 86_400)
        /// How long the bytes of a deleted record stay where they are, so that the deletion can be taken back, and how
        /// long a segment stays in the trash.
        public var deletionGrace: Duration = .seconds(30 * 86_400)
        public var trashGrace: Duration = .seconds(7 * 86_400)
        /// The part of a segment that has to be dead for the rest to be copied elsewhere.
        public var compactionThreshold = 0.4
        /// Payloads over this go through `beginLarge`.
        public var largeRecordByteCount = 16 << 20
        /// The most amendments of a record; of those that rule over its life twice as many.
        public var maximumAmendmentCount = 1000
        /// The most bytes that one read returns.
        public var maximumReadByteCount = 256 << 20
        /// The number of threads that read.
        public var readThreads = 4
        /// The number of threads that write large records.
        public var largeWriteThreads = 2
        /// The most records and payload bytes that wait for the writer.
        public var maximumQueuedRecordCount = 4096
        public var maximumQueuedByteCount = 512 << 20
        /// The most reads that wait for a thread.
        public var maximumQueuedReadCount = 16384
        /// The most segment files that are kept open.
        public var maximumOpenFileCount = 256
        /// The largest size that the index can grow to: address space, not memory.
        public var indexMapByteCount = 64 << 30

        public init(directory: String, clusterID: ClusterID, nodeID: NodeID) {
            self.directory = directory
            self.clusterID = clusterID
            self.nodeID = nodeID
        }
    }
}
