// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import DICOM
import DICOMWeb
import Ingest
import NIOConcurrencyHelpers
import NIOCore
import Placement
import ReplicationProtocol
import SegmentFormat
import Testing

extension MadeInstance {
    /// A small image, stored as received; `fill` makes another content of the same instance.
    static func grey(number: Int, fill: UInt8 = 0) throws -> MadeInstance {
        let shape = Shape(name: "grey", surplus: [fill, fill], instance: number)
        return try asReceived(shape, dataSet(shape), .explicitVRLittleEndian)
    }
}

/// A catalog that answers as the test wants, and remembers what it has committed.
final class ScriptedCatalog: CatalogEntering {
    private struct State {
        var failure: CatalogError?
        var committed: [String: InstanceEntry] = [:]
        var commitCount = 0
        var deleted: Set<String> = []
        var trashed: Set<RecordID> = []
    }

    private let state = NIOLockedValueBox(State())

    func fail(_ error: CatalogError?) { state.withLockedValue { $0.failure = error } }
    var committed: [String: InstanceEntry] { state.withLockedValue { $0.committed } }
    var commitCount: Int { state.withLockedValue { $0.commitCount } }

    /// The instance was deleted; the trash has it as `record`.
    func delete(_ sopInstanceUID: String, as record: RecordID) {
        state.withLockedValue { state in
            state.deleted.insert(sopInstanceUID)
            state.trashed.insert(record)
            state.committed[sopInstanceUID] = nil
        }
    }

    func isInTrash(record: RecordID) async throws(CatalogError) -> Bool {
        let (failure, isTrashed) = state.withLockedValue { ($0.failure, $0.trashed.contains(record)) }
        if let failure { throw failure }
        return isTrashed
    }

    func isEntered(record: RecordID) async throws(CatalogError) -> Bool {
        let (failure, isEntered) = state.withLockedValue { state in
            (state.failure, state.committed.values.contains { $0.recordID == record })
        }
        if let failure { throw failure }
        return isEntered
    }

    func commit(_ entry: InstanceEntry) async throws(CatalogError) -> CommitOutcome {
        let result: Result<CommitOutcome, CatalogError> = state.withLockedValue { state in
            if let failure = state.failure { return .failure(failure) }
            state.commitCount += 1
            let uid = entry.instance.sopInstanceUID
            if state.deleted.contains(uid) { return .success(.deleted) }
            guard let known = state.committed[uid], known.recordID != entry.recordID else {
                state.committed[uid] = entry
                return .success(.committed)
            }
            let row = InstanceRow(known)
            return .success(
                known.contentDigest == entry.contentDigest ? .duplicate(existing: row) : .conflict(existing: row)
            )
        }
        return try result.get()
    }
}

extension ScriptedCatalog: InstanceDirectory {
    func instances(of item: DICOMWebItem) async throws(RetrieveFailure) -> [StoredInstance] {
        let (isAway, committed) = state.withLockedValue { ($0.failure != nil, $0.committed) }
        if isAway { throw RetrieveFailure(.unavailable, "no answer") }
        return committed.values.filter { entry in
            entry.study.studyInstanceUID == item.study
                && (item.instance == nil || entry.instance.sopInstanceUID == item.instance)
        }.map { entry in
            StoredInstance(
                studyInstanceUID: entry.study.studyInstanceUID,
                seriesInstanceUID: entry.series.seriesInstanceUID,
                sopInstanceUID: entry.instance.sopInstanceUID,
                sopClassUID: entry.instance.sopClassUID,
                recordID: entry.recordID,
                nodes: entry.nodes,
                contentDigest: entry.contentDigest,
                receivedTransferSyntax: entry.receivedTransferSyntax,
                storedTransferSyntax: entry.storedTransferSyntax,
                receivedByteCount: entry.receivedByteCount,
                storedByteCount: entry.storedByteCount
            )
        }
    }

    func search(
        _ request: QIDORequest,
        after cursor: CatalogCursor?,
        limit: Int
    ) async throws(RetrieveFailure) -> SearchPage {
        SearchPage(results: [], next: nil)
    }
}

extension InstanceRow {
    fileprivate init(_ entry: InstanceEntry) {
        self.init(
            studyInstanceUID: entry.study.studyInstanceUID,
            seriesInstanceUID: entry.series.seriesInstanceUID,
            instance: entry.instance,
            contentDigest: entry.contentDigest,
            pixelDigest: entry.pixelDigest,
            receivedTransferSyntax: entry.receivedTransferSyntax,
            storedTransferSyntax: entry.storedTransferSyntax,
            receivedByteCount: entry.receivedByteCount,
            storedByteCount: entry.storedByteCount,
            recordID: entry.recordID,
            nodes: entry.nodes,
            receivedAtMilliseconds: entry.receivedAtMilliseconds,
            callingAETitle: entry.callingAETitle
        )
    }
}

/// The records of storage nodes: metadata and payload by id.
final class HeldRecords: RecordReader {
    private struct State {
        var held: [RecordID: (metadata: InstanceMetadata, payload: ByteBuffer)] = [:]
        var isSilent = false
        var deleted: Set<RecordID> = []
    }

    private let state = NIOLockedValueBox(State())

    func silence(_ isSilent: Bool) { state.withLockedValue { $0.isSilent = isSilent } }

    /// Stores an instance as the pipeline would, and returns what it tells the catalog.
    func put(_ made: MadeInstance, receivedAt: Int64) throws -> InstanceEntry {
        var metadata = made.metadata
        metadata.receivedAtMilliseconds = receivedAt
        let digest = SHA256Hasher.digest(of: made.payload)
        let id = try #require(
            RecordID(
                studyInstanceUID: metadata.studyInstanceUID,
                sopInstanceUID: metadata.sopInstanceUID,
                payloadDigest: digest
            )
        )
        state.withLockedValue { state in
            if state.held[id] == nil { state.held[id] = (metadata, made.payload) }
        }
        return InstanceEntry(
            patient: PatientAttributes(),
            study: StudyAttributes(studyInstanceUID: metadata.studyInstanceUID),
            series: SeriesAttributes(seriesInstanceUID: metadata.seriesInstanceUID),
            instance: InstanceAttributes(sopInstanceUID: metadata.sopInstanceUID, sopClassUID: metadata.sopClassUID),
            contentDigest: metadata.receivedDigest,
            receivedTransferSyntax: metadata.receivedTransferSyntax,
            storedTransferSyntax: metadata.storedTransferSyntax,
            receivedByteCount: metadata.receivedByteCount,
            storedByteCount: made.payload.readableBytes,
            recordID: id,
            nodes: [NodeID(high: 0, low: 1)],
            receivedAtMilliseconds: receivedAt
        )
    }

    /// A node has a tombstone; `isKept`: another, which was away, has the record still.
    func delete(_ id: RecordID, isKept: Bool = false) {
        state.withLockedValue { state in
            state.deleted.insert(id)
            if !isKept { state.held[id] = nil }
        }
    }

    func deleted(in range: ClosedRange<RecordID>) -> Set<RecordID> {
        state.withLockedValue { $0.deleted.filter { range.contains($0) } }
    }

    func list(_ range: ClosedRange<RecordID>) throws(RetrieveFailure) -> [RecordID: [NodeID]] {
        let (isSilent, ids) = state.withLockedValue { ($0.isSilent, $0.held.keys.filter { range.contains($0) }) }
        if isSilent { throw RetrieveFailure(.unavailable, "no node answers") }
        return Dictionary(uniqueKeysWithValues: ids.map { ($0, [NodeID(high: 0, low: 1)]) })
    }

    func read(_ id: RecordID, copies: [NodeID], range: Range<Int>?) async throws(RetrieveFailure) -> ByteBuffer {
        let payload = state.withLockedValue { $0.isSilent ? nil : $0.held[id]?.payload }
        guard let payload else { throw RetrieveFailure(.unavailable, "no node answers") }
        guard let range else { return payload }
        return payload.getSlice(at: payload.readerIndex + range.lowerBound, length: range.count) ?? ByteBuffer()
    }

    func head(_ id: RecordID, copies: [NodeID]) async throws(RetrieveFailure) -> HeadResult {
        guard let held = state.withLockedValue({ $0.isSilent ? nil : $0.held[id] }) else {
            throw RetrieveFailure(.unavailable, "no node answers")
        }
        return HeadResult(
            metadata: held.metadata.encode(),
            payloadByteCount: UInt64(held.payload.readableBytes),
            payloadDigest: SHA256Hasher.digest(of: held.payload)
        )
    }
}
