// SPDX-License-Identifier: Apache-2.0

import Checksums
import Placement
import SegmentFormat

typealias PutContinuation = CheckedContinuation<Result<AppendOutcome, SegmentStoreError>, Never>

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
    let continuation: PutContinuation
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

/// How a put ended.
enum PutResult: Sendable {
    /// Its payload is durable; `wasThere`: it was before.
    case durable(wasThere: Bool)
    /// A record with this other payload is stored.
    case conflict(stored: SHA256Digest)
    case failed(SegmentStoreError)
}
