// SPDX-License-Identifier: Apache-2.0

package import NIOCore
package import Placement
package import ReplicationProtocol

/// Reads records from the storage nodes; the cluster in production, a map in memory in tests.
///
/// Tries `copies` in order and goes on to the next when a node is down or a checksum is wrong.
package protocol RecordReader: Sendable {
    /// The bytes of `range` of a record's payload, all of it when nil.
    func read(_ id: RecordID, copies: [NodeID], range: Range<Int>?) async throws(RetrieveFailure) -> ByteBuffer
    /// As ``read(_:copies:range:)``, for whoever begins many at once; `completion` is called once, from any thread, also
    /// when the reading is given up.
    func start(
        _ id: RecordID,
        copies: [NodeID],
        range: Range<Int>?,
        completion: @escaping @Sendable (Result<ByteBuffer, RetrieveFailure>) -> Void
    ) -> RunningWork
    /// A record's metadata, payload byte count and digest.
    func head(_ id: RecordID, copies: [NodeID]) async throws(RetrieveFailure) -> HeadResult
}

extension RecordReader {
    package func start(
        _ id: RecordID,
        copies: [NodeID],
        range: Range<Int>?,
        completion: @escaping @Sendable (Result<ByteBuffer, RetrieveFailure>) -> Void
    ) -> RunningWork {
        RunningWork.task {
            try await read(id, copies: copies, range: range)
        } _: { result in
            completion(result.mapError { $0 as? RetrieveFailure ?? RetrieveFailure(.unavailable, "\($0)") })
        }
    }
}
