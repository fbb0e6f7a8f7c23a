// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement
import SegmentFormat

/// A large record whose segment is written and synced and that only needs to be made known.
struct LargeSegment: Sendable {
    let segment: SegmentID
    let footerOffset: UInt64
    let byteCount: UInt64
    let locator: RecordLocator
}

/// A record on its way through the writer.
struct Put: Sendable {
    enum Content: Sendable {
        case image(RecordImage)
        case large(LargeSegment)
    }

    let id: RecordID
    let type: RecordType
    let digest: SHA256Digest
    let content: Content
    /// The stored record that was found damaged and that this one takes the place of.
    var replaced: RecordLocator? = nil

    /// What it adds to a batch.
    var byteCount: UInt64 {
        switch content {
        case .image(let image): image.extent.paddedByteCount
        case .large: 0
        }
    }

    /// Whether it is taken although the disk is nearly full.
    var mayUseReserve: Bool { type == .tombstone || type == .amendment }
}

extension Put {
    /// Lays out a record and computes its checksums (and its digest, unless the caller has verified it).
    init(_ record: NewRecord, limits configuration: SegmentStore.Configuration) throws(SegmentStoreError) {
        guard record.payload.readableBytes <= configuration.largeRecordByteCount else {
            throw SegmentStoreError(
                .tooLarge,
                "payload is over \(configuration.largeRecordByteCount) bytes; store it as a large record",
                record: record.id
            )
        }
        if !record.digestIsVerified, SHA256Hasher.digest(of: record.payload) != record.payloadDigest {
            throw SegmentStoreError(
                .digestMismatch,
                "payload is not what was declared; send it again",
                record: record.id
            )
        }
        let image: RecordImage
        do {
            image = try RecordImage(
                id: record.id,
                type: record.type,
                metadata: record.metadata,
                payload: record.payload,
                payloadDigest: record.payloadDigest,
                mapEpoch: record.mapEpoch,
                writtenAtMilliseconds: record.writtenAtMilliseconds
            )
        } catch {
            throw SegmentStoreError(.tooLarge, error.message, record: record.id)
        }
        self.init(id: record.id, type: record.type, digest: record.payloadDigest, content: .image(image))
    }
}

/// How a put ended.
enum PutResult: Sendable {
    /// Its payload is durable; `wasThere`: it was before.
    case durable(wasThere: Bool)
    /// A record with this other payload is stored.
    case conflict(stored: SHA256Digest)
    case failed(SegmentStoreError)

    /// What the one that brought the record is told.
    func outcome(for id: RecordID, digest: SHA256Digest) -> Result<AppendOutcome, SegmentStoreError> {
        switch self {
        case .durable(let wasThere): .success(wasThere ? .alreadyStored : .stored)
        case .conflict(let stored): Self.comparison(id, digest, stored: stored)
        case .failed(let error): .failure(error)
        }
    }

    /// What one is told that brought a record of the same id meanwhile; `first` is the digest of the one that was taken.
    func outcome(
        for id: RecordID,
        digest: SHA256Digest,
        joining first: SHA256Digest
    ) -> Result<AppendOutcome, SegmentStoreError> {
        switch self {
        case .durable: Self.comparison(id, digest, stored: first)
        case .conflict(let stored): Self.comparison(id, digest, stored: stored)
        case .failed(let error): .failure(error)
        }
    }

    private static func comparison(
        _ id: RecordID,
        _ digest: SHA256Digest,
        stored: SHA256Digest
    ) -> Result<AppendOutcome, SegmentStoreError> {
        if digest == stored { return .success(.alreadyStored) }
        return .failure(
            SegmentStoreError(.conflict, "a record with this id and another payload is stored", record: id)
        )
    }
}
