// SPDX-License-Identifier: Apache-2.0

package import Catalog
import Checksums
import DICOM
import NIOCore
package import Placement
import ReplicationProtocol
package import SegmentFormat

/// A record of an instance as the storage nodes describe it.
package struct InstanceRecord: Sendable {
    package var recordID: RecordID
    package var nodes: [NodeID]
    package var metadata: InstanceMetadata
    package var payloadByteCount: Int

    package init(recordID: RecordID, nodes: [NodeID], metadata: InstanceMetadata, payloadByteCount: Int) {
        self.recordID = recordID
        self.nodes = nodes
        self.metadata = metadata
        self.payloadByteCount = payloadByteCount
    }

    /// As retrieval knows it.
    var storedInstance: StoredInstance {
        StoredInstance(
            studyInstanceUID: metadata.studyInstanceUID,
            seriesInstanceUID: metadata.seriesInstanceUID,
            sopInstanceUID: metadata.sopInstanceUID,
            sopClassUID: metadata.sopClassUID,
            recordID: recordID,
            nodes: nodes,
            contentDigest: metadata.receivedDigest,
            receivedTransferSyntax: metadata.receivedTransferSyntax,
            storedTransferSyntax: metadata.storedTransferSyntax,
            receivedByteCount: metadata.receivedByteCount,
            storedByteCount: payloadByteCount
        )
    }

    /// Whether this record counts when there are several of one SOP Instance UID: the first that was received does, as in
    /// the catalog, where a later one is a duplicate or a conflict.
    func precedes(_ other: InstanceRecord) -> Bool {
        (metadata.receivedAtMilliseconds, recordID) < (other.metadata.receivedAtMilliseconds, other.recordID)
    }
}

/// Finds instances on the storage nodes alone, by UID.
///
/// For when the catalog cannot be asked. What it does not know: which of several records of one SOP Instance UID the
/// catalog names, when a conflict was once refused (the first that was received is taken).
package struct RecordDirectory: Sendable {
    /// Lists records of a range of ids, and the nodes that hold them.
    package typealias List =
        @Sendable (ClosedRange<RecordID>, _ nearest: Int?) async throws(RetrieveFailure) -> [RecordID: [NodeID]]

    /// Those records of a range of ids that are deleted, as far as nodes tell.
    package typealias Deleted = @Sendable (ClosedRange<RecordID>, _ nearest: Int?) async -> Set<RecordID>

    /// Records whose metadata are read at once.
    private static let window = 16

    private let list: List
    private let records: any RecordReader
    private let deleted: Deleted

    package init(
        list: @escaping List,
        records: any RecordReader,
        deleted: @escaping Deleted = { _, _ in [] }
    ) {
        self.list = list
        self.records = records
        self.deleted = deleted
    }

    /// Whether an instance is deleted, as far as nodes tell.
    package func isDeleted(study: String, instance: String, nearest: Int? = nil) async -> Bool {
        guard let range = RecordID.range(studyInstanceUID: study, sopInstanceUID: instance) else { return false }
        return await !deleted(range, nearest).isEmpty
    }

    /// The instances of a study, or one, ordered by series and time of arrival; one record each.
    ///
    /// Without those of which any node that answers knows a deletion: another, that was away, may still list them.
    package func instances(
        study: String,
        instance: String? = nil,
        nearest: Int? = nil
    ) async throws(RetrieveFailure) -> [InstanceRecord] {
        guard let range = RecordID.range(studyInstanceUID: study, sopInstanceUID: instance) else { return [] }
        async let known = deleted(range, nearest)
        let listed = try await list(range, nearest)
        let gone = Set(await known.map(InstanceKey.init))
        let holders = gone.isEmpty ? listed : listed.filter { !gone.contains(InstanceKey($0.key)) }
        var found: [String: InstanceRecord] = [:]
        for record in try await describe(holders) {
            let metadata = record.metadata
            guard metadata.studyInstanceUID == study, instance == nil || metadata.sopInstanceUID == instance else {
                continue
            }
            if let known = found[metadata.sopInstanceUID], known.precedes(record) { continue }
            found[metadata.sopInstanceUID] = record
        }
        return found.values.sorted { left, right in
            guard left.metadata.seriesInstanceUID == right.metadata.seriesInstanceUID else {
                return left.metadata.seriesInstanceUID < right.metadata.seriesInstanceUID
            }
            return left.precedes(right)
        }
    }

    /// A record's description; nil when its metadata cannot be understood, which says so in the log of whoever asks.
    package func describe(_ id: RecordID, nodes: [NodeID]) async throws(RetrieveFailure) -> InstanceRecord {
        let head = try await records.head(id, copies: nodes)
        do throws(SegmentFormatError) {
            return InstanceRecord(
                recordID: id,
                nodes: nodes,
                metadata: try InstanceMetadata(decoding: head.metadata),
                payloadByteCount: Int(clamping: head.payloadByteCount)
            )
        } catch {
            throw RetrieveFailure(.damaged, "the metadata of record \(id) cannot be read: \(error)")
        }
    }

    private func describe(_ holders: [RecordID: [NodeID]]) async throws(RetrieveFailure) -> [InstanceRecord] {
        let ids = holders.keys.sorted()
        let result: Result<[InstanceRecord], RetrieveFailure> = await withTaskGroup(
            of: Result<InstanceRecord, RetrieveFailure>.self
        ) { tasks in
            var next = ids.startIndex
            func start() {
                guard next < ids.endIndex else { return }
                let id = ids[next]
                next += 1
                tasks.addTask {
                    do throws(RetrieveFailure) {
                        return .success(try await self.describe(id, nodes: holders[id] ?? []))
                    } catch {
                        return .failure(error)
                    }
                }
            }
            for _ in 0..<Self.window { start() }
            var found: [InstanceRecord] = []
            for await result in tasks {
                switch result {
                case .success(let record): found.append(record)
                case .failure(let error):
                    tasks.cancelAll()
                    return .failure(error)
                }
                start()
            }
            return .success(found)
        }
        return try result.get()
    }

    /// What the catalog is to know of a record, read from the record alone.
    package func entry(of record: InstanceRecord) async throws(RetrieveFailure) -> InstanceEntry {
        let header = try await HeaderReader(records: records).dataSet(of: record.storedInstance)
        return InstanceEntry(
            header: header,
            metadata: record.metadata,
            recordID: record.recordID,
            storedByteCount: record.payloadByteCount,
            nodes: record.nodes
        )
    }
}

/// What the ids of all records of an instance begin with (docs/decisions/0001-record-identity.md).
private struct InstanceKey: Hashable {
    private let high: UInt64
    private let low: UInt64

    init(_ id: RecordID) {
        self.high = id.high
        self.low = id.low >> 40
    }
}
