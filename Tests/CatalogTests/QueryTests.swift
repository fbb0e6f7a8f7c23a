// SPDX-License-Identifier: Apache-2.0

import Catalog
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct QueryTests {
    /// Five studies of four patients.
    private static let entries: [InstanceEntry] = {
        var entries: [InstanceEntry] = []
        func add(_ study: String, series: String = "1", instance: Int = 1, _ change: (inout InstanceEntry) -> Void) {
            var entry = InstanceEntry.sample(study: study, series: series, instance: instance)
            change(&entry)
            entries.append(entry)
        }
        for instance in 1...3 {
            add("1", instance: instance) { entry in
                entry.patient = PatientAttributes(
                    patientID: "A_1",
                    name: "Müller^Änne",
                    birthDate: "19600501",
                    sex: "F"
                )
                entry.study.date = "20240101"
                entry.study.time = "0800"
            }
        }
        add("1", series: "2", instance: 4) { entry in
            entry.series.modality = "SR"
            entry.instance.sopClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
        }
        add("2") { entry in
            entry.patient = PatientAttributes(patientID: "AX1", name: "DOE^JOHN^^DR", birthDate: "19700102", sex: "M")
            entry.study.date = "20240102"
            entry.study.time = "120000.000"
            entry.series.modality = "MR"
            entry.study.description = "100% KNEE\\LEFT"
        }
        add("3") { entry in
            entry.patient = PatientAttributes(
                patientID: "B2",
                issuer: "OTHER",
                name: "Yamada^Tarou=山田^太郎=やまだ^たろう",
                sex: "M"
            )
            entry.study.date = "20240103"
            entry.study.time = "235959.999999"
        }
        add("4") { entry in
            entry.patient = PatientAttributes(patientID: "B2", name: "doe^john")
            entry.study.date = ""
            entry.study.time = ""
            entry.study.accessionNumber = ""
            entry.series.number = nil
        }
        add("5") { entry in
            entry.patient = PatientAttributes(patientID: "B2", name: "doe^john")
            entry.study.date = "20240103"
            entry.study.time = "10"
        }
        return entries
    }()

    private static func with(_ body: (CatalogFixture) async throws -> Void) async throws {
        try await CatalogFixture.with { fixture in
            for entry in entries { _ = try await fixture.catalog.commit(entry) }
            try await body(fixture)
        }
    }

    /// The last component of the Study Instance UIDs of the studies that match.
    private static func studies(_ fixture: CatalogFixture, _ matches: [CatalogMatch]) async throws -> [String] {
        try await fixture.catalog.studies(CatalogQuery(matches: matches))
            .map { $0.studyInstanceUID.split(separator: ".").last.map { String($0) } ?? "" }
    }

    private static let root = "1.2.826.0.1.3680043.9"

    @Test func `each kind of matching finds what PS3 4 says`() async throws {
        let root = Self.root
        let cases: [(CatalogKey, CatalogMatch.Condition, [String])] = [
            // Single values, spaces around them, empty ones.
            (.patientID, .single("A_1"), ["1"]),
            (.patientID, .single(" A_1 "), ["1"]),
            (.patientID, .single("a_1"), []),
            (.patientID, .single(""), ["5", "3", "2", "1", "4"]),
            (.patientID, .single("A*"), []),
            (.issuerOfPatientID, .single("OTHER"), ["3"]),
            (.patientSex, .single("M"), ["3", "2"]),
            (.accessionNumber, .single("A2"), ["2"]),
            (.studyID, .wildcard("S?"), ["5", "3", "2", "1", "4"]),
            // What SQL takes for special is literal.
            (.patientID, .wildcard("A_*"), ["1"]),
            (.patientID, .wildcard("A?1"), ["2", "1"]),
            (.studyDescription, .wildcard("100%*"), ["2"]),
            (.studyDescription, .wildcard("*KNEE\\L*"), ["2"]),
            (.studyDescription, .wildcard("*_*"), []),
            (.studyDescription, .wildcard("**"), ["5", "3", "2", "1", "4"]),
            (.studyDescription, .wildcard("C* *X"), ["5", "3", "1", "4"]),
            // Names: any case, any component group, trailing components that are empty.
            (.patientName, .single("doe^john"), ["5", "4"]),
            (.patientName, .single("DOE^JOHN^^^ "), ["5", "4"]),
            (.patientName, .wildcard("doe^*"), ["5", "2", "4"]),
            (.patientName, .wildcard("doe^john^*^*"), ["5", "2", "4"]),
            (.patientName, .wildcard("doe^j?hn^*"), ["5", "2", "4"]),
            (.patientName, .wildcard("do^*"), []),
            (.patientName, .wildcard("*JOHN*"), ["5", "2", "4"]),
            (.patientName, .wildcard("müller*"), ["1"]),
            (.patientName, .wildcard("MÜLLER^ä??e"), ["1"]),
            (.patientName, .wildcard("M?ller^*"), ["1"]),
            (.patientName, .wildcard("山田*"), ["3"]),
            (.patientName, .single("やまだ^たろう"), ["3"]),
            (.patientName, .wildcard("yamada*=山*"), ["3"]),
            (.patientName, .wildcard("=山田^??"), ["3"]),
            (.patientName, .wildcard("yamada*=川*"), []),
            (.patientName, .list(["Doe^John", "Yamada^Tarou"]), ["5", "3", "4"]),
            (.referringPhysicianName, .wildcard("HOUSE*"), ["5", "3", "2", "1", "4"]),
            // Dates.
            (.studyDate, .single("20240103"), ["5", "3"]),
            (.studyDate, .range(from: "20240102", to: "20240103"), ["5", "3", "2"]),
            (.studyDate, .range(from: nil, to: "20240102"), ["2", "1"]),
            (.studyDate, .range(from: "20240103", to: ""), ["5", "3"]),
            (.studyDate, .range(from: "2024.01.03", to: nil), ["5", "3"]),
            (.studyDate, .list(["20240101", "20240102"]), ["2", "1"]),
            (.patientBirthDate, .single("19600501"), ["1"]),
            // Times, of which the right part may be missing.
            (.studyTime, .range(from: "0800", to: "12"), ["5", "2", "1"]),
            (.studyTime, .range(from: "080000", to: "1000"), ["5", "1"]),
            (.studyTime, .range(from: "120000.001", to: nil), ["3"]),
            (.studyTime, .range(from: nil, to: "2359"), ["5", "3", "2", "1"]),
            (.studyTime, .single("1200"), ["2"]),
            (.studyTime, .single("080000"), ["1"]),
            // UIDs.
            (.studyInstanceUID, .single("\(root).2"), ["2"]),
            (.studyInstanceUID, .wildcard("\(root).*"), []),
            (.studyInstanceUID, .wildcard("*"), ["5", "3", "2", "1", "4"]),
            (.studyInstanceUID, .list(["\(root).2", "\(root).4", "9.9"]), ["2", "4"]),
            (.studyInstanceUID, .list([]), ["5", "3", "2", "1", "4"]),
            // Modalities of any series.
            (.modalitiesInStudy, .single("SR"), ["1"]),
            (.modalitiesInStudy, .single("CT"), ["5", "3", "1", "4"]),
            (.modalitiesInStudy, .list(["MR", "SR"]), ["2", "1"]),
            (.modalitiesInStudy, .wildcard("?R"), ["2", "1"]),
        ]
        try await Self.with { fixture in
            for (key, condition, expected) in cases {
                let found = try await Self.studies(fixture, [CatalogMatch(key, condition)])
                #expect(found == expected, "\(key) \(condition)")
            }
            let both = [
                CatalogMatch(.modalitiesInStudy, .single("CT")), CatalogMatch(.patientName, .wildcard("DOE*")),
                CatalogMatch(.studyDate, .range(from: "20200101", to: nil)),
            ]
            #expect(try await Self.studies(fixture, both) == ["5"])
        }
    }

    @Test func `date and time together bound one point in time if that is asked for`() async throws {
        try await Self.with { fixture in
            var query = CatalogQuery(matches: [
                CatalogMatch(.studyDate, .range(from: "20240101", to: "20240103")),
                CatalogMatch(.studyTime, .range(from: "0900", to: "1100")),
            ])
            let apart = try await fixture.catalog.studies(query).map(\.study.time)
            #expect(apart == ["10"])
            query.combinesDateAndTime = true
            let together = try await fixture.catalog.studies(query).map(\.study.time)
            #expect(together == ["10", "120000.000"])
        }
    }

    @Test func `a series' date and time bound one point in time, too`() async throws {
        try await Self.with { fixture in
            var query = CatalogQuery(matches: [
                CatalogMatch(.seriesDate, .range(from: "20240228", to: "20240229")),
                CatalogMatch(.seriesTime, .range(from: "2300", to: "1300")),
            ])
            let apart = try await fixture.catalog.series(query)
            #expect(apart.isEmpty)
            query.combinesDateAndTime = true
            // All are of 20240229, 12:00.
            let together = try await fixture.catalog.series(query)
            #expect(together.count == 6)
        }
    }

    @Test func `patients are found by their own attributes and know what is below them`() async throws {
        try await Self.with { fixture in
            var query = CatalogQuery(matches: [CatalogMatch(.patientID, .single("B2"))])
            let both = try await fixture.catalog.patientPage(query).rows
            #expect(both.map(\.patient.issuer) == ["", "OTHER"])
            #expect(both.map(\.studyCount) == [2, 1])
            query.matches = [CatalogMatch(.patientName, .wildcard("MULLER*"))]
            let one = try #require(try await fixture.catalog.patientPage(query).rows.first)
            #expect(one.patient == Self.entries[0].patient)
            #expect([one.studyCount, one.seriesCount, one.instanceCount] == [1, 2, 4])
            query.matches = []
            query.limit = 3
            let page = try await fixture.catalog.patientPage(query)
            let last = try #require(page.cursors.last)
            query.after = last
            let rest = try await fixture.catalog.patientPage(query)
            #expect(page.rows.count == 3)
            #expect(Set((page.rows + rest.rows).map { "\($0.patient.patientID) \($0.patient.issuer)" }).count == 4)
            let end = try #require(rest.cursors.last)
            query.after = end
            #expect(try await fixture.catalog.patientPage(query).rows.isEmpty)
            query.after = CatalogCursor(text: "tX")
            let other = await #expect(throws: CatalogError.self) { try await fixture.catalog.patientPage(query) }
            #expect(other?.code == .invalid)
            query.after = nil
            query.matches = [CatalogMatch(.studyDate, .single("20240101"))]
            let error = await #expect(throws: CatalogError.self) { try await fixture.catalog.patientPage(query) }
            #expect(error?.code == .invalid)
        }
    }

    @Test func `rows tell what is below them, also on a page`() async throws {
        try await Self.with { fixture in
            var query = CatalogQuery()
            let all = try await fixture.catalog.studies(query)
            let first = try #require(all.first { $0.studyInstanceUID == "\(Self.root).1" })
            #expect(first.modalities == ["CT", "SR"])
            #expect(first.seriesCount == 2)
            #expect(first.instanceCount == 4)
            #expect(first.patient == Self.entries[0].patient)
            query.matches = [CatalogMatch(.modalitiesInStudy, .single("CT"))]
            query.limit = 2
            let pages = try await fixture.catalog.studies(query)
            query.offset = 2
            let rest = try await fixture.catalog.studies(query)
            #expect((pages + rest).map(\.study.studyID) == ["S5", "S3", "S1", "S4"])
            query.offset = 4
            #expect(try await fixture.catalog.studies(query).isEmpty)
            query.limit = -5
            query.offset = -5
            #expect(try await fixture.catalog.studies(query).isEmpty)
        }
    }

    @Test func `series and instances are found by their own and by upper attributes`() async throws {
        try await Self.with { fixture in
            let study = CatalogMatch(.studyInstanceUID, .single("\(Self.root).1"))
            let series = try await fixture.catalog.series(CatalogQuery(matches: [study]))
            #expect(series.map(\.series.number) == [1, 2])
            #expect(series.map(\.instanceCount) == [3, 1])
            let reports = try await fixture.catalog.series(
                CatalogQuery(matches: [study, CatalogMatch(.modality, .single("SR"))])
            )
            #expect(reports.map(\.seriesInstanceUID) == ["\(Self.root).1.2"])
            let numbered = try await fixture.catalog.series(
                CatalogQuery(matches: [CatalogMatch(.seriesNumber, .single("2"))])
            )
            #expect(numbered.map(\.seriesInstanceUID) == ["\(Self.root).1.2"])
            let instances = try await fixture.catalog.instances(CatalogQuery(matches: [study]))
            #expect(instances.map(\.instance.number) == [1, 2, 3, 4])
            #expect(instances.map(\.series.modality) == ["CT", "CT", "CT", "SR"])
            let ofClass = try await fixture.catalog.instances(
                CatalogQuery(matches: [CatalogMatch(.sopClassUID, .single("1.2.840.10008.5.1.4.1.1.88.33"))])
            )
            #expect(ofClass.map(\.instance.sopInstanceUID) == ["\(Self.root).1.2.4"])
            let byUID = try await fixture.catalog.instances(
                CatalogQuery(matches: [
                    CatalogMatch(.sopInstanceUID, .list(["\(Self.root).2.1.1", "\(Self.root).5.1.1"])),
                    CatalogMatch(.instanceNumber, .single("1")),
                ])
            )
            #expect(byUID.map(\.patient.name).sorted() == ["DOE^JOHN^^DR", "doe^john"])
            let all = try await fixture.catalog.instances(CatalogQuery())
            #expect(all.count == Self.entries.count)
            #expect(all.map(\.recordID) == all.map(\.recordID).sorted())
            let some = try await fixture.catalog.instances(CatalogQuery(limit: 3, offset: 1))
            #expect(some == Array(all[1...3]))
        }
    }

    @Test func `what cannot be matched is refused as invalid`() async throws {
        let wrong: [CatalogMatch] = [
            CatalogMatch(.modality, .single("CT")),
            CatalogMatch(.studyDate, .single("20241301")),
            CatalogMatch(.studyDate, .range(from: "yesterday", to: nil)),
            CatalogMatch(.studyTime, .single("noon")),
            CatalogMatch(.patientID, .range(from: "A", to: "B")),
            CatalogMatch(.studyInstanceUID, .list([String](repeating: "1", count: 10_001))),
        ]
        try await CatalogFixture.with { fixture in
            for match in wrong {
                let error = await #expect(throws: CatalogError.self) {
                    try await fixture.catalog.studies(CatalogQuery(matches: [match]))
                }
                #expect(error?.code == .invalid, "\(match.key)")
            }
            let number = CatalogQuery(matches: [CatalogMatch(.seriesNumber, .single("one"))])
            let error = await #expect(throws: CatalogError.self) { try await fixture.catalog.series(number) }
            #expect(error?.code == .invalid)
            let many = CatalogQuery(
                matches: [CatalogMatch](repeating: CatalogMatch(.patientSex, .single("M")), count: 65)
            )
            let second = await #expect(throws: CatalogError.self) { try await fixture.catalog.studies(many) }
            #expect(second?.code == .invalid)
        }
    }

    @Test func `listings go on where they ended and details are complete`() async throws {
        try await Self.with { fixture in
            let firstPage = try await fixture.catalog.studySummaries(limit: 2)
            #expect(firstPage.map(\.study.studyID) == ["S5", "S4"])
            // A study that comes meanwhile does not shift the next page.
            _ = try await fixture.catalog.commit(.sample(study: "6"))
            let secondPage = try await fixture.catalog.studySummaries(limit: 9, after: firstPage.last?.cursor)
            #expect(secondPage.map(\.study.studyID) == ["S3", "S2", "S1"])
            let details = try #require(try await fixture.catalog.study("\(Self.root).1"))
            #expect(details.summary == secondPage.last)
            #expect(details.summary.receivedByteCount == 4 * 525_000)
            #expect(details.summary.storedByteCount == 4 * 210_000)
            #expect(details.summary.compressionRatio == 2.5)
            #expect(details.summary.receivedAtMilliseconds == 1_700_000_000_001)
            #expect(details.summary.lastReceivedAtMilliseconds == 1_700_000_000_004)
            #expect(details.series.map(\.series.modality) == ["CT", "SR"])
            #expect(details.instances.map(\.instance.number) == [1, 2, 3, 4])
            #expect(try await fixture.catalog.study("9.9.9") == nil)
        }
    }
}
