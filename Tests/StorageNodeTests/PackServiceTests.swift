// SPDX-License-Identifier: Apache-2.0

import Checksums
import ColdStore
import Foundation
import NIOCore
import PackFormat
import Placement
import ReplicationProtocol
import ReplicationTransport
import SegmentFormat
import StorageNode
import Testing

/// Packs that a storage node builds and reads when it is ordered to.
@Suite(.timeLimit(.minutes(5)))
struct PackServiceTests {
    static let study = "1.2.840.99.7"

    /// Two nodes and a store that both may use; the first has records 1 to 3, the second 3 to 5, the last of 9 MiB.
    private static func with(
        _ body: (_ one: ServedNode, _ other: ServedNode, _ store: String) async throws -> Void
    ) async throws {
        try await ServedNode.withDirectory { directory in
            let cold = directory + "/cold"
            for path in [cold, directory + "/one", directory + "/other"] {
                try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            }
            _ = try await DirectoryStore.create(cold, cluster: Fixture.cluster)
            try await ServedNode.with(1, in: directory + "/one", coldStores: [.directory(cold)]) { one in
                try await ServedNode.with(2, in: directory + "/other", coldStores: [.directory(cold)]) { other in
                    for low: UInt64 in 1...3 { try await one.putInstance(low, byteCount: 100_000) }
                    for low: UInt64 in 3...4 { try await other.putInstance(low, byteCount: 100_000) }
                    try await other.putInstance(5, byteCount: 9 << 20)
                    try await body(one, other, cold)
                }
            }
        }
    }

    private static func order(
        _ records: ClosedRange<UInt64> = 1...5,
        in cold: String,
        pack: UInt64 = 1,
        from sources: [ServedNode] = [],
        study: String = study,
        term: UInt64 = 3
    ) throws -> BuildPackRequest {
        BuildPackRequest(
            reference: PackReference(
                pack: ReferenceID(high: 1, low: pack),
                studyInstanceUID: study,
                place: "\(ColdPlace.directory(cold))"
            ),
            stamp: OrderStamp(term: Term(rawValue: term), mapEpoch: ServedNode.stamp.mapEpoch),
            part: 1,
            partCount: 1,
            createdAtMilliseconds: 1_790_000_000_000,
            sources: sources.map { BuildPackRequest.Source(nodeID: $0.id, host: "127.0.0.1", port: UInt16($0.port)) },
            records: try records.map { try Fixture.id($0) }
        )
    }

    private static func verification(of built: BuiltPack, _ order: BuildPackRequest) -> VerifyPackRequest {
        VerifyPackRequest(
            reference: order.reference,
            stamp: order.stamp,
            byteCount: built.byteCount,
            digest: built.digest
        )
    }

    private static func file(of order: BuildPackRequest, in cold: String) -> String {
        let id = PackID(high: order.reference.pack.high, low: order.reference.pack.low)
        return "\(cold)/\(PackDescription.key(of: id, study: order.reference.studyInstanceUID))"
    }

    @Test func `a node builds a pack of what it has and of what others have`() async throws {
        try await Self.with { one, other, cold in
            let order = try Self.order(in: cold, from: [other])
            let built = try await one.client.buildPack(order)
            #expect(built.outcome == .stored)
            let reader = try await ObjectReader(path: Self.file(of: order, in: cold))
            let manifest = try await reader.packManifest()
            let result = try await reader.verifyPack(manifest)
            #expect(result.findings.isEmpty && result.digest == built.digest && result.byteCount == built.byteCount)
            #expect(manifest.description.cluster == Fixture.cluster)
            #expect(manifest.entries.map(\.instance.record) == order.records)
            for (entry, low) in zip(manifest.entries, UInt64(1)...) {
                let head = try #require(try await (low < 4 ? one : other).client.head(try Fixture.id(low)))
                #expect(entry.instance.metadata == head.metadata && entry.digest == head.payloadDigest)
                let bytes = try await reader.read(entry.range)
                #expect(SHA256Hasher.digest(of: bytes) == head.payloadDigest)
            }
            // Both nodes prove it, and nothing is left of how it was made.
            for node in [one, other] { try await node.client.verifyPack(Self.verification(of: built, order)) }
            #expect(try FileManager.default.contentsOfDirectory(atPath: cold + "/.varve-uploads").isEmpty)
        }
    }

    @Test func `an order that is given again finds the pack, whoever gets it`() async throws {
        try await Self.with { one, other, cold in
            let order = try Self.order(3...3, in: cold)
            let built = try await one.client.buildPack(order)
            for node in [one, other] {
                let again = try await node.client.buildPack(order)
                #expect(again.outcome == .alreadyStored)
                #expect(again.digest == built.digest && again.byteCount == built.byteCount)
            }
            // Another order under the same name.
            let different = try Self.order(1...2, in: cold)
            #expect(try await refusal { _ = try await one.client.buildPack(different) } == .conflict)
        }
    }

    @Test func `two nodes at once make one pack`() async throws {
        try await Self.with { one, other, cold in
            let order = try Self.order(3...3, in: cold)
            async let first = one.client.buildPack(order)
            async let second = other.client.buildPack(order)
            let built = try await [first, second]
            #expect(built[0].digest == built[1].digest)
            #expect(built.count { $0.outcome == .stored } == 1)
        }
    }

    @Test func `of what no node has no pack is made`() async throws {
        try await Self.with { one, _, cold in
            let order = try Self.order(in: cold)
            #expect(try await refusal { _ = try await one.client.buildPack(order) } == .diskFailed)
            #expect(!FileManager.default.fileExists(atPath: Self.file(of: order, in: cold)))
            #expect(try FileManager.default.contentsOfDirectory(atPath: cold + "/.varve-uploads").isEmpty)
            let foreign = try Self.order(1...1, in: cold, study: "1.2.3")
            #expect(try await refusal { _ = try await one.client.buildPack(foreign) } == .invalidRequest)
        }
    }

    @Test func `a deleted record goes into no pack`() async throws {
        try await Self.with { one, _, cold in
            _ = try await one.amend(try RecordAmendment(.tombstone, of: 2, sequence: 1))
            let order = try Self.order(1...2, in: cold)
            #expect(try await refusal { _ = try await one.client.buildPack(order) } == .diskFailed)
        }
    }

    @Test func `what was said of a record goes with it`() async throws {
        try await Self.with { one, _, cold in
            _ = try await one.amend(try RecordAmendment(.hold, of: 1, sequence: 1))
            let order = try Self.order(1...2, in: cold)
            _ = try await one.client.buildPack(order)
            let manifest = try await ObjectReader(path: Self.file(of: order, in: cold)).packManifest()
            #expect(manifest.entries.map { $0.instance.amendments.map(\.amendment.kind) } == [[.hold], []])
        }
    }

    @Test func `damage in a pack, another pack and none are told apart`() async throws {
        try await Self.with { one, other, cold in
            let order = try Self.order(1...3, in: cold)
            let built = try await one.client.buildPack(order)
            let verification = Self.verification(of: built, order)
            var request = verification
            request.digest = SHA256Digest(words: (1, 2, 3, 4))
            let another = request
            #expect(try await refusal { try await other.client.verifyPack(another) } == .corrupt)
            let path = Self.file(of: order, in: cold)
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            for offset in [0, 200, whole.count / 2, whole.count - 1] {
                var rotten = whole
                rotten[offset] ^= 1
                try rotten.write(to: URL(fileURLWithPath: path))
                let code = try await refusal { try await other.client.verifyPack(verification) }
                #expect(code == .corrupt, "byte \(offset)")
                // What an earlier order left is not taken for good either.
                #expect(try await refusal { _ = try await one.client.buildPack(order) } == .corrupt, "byte \(offset)")
            }
            try whole.prefix(1000).write(to: URL(fileURLWithPath: path))
            #expect(try await refusal { try await one.client.verifyPack(verification) } == .corrupt)
            try FileManager.default.removeItem(atPath: path)
            #expect(try await refusal { try await one.client.verifyPack(verification) } == .notFound)
            // Not mounted: nothing is said of what it holds.
            try FileManager.default.removeItem(atPath: "\(cold)/\(StoreMarker.name)")
            #expect(try await refusal { try await one.client.verifyPack(verification) } == .unknown)
        }
    }

    @Test func `a pack is removed from its store by an order in office, once and again`() async throws {
        try await Self.with { one, other, cold in
            let order = try Self.order(1...2, in: cold)
            let neighbour = try Self.order(1...1, in: cold, pack: 2)
            for wanted in [order, neighbour] { _ = try await one.client.buildPack(wanted) }
            func removal(_ order: BuildPackRequest) -> RemovePackRequest {
                RemovePackRequest(reference: order.reference, stamp: order.stamp)
            }
            let stale = removal(try Self.order(1...2, in: cold, term: 2))
            #expect(try await refusal { try await one.client.removePack(stale) } == .staleTerm)
            let forbidden = removal(try Self.order(1...2, in: "/etc"))
            #expect(try await refusal { try await one.client.removePack(forbidden) } == .forbidden)
            #expect(FileManager.default.fileExists(atPath: Self.file(of: order, in: cold)))
            for node in [other, one] { try await node.client.removePack(removal(order)) }
            #expect(!FileManager.default.fileExists(atPath: Self.file(of: order, in: cold)))
            #expect(FileManager.default.fileExists(atPath: Self.file(of: neighbour, in: cold)))
            // Not mounted: it may be there.
            try FileManager.default.removeItem(atPath: "\(cold)/\(StoreMarker.name)")
            #expect(try await refusal { try await one.client.removePack(removal(order)) } == .unknown)
        }
    }

    @Test func `a node writes only where it was told to, and to an order in office`() async throws {
        try await Self.with { one, _, cold in
            let order = try Self.order(1...2, in: "/etc")
            #expect(try await refusal { _ = try await one.client.buildPack(order) } == .forbidden)
            _ = try await one.client.buildPack(try Self.order(1...2, in: cold, pack: 7, term: 5))
            let stale = try Self.order(1...2, in: cold, pack: 8, term: 4)
            #expect(try await refusal { _ = try await one.client.buildPack(stale) } == .staleTerm)
            var nowhere = try Self.order(1...2, in: cold, pack: 9, term: 5)
            nowhere.reference.place = "nowhere"
            let request = nowhere
            #expect(try await refusal { _ = try await one.client.buildPack(request) } == .invalidRequest)
        }
        try await ServedNode.withDirectory { directory in
            try await ServedNode.with(1, in: directory) { node in
                let order = try Self.order(1...2, in: "/etc")
                #expect(try await refusal { _ = try await node.client.buildPack(order) } == .unsupported)
            }
        }
    }
}

extension ServedNode {
    /// A record of an instance of the test's study.
    func putInstance(_ low: UInt64, byteCount: Int) async throws {
        let payload = ByteBuffer(bytes: (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 * 31 + Int(low)) })
        let metadata = InstanceMetadata(
            studyInstanceUID: PackServiceTests.study,
            seriesInstanceUID: "\(PackServiceTests.study).1",
            sopInstanceUID: "\(PackServiceTests.study).1.\(low)",
            sopClassUID: "1.2.840.10008.5.1.4.1.1.7",
            callingAETitle: "TEST",
            calledAETitle: "VARVE",
            receivedAtMilliseconds: 1_790_000_000_000,
            receivedTransferSyntax: "1.2.840.10008.1.2.1",
            storedTransferSyntax: "1.2.840.10008.1.2.1",
            receivedByteCount: byteCount,
            receivedDigest: SHA256Hasher.digest(of: payload),
            dataSetOffset: 0
        )
        let request = PutRequest(
            recordID: try Fixture.id(low),
            recordType: 1,
            metadata: metadata.encode(),
            payloadByteCount: UInt64(byteCount),
            payloadDigest: SHA256Hasher.digest(of: payload),
            mapEpoch: MapEpoch(rawValue: 7)
        )
        _ = try await client.put(request, payload: payload)
    }
}
