// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
package import NIOCore
package import Placement
package import ReplicationProtocol

/// Records of the storage nodes, and of cold packs where no node can give them.
///
/// A node that does not answer or has a damaged copy is passed over by `hot` already; only when that is so of all does the
/// catalog say in which packs the record is. Of a record that the catalog counts on no node the packs are asked first.
package struct ColdRecords: RecordReader {
    let hot: any RecordReader
    let library: PackLibrary

    package init(hot: any RecordReader, library: PackLibrary) {
        self.hot = hot
        self.library = library
    }

    package func read(
        _ id: RecordID,
        copies: [NodeID],
        range: Range<Int>?
    ) async throws(RetrieveFailure) -> ByteBuffer {
        guard !copies.isEmpty else {
            do throws(RetrieveFailure) {
                return try await library.read(id, range: range, after: Self.onNoNode)
            } catch {
                guard !Task.isCancelled else { throw error }
                return try await Self.said(error) { () async throws(RetrieveFailure) in
                    // A copy that was not dropped yet is as good.
                    try await hot.read(id, copies: copies, range: range)
                }
            }
        }
        do throws(RetrieveFailure) {
            return try await hot.read(id, copies: copies, range: range)
        } catch {
            guard !Task.isCancelled else { throw error }
            return try await Self.soon { () async throws(RetrieveFailure) in
                try await library.read(id, range: range, after: error)
            }
        }
    }

    /// When no node has it either, what is on media that are not at hand is still that.
    private static func said<Value>(
        _ failure: RetrieveFailure,
        _ body: () async throws(RetrieveFailure) -> Value
    ) async throws(RetrieveFailure) -> Value {
        do throws(RetrieveFailure) {
            return try await body()
        } catch {
            throw failure.kind == .offline ? failure : error
        }
    }

    /// Of what nodes have that are away, media are not waited for: the nodes are back sooner.
    private static func soon<Value>(
        _ body: () async throws(RetrieveFailure) -> Value
    ) async throws(RetrieveFailure) -> Value {
        do throws(RetrieveFailure) {
            return try await body()
        } catch {
            throw soon(error)
        }
    }

    private static func soon(_ failure: RetrieveFailure) -> RetrieveFailure {
        failure.kind == .offline ? RetrieveFailure(.unavailable, failure.reason) : failure
    }

    private static let onNoNode = RetrieveFailure(.unavailable, "it is in cold packs only")

    package func head(_ id: RecordID, copies: [NodeID]) async throws(RetrieveFailure) -> HeadResult {
        guard !copies.isEmpty else {
            do throws(RetrieveFailure) {
                return try await library.head(id, after: Self.onNoNode)
            } catch {
                guard !Task.isCancelled else { throw error }
                return try await Self.said(error) { () async throws(RetrieveFailure) in
                    try await hot.head(id, copies: copies)
                }
            }
        }
        do throws(RetrieveFailure) {
            return try await hot.head(id, copies: copies)
        } catch {
            guard !Task.isCancelled else { throw error }
            return try await Self.soon { () async throws(RetrieveFailure) in
                try await library.head(id, after: error)
            }
        }
    }

    /// Work that may have to be given up while it goes over from the nodes to the packs.
    private struct Stage {
        var isCancelled = false
        var cold: RunningWork?
    }

    package func start(
        _ id: RecordID,
        copies: [NodeID],
        range: Range<Int>?,
        completion: @escaping @Sendable (Result<ByteBuffer, RetrieveFailure>) -> Void
    ) -> RunningWork {
        guard !copies.isEmpty else {
            return RunningWork.task {
                try await read(id, copies: copies, range: range)
            } _: { result in
                completion(result.mapError { $0 as? RetrieveFailure ?? RetrieveFailure(.unavailable, "\($0)") })
            }
        }
        let stage = NIOLockedValueBox(Stage())
        let library = library
        let first = hot.start(id, copies: copies, range: range) { result in
            guard case .failure(let failure) = result, !stage.withLockedValue({ $0.isCancelled }) else {
                return completion(result)
            }
            let cold = RunningWork.task {
                try await library.read(id, range: range, after: failure)
            } _: { result in
                completion(
                    result.mapError { error in
                        (error as? RetrieveFailure).map(Self.soon) ?? RetrieveFailure(.unavailable, "\(error)")
                    }
                )
            }
            let isCancelled = stage.withLockedValue { stage in
                stage.cold = cold
                return stage.isCancelled
            }
            if isCancelled { cold.cancel() }
        }
        return RunningWork {
            let cold = stage.withLockedValue { stage in
                stage.isCancelled = true
                return stage.cold
            }
            first.cancel()
            cold?.cancel()
        }
    }
}
