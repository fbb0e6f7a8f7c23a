// SPDX-License-Identifier: Apache-2.0

import Checksums
import Ingest
import NIOConcurrencyHelpers
import NIOCore
import Placement
import ReplicationProtocol
import Testing

/// Which of nodes and packs is asked first, and what is told when neither can give a record.
struct ColdRecordsTests {
    private static let node = NodeID(high: 0, low: 1)

    /// Nodes that have every record, or none.
    private final class Nodes: RecordReader {
        let failure: NIOLockedValueBox<RetrieveFailure?>
        let asked = NIOLockedValueBox(0)

        init(failure: RetrieveFailure? = nil) { self.failure = NIOLockedValueBox(failure) }

        private func answer() throws(RetrieveFailure) {
            asked.withLockedValue { $0 += 1 }
            if let failure = failure.withLockedValue({ $0 }) { throw failure }
        }

        func read(_ id: RecordID, copies: [NodeID], range: Range<Int>?) async throws(RetrieveFailure) -> ByteBuffer {
            try answer()
            return ByteBuffer(string: "of a node")
        }

        func head(_ id: RecordID, copies: [NodeID]) async throws(RetrieveFailure) -> HeadResult {
            try answer()
            return HeadResult(
                metadata: ByteBuffer(string: "of a node"),
                payloadByteCount: 9,
                payloadDigest: SHA256Digest(words: (1, 2, 3, 4))
            )
        }
    }

    private static let away = RetrieveFailure(.unavailable, "no node answers")
    private static let damaged = RetrieveFailure(.damaged, "all copies are damaged")

    private static func begun(
        _ records: ColdRecords,
        _ id: RecordID,
        _ copies: [NodeID],
        _ range: Range<Int>?
    ) async -> Result<ByteBuffer, RetrieveFailure> {
        await withCheckedContinuation { continuation in
            _ = records.start(id, copies: copies, range: range) { continuation.resume(returning: $0) }
        }
    }

    @Test func `what nodes have is read from them, and no pack is touched`() async throws {
        try await PackLibraryTests.with { scene in
            try await scene.put(1)
            let nodes = Nodes()
            let records = ColdRecords(hot: nodes, library: scene.library)
            let id = try scene.id(0)
            let whole = try await records.read(id, copies: [Self.node], range: nil)
            let head = try await records.head(id, copies: [Self.node])
            let begun = await Self.begun(records, id, [Self.node], nil)
            #expect(whole == ByteBuffer(string: "of a node") && head.metadata == whole)
            #expect(try begun.get() == whole)
            #expect(scene.library.readCount == 0)
        }
    }

    @Test(arguments: [away, damaged])
    func `what nodes can't give is read from packs`(failure: RetrieveFailure) async throws {
        try await PackLibraryTests.with { scene in
            try await scene.put(1)
            let records = ColdRecords(hot: Nodes(failure: failure), library: scene.library)
            let id = try scene.id(1)
            let part = try await records.read(id, copies: [Self.node], range: 10..<20)
            #expect(part == scene.payloads[1].getSlice(at: 10, length: 10))
            let head = try await records.head(id, copies: [Self.node])
            #expect(head.metadata == ByteBuffer(string: "metadata of 1"))
            let begun = await Self.begun(records, id, [Self.node], nil)
            #expect(try begun.get() == scene.payloads[1])
        }
    }

    @Test func `what is counted on no node is asked of packs first, then of nodes that may still have it`() async throws
    {
        try await PackLibraryTests.with { scene in
            try await scene.put(1)
            let nodes = Nodes()
            let records = ColdRecords(hot: nodes, library: scene.library)
            let id = try scene.id(0)
            let cold = try await records.read(id, copies: [], range: nil)
            let head = try await records.head(id, copies: [])
            let begun = await Self.begun(records, id, [], 0..<5)
            #expect(cold == scene.payloads[0] && head.metadata == ByteBuffer(string: "metadata of 0"))
            #expect(try begun.get() == scene.payloads[0].getSlice(at: 0, length: 5))
            #expect(nodes.asked.withLockedValue { $0 } == 0)
            // No pack gives it: a copy that was not dropped yet is as good.
            scene.shelf.packs.withLockedValue { $0 = [] }
            let other = try scene.id(1)
            let hot = try await records.read(other, copies: [], range: nil)
            let hotHead = try await records.head(other, copies: [])
            let hotBegun = await Self.begun(records, other, [], nil)
            #expect(hot == ByteBuffer(string: "of a node") && hotHead.metadata == hot)
            #expect(try hotBegun.get() == hot)
            #expect(nodes.asked.withLockedValue { $0 } == 3)
        }
    }

    @Test(arguments: [away, damaged])
    func `when neither has it what is told is why`(failure: RetrieveFailure) async throws {
        try await PackLibraryTests.with { scene in
            let records = ColdRecords(hot: Nodes(failure: failure), library: scene.library)
            let id = try scene.id(0)
            for copies in [[], [Self.node]] {
                let first = await #expect(throws: RetrieveFailure.self) {
                    _ = try await records.read(id, copies: copies, range: nil)
                }
                let second = await #expect(throws: RetrieveFailure.self) {
                    _ = try await records.head(id, copies: copies)
                }
                #expect(first?.kind == failure.kind && second?.kind == failure.kind)
                guard case .failure(let third) = await Self.begun(records, id, copies, nil) else {
                    Issue.record("there is nothing")
                    return
                }
                #expect(third.kind == failure.kind)
            }
        }
    }
}
