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

/// Stores records of a pack on this node, each as it was before it went there: payload and metadata byte for byte.
///
/// Nothing is written that was not compared with its digest. Each record is durable when its outcome is told; whatever ends the
/// order, those that were stored are found whole by the next one.
struct PackRecall: Sendable {
    /// Records that are read and written at once: each is a wait for the store, and another for the disk.
    private static let recordsAtOnce = 4
    /// Payloads up to this are read and stored whole; others piece by piece.
    private static let wholeByteLimit: UInt64 = 4 << 20
    private static let pieceByteCount: UInt64 = 4 << 20
    /// Bytes that manifest and directory of a pack take for each of a few thousand instances; when they take more, it is read twice.
    private static let tailByteCount: UInt64 = 4 << 20

    let request: RecallRequest
    let service: RecordService
    let stores: ColdStores
    let progress: @Sendable (PullProgress) -> Void

    /// The pack, opened.
    private struct OpenPack: Sendable {
        let reader: ObjectReader
        let index: PackIndex
    }

    /// What became of a record, and the bytes of it that were read.
    private struct Outcome: Sendable {
        let outcome: RecallOutcome
        let byteCount: UInt64
    }

    /// What became of each record, in the order of the request.
    ///
    /// - Throws: `.corrupt` and `.notFound` about the pack as a whole; what keeps this node from storing anything.
    func run() async throws(ReplicationError) -> [RecallOutcome] {
        let pack: OpenPack
        do throws(ColdStoreError) {
            pack = try await open()
        } catch {
            throw ReplicationError(error)
        }
        let results = await withTaskGroup(
            of: (number: Int, result: Result<Outcome, ReplicationError>).self,
            returning: Result<[RecallOutcome], ReplicationError>.self
        ) { group in
            var outcomes = [RecallOutcome](repeating: .absent, count: request.records.count)
            var next = 0
            var done: UInt64 = 0
            func begin() {
                guard next < request.records.count else { return }
                let number = next
                next += 1
                group.addTask { (number, await restored(request.records[number], from: pack)) }
            }
            for _ in 0..<Self.recordsAtOnce { begin() }
            while let (number, result) = await group.next() {
                switch result {
                case .success(let outcome):
                    outcomes[number] = outcome.outcome
                    done += outcome.byteCount
                    progress(PullProgress(receivedByteCount: done, payloadByteCount: max(done, request.byteCount)))
                    begin()
                case .failure(let error):
                    // What is being written is finished by itself, and found the next time.
                    group.cancelAll()
                    return .failure(error)
                }
            }
            return .success(outcomes)
        }
        return try results.get()
    }

    private func open() async throws(ColdStoreError) -> OpenPack {
        let study = request.reference.studyInstanceUID
        let id = PackID(high: request.reference.pack.high, low: request.reference.pack.low)
        guard let key = ObjectKey(PackDescription.key(of: id, study: study)) else {
            throw ColdStoreError(.invalid, "the study's UID can't be a name in a store")
        }
        let store = try await stores.store(at: request.reference.place)
        // Past what is in memory: what comes back is what the store has.
        let reader = try await ObjectReader(fromDisk: key, in: store)
        guard reader.byteCount == request.byteCount else {
            throw ColdStoreError(
                .damaged,
                "the pack has \(reader.byteCount) bytes, it was written with \(request.byteCount)"
            )
        }
        let index = try await reader.packIndex(tailByteCount: Self.tailByteCount)
        guard index.description.id == id, index.description.cluster == stores.cluster,
            index.description.studyInstanceUID.string == study
        else { throw ColdStoreError(.damaged, "another pack lies under the name") }
        return OpenPack(reader: reader, index: index)
    }

    private func restored(_ id: RecordID, from pack: OpenPack) async -> Result<Outcome, ReplicationError> {
        let entry: PackEntry
        do throws(PackError) {
            guard let found = try pack.index.entry(of: id) else {
                return .success(Outcome(outcome: .absent, byteCount: 0))
            }
            entry = found
        } catch {
            return .success(Outcome(outcome: .damaged, byteCount: 0))
        }
        guard let metadata = entry.instance.metadata, isOfTheStudy(metadata) else {
            return .success(Outcome(outcome: .damaged, byteCount: 0))
        }
        do throws(ReplicationError) {
            return .success(
                Outcome(
                    outcome: try await restore(id, entry, metadata, from: pack),
                    byteCount: entry.instance.byteCount
                )
            )
        } catch {
            switch error.code {
            // Of the pack; what the node itself has damaged it says elsewhere.
            case .checksumMismatch: return .success(Outcome(outcome: .damaged, byteCount: 0))
            case .conflict: return .success(Outcome(outcome: .refused, byteCount: 0))
            default: return .failure(error)
            }
        }
    }

    private func isOfTheStudy(_ metadata: ByteBuffer) -> Bool {
        do throws(SegmentFormatError) {
            return try InstanceMetadata(decoding: metadata).studyInstanceUID == request.reference.studyInstanceUID
        } catch {
            return false
        }
    }

    private func restore(
        _ id: RecordID,
        _ entry: PackEntry,
        _ metadata: ByteBuffer,
        from pack: OpenPack
    ) async throws(ReplicationError) -> RecallOutcome {
        if await service.hasWhole(id), let head = try await service.head(id) {
            guard head.payloadDigest == entry.digest, head.metadata == metadata else {
                throw ReplicationError(.conflict, "the node has another record under the id")
            }
            return .alreadyStored
        }
        guard !Task.isCancelled else { throw ReplicationError(.cancelled, "the order was withdrawn") }
        let put = PutRequest(
            recordID: id,
            recordType: RecordType.instance.rawValue,
            metadata: metadata,
            payloadByteCount: entry.instance.byteCount,
            payloadDigest: entry.digest,
            mapEpoch: request.stamp.mapEpoch,
            term: request.stamp.term
        )
        let outcome: PutOutcome
        if entry.instance.byteCount <= Self.wholeByteLimit {
            let bytes = try await read(entry.range, of: pack)
            guard SHA256Hasher.digest(of: bytes) == entry.digest else {
                throw ReplicationError(.checksumMismatch, "the record's bytes in the pack have not their digest")
            }
            outcome = try await service.put(put, data: .whole(bytes))
        } else {
            // The store compares the digest before the record becomes visible.
            outcome = try await service.putLarge(put, pieces: Self.pieces(of: entry.range)) {
                (range) async throws(ReplicationError) in try await read(range, of: pack)
            }
        }
        return outcome == .stored ? .stored : .alreadyStored
    }

    private func read(_ range: Range<UInt64>, of pack: OpenPack) async throws(ReplicationError) -> ByteBuffer {
        do throws(ColdStoreError) {
            return try await pack.reader.read(range)
        } catch {
            throw ReplicationError(error)
        }
    }

    private static func pieces(of range: Range<UInt64>) -> [Range<UInt64>] {
        stride(from: range.lowerBound, to: range.upperBound, by: Int(pieceByteCount)).map { start in
            start..<min(start + pieceByteCount, range.upperBound)
        }
    }
}
