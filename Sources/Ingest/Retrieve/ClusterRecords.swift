// SPDX-License-Identifier: Apache-2.0

import ClusterClient
import NIOCore
import Placement
import ReplicationProtocol

/// The records of the cluster.
struct ClusterRecords: RecordReader {
    let cluster: ClusterClient

    func read(_ id: RecordID, copies: [NodeID], range: Range<Int>?) async throws(RetrieveFailure) -> ByteBuffer {
        let range = range.map { UInt64($0.lowerBound)..<UInt64($0.upperBound) }
        do throws(ClusterError) {
            return try await cluster.read(id, copies: copies, range: range)
        } catch {
            throw RetrieveFailure(error)
        }
    }

    func start(
        _ id: RecordID,
        copies: [NodeID],
        range: Range<Int>?,
        completion: @escaping @Sendable (Result<ByteBuffer, RetrieveFailure>) -> Void
    ) -> RunningWork {
        let range = range.map { UInt64($0.lowerBound)..<UInt64($0.upperBound) }
        let read = cluster.startRead(id, copies: copies, range: range) { result in
            completion(result.mapError { RetrieveFailure($0) })
        }
        return RunningWork { read.cancel() }
    }

    func head(_ id: RecordID, copies: [NodeID]) async throws(RetrieveFailure) -> HeadResult {
        do throws(ClusterError) {
            return try await cluster.head(id, copies: copies)
        } catch {
            throw RetrieveFailure(error)
        }
    }
}

extension RecordDirectory {
    /// The records of the cluster.
    init(cluster: ClusterClient) {
        self.init(
            list: { range, nearest async throws(RetrieveFailure) in
                do throws(ClusterError) {
                    return try await cluster.records(in: range, nearest: nearest).holders
                } catch {
                    throw RetrieveFailure(error)
                }
            },
            records: ClusterRecords(cluster: cluster),
            deleted: { range, nearest in await cluster.deletedRecords(in: range, nearest: nearest) }
        )
    }
}

extension RetrieveFailure {
    fileprivate init(_ error: ClusterError) {
        switch error.code {
        case .notFound: self.init(.damaged, error.message)
        default: self.init(.unavailable, error.message)
        }
    }
}
