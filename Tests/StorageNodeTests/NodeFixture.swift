// SPDX-License-Identifier: Apache-2.0

import Checksums
import Foundation
import Logging
import NIOCore
import Placement
import SegmentFormat
import SegmentStore
import SimulatedDisk
import StorageNode
import Testing

/// A node's home and its disks.
struct Place {
    let root: String
    var home: String { "\(root)/home" }
    func disk(_ number: Int) -> String { "\(root)/disk-\(number)" }
    var registry: String { "\(home)/disks" }

    func open(_ count: Int = 2, isFull: Set<Int> = [], isHasty: Bool = false) throws -> NodeStore {
        try open((1...count).map(disk), isFull: isFull, isHasty: isHasty)
    }

    /// The node's store; a hasty one has no grace, and the disk `simulated[n]` takes the place of directory `n`.
    ///
    /// What a node notes of its disks, and their indexes, are in real directories all the same.
    func open(
        _ directories: [String],
        isFull: Set<Int> = [],
        isHasty: Bool = false,
        on simulated: [SimulatedDisk] = []
    ) throws -> NodeStore {
        let identity = try NodeIdentity.load(directory: home, cluster: Fixture.cluster)
        return try NodeStore.open(home: home, directories: directories, identity: identity, logger: Fixture.quiet) {
            (directory) throws(SegmentStoreError) in
            var configuration = SegmentStore.Configuration(
                directory: directory,
                clusterID: identity.cluster,
                nodeID: identity.node
            )
            configuration.segmentByteCount = 1 << 20
            configuration.allocationByteCount = 1 << 16
            configuration.softLimitFreeBytes = isFull.map(disk).contains(directory) ? 1 << 60 : 0
            configuration.scrubDeadline = nil
            if isHasty { configuration.makeHasty() }
            guard let place = directories.firstIndex(of: directory), simulated.indices.contains(place) else {
                return try SegmentStore.open(configuration, logger: Fixture.quiet)
            }
            let boot = BootID(high: 1, low: 1)
            return try SegmentStore.open(configuration, logger: Fixture.quiet, disk: simulated[place], boot: boot)
        }
    }

    /// Runs `body` with a node that serves `store`, which is closed at the end.
    func serve(
        _ store: NodeStore,
        weight: UInt32? = nil,
        _ body: (ServedNode) async throws -> Void
    ) async throws {
        let identity = try NodeIdentity.load(directory: home, cluster: Fixture.cluster)
        try await ServedNode.with(store, id: identity.node, home: home, weight: weight, body: body)
    }

    /// Takes a disk away and leaves its mount point.
    func unmount(_ number: Int) throws {
        try FileManager.default.moveItem(atPath: disk(number), toPath: "\(root)/away-\(number)")
        try FileManager.default.createDirectory(atPath: disk(number), withIntermediateDirectories: true)
    }

    func mount(_ number: Int) throws {
        try FileManager.default.removeItem(atPath: disk(number))
        try FileManager.default.moveItem(atPath: "\(root)/away-\(number)", toPath: disk(number))
    }

    /// Runs `body` with an empty place of a home and three disks.
    static func with(_ body: (Place) async throws -> Void) async throws {
        let place = Place(root: FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path)
        for path in [place.home] + (1...3).map(place.disk) {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        // A directory left behind in the temporary folder harms nobody.
        defer { try? FileManager.default.removeItem(atPath: place.root) }
        try await body(place)
    }
}

/// What the tests of a node's store put into it, and what it says.
enum Fixture {
    static let cluster = ClusterID(high: 1, low: 2)
    static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

    static func id(_ low: UInt64) throws -> RecordID { try #require(RecordID(high: 5 << 48 | 1, low: low)) }

    static func record(_ low: UInt64, content: UInt8 = 7) throws -> NewRecord {
        let payload = ByteBuffer(repeating: content, count: 1000)
        return NewRecord(
            id: try id(low),
            type: .instance,
            metadata: ByteBuffer(string: "metadata"),
            payload: payload,
            payloadDigest: SHA256Hasher.digest(of: payload),
            mapEpoch: MapEpoch(rawValue: 7),
            writtenAtMilliseconds: 1_790_000_000_000,
            digestIsVerified: true
        )
    }

    static func amendment(_ kind: Amendment.Kind, of low: UInt64, _ sequence: UInt64) throws -> NewAmendment {
        NewAmendment(
            amendment: Amendment(
                subject: try id(low),
                kind: kind,
                order: Amendment.Order(term: Term(rawValue: 3), sequence: sequence),
                reference: Amendment.Reference(high: 0, low: 1),
                issuedAtMilliseconds: 1_790_000_000_000
            ),
            mapEpoch: MapEpoch(rawValue: 7),
            writtenAtMilliseconds: 1_790_000_000_000
        )
    }

    static func refusal(_ body: () async throws -> Void) async -> SegmentStoreError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? SegmentStoreError)?.code
        }
    }

    static let term = Term(rawValue: 3)

    /// How many disks hold a record.
    static func copies(of low: UInt64, in store: NodeStore) async throws -> Int {
        var count = 0
        for disk in store.disks where try await disk.store.presence(of: id(low)).isStored { count += 1 }
        return count
    }
}
