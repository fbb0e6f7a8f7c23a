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

    /// What tells puts apart that are on their way at once.
    struct Key: Hashable, Sendable {
        let id: RecordID
        /// `nil` for a record with content.
        let order: Amendment.Order?
    }

    /// The record's id; that of its subject when it is an amendment.
    let id: RecordID
    let type: RecordType
    let digest: SHA256Digest
    let content: Content
    /// What it says, when it is a tombstone or an amendment.
    var amendment: Amendment? = nil
    /// The places that it names, when it is a drop note.
    var dropped: [SegmentPlace] = []
    /// The term of the coordinator that asks for an amendment.
    var authority = Term(rawValue: 0)
    /// The stored record that was found damaged and that this one takes the place of.
    var replaced: RecordLocator? = nil

    var key: Key { Key(id: id, order: amendment?.order) }

    /// Whether it takes little and lets space be given back, so that it is taken when space is low.
    var isSmall: Bool { amendment != nil || !dropped.isEmpty }

    /// What it adds to a batch.
    var byteCount: UInt64 {
        switch content {
        case .image(let image): image.extent.paddedByteCount
        case .large: 0
        }
    }
}

extension Put {
    /// Lays out an amendment that a coordinator of the term `authority` asks for.
    init(_ new: NewAmendment, under authority: Term) throws(SegmentStoreError) {
        let amendment = new.amendment
        guard new.payload.readableBytes <= Amendment.maximumPayloadByteCount else {
            throw SegmentStoreError(.tooLarge, "amendment's payload is over its limit", record: amendment.subject)
        }
        guard amendment.order.term <= authority else {
            throw SegmentStoreError(
                .invalid,
                "amendment is of a later term than whoever asks for it",
                record: amendment.subject
            )
        }
        let digest = SHA256Hasher.digest(of: new.payload)
        let image: RecordImage
        do {
            image = try RecordImage(
                id: amendment.subject,
                type: amendment.recordType,
                metadata: amendment.encoded(),
                payload: new.payload,
                payloadDigest: digest,
                mapEpoch: new.mapEpoch,
                writtenAtMilliseconds: new.writtenAtMilliseconds
            )
        } catch {
            throw SegmentStoreError(.tooLarge, error.message, record: amendment.subject)
        }
        self.init(
            id: amendment.subject,
            type: amendment.recordType,
            digest: digest,
            content: .image(image),
            amendment: amendment,
            authority: authority
        )
    }

    /// Lays out a note that copies of a record do not count any more.
    init(
        _ note: DropNote,
        of id: RecordID,
        mapEpoch: MapEpoch,
        writtenAtMilliseconds: Int64
    ) throws(SegmentStoreError) {
        let digest = SHA256Hasher.digest(of: ByteBuffer())
        let image: RecordImage
        do {
            image = try RecordImage(
                id: id,
                type: .drop,
                metadata: note.encoded(),
                payload: ByteBuffer(),
                payloadDigest: digest,
                mapEpoch: mapEpoch,
                writtenAtMilliseconds: writtenAtMilliseconds
            )
        } catch {
            throw SegmentStoreError(.tooLarge, error.message, record: id)
        }
        self.init(id: id, type: .drop, digest: digest, content: .image(image), dropped: note.places)
    }

    /// Lays out a record and computes its checksums (and its digest, unless the caller has verified it).
    init(_ record: NewRecord, limits configuration: SegmentStore.Configuration) throws(SegmentStoreError) {
        guard ![.tombstone, .amendment, .drop, .padding].contains(record.type) else {
            throw SegmentStoreError(
                .invalid,
                "a record of type \(record.type.rawValue) has no content",
                record: record.id
            )
        }
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

    /// What the one is told that brought `put`, which was taken.
    func outcome(for put: Put) -> Result<AppendOutcome, SegmentStoreError> {
        switch self {
        case .durable(let wasThere): .success(wasThere ? .alreadyStored : .stored)
        case .conflict(let stored): Self.comparison(put, isSame: put.digest == stored)
        case .failed(let error): .failure(error)
        }
    }

    /// What one is told that brought `put` while `first` with the same key was on its way.
    func outcome(for put: Put, joining first: Put) -> Result<AppendOutcome, SegmentStoreError> {
        switch self {
        case .durable: Self.comparison(put, isSame: put.digest == first.digest && put.amendment == first.amendment)
        case .conflict(let stored): Self.comparison(put, isSame: put.digest == stored)
        case .failed(let error): .failure(error)
        }
    }

    private static func comparison(_ put: Put, isSame: Bool) -> Result<AppendOutcome, SegmentStoreError> {
        if isSame { return .success(.alreadyStored) }
        return .failure(SegmentStoreError(.conflict, "another payload is stored under this id", record: put.id))
    }
}
