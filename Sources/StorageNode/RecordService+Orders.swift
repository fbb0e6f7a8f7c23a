// SPDX-License-Identifier: Apache-2.0

import NIOPosix
import Placement
package import ReplicationProtocol
import ReplicationTransport
import SegmentStore

/// Orders and comparisons.
///
/// Tombstones, amendments and purges are not offered: the store has none yet, and the server says UNSUPPORTED.
extension RecordService {
    /// Ids asked of the index at once.
    private static let digestPageCount = 1024

    /// Reads the header of every record in the prefix: milliseconds for each thousand.
    package func digest(_ request: DigestRequest) async throws(ReplicationError) -> [DigestPart] {
        var accumulator = DigestAccumulator(request)
        var after = request.prefix.predecessorInGroup
        while true {
            let ids = try await list(group: request.prefix.group, after: after, limit: Self.digestPageCount)
            for id in ids {
                guard request.part(of: id) != nil else { return accumulator.finish() }
                guard !Task.isCancelled else { throw ReplicationError(.cancelled, "the digest was withdrawn") }
                try await add(id, to: &accumulator)
            }
            guard let last = ids.last, ids.count == Self.digestPageCount else { return accumulator.finish() }
            after = last
        }
    }

    /// A damaged record counts as one without a digest; any other failure ends the whole.
    private func add(_ id: RecordID, to accumulator: inout DigestAccumulator) async throws(ReplicationError) {
        do throws(SegmentStoreError) {
            guard let info = try await store.head(id) else { return }
            accumulator.add(id, payloadDigest: info.payloadDigest)
        } catch {
            guard error.code == .checksumMismatch || error.code == .readFailed else { throw ReplicationError(error) }
            accumulator.add(id, payloadDigest: nil)
        }
    }

    package func pull(
        _ request: PullRequest,
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws(ReplicationError) -> PutOutcome {
        try await fetcher.pull(request, into: self, progress: progress)
    }

    package func fencePosition() async throws(ReplicationError) -> FencePosition {
        let file = fence
        return try await blocking { () throws(StorageNodeError) in try file.load() }
    }

    package func persist(_ position: FencePosition) async throws(ReplicationError) {
        let file = fence
        try await blocking { () throws(StorageNodeError) in try file.store(position) }
    }

    /// Runs what blocks on a thread made for it.
    private func blocking<Value: Sendable>(
        _ body: @escaping @Sendable () throws(StorageNodeError) -> Value
    ) async throws(ReplicationError) -> Value {
        do {
            return try await NIOThreadPool.singleton.runIfActive { try body() }
        } catch {
            throw ReplicationError(.diskFailed, "\(error)")
        }
    }
}

extension RecordID {
    /// The id before this one; `nil` for a group's first.
    fileprivate var predecessorInGroup: RecordID? {
        guard low == 0 else { return RecordID(high: high, low: low - 1) }
        let previous = RecordID(high: high &- 1, low: .max)
        return previous?.group == group && high > 0 ? previous : nil
    }
}
