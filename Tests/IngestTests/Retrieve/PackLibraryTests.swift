// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import ColdStore
import DICOM
import Foundation
import Ingest
import Logging
import NIOConcurrencyHelpers
import NIOCore
import PackFormat
import Placement
import ReplicationProtocol
import Testing

/// Records out of packs, where no storage node can give them.
struct PackLibraryTests {
    private static let cluster = ClusterID(high: 1, low: 2)
    private static let study = "1.2.840.99.7"
    /// Small ones, and one that is not read whole for a part of it.
    static let byteCounts = [1000, 70_000, 17 << 20]

    /// Nodes of which none answers.
    private struct Silence: RecordReader {
        func read(_ id: RecordID, copies: [NodeID], range: Range<Int>?) async throws(RetrieveFailure) -> ByteBuffer {
            throw RetrieveFailure(.unavailable, "no node answers")
        }

        func head(_ id: RecordID, copies: [NodeID]) async throws(RetrieveFailure) -> HeadResult {
            throw RetrieveFailure(.unavailable, "no node answers")
        }
    }

    struct Shelf: PackDirectory {
        let packs = NIOLockedValueBox<[ColdPack]>([])
        let doubted = NIOLockedValueBox<[UInt64]>([])

        func packs(holding record: RecordID) async throws(RetrieveFailure) -> [ColdPack] {
            packs.withLockedValue { $0 }
        }

        func doubt(_ pack: ColdPack, note: String) async { doubted.withLockedValue { $0.append(pack.idLow) } }
    }

    struct Scene {
        let records: any RecordReader
        let library: PackLibrary
        let shelf: Shelf
        let directory: String
        let payloads: [ByteBuffer]
        /// Studies that a reader waits for.
        let notes: ColdReadNotes

        func id(_ number: Int) throws -> RecordID { try #require(RecordID(high: 0, low: UInt64(number))) }

        /// Puts a pack of the records into the store, and on the shelf.
        func put(_ low: UInt64, onShelf: Bool = true) async throws {
            let description = PackDescription(
                id: PackID(high: 1, low: low),
                cluster: cluster,
                studyInstanceUID: try UID(validating: study),
                createdAtMilliseconds: 1_790_000_000_000
            )
            let store = try await DirectoryStore.open(directory, cluster: cluster)
            let parsed = ColdStore.ObjectKey(description.key)
            let key = try #require(parsed)
            var upload = try await store.begin(key, maximumByteCount: 64 << 20)
            var writer = try PackWriter(description)
            for (number, payload) in payloads.enumerated() {
                let instance = PackInstance(
                    seriesInstanceUID: try UID(validating: "\(study).1"),
                    sopInstanceUID: try UID(validating: "\(study).1.\(number + 1)"),
                    byteCount: UInt64(payload.readableBytes),
                    digest: nil,
                    record: try id(number),
                    metadata: ByteBuffer(string: "metadata of \(number)")
                )
                try await upload.write(try writer.begin(instance))
                try await upload.write(try writer.append(payload))
                try await upload.write(try writer.end())
            }
            let (bytes, summary) = try writer.finish()
            try await upload.write(bytes)
            try await upload.finish()
            guard onShelf else { return }
            shelf.packs.withLockedValue { packs in
                packs.append(
                    ColdPack(
                        idHigh: 1,
                        idLow: low,
                        move: 1,
                        tier: "cold",
                        place: "\(ColdPlace.directory(directory))",
                        studyInstanceUID: study,
                        part: 1,
                        partCount: 1,
                        state: .counted,
                        createdAtMilliseconds: 1_790_000_000_000,
                        byteCount: Int64(summary.byteCount),
                        digest: summary.digest,
                        instanceCount: payloads.count
                    )
                )
            }
        }

        func path(_ low: UInt64) -> String {
            "\(directory)/\(PackDescription.key(of: PackID(high: 1, low: low), study: study))"
        }

        /// Flips a bit in the content of a record.
        func damage(_ low: UInt64, _ number: Int, at offset: Int = 0) async throws {
            let manifest = try await ObjectReader(path: path(low)).packManifest()
            try flip(low, at: Int(manifest.entries[number].offset) + offset)
        }

        private func flip(_ low: UInt64, at place: Int) throws {
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: path(low)))
            try file.seek(toOffset: UInt64(place))
            let byte = try #require(try file.read(upToCount: 1)?.first)
            try file.seek(toOffset: UInt64(place))
            try file.write(contentsOf: Data([byte ^ 1]))
            try file.close()
        }

        /// Has the shelf say where a record lies in its pack.
        func notePlaces(of number: Int, changed: (inout [UInt8]) -> Void = { _ in }) async throws {
            let pack = try #require(shelf.packs.withLockedValue { $0.first })
            let places = try await library.places(of: [try id(number)], in: pack)
            var place = Array(places.readableBytesView)
            changed(&place)
            shelf.packs.withLockedValue { [place] in $0[0].recordPlace = place }
        }

        /// Flips a bit between the first and the second line of the manifest.
        func damageManifest(_ low: UInt64) async throws {
            let manifest = try await ObjectReader(path: path(low)).packManifest()
            try flip(low, at: Int(manifest.contentByteCount) + 60)
        }

        @inline(never)
        func head(_ number: Int) async throws -> HeadResult {
            let id = try id(number)
            return try await records.head(id, copies: [])
        }

        @inline(never)
        func read(_ number: Int, _ range: Range<Int>? = nil) async throws -> ByteBuffer {
            try await records.read(try id(number), copies: [NodeID(high: 0, low: 1)], range: range)
        }
    }

    static func with(_ body: (Scene) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        // A directory left behind in the temporary folder harms nobody.
        defer { try? FileManager.default.removeItem(atPath: directory) }
        _ = try await DirectoryStore.create(directory, cluster: cluster)
        let shelf = Shelf()
        let notes = ColdReadNotes()
        let library = PackLibrary(
            directory: shelf,
            stores: ColdStores(cluster: cluster, allowed: [.directory(directory)]),
            notes: notes,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        let payloads = byteCounts.enumerated().map { number, count in
            ByteBuffer(bytes: (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8 &+ number) })
        }
        try await body(
            Scene(
                records: ColdRecords(hot: Silence(), library: library),
                library: library,
                shelf: shelf,
                directory: directory,
                payloads: payloads,
                notes: notes
            )
        )
    }

    static func failure(_ body: () async throws -> Void) async -> RetrieveFailure? {
        do {
            try await body()
            return nil
        } catch {
            return error as? RetrieveFailure
        }
    }

    @Test func `what is on media that are not at hand says when to come back, and that a reader waits is noted once`()
        async throws
    {
        try await Self.with { scene in
            try await scene.put(1)
            _ = try await scene.head(0)
            let away = scene.directory + "-away"
            try FileManager.default.moveItem(atPath: scene.directory, toPath: away)
            // As it is without anything said about media.
            let unreachable = await Self.failure { _ = try await scene.read(2) }
            #expect(unreachable?.kind == .unavailable && scene.notes.offline.take().isEmpty)
            scene.shelf.packs.withLockedValue { packs in
                for index in packs.indices { packs[index].place += "?offline-media=7200:7" }
            }
            for _ in 1...2 {
                let failure = await Self.failure { _ = try await scene.head(0) }
                #expect(failure?.kind == .offline && failure?.retryAfterSeconds == 7200)
                #expect(failure?.reason.contains("ask again in 2 hours") == true)
            }
            // A node that is away is back sooner.
            let soon = await Self.failure { _ = try await scene.read(1) }
            #expect(soon?.kind == .unavailable && soon?.retryAfterSeconds == nil)
            #expect(scene.notes.offline.take().keys.sorted() == [Self.study] && scene.notes.offline.take().isEmpty)
            #expect(scene.shelf.doubted.withLockedValue { $0.isEmpty })
            try FileManager.default.moveItem(atPath: away, toPath: scene.directory)
            for number in scene.payloads.indices { try await Self.check(number, of: scene) }
            // Another medium is in: the file is not there.
            try FileManager.default.moveItem(atPath: scene.path(1), toPath: scene.path(1) + ".away")
            let place = "\(ColdPlace.directory(scene.directory, media: .usual))"
            scene.shelf.packs.withLockedValue { $0[0].place = place }
            let failure = await Self.failure { _ = try await scene.head(0) }
            #expect(failure?.kind == .offline && failure?.retryAfterSeconds == 14_400)
            #expect(scene.shelf.doubted.withLockedValue { $0.isEmpty })
            try FileManager.default.moveItem(atPath: scene.path(1) + ".away", toPath: scene.path(1))
            _ = try await scene.head(0)
        }
    }

    @Test func `records and parts of them come as they were`() async throws {
        try await Self.with { scene in
            try await scene.put(1)
            for number in scene.payloads.indices { try await Self.check(number, of: scene) }
            #expect(scene.library.readCount == 21 && scene.shelf.doubted.withLockedValue { $0.isEmpty })
        }
    }

    /// Reads a record, parts of it, and what is known of it.
    @inline(never)
    static func check(_ number: Int, of scene: Scene) async throws {
        let payload = scene.payloads[number]
        let whole = try await scene.read(number)
        #expect(whole == payload)
        let count = payload.readableBytes
        for range in [0..<1, 10..<500, count - 1..<count, count - 10..<count + 100, count..<count] {
            let length = min(range.upperBound, count) - range.lowerBound
            let part = try await scene.read(number, range)
            #expect(part == payload.getSlice(at: range.lowerBound, length: length), "\(number) \(range)")
        }
        try await checkHead(number, of: scene)
    }

    @inline(never)
    static func checkHead(_ number: Int, of scene: Scene) async throws {
        let payload = scene.payloads[number]
        let head = try await scene.head(number)
        #expect(head.metadata == ByteBuffer(string: "metadata of \(number)"))
        #expect(head.payloadByteCount == UInt64(payload.readableBytes))
        #expect(head.payloadDigest == SHA256Hasher.digest(of: payload))
    }

    @Test func `what is begun without a task is read from packs, too`() async throws {
        try await Self.with { scene in
            try await scene.put(1)
            let id = try scene.id(1)
            let result = await withCheckedContinuation { continuation in
                _ = scene.records.start(id, copies: [], range: 5..<9) { continuation.resume(returning: $0) }
            }
            #expect(try result.get() == scene.payloads[1].getSlice(at: 5, length: 4))
        }
    }

    @Test func `damage is never given out, and is reported, and another pack is read`() async throws {
        for number in Self.byteCounts.indices {
            try await Self.with { scene in
                try await scene.put(1)
                try await scene.damage(1, number, at: Self.byteCounts[number] - 1)
                // Also a part in which nothing is wrong is not taken for good.
                let failure = await Self.failure { _ = try await scene.read(number, 0..<10) }
                #expect(failure?.kind == .unavailable && failure?.reason.contains("digest") ?? false)
                #expect(scene.shelf.doubted.withLockedValue { $0 } == [1])
                // The others are as they were.
                let other = (number + 1) % Self.byteCounts.count
                let read1 = try await scene.read(other)
                #expect(read1 == scene.payloads[other])
                try await scene.put(2)
                let read2 = try await scene.read(number)
                #expect(read2 == scene.payloads[number])
            }
        }
    }

    /// What is proven in one pack says nothing of another's bytes.
    @Test func `a part of a large record is proven in each pack that it is read from`() async throws {
        try await Self.with { scene in
            let large = Self.byteCounts.count - 1
            try await scene.put(1)
            let part = try await scene.read(large, 0..<10)
            #expect(part == scene.payloads[large].getSlice(at: 0, length: 10))
            try await scene.put(2)
            try await scene.damage(2, large, at: 1 << 20)
            scene.shelf.packs.withLockedValue { $0 = $0.filter { $0.idLow == 2 } }
            let failure = await Self.failure { _ = try await scene.read(large, 0..<10) }
            #expect(failure?.reason.contains("digest") ?? false)
        }
    }

    @Test func `a pack that is gone, cut short or another's is passed over`() async throws {
        try await Self.with { scene in
            try await scene.put(1)
            try await scene.put(2)
            try await scene.put(3)
            try await scene.put(4)
            try FileManager.default.removeItem(atPath: scene.path(1))
            let second = try FileHandle(forUpdating: URL(fileURLWithPath: scene.path(2)))
            try second.truncate(atOffset: 5000)
            try second.close()
            try FileManager.default.removeItem(atPath: scene.path(3))
            try FileManager.default.copyItem(atPath: scene.path(4), toPath: scene.path(3))
            let read3 = try await scene.read(0)
            #expect(read3 == scene.payloads[0])
            #expect(scene.shelf.doubted.withLockedValue { $0 } == [1, 2, 3])
        }
    }

    @Test func `a store that is not there is in doubt itself, and its packs are not`() async throws {
        try await Self.with { scene in
            try await scene.put(1)
            try FileManager.default.moveItem(atPath: scene.directory, toPath: scene.directory + "-away")
            defer { try? FileManager.default.removeItem(atPath: scene.directory + "-away") }
            let failure = await Self.failure { _ = try await scene.read(0) }
            #expect(failure?.kind == .unavailable && scene.shelf.doubted.withLockedValue { $0.isEmpty })
            try FileManager.default.moveItem(atPath: scene.directory + "-away", toPath: scene.directory)
            let read4 = try await scene.read(0)
            #expect(read4 == scene.payloads[0])
        }
    }

    @Test func `of what is in no pack the nodes' failure is told`() async throws {
        try await Self.with { scene in
            let failure = await Self.failure { _ = try await scene.read(0) }
            #expect(failure?.reason == "no node answers" && failure?.kind == .unavailable)
        }
    }
}
