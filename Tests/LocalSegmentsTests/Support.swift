// SPDX-License-Identifier: Apache-2.0

import Checksums
import Foundation
import LocalSegments
import Logging
import NIOCore
import NIOPosix
import Placement
import ReplicationProtocol
import SegmentFormat
import SegmentStore
import Testing

/// A storage node's store with records, and the socket where its files are given.
struct Node {
    static let cluster = ClusterID(high: 1, low: 2)
    static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

    let directory: String
    let store: SegmentStore
    var socket: String { "\(directory)/node.segs" }

    static func id(_ low: UInt64) throws -> RecordID { try #require(RecordID(high: 5 << 48 | 1, low: low)) }

    /// Of 200,000 bytes, several blocks, no two records alike.
    static func payload(_ low: UInt64) -> ByteBuffer {
        ByteBuffer(bytes: (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ Int(low)) })
    }

    func add(_ low: UInt64) async throws {
        let payload = Self.payload(low)
        _ = try await store.append(
            NewRecord(
                id: try Self.id(low),
                type: .instance,
                metadata: ByteBuffer(string: "metadata \(low)"),
                payload: payload,
                payloadDigest: SHA256Hasher.digest(of: payload),
                mapEpoch: MapEpoch(rawValue: 7),
                writtenAtMilliseconds: 1_790_000_000_000
            )
        )
    }

    /// As a node answers PLACES.
    func places(_ ids: [RecordID]) throws -> [FilePlace?] {
        // The store may say that this is not the time to look into memory.
        var found: [RecordLocator?]?
        while found == nil { found = store.placesInMemory(ids) }
        return try #require(found).map { locator in
            locator.map {
                FilePlace(
                    disk: 1,
                    segment: $0.segment.rawValue,
                    offset: $0.offset,
                    payloadByteCount: $0.extent.payloadByteCount,
                    metadataByteCount: $0.extent.metadataByteCount,
                    recordType: $0.type.rawValue
                )
            }
        }
    }

    func serve() throws -> SegmentFileServer {
        let store = store
        return try SegmentFileServer(path: socket, logger: Self.quiet) { disk, segment in
            disk == 1 ? store.path(ofSegment: segment) : nil
        }
    }

    func records() -> LocalRecords {
        LocalRecords(socketPath: socket, cluster: Self.cluster, maximumByteCount: 1 << 20, threads: .singleton)
    }

    /// The segment file and where in it a record begins.
    func file(of id: RecordID) throws -> (path: String, offset: Int) {
        let place = try #require(try places([id])[0])
        let path = try #require(store.path(ofSegment: SegmentID(rawValue: place.segment)))
        return (path, Int(place.offset))
    }

    static func with(_ body: (Node) async throws -> Void) async throws {
        let directory = "/tmp/varve-local-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        // A directory left behind in the temporary folder harms nobody.
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var configuration = SegmentStore.Configuration(
            directory: directory,
            clusterID: cluster,
            nodeID: NodeID(high: 3, low: 4)
        )
        configuration.softLimitFreeBytes = 0
        configuration.scrubDeadline = nil
        let store = try SegmentStore.open(configuration, logger: quiet)
        do {
            try await body(Node(directory: directory, store: store))
        } catch {
            await store.close()
            throw error
        }
        await store.close()
    }
}

/// Asks again until there is an answer: files are opened, and their bytes come into memory, beside whoever reads.
func eventually<Value>(_ body: () -> Value?) async throws -> Value {
    let end = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < end {
        if let value = body() { return value }
        await Task.yield()
    }
    throw NeverCame()
}

struct NeverCame: Error {}
