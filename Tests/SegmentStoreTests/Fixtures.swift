// SPDX-License-Identifier: Apache-2.0

import Checksums
import Foundation
import Logging
import NIOCore
import Placement
import SegmentFormat
import SegmentStore
import SimulatedDisk
import Testing

extension SeededGenerator {
    /// A seed from `VARVE_TEST_SEED`, or a new one; printed so that a failure can be repeated.
    static func announced(_ test: String) -> SeededGenerator {
        let seed =
            ProcessInfo.processInfo.environment["VARVE_TEST_SEED"].flatMap { UInt64($0) } ?? .random(in: 0...(.max))
        FileHandle.standardError.write(Data("\(test): VARVE_TEST_SEED=\(seed)\n".utf8))
        return SeededGenerator(seed: seed)
    }
}

/// A directory that goes when the test is over.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "varve-segment-store-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: "\(path)/\(name)") }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

enum Fixture {
    static let cluster = ClusterID(high: 0x0102_0304_0506_0708, low: 0x090A_0B0C_0D0E_0F10)
    static let node = NodeID(high: 0x1112_1314_1516_1718, low: 0x191A_1B1C_1D1E_1F20)
    static let boot = BootID(high: 1, low: 1)
    static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    static func configuration(_ directory: TemporaryDirectory) -> SegmentStore.Configuration {
        configuration(directory: directory.path)
    }

    static func configuration(directory: String) -> SegmentStore.Configuration {
        var configuration = SegmentStore.Configuration(directory: directory, clusterID: cluster, nodeID: node)
        configuration.segmentByteCount = 256 << 10
        configuration.allocationByteCount = 64 << 10
        configuration.softLimitFreeBytes = 1 << 20
        configuration.largeRecordByteCount = 1 << 20
        configuration.scrubDeadline = nil
        configuration.readThreads = 2
        configuration.largeWriteThreads = 1
        configuration.indexMapByteCount = 64 << 20
        return configuration
    }

    static func open(
        _ directory: TemporaryDirectory,
        disk: any Disk = RealDisk(),
        boot: BootID = boot,
        segmentByteCount: UInt64 = 256 << 10
    ) throws -> SegmentStore {
        var configuration = configuration(directory)
        configuration.segmentByteCount = segmentByteCount
        return try SegmentStore.open(configuration, logger: logger, disk: disk, boot: boot)
    }

    static func bytes(_ count: Int, seed: UInt64) -> ByteBuffer {
        var generator = SeededGenerator(seed: seed)
        var buffer = ByteBuffer()
        buffer.reserveCapacity(count + 8)
        while buffer.readableBytes < count { buffer.writeInteger(generator.next()) }
        buffer.moveWriterIndex(to: count)
        return buffer
    }

    /// The record with this number: its id, metadata and payload follow from it.
    static func record(
        _ number: UInt64,
        byteCount: Int = 5000,
        content: UInt64? = nil,
        type: RecordType = .instance,
        group: UInt16 = 3
    ) throws -> NewRecord {
        let payload = bytes(byteCount, seed: content ?? number)
        let group = try #require(PlacementGroup(rawValue: group))
        let digest = SHA256Hasher.digest(of: ByteBuffer(integer: number))
        return NewRecord(
            id: try #require(RecordID(group: group, digest: digest.bytes)),
            type: type,
            metadata: bytes(120, seed: number + 5000),
            payload: payload,
            payloadDigest: SHA256Hasher.digest(of: payload),
            mapEpoch: MapEpoch(rawValue: 9),
            writtenAtMilliseconds: 1_700_000_000_000
        )
    }
}

extension SegmentStore {
    /// Stores a record as a large one, in pieces.
    func appendLarge(_ record: NewRecord, pieceByteCount: Int = 40_000) async throws -> AppendOutcome {
        let writer = try await beginLarge(
            id: record.id,
            type: record.type,
            metadata: record.metadata,
            payloadByteCount: UInt64(record.payload.readableBytes),
            payloadDigest: record.payloadDigest,
            mapEpoch: record.mapEpoch,
            writtenAtMilliseconds: record.writtenAtMilliseconds
        )
        var rest = record.payload
        while rest.readableBytes > 0, let piece = rest.readSlice(length: min(pieceByteCount, rest.readableBytes)) {
            try await writer.write(piece)
        }
        return try await writer.commit()
    }

    /// Expects that the record is stored as it was handed in.
    func expectStored(_ record: NewRecord, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let payload = try await read(record.id, range: nil)
        #expect(payload == record.payload, sourceLocation: sourceLocation)
        let info = try #require(try await head(record.id), sourceLocation: sourceLocation)
        #expect(info.metadata == record.metadata, sourceLocation: sourceLocation)
        #expect(info.payloadDigest == record.payloadDigest, sourceLocation: sourceLocation)
        try await verify(record.id)
    }
}

/// Runs `body` and returns the code of the store's error that it throws.
func code(of body: () async throws -> Void) async -> SegmentStoreError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? SegmentStoreError)?.code
    }
}
