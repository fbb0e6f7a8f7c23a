// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import DICOM
import DICOMWeb
import Ingest
import NIOConcurrencyHelpers
import NIOCore
import PixelCodecs
import Placement
import ReplicationProtocol
import SegmentFormat

/// An archive in memory: the catalog and the nodes that retrieval sees, with damage on demand.
final class MemoryArchive: InstanceDirectory, RecordReader {
    struct Copy: Sendable {
        var payload: ByteBuffer
        var metadata: InstanceMetadata
    }

    private struct State {
        var instances: [StoredInstance] = []
        var copies: [RecordID: [NodeID: Copy]] = [:]
        var results: [SearchResult] = []
        var failure: RetrieveFailure?
        var downNodes: Set<NodeID> = []
        var lastSearch: (QIDORequest, Int)?
        var readByteCount = 0
    }

    static let nodes = [NodeID(high: 0, low: 1), NodeID(high: 0, low: 2)]

    private let state = NIOLockedValueBox(State())

    /// Puts an instance on both nodes.
    func add(_ made: MadeInstance) -> StoredInstance {
        state.withLockedValue { state in
            let number = UInt64(state.instances.count)
            // A record id whose group is 0 and whose digest is the instance's number.
            let id = RecordID(high: 0, low: number) ?? RecordID(high: 0, low: 0)
            guard let id else { preconditionFailure("group 0 exists") }
            let instance = StoredInstance(
                studyInstanceUID: made.metadata.studyInstanceUID,
                seriesInstanceUID: made.metadata.seriesInstanceUID,
                sopInstanceUID: made.metadata.sopInstanceUID,
                sopClassUID: made.metadata.sopClassUID,
                recordID: id,
                nodes: Self.nodes,
                contentDigest: made.metadata.receivedDigest,
                receivedTransferSyntax: made.metadata.receivedTransferSyntax,
                storedTransferSyntax: made.metadata.storedTransferSyntax,
                receivedByteCount: made.dataSet.readableBytes,
                storedByteCount: made.payload.readableBytes
            )
            state.instances.append(instance)
            for node in Self.nodes {
                state.copies[id, default: [:]][node] = Copy(payload: made.payload, metadata: made.metadata)
            }
            return instance
        }
    }

    func setResults(_ results: [SearchResult]) { state.withLockedValue { $0.results = results } }

    /// Makes every question fail.
    func fail(with failure: RetrieveFailure?) { state.withLockedValue { $0.failure = failure } }

    func take(down node: NodeID) { state.withLockedValue { _ = $0.downNodes.insert(node) } }

    var lastSearch: (request: QIDORequest, limit: Int)? { state.withLockedValue { $0.lastSearch } }
    var readByteCount: Int { state.withLockedValue { $0.readByteCount } }

    /// Changes the copy on one node.
    func damage(_ instance: StoredInstance, on node: NodeID, _ change: (inout Copy) -> Void) {
        state.withLockedValue { state in
            if var copy = state.copies[instance.recordID]?[node] {
                change(&copy)
                state.copies[instance.recordID]?[node] = copy
            }
        }
    }

    func instances(of item: DICOMWebItem) async throws(RetrieveFailure) -> [StoredInstance] {
        let (instances, failure) = state.withLockedValue { ($0.instances, $0.failure) }
        if let failure { throw failure }
        return instances.filter {
            $0.studyInstanceUID == item.study && $0.seriesInstanceUID == item.series ?? $0.seriesInstanceUID
                && $0.sopInstanceUID == item.instance ?? $0.sopInstanceUID
        }
    }

    /// The cursor after a result is its number, from 1.
    func search(
        _ request: QIDORequest,
        after cursor: CatalogCursor?,
        limit: Int
    ) async throws(RetrieveFailure) -> SearchPage {
        let (results, failure) = state.withLockedValue { state in
            state.lastSearch = (request, limit)
            return (state.results, state.failure)
        }
        if let failure { throw failure }
        let start = cursor.flatMap { Int($0.text) } ?? request.offset
        let found = results.dropFirst(start)
        return SearchPage(
            results: Array(found.prefix(limit)),
            next: found.count > limit ? CatalogCursor(text: "\(start + limit)") : nil
        )
    }

    private func copy(_ id: RecordID, _ copies: [NodeID]) throws(RetrieveFailure) -> Copy {
        let found = state.withLockedValue { state in
            for node in copies where !state.downNodes.contains(node) {
                if let copy = state.copies[id]?[node] { return copy as Copy? }
            }
            return nil
        }
        guard let found else { throw RetrieveFailure(.unavailable, "no copy answers") }
        return found
    }

    func read(_ id: RecordID, copies: [NodeID], range: Range<Int>?) async throws(RetrieveFailure) -> ByteBuffer {
        let payload = try copy(id, copies).payload
        let range = range ?? 0..<payload.readableBytes
        guard let bytes = payload.getSlice(at: payload.readerIndex + range.lowerBound, length: range.count) else {
            throw RetrieveFailure(.damaged, "the range is beyond the record")
        }
        state.withLockedValue { $0.readByteCount += range.count }
        return bytes
    }

    func head(_ id: RecordID, copies: [NodeID]) async throws(RetrieveFailure) -> HeadResult {
        let copy = try copy(id, copies)
        return HeadResult(
            metadata: copy.metadata.encode(),
            payloadByteCount: UInt64(copy.payload.readableBytes),
            payloadDigest: SHA256Hasher.digest(of: copy.payload)
        )
    }
}
