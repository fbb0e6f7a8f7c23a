// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import Placement
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct CommitTests {
    @Test func `an instance comes back as it was entered`() async throws {
        try await CatalogFixture.with { fixture in
            let entry = InstanceEntry.sample()
            #expect(try await fixture.catalog.commit(entry) == .committed)
            let row = try #require(try await fixture.catalog.instance(sopInstanceUID: entry.instance.sopInstanceUID))
            #expect(row.studyInstanceUID == entry.study.studyInstanceUID)
            #expect(row.seriesInstanceUID == entry.series.seriesInstanceUID)
            #expect(row.instance == entry.instance)
            #expect(row.contentDigest == entry.contentDigest)
            #expect(row.pixelDigest == entry.pixelDigest)
            #expect(row.receivedTransferSyntax == entry.receivedTransferSyntax)
            #expect(row.storedTransferSyntax == entry.storedTransferSyntax)
            #expect(row.receivedByteCount == entry.receivedByteCount)
            #expect(row.storedByteCount == entry.storedByteCount)
            #expect(row.recordID == entry.recordID)
            #expect(row.nodes == entry.nodes.sorted())
            #expect(row.receivedAtMilliseconds == entry.receivedAtMilliseconds)
            #expect(row.callingAETitle == entry.callingAETitle)
            let found = try await fixture.catalog.series(CatalogQuery())
            #expect(found.map(\.patient) == [entry.patient])
            #expect(found.map(\.study) == [entry.study])
            #expect(found.map(\.series) == [entry.series])
        }
    }

    @Test func `records are listed by their ids, and each names its instance`() async throws {
        try await CatalogFixture.with { fixture in
            let entries = (1...9).map { InstanceEntry.sample(study: "\($0 / 4)", instance: $0) }
            for entry in entries { #expect(try await fixture.catalog.commit(entry) == .committed) }
            let ids = entries.map(\.recordID).sorted()
            let all = ids[0]...ids[8]
            #expect(try await fixture.catalog.records(in: all, limit: 100) == ids)
            #expect(try await fixture.catalog.records(in: all, limit: 4) == Array(ids.prefix(4)))
            #expect(try await fixture.catalog.records(in: ids[2]...ids[5], limit: 100) == Array(ids[2...5]))
            for entry in entries {
                let row = try await fixture.catalog.instance(record: entry.recordID)
                #expect(row?.sopInstanceUID == entry.instance.sopInstanceUID)
            }
            let other = try #require(ids[0].predecessor)
            #expect(try await fixture.catalog.instance(record: other) == nil)
        }
    }

    @Test func `records are listed by the node that has a copy`() async throws {
        try await CatalogFixture.with { fixture in
            let entries = (1...9).map { InstanceEntry.sample(study: "\($0 / 4)", instance: $0) }
            for entry in entries { #expect(try await fixture.catalog.commit(entry) == .committed) }
            let ids = entries.map(\.recordID).sorted()
            let node = try #require(entries[0].nodes.first)
            #expect(try await fixture.catalog.records(on: node, after: nil, limit: 100) == ids)
            #expect(try await fixture.catalog.records(on: node, after: ids[3], limit: 2) == Array(ids[4...5]))
            let foreign = try #require(RecordID(high: 7, low: 7))
            #expect(try await fixture.catalog.unknown(among: [ids[2], foreign, ids[0]]) == [foreign])
            #expect(try await fixture.catalog.unknown(among: []) == [])
            #expect(try await fixture.catalog.records(on: NodeID(high: 99, low: 99), after: nil, limit: 2) == [])
        }
    }

    @Test func `the same record again is committed again`() async throws {
        try await CatalogFixture.with { fixture in
            let first = try await fixture.catalog.commit(.sample())
            let second = try await fixture.catalog.commit(.sample())
            #expect([first, second] == [.committed, .committed])
            #expect(try fixture.count("instances") == 1)
        }
    }

    @Test func `the same content as another record is a duplicate`() async throws {
        try await CatalogFixture.with { fixture in
            let first = InstanceEntry.sample()
            _ = try await fixture.catalog.commit(first)
            var second = first
            second.recordID = InstanceEntry.sample(content: "other").recordID
            guard case .duplicate(let existing) = try await fixture.catalog.commit(second) else {
                Issue.record("not a duplicate")
                return
            }
            #expect(existing.recordID == first.recordID)
            #expect(try fixture.count("instances") == 1)
        }
    }

    @Test func `other content, another series or another study is a conflict and leaves nothing behind`() async throws {
        try await CatalogFixture.with { fixture in
            let first = InstanceEntry.sample()
            _ = try await fixture.catalog.commit(first)
            let otherContent = InstanceEntry.sample(content: "other")
            var otherSeries = InstanceEntry.sample(series: "2")
            otherSeries.instance = first.instance
            otherSeries.contentDigest = first.contentDigest
            var otherStudy = InstanceEntry.sample(study: "2", patientID: "P2")
            otherStudy.instance = first.instance
            otherStudy.contentDigest = first.contentDigest
            for entry in [otherContent, otherSeries, otherStudy] {
                guard case .conflict(let existing) = try await fixture.catalog.commit(entry) else {
                    Issue.record("not a conflict")
                    continue
                }
                #expect(existing.recordID == first.recordID)
            }
            #expect(try fixture.count("instances") == 1)
            #expect(try fixture.count("series") == 1)
            #expect(try fixture.count("studies") == 1)
            #expect(try fixture.count("patients") == 1)
        }
    }

    @Test func `first images of one patient at once make one patient`() async throws {
        try await CatalogFixture.with { fixture in
            let catalogs = try (0..<8).map { _ in try CatalogFixture.open(fixture.server, fixture.database) }
            try await withThrowingTaskGroup(of: CommitOutcome.self) { group in
                for number in 0..<64 {
                    // Eight studies, of which each has its first instances coming from every catalog.
                    let entry = InstanceEntry.sample(study: "\(number / 8)", series: "\(number % 2)", instance: number)
                    group.addTask { try await catalogs[number % 8].commit(entry) }
                }
                for try await outcome in group { #expect(outcome == .committed) }
            }
            #expect(try fixture.count("patients") == 1)
            #expect(try fixture.count("studies") == 8)
            #expect(try fixture.count("series") == 16)
            #expect(try fixture.count("instances") == 64)
            for catalog in catalogs { await catalog.shutdown() }
        }
    }

    @Test func `many writers in any order never deadlock`() async throws {
        var generator = SeededGenerator.fromEnvironment()
        // Every writer brings everything, each in an order of its own and with attributes of its own missing, so that
        // they meet at every insertion and every update.
        let plan: [[InstanceEntry]] = (0..<6).map { writer in
            (0..<240).map { number -> InstanceEntry in
                let patient = number % 4
                var entry = InstanceEntry.sample(
                    study: "\(number % 12)",
                    series: "\(number % 3)",
                    instance: number,
                    patientID: "P\(patient)"
                )
                if (number + writer) % 5 == 0 { entry.patient.name = "" }
                if (number + writer) % 3 == 0 { entry.patient.sex = "" }
                if (number + writer) % 4 == 0 { entry.study.accessionNumber = "" }
                if (number + writer) % 7 == 0 { entry.series.number = nil }
                return entry
            }.shuffled(using: &generator)
        }
        try await CatalogFixture.with { fixture in
            let catalogs = try plan.map { _ in
                try CatalogFixture.open(fixture.server, fixture.database) { $0.committerCount = 2 }
            }
            let before = try deadlocks(fixture)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (writer, entries) in plan.enumerated() {
                    for part in 0..<4 {
                        group.addTask {
                            for index in stride(from: part, to: entries.count, by: 4) {
                                let outcome = try await catalogs[writer].commit(entries[index])
                                #expect(outcome == .committed)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try fixture.count("instances") == 240)
            #expect(try fixture.count("patients") == 4)
            #expect(try fixture.count("patients WHERE name = '' OR sex = ''") == 0)
            #expect(try fixture.count("studies WHERE accession = ''") == 0)
            #expect(try fixture.count("series WHERE number IS NULL") == 0)
            for catalog in catalogs { await catalog.shutdown() }
            #expect(try deadlocks(fixture) == before)
        }
    }

    private func deadlocks(_ fixture: CatalogFixture) throws -> String? {
        try fixture.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").first
    }

    @Test func `one instance sent by many at once is entered once`() async throws {
        try await CatalogFixture.with { fixture in
            let contents = (0..<4).map { InstanceEntry.sample(content: "\($0)") }
            let outcomes = try await withThrowingTaskGroup(of: CommitOutcome.self) { group in
                for number in 0..<32 {
                    let catalog = fixture.catalog
                    group.addTask { try await catalog.commit(contents[number % 4]) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(try fixture.count("instances") == 1)
            // Eight callers brought what was entered, the others something else.
            #expect(outcomes.filter { $0 == .committed }.count == 8)
        }
    }

    @Test func `patients without Patient ID are not merged`() async throws {
        try await CatalogFixture.with { fixture in
            for study in ["1", "2"] {
                for instance in 1...2 {
                    let entry = InstanceEntry.sample(study: study, instance: instance, patientID: "")
                    _ = try await fixture.catalog.commit(entry)
                }
            }
            #expect(try fixture.count("patients") == 2)
            let rows = try await fixture.catalog.studies(CatalogQuery())
            #expect(rows.map(\.patient.patientID) == ["", ""])
        }
    }

    @Test func `issuers keep equal Patient IDs apart`() async throws {
        try await CatalogFixture.with { fixture in
            var other = InstanceEntry.sample(study: "2")
            other.patient.issuer = "OTHER"
            _ = try await fixture.catalog.commit(.sample())
            _ = try await fixture.catalog.commit(other)
            #expect(try fixture.count("patients") == 2)
        }
    }

    @Test func `first attributes stay and empty ones are filled`() async throws {
        try await CatalogFixture.with { fixture in
            var first = InstanceEntry.sample(instance: 1)
            first.patient.name = ""
            first.study.description = ""
            first.series.number = nil
            first.series.date = "20231399"
            var second = InstanceEntry.sample(instance: 2)
            second.patient.sex = "M"
            second.study.accessionNumber = "CHANGED"
            second.series.modality = "MR"
            for entry in [first, second] { _ = try await fixture.catalog.commit(entry) }
            let row = try #require(try await fixture.catalog.series(CatalogQuery()).first)
            let expected = InstanceEntry.sample()
            #expect(row.patient == expected.patient)
            #expect(row.study == expected.study)
            #expect(row.series == expected.series)
        }
    }

    @Test func `a study keeps the patient it came with`() async throws {
        try await CatalogFixture.with { fixture in
            _ = try await fixture.catalog.commit(.sample(instance: 1, patientID: "P1"))
            _ = try await fixture.catalog.commit(.sample(series: "2", instance: 2, patientID: "P2"))
            #expect(try await fixture.catalog.studies(CatalogQuery()).map(\.patient.patientID) == ["P1"])
            #expect(try fixture.count("patients") == 1)
        }
    }

    @Test func `one Series Instance UID in two studies is two series`() async throws {
        try await CatalogFixture.with { fixture in
            let first = InstanceEntry.sample(study: "1")
            var second = InstanceEntry.sample(study: "2")
            second.series = first.series
            _ = try await fixture.catalog.commit(first)
            #expect(try await fixture.catalog.commit(second) == .committed)
            let studies = [first, second].map(\.study.studyInstanceUID)
            for study in studies {
                let found = try await fixture.catalog.instances(study: study, series: first.series.seriesInstanceUID)
                #expect(found.map(\.studyInstanceUID) == [study])
            }
        }
    }

    @Test func `a series that was removed behind the connection's back is made again`() async throws {
        try await CatalogFixture.with { fixture in
            _ = try await fixture.catalog.commit(.sample(instance: 1))
            _ = try fixture.sql("DELETE FROM instances; DELETE FROM series; DELETE FROM studies; DELETE FROM patients")
            #expect(try await fixture.catalog.commit(.sample(instance: 2)) == .committed)
            #expect(try await fixture.catalog.studies(CatalogQuery()).map(\.instanceCount) == [1])
        }
    }

    @Test func `hostile text is stored or refused, and its neighbours do not suffer`() async throws {
        try await CatalogFixture.with { fixture in
            var strange = InstanceEntry.sample(instance: 1)
            strange.patient.name = "Müller\u{0}^\"O'Hara\\%_*? " + String(repeating: "é", count: 5000)
            strange.study.description = "'; DROP TABLE instances; --"
            strange.instance.number = Int.max
            strange.instance.rows = -1
            var overlong = InstanceEntry.sample(instance: 2)
            overlong.instance.sopInstanceUID = String(repeating: "1", count: 200)
            var empty = InstanceEntry.sample(instance: 3)
            empty.study.studyInstanceUID = " "
            var patient = InstanceEntry.sample(instance: 4)
            patient.patient.patientID = String(repeating: "P", count: 3000)
            let unknownNode = InstanceEntry.sample(instance: 5, nodes: [NodeID(high: 9, low: 9)])
            let entries = [strange, overlong, empty, patient, unknownNode] + (6..<12).map { .sample(instance: $0) }
            let codes = await withTaskGroup(of: (Int, CatalogError.Code?).self) { group in
                for (index, entry) in entries.enumerated() {
                    let catalog = fixture.catalog
                    group.addTask {
                        do throws(CatalogError) {
                            _ = try await catalog.commit(entry)
                            return (index, nil)
                        } catch {
                            return (index, error.code)
                        }
                    }
                }
                return await group.reduce(into: [Int: CatalogError.Code]()) { $0[$1.0] = $1.1 }
            }
            #expect(codes == [1: .invalid, 2: .invalid, 3: .invalid, 4: .unknownNode])
            #expect(try fixture.count("instances") == 7)
            let row = try #require(try await fixture.catalog.studies(CatalogQuery()).first)
            #expect(row.study.description == "'; DROP TABLE instances; --")
        }
    }

    @Test func `dates survive from the first year to the last`() async throws {
        let dates = [
            "00010101", "15821015", "18991231", "19000228", "19000301", "19691231", "19700101", "19991231", "20000101",
            "20000229", "20000301", "20240229", "20991231", "21000228", "21000301", "99991231",
        ]
        try await CatalogFixture.with { fixture in
            for (index, date) in dates.enumerated() {
                var entry = InstanceEntry.sample(study: "\(index)")
                entry.study.date = date
                _ = try await fixture.catalog.commit(entry)
            }
            let found = try await fixture.catalog.studies(CatalogQuery())
            #expect(found.map(\.study.date) == dates.reversed())
            let stored = try fixture.sql("SELECT to_char(date, 'YYYYMMDD') FROM studies ORDER BY id")
            #expect(stored == dates)
        }
    }
}
