// SPDX-License-Identifier: Apache-2.0

import Checksums
package import ColdStore
import Glibc
import NIOCore
package import Placement
package import ReplicationProtocol
package import ReplicationTransport
import SegmentFormat
package import SegmentStore

/// Answers VRP from the segment store: the thin layer between the protocol's words and the store's.
///
/// Serves all connections at once and keeps no state of its own. Takes nothing away: it has no operation that does.
package struct RecordService: ReplicationService {
    let store: NodeStore
    let fence: FenceFile
    let fetcher: RecordFetcher
    private let weight: UInt32?
    private let foreground: ForegroundMeter?
    /// The stores of packs that the node may use.
    let stores: ColdStores?

    /// A service whose fence is in a file of its own, and which pulls with `fetcher`; `weight` is what the node says in place of
    /// its capacity, `foreground` what its server counts, `stores` where it makes packs.
    package init(
        store: NodeStore,
        fence: FenceFile,
        fetcher: RecordFetcher,
        weight: UInt32? = nil,
        foreground: ForegroundMeter? = nil,
        stores: ColdStores? = nil
    ) {
        self.stores = stores
        self.weight = weight
        self.foreground = foreground
        self.store = store
        self.fence = fence
        self.fetcher = fetcher
    }

    /// A service over a single store.
    package init(store: SegmentStore, fence: FenceFile, fetcher: RecordFetcher) {
        self.init(store: NodeStore(store), fence: fence, fetcher: fetcher)
    }

    /// Durable when it returns: the store has synced the record.
    package func put(_ request: PutRequest, data: PutData) async throws(ReplicationError) -> PutOutcome {
        guard request.recordType == RecordType.instance.rawValue else {
            throw ReplicationError(.unsupported, "record type \(request.recordType) is not taken by this version")
        }
        do {
            switch data {
            case .whole(let payload): return PutOutcome(try await store.append(record(request, payload: payload)))
            case .stream(let chunks): return PutOutcome(try await putLarge(request, chunks: chunks))
            }
        } catch let error as SegmentStoreError {
            // What is deleted is not to come back by being sent again.
            if error.code == .deleted { throw ReplicationError(.conflict, error.description) }
            throw ReplicationError(error)
        } catch let error as ReplicationError {
            throw error
        } catch {
            throw ReplicationError(.cancelled, "the put was withdrawn")
        }
    }

    private func record(_ request: PutRequest, payload: ByteBuffer) -> NewRecord {
        NewRecord(
            id: request.recordID,
            type: RecordType(rawValue: request.recordType),
            metadata: request.metadata,
            payload: payload,
            payloadDigest: request.payloadDigest,
            mapEpoch: request.mapEpoch,
            writtenAtMilliseconds: Self.now(),
            // docs/decisions/0006-who-computes-digests.md
            digestIsVerified: true
        )
    }

    private func putLarge(_ request: PutRequest, chunks: ChunkSequence) async throws -> AppendOutcome {
        try await store.withStore(for: request.recordID, byteCount: request.payloadByteCount) { store in
            try await putLarge(request, chunks: chunks, into: store)
        }
    }

    private func putLarge(
        _ request: PutRequest,
        chunks: ChunkSequence,
        into store: SegmentStore
    ) async throws -> AppendOutcome {
        let writer = try await beginLarge(request, in: store)
        do {
            for try await chunk in chunks { try await writer.write(chunk) }
            return try await writer.commit()
        } catch {
            await writer.abort()
            throw error
        }
    }

    /// Stores a record whose payload is read piece by piece; `.checksumMismatch` when it has not its digest.
    func putLarge(
        _ request: PutRequest,
        pieces: [Range<UInt64>],
        reading read: @Sendable (Range<UInt64>) async throws(ReplicationError) -> ByteBuffer
    ) async throws(ReplicationError) -> PutOutcome {
        do {
            return PutOutcome(
                try await store.withStore(for: request.recordID, byteCount: request.payloadByteCount) { store in
                    let writer = try await beginLarge(request, in: store)
                    do {
                        for piece in pieces { try await writer.write(try await read(piece)) }
                        return try await writer.commit()
                    } catch {
                        await writer.abort()
                        throw error
                    }
                }
            )
        } catch let error as SegmentStoreError {
            if error.code == .deleted { throw ReplicationError(.conflict, error.description) }
            throw ReplicationError(error)
        } catch let error as ReplicationError {
            throw error
        } catch {
            throw ReplicationError(.cancelled, "the put was withdrawn")
        }
    }

    private func beginLarge(
        _ request: PutRequest,
        in store: SegmentStore
    ) async throws(SegmentStoreError) -> LargeRecordWriter {
        try await store.beginLarge(
            id: request.recordID,
            type: RecordType(rawValue: request.recordType),
            metadata: request.metadata,
            payloadByteCount: request.payloadByteCount,
            payloadDigest: request.payloadDigest,
            mapEpoch: request.mapEpoch,
            writtenAtMilliseconds: Self.now()
        )
    }

    package func head(_ id: RecordID) async throws(ReplicationError) -> HeadResult? {
        do {
            guard let info = try await store.head(id) else { return try absent(id) }
            return HeadResult(
                metadata: info.metadata,
                payloadByteCount: info.payloadByteCount,
                payloadDigest: info.payloadDigest
            )
        } catch let error as SegmentStoreError {
            throw ReplicationError(error)
        } catch let error as ReplicationError {
            throw error
        } catch {
            throw ReplicationError(.internal, "\(error)")
        }
    }

    /// A store with quarantined ranges is not sure what it does not hold (rule 5: "I don't know" is an answer).
    private func absent(_ id: RecordID) throws(ReplicationError) -> HeadResult? {
        guard store.status.isUncertain else { return nil }
        throw ReplicationError(.unknown, "part of this node's disks is missing or unreadable, the record may be in it")
    }

    /// Bytes read from the disk at once.
    private static let pieceByteCount: UInt64 = 1 << 20

    package func getAtOnce(_ id: RecordID, range: Range<UInt64>?) -> GetSource? {
        let limit = Int(Self.pieceByteCount)
        let opened = store.openInMemory(id, range: range ?? 0..<UInt64.max, limit: limit)
        return opened.map { source(id, range: range, $0.info, first: $0.bytes) }
    }

    package func placesAtOnce(_ ids: [RecordID]) -> [FilePlace?]? { store.placesInMemory(ids) }

    package func get(
        _ id: RecordID,
        range: Range<UInt64>?,
        isBackground: Bool
    ) async throws(ReplicationError) -> GetSource {
        let opened: (info: RecordInfo, bytes: ByteBuffer)?
        do throws(SegmentStoreError) {
            opened = try await store.open(
                id,
                range: range ?? 0..<UInt64.max,
                limit: Int(Self.pieceByteCount),
                isPastCache: isBackground
            )
        } catch {
            throw ReplicationError(error)
        }
        guard let opened else {
            _ = try absent(id)
            throw ReplicationError(.notFound, "the node does not hold the record")
        }
        return source(id, range: range, opened.info, first: opened.bytes, isPastCache: isBackground)
    }

    /// A record of which the first bytes have been read.
    private func source(
        _ id: RecordID,
        range: Range<UInt64>?,
        _ info: RecordInfo,
        first: ByteBuffer,
        isPastCache: Bool = false
    ) -> GetSource {
        let whole = 0..<info.payloadByteCount
        let wanted = (range ?? whole).clamped(to: whole)
        let position = Position(wanted.lowerBound + UInt64(first.readableBytes))
        let store = store
        return GetSource(
            payloadByteCount: info.payloadByteCount,
            payloadDigest: info.payloadDigest,
            metadata: info.metadata,
            range: wanted,
            first: first
        ) { () throws(ReplicationError) in
            let piece = position.next(upTo: wanted.upperBound, by: Self.pieceByteCount)
            guard !piece.isEmpty else { return nil }
            do throws(SegmentStoreError) {
                let range = Int(piece.lowerBound)..<Int(piece.upperBound)
                return try await store.read(id, range: range, isPastCache: isPastCache)
            } catch {
                throw ReplicationError(error)
            }
        }
    }

    package func verify(_ id: RecordID) async throws(ReplicationError) {
        do throws(SegmentStoreError) {
            try await store.verify(id)
        } catch {
            if error.code == .notFound { _ = try absent(id) }
            throw ReplicationError(error)
        }
    }

    package func list(group: PlacementGroup, after: RecordID?, limit: Int) async throws(ReplicationError) -> [RecordID]
    {
        do {
            return try await store.list(group: group, after: after, limit: limit)
        } catch {
            throw ReplicationError(error)
        }
    }

    package func nodeStatus() async -> NodeStatusReport {
        let status = store.status
        return NodeStatusReport(
            recordCount: UInt64(status.recordCount),
            usedBytes: status.usedBytes,
            freeBytes: status.freeBytes,
            acceptsWrites: status.acceptsWrites,
            isUncertain: status.isUncertain,
            reason: status.reason ?? "",
            scrub: ScrubStatus(
                quarantinedCount: UInt64(status.damagedCount),
                oldestUnverifiedSeconds: UInt64(clamping: status.oldestUnchecked.components.seconds)
            ),
            capacity: capacity(),
            foregroundRequestCount: foreground?.requestCount
        )
    }

    private func capacity() -> NodeCapacity? {
        let byteCount = store.capacityByteCount
        // Nothing is known of disks that do not answer.
        guard byteCount > 0 || weight != nil else { return nil }
        return NodeCapacity(
            byteCount: byteCount,
            weight: weight ?? UInt32(clamping: max(1, byteCount >> 30))
        )
    }

    static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}

extension PutOutcome {
    init(_ outcome: AppendOutcome) {
        switch outcome {
        case .stored: self = .stored
        case .alreadyStored: self = .alreadyStored
        }
    }
}

extension ReplicationError {
    /// The store's failure in the protocol's words.
    init(_ error: SegmentStoreError) {
        let code: Code
        switch error.code {
        case .notFound: code = .notFound
        case .deleted: code = .notFound
        case .staleTerm: code = .staleTerm
        case .held: code = .held
        case .checksumMismatch: code = .corrupt
        case .readFailed: code = .corrupt
        case .conflict: code = .conflict
        case .digestMismatch: code = .checksumMismatch
        case .invalid: code = .invalidRequest
        case .tooLarge: code = .tooLarge
        case .full: code = .diskFull
        case .writeFailed: code = .diskFailed
        case .overloaded: code = .overloaded
        case .closed: code = .shuttingDown
        default: code = .internal
        }
        self.init(code, error.description)
    }
}
