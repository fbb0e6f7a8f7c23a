// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct NodeHoldTests {
    private static let members = CatalogFixture.nodes.map(\.id)

    private static func uid(_ study: String) -> String { "1.2.826.0.1.3680043.9.\(study)" }

    private static func term(_ catalog: Catalog) async throws -> Term {
        try #require(try await catalog.acquireLease(holder: "one", duration: .seconds(60)))
    }

    private static func place(_ catalog: Catalog, _ subject: HoldSubject) async throws -> Int64 {
        try #require(try await catalog.placeHold(on: subject, name: "case", reason: "court", placedBy: "me"))
    }

    private static func open(
        _ catalog: Catalog,
        _ term: Term,
        looksBack: Bool = false,
        answering: [NodeID] = members
    ) async throws -> [NodeHold] {
        try await catalog.refreshNodeHolds(
            term: term,
            members: members,
            looksBack: looksBack,
            issuedAtMilliseconds: 1_700_000_000_000
        )
        return try await catalog.openNodeHolds(term: term, answering: answering, limit: 100)
    }

    private static func finish(_ catalog: Catalog, _ term: Term, _ orders: [NodeHold]) async throws {
        for order in orders {
            #expect(
                try await catalog.noteHoldAnswers(order: order.number, nodes: members, members: members, term: term)
            )
        }
    }

    @Test func `each hold of a study is told once, and its end`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            for study in ["1", "2"] { _ = try await catalog.commit(.sample(study: study)) }
            let term = try await Self.term(catalog)
            #expect(try await Self.open(catalog, term).isEmpty)
            let patient = try await Self.place(catalog, .patient(id: "P1", issuer: nil))
            let named = try await Self.place(catalog, .studies([Self.uid("2")], query: ""))
            let orders = try await Self.open(catalog, term)
            #expect(orders.map(\.hold).sorted() == [patient, patient, named])
            #expect(Set(orders.map(\.study)) == [Self.uid("1"), Self.uid("2")])
            #expect(orders.allSatisfy { $0.isHeld && $0.term == term && $0.name == "case" && $0.reason == "court" })
            #expect(Set(orders.map(\.referenceLow)).count == 2)
            #expect(try await catalog.records(ofHeldStudy: Self.uid("1"), after: nil, limit: 10).count == 1)
            // The same until they are done.
            #expect(try await Self.open(catalog, term).map(\.number) == orders.map(\.number))
            try await Self.finish(catalog, term, orders)
            #expect(try await Self.open(catalog, term).isEmpty)

            #expect(try await catalog.releaseHold(patient, reason: "r", releasedBy: ""))
            let released = try await Self.open(catalog, term)
            #expect(released.map(\.hold) == [patient, patient] && released.allSatisfy { !$0.isHeld })
            #expect(released.allSatisfy { order in orders.allSatisfy { $0.number < order.number } })
            try await Self.finish(catalog, term, released)
            #expect(try await Self.open(catalog, term).isEmpty)
        }
    }

    @Test func `what comes into a held study is told, and to nodes that were away with all of the study`() async throws
    {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            _ = try await catalog.commit(.sample(instance: 1))
            let term = try await Self.term(catalog)
            _ = try await Self.place(catalog, .patient(id: "P1", issuer: nil))
            try await Self.finish(catalog, term, try await Self.open(catalog, term))
            _ = try await catalog.commit(.sample(instance: 2))
            _ = try await catalog.commit(.sample(study: "3", patientID: "P3"))
            let arrivals = try await catalog.holdArrivals(limit: 10)
            #expect(arrivals.map(\.holds.count) == [1])
            let told = Array(Self.members.prefix(2))
            try await catalog.finishHoldArrivals(arrivals, told: told, members: Self.members, term: term)
            #expect(try await catalog.holdArrivals(limit: 10).isEmpty)
            #expect(try await Self.open(catalog, term, answering: told).isEmpty)
            let open = try await Self.open(catalog, term)
            #expect(open.map(\.answered) == [Set(told)])
            try await Self.finish(catalog, term, open)

            // A study that is new of the patient has an order of its own, also when it came in the middle of a round.
            _ = try await catalog.commit(.sample(study: "2"))
            let early = try await catalog.holdArrivals(limit: 10)
            #expect(early.map(\.holds) == [[]])
            try await catalog.finishHoldArrivals(early, told: Self.members, members: Self.members, term: term)
            let new = try await Self.open(catalog, term)
            #expect(new.map(\.study) == [Self.uid("2")])
            let left = try await catalog.holdArrivals(limit: 10)
            try await catalog.finishHoldArrivals(left, told: Self.members, members: Self.members, term: term)
            try await Self.finish(catalog, term, new)
            #expect(try await Self.open(catalog, term).isEmpty)
        }
    }

    @Test func `a new member is told of what was done before it came`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            _ = try await catalog.commit(.sample())
            let term = try await Self.term(catalog)
            _ = try await Self.place(catalog, .studies([Self.uid("1")], query: ""))
            let two = Array(Self.members.prefix(2))
            for order in try await Self.open(catalog, term) {
                #expect(
                    try await catalog.noteHoldAnswers(order: order.number, nodes: two, members: two, term: term)
                )
            }
            #expect(try await Self.open(catalog, term).isEmpty)
            #expect(try await Self.open(catalog, term, looksBack: true).map(\.answered) == [Set(two)])
        }
    }

    @Test func `a coordinator that is over is told so`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            _ = try await Self.term(catalog)
            let error = await #expect(throws: CatalogError.self) {
                try await Self.open(catalog, Term(rawValue: 99))
            }
            #expect(error?.code == .staleTerm)
        }
    }

    @Test func `records in the trash are released, too`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            for instance in 1...3 { _ = try await catalog.commit(.sample(instance: instance)) }
            let request = DeletionRequest(requestedBy: "", reason: "", issuedAtMilliseconds: 0, reference: (1, 1))
            let one = DeletionSubject(study: Self.uid("1"), series: Self.uid("1.1"), instance: Self.uid("1.1.1"))
            #expect(try await catalog.moveToTrash(one, request) == 1)
            let records = try await catalog.records(ofHeldStudy: Self.uid("1"), after: nil, limit: 10)
            #expect(records.count == 3 && records == records.sorted())
            #expect(try await catalog.records(ofHeldStudy: Self.uid("1"), after: records[0], limit: 1) == [records[1]])
        }
    }
}
