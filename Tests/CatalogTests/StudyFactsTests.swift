// SPDX-License-Identifier: Apache-2.0

import Catalog
import Lifecycle
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct StudyFactsTests {
    private static let first = "1.2.826.0.1.3680043.9.1"

    /// Works off all that came and went.
    private static func collect(_ catalog: Catalog) async throws {
        while try await catalog.collectFacts() {}
    }

    private static func facts(_ catalog: Catalog, _ study: String = first) async throws -> StudyFacts? {
        try await collect(catalog)
        return try await catalog.studyFacts(ofStudy: study)?.facts
    }

    /// An instance of a study of the patient `P1`, of a day and a modality.
    private static func entry(
        _ study: String,
        date: String = "20240229",
        modality: String = "CT",
        series: String = "1",
        instance: Int = 1,
        change: (inout InstanceEntry) -> Void = { _ in }
    ) -> InstanceEntry {
        var entry = InstanceEntry.sample(study: study, series: series, instance: instance)
        entry.study.date = date
        entry.series.modality = modality
        change(&entry)
        return entry
    }

    @Test func `facts are those of the study, its series and its patient`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            _ = try await catalog.commit(Self.entry("1"))
            _ = try await catalog.commit(
                Self.entry("1", modality: "SR", series: "2") {
                    $0.series.bodyPartExamined = ""
                    $0.series.stationName = "WORKSTATION"
                    $0.callingAETitle = "REPORTS"
                }
            )
            _ = try await catalog.commit(Self.entry("1", instance: 2))
            #expect(try await catalog.studyFacts(ofStudy: Self.first) == nil, "nobody has collected them")
            let facts = try #require(try await Self.facts(catalog))
            #expect(facts.modalities == KnownTexts(["CT", "SR"]))
            #expect(facts.bodyParts == KnownTexts(["CHEST"], isComplete: false))
            #expect(facts.stations == KnownTexts(["CT1", "WORKSTATION"]))
            #expect(facts.institutions == KnownTexts(["General"]))
            #expect(facts.callingAETitles == KnownTexts(["CT1", "REPORTS"]))
            #expect(facts.studyDescription == KnownTexts(["CT THORAX"]))
            #expect((facts.instanceCount, facts.byteCount) == (3, 1_575_000))
            #expect(facts.studyDate == CalendarDate(year: 2024, month: 2, day: 29))
            #expect(facts.birthDate == CalendarDate(year: 1970, month: 1, day: 2))
            #expect(facts.latestVisit == facts.studyDate)
            #expect(facts.received == CalendarDate(year: 2023, month: 11, day: 14))
            #expect(facts.laterModalities == KnownTexts([]))
            #expect(facts.tags == KnownTexts([]))
            #expect(!facts.isHeld)
        }
    }

    /// What another study of the patient makes of the latest visit and of the later modalities.
    struct Visit: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let date: String
        var modality = "MR"
        let latest: CalendarDate?
        let later: KnownTexts
    }

    private static let day = CalendarDate(year: 2024, month: 2, day: 29)

    @Test(arguments: [
        Visit(
            testDescription: "later",
            date: "20250101",
            latest: CalendarDate(year: 2025, month: 1, day: 1),
            later: KnownTexts(["MR"])
        ),
        Visit(
            testDescription: "later, of a modality that is not known",
            date: "20250101",
            modality: "",
            latest: CalendarDate(year: 2025, month: 1, day: 1),
            later: KnownTexts([""])
        ),
        Visit(testDescription: "the same day", date: "20240229", latest: day, later: KnownTexts([])),
        Visit(testDescription: "earlier", date: "20230101", latest: day, later: KnownTexts([])),
        Visit(testDescription: "without a date", date: "", latest: nil, later: .unknown),
        Visit(testDescription: "a day that stands for none", date: "19700101", latest: nil, later: .unknown),
        Visit(testDescription: "another such day", date: "19000101", latest: nil, later: .unknown),
    ])
    func `another study of the patient counts`(visit: Visit) async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            _ = try await catalog.commit(Self.entry("1"))
            try await Self.collect(catalog)
            _ = try await catalog.commit(Self.entry("2", date: visit.date, modality: visit.modality))
            let facts = try #require(try await Self.facts(catalog))
            #expect(facts.latestVisit == visit.latest)
            #expect(facts.laterModalities == visit.later)
            // And all is as before when it is gone.
            let request = DeletionRequest(requestedBy: "", reason: "", issuedAtMilliseconds: 0, reference: (1, 1))
            let moved = try await catalog.moveToTrash(DeletionSubject(study: "1.2.826.0.1.3680043.9.2"), request)
            #expect(moved == 1)
            let after = try #require(try await Self.facts(catalog))
            #expect((after.latestVisit, after.laterModalities) == (Self.day, KnownTexts([])))
            #expect(try fixture.count("study_facts") == 1)
        }
    }

    @Test func `of a patient without an id nobody knows the other studies`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            _ = try await catalog.commit(Self.entry("1") { $0.patient.patientID = "" })
            let facts = try #require(try await Self.facts(catalog))
            #expect(facts.latestVisit == nil)
            #expect(facts.laterModalities == .unknown)
        }
    }

    @Test func `more texts than are kept are not all known, and none is cut`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            for series in 100..<180 {
                _ = try await catalog.commit(
                    Self.entry("1", series: "\(series)") {
                        $0.series.institutionName = "\(series)" + String(repeating: "x", count: 60)
                    }
                )
            }
            let facts = try #require(try await Self.facts(catalog))
            #expect(!facts.institutions.isComplete)
            let whole = KnownTexts((100..<180).map { "\($0)" + String(repeating: "x", count: 60) })
            #expect(facts.institutions.texts.count == 62)
            #expect(facts.institutions.texts.allSatisfy { whole.texts.contains($0) })
        }
    }

    @Test func `what was there before the step is collected, too`() async throws {
        let server = try PostgresServer.shared()
        let database = try server.makeDatabase()
        let catalog = try CatalogFixture.open(server, database)
        _ = try await catalog.migrate(to: 17)
        for node in CatalogFixture.nodes { try await catalog.register(node) }
        for study in 1...3 { _ = try await catalog.commit(Self.entry("\(study)", date: "2020010\(study)")) }
        _ = try await catalog.migrate()
        _ = try await catalog.commit(Self.entry("4", date: "20200104"))
        let facts = try #require(try await Self.facts(catalog))
        #expect(facts.latestVisit == CalendarDate(year: 2020, month: 1, day: 4))
        #expect(try server.sql("SELECT count(*) FROM study_facts", database: database) == ["4"])
        #expect(try server.sql("SELECT count(*) FROM lifecycle_changes", database: database) == ["0"])
        // Received before anybody noted who reads: it may have been read until then.
        #expect(facts.received != facts.lastAccess)
        await catalog.shutdown()
    }

    @Test func `pages have each study once, in order`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            for study in 1...7 { _ = try await catalog.commit(Self.entry("\(study)")) }
            try await Self.collect(catalog)
            var found: [Int64] = []
            var next: Int64? = 0
            while let begin = next {
                let page = try await catalog.studyFacts(after: begin, limit: 3)
                found += page.rows.map(\.study)
                next = page.next
            }
            #expect(found == found.sorted() && Set(found).count == 7)
            let last = try await catalog.lastStudyWithFacts()
            #expect(last == found.last)
            let part = try await catalog.studyFacts(after: found[1], through: found[4], limit: 100)
            #expect(part.rows.map(\.study) == Array(found[2...4]))
            let uids = try await catalog.studyUIDs([found[0], 99_999])
            #expect(uids == [found[0]: Self.first])
        }
    }

    @Test func `the last reading counts, whoever notes it and when`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let received: Int64 = 4_000_000_000_000  // 2096: after the step
            _ = try await catalog.commit(Self.entry("1") { $0.receivedAtMilliseconds = received })
            let never = try #require(try await Self.facts(catalog))
            #expect(never.lastAccess == never.received)
            for time in [received + 86_400_000 * 3, received + 86_400_000] {
                try await catalog.noteAccess([Self.first: time, "1.2.3": time])
            }
            let read = try #require(try await Self.facts(catalog))
            #expect(read.lastAccess == CalendarDate(dayNumber: Int(received / 86_400_000) + 3))
            try await catalog.noteAccess([:])
            #expect(try fixture.count("study_access") == 1)
        }
    }

    @Test func `tags are added and taken away`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            _ = try await catalog.commit(Self.entry("1"))
            func change(_ study: String, _ adding: [String], _ removing: [String]) async throws -> [String]? {
                try await catalog.changeTags(ofStudy: study, adding: adding, removing: removing, by: "me")
            }
            #expect(try await change(Self.first, ["teaching", "research"], []) == ["research", "teaching"])
            #expect(try await change(Self.first, ["teaching"], ["research", "none"]) == ["teaching"])
            #expect(try await change("1.2.3", ["teaching"], []) == nil)
            let facts = try #require(try await Self.facts(catalog))
            #expect(facts.tags == KnownTexts(["teaching"]))
            for tag in ["", String(repeating: "x", count: Catalog.maximumTagCharacterCount + 1)] {
                let error = await #expect(throws: CatalogError.self) {
                    try await catalog.changeTags(ofStudy: Self.first, adding: [tag], removing: [], by: "")
                }
                #expect(error?.code == .invalid)
            }
        }
    }
}
