// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import Placement
import Testing

/// A study of five instances in one pack that has stood, and was read by another node than its writer.
struct PackedStudy {
    static let uid = "1.2.826.0.1.3680043.9.1"
    static let digest = SHA256Digest(words: (1, 2, 3, 4))
    static let nodes = CatalogFixture.nodes.map(\.id)

    let fixture: CatalogFixture
    let term: Term
    let records: [RecordID]
    let move: Int64
    var catalog: Catalog { fixture.catalog }

    /// `isReadAgain`: not only before it stood, but afterwards, too.
    static func with(
        keepsHot: Bool = false,
        isReadAgain: Bool = true,
        _ body: (PackedStudy) async throws -> Void
    ) async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            var records: [RecordID] = []
            for number in 1...5 { records.append(try await commit(number, catalog)) }
            let term = try #require(try await catalog.acquireLease(holder: "one", duration: .seconds(60)))
            let entered = try await catalog.enterMove(
                ofStudy: uid,
                tier: "cold",
                place: "file:///cold",
                keepsHot: keepsHot,
                soak: .zero,
                requestedBy: "the test",
                reason: ""
            )
            guard case .entered(let move) = entered else { return }
            try await catalog.planPacks(
                [(high: 1, low: 1, records: records)],
                ofMove: move,
                createdAtMilliseconds: 1,
                term: term
            )
            let study = PackedStudy(fixture: fixture, term: term, records: records, move: move)
            let planned = try await study.pack()
            try await catalog.noteBuilt(planned, byteCount: 1000, digest: digest, by: nodes[0], term: term)
            try await study.verify()
            try await catalog.countPacks(ofMove: move, term: term)
            if isReadAgain { try await study.verify() }
            try await body(study)
        }
    }

    static func commit(_ number: Int, _ catalog: Catalog) async throws -> RecordID {
        var entry = InstanceEntry.sample(study: "1", instance: number)
        entry.recordID = try #require(
            RecordID(
                studyInstanceUID: uid,
                sopInstanceUID: "\(uid).1.\(number)",
                payloadDigest: SHA256Digest(words: (UInt64(number), 0, 0, 0))
            )
        )
        let outcome = try await catalog.commit(entry)
        #expect(outcome == .committed)
        return entry.recordID
    }

    /// The pack, in whatever state it is.
    func pack() async throws -> ColdPack {
        try #require(try await catalog.packs(ofStudy: Self.uid).last)
    }

    func verify(by node: NodeID? = nodes[1]) async throws {
        for var pack in try await catalog.packs(ofMove: move) {
            pack.digest = Self.digest
            try await catalog.noteSound(pack, by: node, term: term)
        }
    }

    func dropSome(limit: Int = 100) async throws -> PackedDrop {
        try await catalog.dropPackedCopies(ofMove: move, limit: limit, term: term)
    }

    /// Has the instances in packs only from here on.
    func drop() async throws {
        let dropped = try await dropSome()
        #expect(dropped == .dropped(5))
        let done = try await dropSome()
        #expect(done == .done)
        try await catalog.finish(move: move, note: "done", term: term)
    }

    /// Deletes the study, or the instances with these numbers, and has all nodes know.
    func delete(_ instances: [Int]? = nil, reference: UInt64 = 1) async throws {
        let subjects =
            instances.map { numbers in
                numbers.map {
                    DeletionSubject(study: Self.uid, series: "\(Self.uid).1", instance: "\(Self.uid).1.\($0)")
                }
            } ?? [DeletionSubject(study: Self.uid)]
        for (number, subject) in subjects.enumerated() {
            let request = DeletionRequest(
                requestedBy: "somebody",
                reason: "wrong patient",
                issuedAtMilliseconds: 1_700_000_000_000,
                reference: (high: reference, low: UInt64(number))
            )
            let count = try await catalog.moveToTrash(subject, request)
            #expect(count > 0)
        }
        for order in try await catalog.openTrashOrders(term: term, members: Self.nodes, looksBack: false, limit: 100) {
            for node in Self.nodes {
                _ = try await catalog.noteTrashAnswer(
                    order: order.number,
                    node: node,
                    members: Self.nodes,
                    term: term
                )
            }
        }
    }

    /// So many days pass for the trash.
    func pass(days: Int) throws {
        _ = try fixture.sql("UPDATE trash_orders SET done_at = done_at - interval '\(days) days'")
    }

    func request(reference: UInt64 = 9) -> DeletionRequest {
        DeletionRequest(
            requestedBy: "somebody",
            reason: "it was right",
            issuedAtMilliseconds: 1_700_000_000_000,
            reference: (high: 3, low: reference)
        )
    }

    @discardableResult
    func mark(grace: Duration = .zero) async throws -> Int {
        try await catalog.markPacks(grace: grace, limit: 100, term: term)
    }

    func begin() async throws -> [ColdPack] {
        try await catalog.beginPackRemovals(limit: 10, term: term)
    }
}
