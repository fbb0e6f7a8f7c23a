// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport

/// One record on its way into a pack: read piece by piece from this node, and where this node can't, from another.
///
/// What was read has passed the checksums of its blocks; the pack's writer compares the digest of the whole. So when one
/// copy turns out to be damaged in its middle, another goes on from there.
struct PackedRecord: Sendable {
    /// Bytes asked of another node at once.
    private static let pieceByteCount: UInt64 = 4 << 20

    private enum Place: Sendable {
        case here
        case peer(RecordFetcher.Source)
    }

    let id: RecordID
    /// What the first copy that answered says of the record.
    let head: HeadResult
    private let service: RecordService
    /// The copies that are left to be read, that one first.
    private var places: ArraySlice<Place>
    private var offset: UInt64 = 0
    private var local: GetSource?
    private var failure: ReplicationError?

    /// Looks for the record here, then at `sources`.
    ///
    /// - Throws: what was wrong with the last copy when there is none to be had.
    init(_ id: RecordID, in service: RecordService, or sources: [RecordFetcher.Source]) async throws(ReplicationError) {
        var places: ArraySlice<Place> = [.here]
        places += sources.map { Place.peer($0) }
        var failure = ReplicationError(.notFound, "no node that was named has the record")
        var found: HeadResult?
        while let place = places.first {
            do throws(ReplicationError) {
                found = try await Self.head(id, at: place, service)
            } catch {
                if error.code != .notFound { failure = error }
            }
            if found != nil { break }
            places.removeFirst()
        }
        guard let found else { throw failure }
        self.id = id
        self.head = found
        self.service = service
        self.places = places
    }

    private static func head(
        _ id: RecordID,
        at place: Place,
        _ service: RecordService
    ) async throws(ReplicationError) -> HeadResult? {
        switch place {
        case .here: return try await service.head(id)
        case .peer(let source):
            return try await service.fetcher.use(source) { (client) async throws(ReplicationError) in
                try await client.head(id, priority: .repair)
            }
        }
    }

    /// The next bytes; `nil` behind the last.
    mutating func next() async throws(ReplicationError) -> ByteBuffer? {
        guard offset < head.payloadByteCount else { return nil }
        while let place = places.first {
            do throws(ReplicationError) {
                let bytes = try await read(at: place)
                guard bytes.readableBytes > 0 else {
                    throw ReplicationError(.corrupt, "the record ends before its length")
                }
                offset += UInt64(bytes.readableBytes)
                return bytes
            } catch {
                failure = error
                local = nil
                places.removeFirst()
            }
        }
        throw failure ?? ReplicationError(.notFound, "no copy of the record is left to be read")
    }

    private mutating func read(at place: Place) async throws(ReplicationError) -> ByteBuffer {
        switch place {
        case .here:
            if let local { return try await local.next() ?? ByteBuffer() }
            let source = try await service.get(id, range: offset..<head.payloadByteCount, isBackground: true)
            try check(source.payloadDigest)
            local = source
            return source.first.readableBytes > 0 ? source.first : try await source.next() ?? ByteBuffer()
        case .peer(let source):
            let (id, offset) = (id, offset)
            let range = offset..<min(offset + Self.pieceByteCount, head.payloadByteCount)
            let isFirst = offset == 0
            let digest = head.payloadDigest
            return try await service.fetcher.use(source) { (client) async throws(ReplicationError) in
                // Another record under the id would only show at the end.
                if !isFirst, try await client.head(id, priority: .repair)?.payloadDigest != digest {
                    throw ReplicationError(.conflict, "the copies of the record are not the same", retry: .otherNode)
                }
                return try await client.get(id, range: range, priority: .repair)
            }
        }
    }

    private func check(_ digest: SHA256Digest) throws(ReplicationError) {
        guard digest == head.payloadDigest else {
            throw ReplicationError(.conflict, "the copies of the record are not the same", retry: .otherNode)
        }
    }
}
