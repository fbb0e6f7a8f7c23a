// SPDX-License-Identifier: Apache-2.0

import Catalog
import Lifecycle
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct HoldTests {
    private static func uid(_ study: String) -> String { "1.2.826.0.1.3680043.9.\(study)" }

    private static func delete(_ catalog: Catalog, _ subject: DeletionSubject, _ number: UInt64) async throws -> Int {
        try await catalog.moveToTrash(
            subject,
            DeletionRequest(requestedBy: "", reason: "", issuedAtMilliseconds: 0, reference: (9, number))
        )
    }

    /// Studies 1 and 2 of the patient P1, and 3 of P2.
    private static func fill(_ catalog: Catalog) async throws {
        for (study, patient) in [("1", "P1"), ("2", "P1"), ("3", "P2")] {
            _ = try await catalog.commit(.sample(study: study, patientID: patient))
        }
        while try await catalog.collectFacts() {}
    }

    private static func held(_ catalog: Catalog) async throws -> [String] {
        var found: [String] = []
        for study in ["1", "2", "3"] {
            if try await catalog.studyFacts(ofStudy: uid(study))?.facts.isHeld == true { found.append(study) }
        }
        return found
    }

    @Test(arguments: [
        (HoldSubject.studies(["1.2.826.0.1.3680043.9.2"], query: ""), ["2"]),
        (HoldSubject.studies(["1.2.826.0.1.3680043.9.2", "1.2.826.0.1.3680043.9.3"], query: "a=b"), ["2", "3"]),
        (HoldSubject.patient(id: "P1", issuer: nil), ["1", "2"]),
        (HoldSubject.patient(id: "P1", issuer: "ELSEWHERE"), []),
        (HoldSubject.patient(id: "nobody", issuer: nil), []),
    ])
    func `a hold holds what it names until it is released`(subject: HoldSubject, studies: [String]) async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            let number = try #require(
                try await catalog.placeHold(on: subject, name: "case 1", reason: "the court", placedBy: "me")
            )
            #expect(try await Self.held(catalog) == studies)
            let hold = try #require(try await catalog.hold(number))
            #expect((hold.name, hold.reason, hold.placedBy) == ("case 1", "the court", "me"))
            #expect(hold.studyCount == studies.count)
            for study in ["1", "2", "3"] {
                let holds = try await catalog.holds(onStudy: Self.uid(study))
                #expect(holds.map(\.number) == (studies.contains(study) ? [number] : []))
            }
            #expect(try await catalog.releaseHold(number, reason: "closed", releasedBy: "you"))
            #expect(try await !catalog.releaseHold(number, reason: "again", releasedBy: "you"))
            #expect(try await Self.held(catalog) == [])
            #expect(try await catalog.holds(limit: 10).isEmpty)
            let kept = try await catalog.holds(all: true, limit: 10)
            #expect(kept.map(\.number) == [number])
            #expect(kept.first?.release?.reason == "closed" && kept.first?.release?.releasedBy == "you")
        }
    }

    @Test(arguments: [
        DeletionSubject(study: "1.2.826.0.1.3680043.9.1"),
        DeletionSubject(study: "1.2.826.0.1.3680043.9.1", series: "1.2.826.0.1.3680043.9.1.1"),
        DeletionSubject(
            study: "1.2.826.0.1.3680043.9.1",
            series: "1.2.826.0.1.3680043.9.1.1",
            instance: "1.2.826.0.1.3680043.9.1.1.1"
        ),
    ])
    func `nothing of a held study is deleted`(subject: DeletionSubject) async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            let first = try await catalog.placeHold(
                on: .patient(id: "P1", issuer: nil),
                name: "the case",
                reason: "r",
                placedBy: ""
            )
            let second = try await catalog.placeHold(
                on: .studies([Self.uid("1")], query: ""),
                name: "another",
                reason: "r",
                placedBy: ""
            )
            for (number, hold) in [(1, first), (2, second)] as [(UInt64, Int64?)] {
                let error = await #expect(throws: CatalogError.self) {
                    try await Self.delete(catalog, subject, number)
                }
                #expect(error?.code == .held)
                #expect(error?.message.contains("hold \(hold ?? 0)") == true)
                #expect(error?.message.contains(number == 1 ? "the case" : "another") == true)
                #expect(try fixture.count("instances") == 3 && fixture.count("deletions") == 0)
                let isReleased = try await catalog.releaseHold(try #require(hold), reason: "r", releasedBy: "")
                #expect(isReleased)
            }
            #expect(try await Self.delete(catalog, subject, 3) == 1)
        }
    }

    @Test func `a patient's hold holds what comes later`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let subject = HoldSubject.patient(id: "P1", issuer: nil)
            _ = try await catalog.placeHold(on: subject, name: "n", reason: "r", placedBy: "")
            try await Self.fill(catalog)
            #expect(try await Self.held(catalog) == ["1", "2"])
        }
    }

    @Test func `a hold of a study that is not here is not placed`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            let subject = HoldSubject.studies([Self.uid("1"), "1.2.3"], query: "")
            #expect(try await catalog.placeHold(on: subject, name: "n", reason: "r", placedBy: "") == nil)
            #expect(try fixture.count("holds") == 0)
            for subject in [HoldSubject.studies([], query: ""), .patient(id: " ", issuer: nil)] {
                let error = await #expect(throws: CatalogError.self) {
                    try await catalog.placeHold(on: subject, name: "n", reason: "r", placedBy: "")
                }
                #expect(error?.code == .invalid)
            }
            let many = Array(repeating: "1.2.3", count: Catalog.maximumHeldStudyCount + 1)
            let error = await #expect(throws: CatalogError.self) {
                try await catalog.placeHold(on: .studies(many, query: ""), name: "n", reason: "r", placedBy: "")
            }
            #expect(error?.code == .invalid)
        }
    }
}
