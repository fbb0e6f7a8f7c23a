// SPDX-License-Identifier: Apache-2.0

import Checksums
import ColdStore
import Foundation
import NIOCore
import PackFormat
import Placement
import ReplicationProtocol
import ReplicationTransport
import Testing

/// Records that a storage node takes back from a pack when it is ordered to.
@Suite(.timeLimit(.minutes(5)))
struct RecallServiceTests {
    private struct Scene {
        let one: ServedNode
        /// Has nothing.
        let other: ServedNode
        let path: String
        let request: RecallRequest

        /// What the pack's manifest says of each record.
        func entries() async throws -> [PackEntry] {
            try await ObjectReader(path: path).packManifest().entries
        }

        func expectSame(_ low: UInt64) async throws {
            let id = try Fixture.id(low)
            let (was, now) = (try await one.client.head(id), try await other.client.head(id))
            let head = try #require(was)
            #expect(now == head, "record \(low)")
            let bytes = try await other.client.get(id, range: 0..<head.payloadByteCount)
            #expect(SHA256Hasher.digest(of: bytes) == head.payloadDigest, "record \(low)")
            try await other.client.verify(id)
        }
    }

    /// A pack of records 1 to 3 and of a fourth of 9 MiB, in a store that two nodes may use.
    private static func with(_ body: (Scene) async throws -> Void) async throws {
        try await ServedNode.withDirectory { directory in
            let cold = directory + "/cold"
            for path in [cold, directory + "/one", directory + "/other"] {
                try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            }
            _ = try await DirectoryStore.create(cold, cluster: Fixture.cluster)
            try await ServedNode.with(1, in: directory + "/one", coldStores: [.directory(cold)]) { one in
                try await ServedNode.with(2, in: directory + "/other", coldStores: [.directory(cold)]) { other in
                    for low: UInt64 in 1...3 { try await one.putInstance(low, byteCount: 100_000) }
                    try await one.putInstance(4, byteCount: 9 << 20)
                    let order = BuildPackRequest(
                        reference: PackReference(
                            pack: ReferenceID(high: 1, low: 1),
                            studyInstanceUID: PackServiceTests.study,
                            place: "\(ColdPlace.directory(cold))"
                        ),
                        stamp: OrderStamp(term: Term(rawValue: 3), mapEpoch: ServedNode.stamp.mapEpoch),
                        part: 1,
                        partCount: 1,
                        createdAtMilliseconds: 1_790_000_000_000,
                        sources: [],
                        records: try (UInt64(1)...4).map { try Fixture.id($0) }
                    )
                    let built = try await one.client.buildPack(order)
                    let key = PackDescription.key(of: PackID(high: 1, low: 1), study: PackServiceTests.study)
                    try await body(
                        Scene(
                            one: one,
                            other: other,
                            path: "\(cold)/\(key)",
                            request: RecallRequest(
                                reference: order.reference,
                                stamp: order.stamp,
                                byteCount: built.byteCount,
                                digest: built.digest,
                                records: order.records
                            )
                        )
                    )
                }
            }
        }
    }

    /// Flips a bit of a file.
    private static func damage(_ path: String, at offset: Int) throws {
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[offset] ^= 4
        try bytes.write(to: URL(fileURLWithPath: path))
    }

    @Test func `records come back as they were, and are found whole the next time`() async throws {
        try await Self.with { scene in
            let outcomes = try await scene.other.client.recall(scene.request)
            #expect(outcomes == [.stored, .stored, .stored, .stored])
            for low: UInt64 in 1...4 { try await scene.expectSame(low) }
            let again = try await scene.other.client.recall(scene.request)
            #expect(again == [.alreadyStored, .alreadyStored, .alreadyStored, .alreadyStored])
            let there = try await scene.one.client.recall(scene.request)
            #expect(there == again)
        }
    }

    @Test func `what is damaged in the pack, or not in it, is not stored, and the rest is`() async throws {
        try await Self.with { scene in
            let entries = try await scene.entries()
            for index in [1, 3] {
                try Self.damage(scene.path, at: Int(entries[index].offset + entries[index].instance.byteCount / 2))
            }
            var request = scene.request
            request.records.append(try Fixture.id(9))
            let outcomes = try await scene.other.client.recall(request)
            #expect(outcomes == [.stored, .damaged, .stored, .damaged, .absent])
            for low: UInt64 in [1, 3] { try await scene.expectSame(low) }
            for low: UInt64 in [2, 4, 9] {
                let head = try await scene.other.client.head(try Fixture.id(low))
                #expect(head == nil, "record \(low)")
            }
        }
    }

    @Test func `a pack that is another or none gives nothing`() async throws {
        try await Self.with { scene in
            var request = scene.request
            request.byteCount -= 1
            let shorter = request
            #expect(try await refusal { _ = try await scene.other.client.recall(shorter) } == .corrupt)
            request = scene.request
            request.reference.pack = ReferenceID(high: 1, low: 2)
            let unknown = request
            #expect(try await refusal { _ = try await scene.other.client.recall(unknown) } == .notFound)
            request = scene.request
            request.reference.place = "file:///etc"
            let foreign = request
            #expect(try await refusal { _ = try await scene.other.client.recall(foreign) } == .forbidden)
            request = scene.request
            request.stamp = OrderStamp(term: Term(rawValue: 2), mapEpoch: request.stamp.mapEpoch)
            let stale = request
            _ = try await scene.other.client.recall(scene.request)
            #expect(try await refusal { _ = try await scene.other.client.recall(stale) } == .staleTerm)
            // The manifest, which comes behind the last instance; the directory at the end is nothing that anybody goes by.
            let last = try #require(try await scene.entries().last)
            try Self.damage(scene.path, at: Int(last.offset + last.instance.byteCount) + 300)
            #expect(try await refusal { _ = try await scene.other.client.recall(scene.request) } == .corrupt)
        }
    }

    @Test func `what is deleted on the node, or another record there, does not come back`() async throws {
        try await Self.with { scene in
            _ = try await scene.other.amend(try RecordAmendment(.tombstone, of: 2, sequence: 1))
            try await scene.other.putInstance(3, byteCount: 50)
            let outcomes = try await scene.other.client.recall(scene.request)
            #expect(outcomes == [.stored, .refused, .refused, .stored])
        }
    }
}
