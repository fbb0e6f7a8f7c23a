// SPDX-License-Identifier: Apache-2.0

import Checksums
import ColdStore
import DICOM
import NIOCore
import PackFormat
import Placement
import ReplicationProtocol
import ReplicationTransport
import SegmentFormat
import SegmentStore

/// Writes the records of an order into a pack, in one stream from the disks to the store.
///
/// Memory does not grow with the bytes of the study; directory and manifest, about a kilobyte a record, are held. Nobody
/// sees anything of the pack before it is durable (``ObjectUpload``).
struct PackBuilder: Sendable {
    /// What a manifest and a directory have for each record, beside its metadata in base64.
    private static let overheadByteCount: UInt64 = 2048
    /// Records that are begun ahead of the one that is written, each with its first piece in memory.
    private static let recordsAhead = 6

    let request: BuildPackRequest
    let service: RecordService
    let stores: ColdStores
    let progress: @Sendable (PullProgress) -> Void

    /// Builds the pack, or proves the one that an earlier order has made.
    func build() async throws(ReplicationError) -> BuiltPack {
        let description = try description()
        guard let key = ObjectKey(description.key) else {
            throw ReplicationError(.invalidRequest, "the study's UID can't be a name in a store")
        }
        do throws(ColdStoreError) {
            let store = try await stores.store(at: request.reference.place)
            if try await store.status(of: key) == nil {
                do throws(ColdStoreError) {
                    let summary = try await write(description, key, to: store)
                    return BuiltPack(outcome: .stored, byteCount: summary.byteCount, digest: summary.digest)
                } catch {
                    // Another node was given the order before, and is done with it now.
                    guard error.code == .exists else { throw error }
                }
            }
            let found = try await PackCheck(reference: request.reference, stores: stores, progress: progress)
                .prove(key, in: store)
            guard found.manifest.description == description,
                found.manifest.entries.map(\.instance.record) == request.records.map(Optional.some)
            else {
                throw ColdStoreError(.exists, "another pack lies in the store under the name of this one")
            }
            return BuiltPack(outcome: .alreadyStored, byteCount: found.byteCount, digest: found.digest)
        } catch {
            throw ReplicationError(error)
        }
    }

    private func description() throws(ReplicationError) -> PackDescription {
        let study: UID
        do throws(DICOMError) {
            study = try UID(lenient: request.reference.studyInstanceUID)
        } catch {
            throw ReplicationError(.invalidRequest, "an order with a study UID that is none")
        }
        return PackDescription(
            id: PackID(high: request.reference.pack.high, low: request.reference.pack.low),
            cluster: stores.cluster,
            studyInstanceUID: study,
            part: Int(request.part),
            partCount: Int(request.partCount),
            createdAtMilliseconds: request.createdAtMilliseconds
        )
    }

    private func write(
        _ description: PackDescription,
        _ key: ObjectKey,
        to store: some ObjectStore
    ) async throws(ColdStoreError) -> PackWriter.Summary {
        let most = try await maximumByteCount()
        var upload = try await store.begin(key, maximumByteCount: most.pack)
        do throws(ColdStoreError) {
            let summary = try await write(description, payloadByteCount: most.payload, pieceByPiece: &upload)
            try await upload.finish()
            return summary
        } catch {
            await upload.abort()
            throw error
        }
    }

    /// At most so long can the pack be, and so much of it are records.
    private func maximumByteCount() async throws(ColdStoreError) -> (pack: UInt64, payload: UInt64) {
        var pack: UInt64 = 8192
        var payload: UInt64 = 0
        for id in request.records {
            let record = try await open(id)
            let metadata = UInt64(record.head.metadata.readableBytes)
            let amendments = try await amendments(of: id).reduce(0) { $0 + UInt64($1.payload.readableBytes) + 512 }
            // Base64 takes a third more; frame tables are in the metadata and stand there once more, as decimal numbers.
            pack += record.head.payloadByteCount + 6 * metadata + 2 * amendments + Self.overheadByteCount
            payload += record.head.payloadByteCount
        }
        return (pack, payload)
    }

    private func write(
        _ description: PackDescription,
        payloadByteCount: UInt64,
        pieceByPiece upload: inout some ObjectUpload
    ) async throws(ColdStoreError) -> PackWriter.Summary {
        let result = await withTaskGroup(of: NumberedBeginning.self) { group in
            // An error waits for those that are being begun: their reads can't be taken back.
            await write(description, payloadByteCount: payloadByteCount, to: &upload, beginningIn: &group)
        }
        return try result.get()
    }

    private typealias NumberedBeginning = (number: Int, result: Result<Beginning, ColdStoreError>)

    private func write(
        _ description: PackDescription,
        payloadByteCount: UInt64,
        to upload: inout some ObjectUpload,
        beginningIn group: inout TaskGroup<NumberedBeginning>
    ) async -> Result<PackWriter.Summary, ColdStoreError> {
        let study = description.studyInstanceUID
        do throws(ColdStoreError) {
            var writer = try Self.packed { () throws(PackError) in try PackWriter(description) }
            var done: UInt64 = 0
            var begun: [Int: Result<Beginning, ColdStoreError>] = [:]
            var next = 0
            for number in request.records.indices {
                // Records are looked for and begun while others are hashed and written: each is a wait for the disk.
                while next < request.records.count, next <= number + Self.recordsAhead {
                    let (ahead, id) = (next, request.records[next])
                    group.addTask { (ahead, await beginning(of: id, study)) }
                    next += 1
                }
                while begun[number] == nil, let (ahead, result) = await group.next() { begun[ahead] = result }
                guard let current = try begun.removeValue(forKey: number)?.get(), !Task.isCancelled else {
                    throw ColdStoreError(.failed, "the order was withdrawn")
                }
                try await add(current, to: &writer, &upload) { byteCount in
                    done += UInt64(byteCount)
                    progress(
                        PullProgress(receivedByteCount: min(done, payloadByteCount), payloadByteCount: payloadByteCount)
                    )
                }
            }
            let (bytes, summary) = try Self.packed { () throws(PackError) in try writer.finish() }
            try await upload.write(bytes)
            return .success(summary)
        } catch {
            group.cancelAll()
            return .failure(error)
        }
    }

    /// A record whose first bytes were read, and what the pack says of it.
    private struct Beginning: Sendable {
        let record: PackedRecord
        let instance: PackInstance
        let first: ByteBuffer?
    }

    private func beginning(of id: RecordID, _ study: UID) async -> Result<Beginning, ColdStoreError> {
        do throws(ColdStoreError) {
            let record = try await open(id)
            let instance = try await instance(record, of: study)
            let (begun, first) = await Self.following(record)
            return .success(Beginning(record: begun, instance: instance, first: try first.get()))
        } catch {
            return .failure(error)
        }
    }

    private func add(
        _ beginning: Beginning,
        to writer: inout PackWriter,
        _ upload: inout some ObjectUpload,
        read: (Int) -> Void
    ) async throws(ColdStoreError) {
        // Each record's digest is proven when the pack is read back, before it counts; blocks are checked as they are read.
        var piece = try Self.packed { () throws(PackError) in
            try writer.begin(beginning.instance, isComparing: false)
        }
        try await upload.write(piece)
        var (record, upcoming) = (beginning.record, beginning.first)
        while let bytes = upcoming {
            // The next piece is read while this one is hashed and written.
            let current = record
            async let following = Self.following(current)
            guard !Task.isCancelled else { throw ColdStoreError(.failed, "the order was withdrawn") }
            piece = try Self.packed { () throws(PackError) in try writer.append(bytes) }
            try await upload.write(piece)
            read(bytes.readableBytes)
            let result: Result<ByteBuffer?, ColdStoreError>
            (record, result) = await following
            upcoming = try result.get()
        }
        piece = try Self.packed { () throws(PackError) in try writer.end() }
        try await upload.write(piece)
    }

    /// What the pack says of a record.
    private func instance(_ record: PackedRecord, of study: UID) async throws(ColdStoreError) -> PackInstance {
        let metadata: InstanceMetadata
        do throws(SegmentFormatError) {
            metadata = try InstanceMetadata(decoding: record.head.metadata)
        } catch {
            throw ColdStoreError(.damaged, "the metadata of record \(record.id) can't be read: \(error)")
        }
        guard metadata.studyInstanceUID == study.string else {
            throw ColdStoreError(.invalid, "record \(record.id) is of another study than the order says")
        }
        do {
            return PackInstance(
                seriesInstanceUID: try UID(lenient: metadata.seriesInstanceUID),
                sopInstanceUID: try UID(lenient: metadata.sopInstanceUID),
                byteCount: record.head.payloadByteCount,
                digest: record.head.payloadDigest,
                record: record.id,
                frames: metadata.frames,
                metadata: record.head.metadata,
                amendments: try await amendments(of: record.id)
            )
        } catch let error as ColdStoreError {
            throw error
        } catch {
            throw ColdStoreError(.invalid, "record \(record.id) has UIDs that can't be names in a pack")
        }
    }

    /// What this node knows to have been said of the record; of one that is deleted no pack is made.
    private func amendments(of id: RecordID) async throws(ColdStoreError) -> [PackAmendment] {
        do throws(SegmentStoreError) {
            let (stored, isComplete) = try await service.store.readableAmendments(of: id)
            guard isComplete else {
                throw SegmentStoreError(.readFailed, "what was said of the record can't be read whole", record: id)
            }
            return stored.sorted { $0.amendment.order < $1.amendment.order }
                .map { PackAmendment($0.amendment, payload: $0.payload) }
        } catch {
            throw ColdStoreError(.failed, error.description)
        }
    }

    private func open(_ id: RecordID) async throws(ColdStoreError) -> PackedRecord {
        let sources = request.sources.map {
            RecordFetcher.Source(host: $0.host, port: $0.port, node: $0.nodeID)
        }
        do throws(ReplicationError) {
            return try await PackedRecord(id, in: service, or: sources)
        } catch {
            throw Self.failure(id, error)
        }
    }

    private static func following(
        _ record: PackedRecord
    ) async -> (record: PackedRecord, Result<ByteBuffer?, ColdStoreError>) {
        var record = record
        do throws(ReplicationError) {
            let bytes = try await record.next()
            return (record, .success(bytes))
        } catch {
            return (record, .failure(failure(record.id, error)))
        }
    }

    private static func failure(_ id: RecordID, _ error: ReplicationError) -> ColdStoreError {
        // Not `.damaged`: that is said of packs.
        ColdStoreError(.failed, "record \(id) can't be read from any copy: \(error)")
    }

    private static func packed<Value>(_ body: () throws(PackError) -> Value) throws(ColdStoreError) -> Value {
        do throws(PackError) {
            return try body()
        } catch {
            throw ColdStoreError(.invalid, error.message)
        }
    }
}
