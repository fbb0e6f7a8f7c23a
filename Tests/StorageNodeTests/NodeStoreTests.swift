// SPDX-License-Identifier: Apache-2.0

import Checksums
import Foundation
import Logging
import NIOCore
import Placement
import SegmentFormat
import SegmentStore
import StorageNode
import Testing

/// Several disks as one, in directories of the machine's disk.
@Suite(.timeLimit(.minutes(5)))
struct NodeStoreTests {
    private static let cluster = ClusterID(high: 1, low: 2)
    private static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

    /// A node's home and its disks.
    private struct Place {
        let root: String
        var home: String { "\(root)/home" }
        func disk(_ number: Int) -> String { "\(root)/disk-\(number)" }
        var registry: String { "\(home)/disks" }

        func open(_ count: Int = 2, isFull: Set<Int> = []) throws -> NodeStore {
            try open((1...count).map(disk), isFull: isFull)
        }

        func open(_ directories: [String], isFull: Set<Int> = []) throws -> NodeStore {
            let identity = try NodeIdentity.load(directory: home, cluster: cluster)
            return try NodeStore.open(home: home, directories: directories, identity: identity, logger: quiet) {
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
                return try SegmentStore.open(configuration, logger: quiet)
            }
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
    }

    private static func withPlace(_ body: (Place) async throws -> Void) async throws {
        let place = Place(root: FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path)
        for path in [place.home] + (1...3).map(place.disk) {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        // A directory left behind in the temporary folder harms nobody.
        defer { try? FileManager.default.removeItem(atPath: place.root) }
        try await body(place)
    }

    private static func id(_ low: UInt64) throws -> RecordID { try #require(RecordID(high: 5 << 48 | 1, low: low)) }

    private static func record(_ low: UInt64, content: UInt8 = 7) throws -> NewRecord {
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

    private static func amendment(_ kind: Amendment.Kind, of low: UInt64, _ sequence: UInt64) throws -> NewAmendment {
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

    private static func refusal(_ body: () async throws -> Void) async -> SegmentStoreError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? SegmentStoreError)?.code
        }
    }

    private static let term = Term(rawValue: 3)

    /// How many disks hold a record.
    private static func copies(of low: UInt64, in store: NodeStore) async throws -> Int {
        var count = 0
        for disk in store.disks where try await disk.store.presence(of: id(low)).isStored { count += 1 }
        return count
    }

    // MARK: Records

    @Test func `records are spread over the disks and listed in order`() async throws {
        try await Self.withPlace { place in
            let store = try place.open(3)
            for low: UInt64 in (0..<120).reversed() { #expect(try await store.append(Self.record(low)) == .stored) }
            for disk in store.disks { #expect(disk.store.status.recordCount > 15) }
            #expect(store.status.recordCount == 120)
            #expect(!store.status.isUncertain && store.status.acceptsWrites && store.status.reason == nil)
            var listed: [RecordID] = []
            let group = try Self.id(0).group
            while true {
                let page = try await store.list(group: group, after: listed.last, limit: 7)
                listed += page
                if page.count < 7 { break }
            }
            #expect(listed == (try (0..<120).map { try Self.id($0) }))
            for low: UInt64 in 0..<120 {
                #expect(try await store.read(Self.id(low)).readableBytes == 1000)
                #expect(try await Self.copies(of: low, in: store) == 1)
            }
            #expect(try await store.head(Self.id(500)) == nil)
            await store.close()
        }
    }

    @Test func `the same again is success on its disk, and other content a conflict`() async throws {
        try await Self.withPlace { place in
            var store = try place.open(2)
            for low: UInt64 in 0..<20 { _ = try await store.append(Self.record(low)) }
            await store.close()
            // The disk that a record is on has no room now: another must not take it again.
            store = try place.open(2, isFull: [1])
            for low: UInt64 in 0..<20 {
                #expect(try await store.append(Self.record(low)) == .alreadyStored)
                let code = await Self.refusal { _ = try await store.append(Self.record(low, content: 8)) }
                #expect(code == .conflict)
                #expect(try await Self.copies(of: low, in: store) == 1)
            }
            #expect(store.status.acceptsWrites && store.status.reason?.contains(place.disk(1)) == true)
            for low: UInt64 in 100..<120 { #expect(try await store.append(Self.record(low)) == .stored) }
            await store.close()
        }
    }

    @Test func `puts of one record at once end on one disk`() async throws {
        try await Self.withPlace { place in
            let store = try place.open(3)
            for low: UInt64 in 0..<40 {
                let outcomes = try await withThrowingTaskGroup(of: AppendOutcome.self) { tasks in
                    for _ in 0..<8 { tasks.addTask { try await store.append(Self.record(low)) } }
                    return try await tasks.reduce(into: []) { $0.append($1) }
                }
                #expect(outcomes.count { $0 == .stored } == 1)
                #expect(try await Self.copies(of: low, in: store) == 1)
            }
            await store.close()
        }
    }

    /// One that finds room nowhere goes to the nearest disk, which is to say no; one that comes meanwhile goes there, too.
    @Test func `what is on its way decides where the same record goes`() async throws {
        try await Self.withPlace { place in
            let store = try place.open(2, isFull: [1])
            let full = try #require(store.disks.first { $0.path == place.disk(1) }).store
            var count = 0
            for low: UInt64 in 0..<20 {
                let id = try Self.id(low)
                let alone = try await store.withStore(for: id, byteCount: 0) { ObjectIdentifier($0) }
                #expect(alone != ObjectIdentifier(full))
                try await store.withStore(for: id, byteCount: .max) { first in
                    let second = try await store.withStore(for: id, byteCount: 0) { ObjectIdentifier($0) }
                    #expect(second == ObjectIdentifier(first))
                }
                let isNearestFull = try await store.withStore(for: id, byteCount: .max) { $0 === full }
                if isNearestFull { count += 1 }
            }
            #expect(count > 2 && count < 18)
            await store.close()
        }
    }

    @Test func `damage on every disk is told page by page and healed by good copies`() async throws {
        try await Self.withPlace { place in
            var store = try place.open(2)
            for low: UInt64 in 0..<20 { _ = try await store.append(Self.record(low)) }
            await store.close()
            for number in 1...2 {
                let folder = "\(place.disk(number))/segments"
                for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
                    let url = URL(fileURLWithPath: "\(folder)/\(name)")
                    var bytes = try Data(contentsOf: url)
                    // In the payload of the first record: it is full of sevens.
                    let place = try #require(bytes.range(of: Data(repeating: 7, count: 100)))
                    bytes[place.lowerBound] = 9
                    try bytes.write(to: url)
                }
            }
            store = try place.open(2)
            var damaged: [UInt64] = []
            for low: UInt64 in 0..<20 where await Self.refusal({ try await store.verify(Self.id(low)) }) != nil {
                damaged.append(low)
            }
            #expect(damaged.count == 2 && store.status.damagedCount == 2)
            var missing: [RecordID] = []
            var next: NodeStore.DamagePlace?
            repeat {
                let answer = try await store.damage(from: next, limit: 1)
                missing += answer.page.ranges.flatMap(\.missing)
                next = answer.next
            } while next != nil
            #expect(missing.sorted() == (try damaged.map { try Self.id($0) }))
            #expect(try await store.clearHealedDamage(isReconciled: false, unnamed: nil) == 2)
            for low in damaged { #expect(try await store.append(Self.record(low)) == .stored) }
            for low: UInt64 in 0..<20 { try await store.verify(Self.id(low)) }
            #expect(try await store.clearHealedDamage(isReconciled: false, unnamed: nil) == 0)
            await store.close()
        }
    }

    // MARK: Disks that are not there

    @Test func `an empty mount point is a missing disk, never a new one`() async throws {
        try await Self.withPlace { place in
            var store = try place.open(2)
            for low: UInt64 in 0..<40 { _ = try await store.append(Self.record(low)) }
            await store.close()
            try place.unmount(2)
            store = try place.open(2)
            #expect(store.missing.map(\.path) == [place.disk(2)])
            #expect(store.status.reason?.contains("\(place.disk(2)) is missing") == true)
            #expect(store.status.isUncertain && store.status.acceptsWrites)
            #expect(try FileManager.default.contentsOfDirectory(atPath: place.disk(2)).isEmpty)
            #expect(store.status.recordCount > 5 && store.status.recordCount < 35)
            #expect(try await store.append(Self.record(100)) == .stored)
            await store.close()
            // Nor where another directory is named for it.
            store = try place.open([place.disk(1), place.disk(3)])
            #expect(Set(store.missing.map(\.path)) == [place.disk(2), place.disk(3)])
            await store.close()
            try place.mount(2)
            store = try place.open(2)
            #expect(store.missing.isEmpty && store.status.recordCount == 41)
            for low: UInt64 in 0..<40 { try await store.verify(Self.id(low)) }
            // What was stored elsewhere meanwhile is not known until somebody compares.
            #expect(store.status.isUncertain)
            let remaining = try await store.clearHealedDamage(isReconciled: true, unnamed: nil)
            #expect(remaining == 0 && !store.status.isUncertain)
            await store.close()
            store = try place.open(2)
            #expect(!store.status.isUncertain)
            await store.close()
        }
    }

    @Test func `a disk of another node is not used`() async throws {
        try await Self.withPlace { other in
            let foreign = try other.open(1)
            _ = try await foreign.append(Self.record(1))
            await foreign.close()
            try await Self.withPlace { place in
                await (try place.open(2)).close()
                try place.unmount(2)
                try FileManager.default.removeItem(atPath: place.disk(2))
                try FileManager.default.copyItem(atPath: other.disk(1), toPath: place.disk(2))
                let store = try place.open(2)
                #expect(store.missing.map(\.path) == [place.disk(2)])
                #expect(store.missing.first?.reason.contains("belongs to node") == true)
                #expect(try await store.head(Self.id(1)) == nil)
                await store.close()
            }
        }
    }

    @Test func `two disks may change places, and a copy of one is refused`() async throws {
        try await Self.withPlace { place in
            var store = try place.open(2)
            for low: UInt64 in 0..<20 { _ = try await store.append(Self.record(low)) }
            await store.close()
            try place.unmount(1)
            try FileManager.default.removeItem(atPath: place.disk(1))
            try FileManager.default.moveItem(atPath: place.disk(2), toPath: place.disk(1))
            try FileManager.default.moveItem(atPath: "\(place.root)/away-1", toPath: place.disk(2))
            store = try place.open(2)
            #expect(store.missing.isEmpty && store.status.recordCount == 20)
            await store.close()
            try FileManager.default.removeItem(atPath: place.disk(2))
            try FileManager.default.copyItem(atPath: place.disk(1), toPath: place.disk(2))
            store = try place.open(2)
            #expect(store.disks.count == 1 && store.missing.contains { $0.path == place.disk(2) })
            await store.close()
        }
    }

    @Test func `the first start needs all disks, and new ones must be empty`() async throws {
        try await Self.withPlace { place in
            #expect(throws: StorageNodeError.self) { try place.open([place.disk(1), "\(place.root)/none"]) }
            try Data().write(to: URL(fileURLWithPath: "\(place.disk(2))/holiday.jpg"))
            #expect(throws: StorageNodeError.self) { try place.open(2) }
            await (try place.open(1)).close()
        }
    }

    @Test func `a node of one disk takes more`() async throws {
        try await Self.withPlace { place in
            var store = try place.open([place.home])
            for low: UInt64 in 0..<20 { _ = try await store.append(Self.record(low)) }
            await store.close()
            // The records at home must not be forgotten.
            #expect(throws: StorageNodeError.self) { try place.open([place.disk(1)]) }
            store = try place.open([place.home, place.disk(1)])
            for low: UInt64 in 0..<120 { _ = try await store.append(Self.record(low)) }
            #expect(store.status.recordCount == 120 && !store.status.isUncertain)
            #expect(store.disks.allSatisfy { $0.store.status.recordCount > 20 })
            await store.close()
        }
    }

    @Test func `a damaged list of disks is an error`() async throws {
        try await Self.withPlace { place in
            await (try place.open(2)).close()
            try Data("even yes\n".utf8).write(to: URL(fileURLWithPath: place.registry))
            #expect(throws: StorageNodeError.self) { try place.open(2) }
        }
    }

    // MARK: Deletion

    @Test func `what is deleted stays deleted whichever disk is missing`() async throws {
        try await Self.withPlace { place in
            var store = try place.open(2)
            for low: UInt64 in 0..<20 { _ = try await store.append(Self.record(low)) }
            for low: UInt64 in 0..<20 {
                let tombstone = try Self.amendment(.tombstone, of: low, low + 1)
                #expect(try await store.amend(tombstone, under: Self.term) == .stored)
                #expect(try await store.amend(tombstone, under: Self.term) == .alreadyStored)
            }
            await store.close()
            for number in 1...2 {
                try place.unmount(number)
                store = try place.open(2)
                #expect(store.missing.count == 1)
                for low: UInt64 in 0..<20 {
                    #expect(await Self.refusal { _ = try await store.append(Self.record(low)) } == .deleted)
                }
                await store.close()
                try place.mount(number)
            }
        }
    }

    @Test func `a disk that comes back learns what was deleted and held meanwhile`() async throws {
        try await Self.withPlace { place in
            var store = try place.open(2)
            for low: UInt64 in 0..<20 { _ = try await store.append(Self.record(low)) }
            await store.close()
            try place.unmount(2)
            store = try place.open(2)
            for low: UInt64 in 0..<10 {
                let tombstone = try Self.amendment(.tombstone, of: low, low + 1)
                _ = try await store.amend(tombstone, under: Self.term)
            }
            _ = try await store.amend(Self.amendment(.hold, of: 15, 100), under: Self.term)
            await store.close()
            try place.mount(2)
            store = try place.open(2)
            // Before the disks are compared, every one is asked.
            for low: UInt64 in 0..<10 {
                #expect(await Self.refusal { _ = try await store.read(Self.id(low)) } == .deleted)
                #expect(await Self.refusal { _ = try await store.append(Self.record(low)) } == .deleted)
            }
            let group = try Self.id(0).group
            #expect(try await store.list(group: group, limit: 5) == (10..<15).map { try Self.id($0) })
            let held = try Self.amendment(.tombstone, of: 15, 101)
            #expect(await Self.refusal { _ = try await store.amend(held, under: Self.term) } == .held)
            try await store.evenOut(logger: Self.quiet)
            for disk in store.disks {
                for low: UInt64 in 0..<10 { #expect(try await disk.store.standing(of: Self.id(low)).isDeleted) }
                #expect(try await disk.store.standing(of: Self.id(15)).isHeld)
            }
            #expect(try await store.list(group: group, limit: 100) == (10..<20).map { try Self.id($0) })
            #expect(try await store.listAmended(group: group, limit: 100).count == 11)
            await store.close()
            // Nothing is left to compare.
            #expect(try String(contentsOfFile: place.registry, encoding: .utf8).hasPrefix("even yes\n"))
        }
    }
}
