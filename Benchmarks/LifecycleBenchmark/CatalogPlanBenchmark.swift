// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import Lifecycle
import LifecyclePlanning
import Logging
import Placement
import Supervisor

/// How long a plan takes from a catalog of so many studies, one instance each, in a Postgres of its own.
///
/// Prints how long the instances took to enter, their facts to collect, the fastest of three plans, without and with
/// a rule set that holds already, and how long it takes to judge all studies and keep what comes out, as a coordinator does.
struct CatalogPlanBenchmark {
    let directory: String
    let studyCount: Int

    /// Instances that are entered at once.
    private static let width = 1_024

    func run(_ ruleSet: RuleSet, on day: CalendarDate) async throws {
        let logger = Logger(label: "lifecycle-benchmark") { _ in SwiftLogNoOpLogHandler() }
        let supervisor = try ProcessSupervisor(directory: directory, restart: false, logger: logger)
        let postgres = try PrivatePostgres(supervisor: supervisor, logger: logger)
        try await postgres.start()
        var configuration = Catalog.Configuration(connectionString: postgres.connectionString)
        configuration.queryTimeout = .seconds(600)
        configuration.commitTimeout = .seconds(120)
        configuration.maximumQueuedEntryCount = 2 * Self.width
        let catalog = try Catalog(configuration: configuration, logger: logger)
        do {
            _ = try await catalog.migrate()
            try await measure(catalog, ruleSet, on: day)
        } catch {
            print("failed: \(error)")
        }
        await catalog.shutdown()
        await supervisor.stopAll()
        supervisor.close()
    }

    private func measure(_ catalog: Catalog, _ ruleSet: RuleSet, on day: CalendarDate) async throws {
        let clock = ContinuousClock()
        let there = try await catalog.totals(wantedCopies: 1).studyCount
        if there < studyCount {
            let took = try await clock.measure { try await fill(catalog, from: there) }
            print("entered: \(seconds(took)) s, \(Int(Double(studyCount - there) / (took / .seconds(1)))) a second")
        }
        // As the server does by itself after a while.
        try await catalog.vacuum()
        let planner = Planner(catalog)
        let collected = try await clock.measure { try await planner.collect(limit: .seconds(7_200)) }
        print("facts collected: \(seconds(collected)) s")
        try await catalog.vacuum()
        for table in try await catalog.tableSizes() where table.name == "study_facts" {
            print("facts: \(table.byteCount / max(1, studyCount)) bytes a study, with the index")
        }
        for old in [nil, ruleSet] {
            var best = Duration.seconds(3_600)
            var totals = PlanTotals(of: ruleSet)
            for _ in 0..<3 {
                let took = try await clock.measure {
                    totals = try await planner.plan(RuleSetChange(to: ruleSet, from: old), on: day)
                }
                best = min(best, took)
            }
            print(
                "plan\(old == nil ? "" : " beside another rule set"): \(seconds(best)) s, \(totals.all.studies) studies"
            )
        }
        let listed = try await clock.measure {
            _ = try await planner.list(RuleSetChange(to: ruleSet, from: nil), on: day, limit: 10_000)
        }
        print("list of 10000: \(seconds(listed)) s")
        try await judgeAll(catalog, ruleSet, on: day)
    }

    /// Judges all studies and keeps the decisions, twice: the second time they replace those of the version before.
    private func judgeAll(_ catalog: Catalog, _ ruleSet: RuleSet, on day: CalendarDate) async throws {
        guard let term = try await catalog.acquireLease(holder: "benchmark", duration: .seconds(7_200)) else {
            print("not judged: a coordinator leads this catalog")
            return
        }
        for what in ["judged and kept", "judged and kept again, by the next version"] {
            let before = try await catalog.currentRuleSet()?.version ?? 0
            let version = try await catalog.loadRuleSet(
                "# what the rules are this program knows, judged at \(before)",
                replacing: before,
                loadedBy: "benchmark",
                reason: "to measure"
            )
            let round = LifecycleRound(catalog: catalog, ruleSet: ruleSet, version: version, day: day, term: term)
            let took = try await ContinuousClock().measure { while try await round.passPage() {} }
            let kept = try await catalog.policyCounts().reduce(0) { $0 + ($1.version == version ? $1.studyCount : 0) }
            print("\(what): \(seconds(took)) s, \(kept) studies")
            try await catalog.vacuum()
        }
        try await catalog.releaseLease(holder: "benchmark", term: term)
    }

    private func fill(_ catalog: Catalog, from first: Int) async throws {
        let node = StorageMember(
            id: NodeID(high: 1, low: 1),
            name: "one",
            host: "127.0.0.1",
            port: 7_001,
            domain: FailureDomain(host: "one")
        )
        try await catalog.register(node)
        let begin = max(0, first - Self.width)
        let count = studyCount
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for lane in 0..<Self.width {
                tasks.addTask {
                    for study in stride(from: begin + lane, to: count, by: Self.width) {
                        _ = try await catalog.commit(Self.entry(study, node.id))
                    }
                }
            }
            try await tasks.waitForAll()
        }
    }

    private static let kinds = [
        ("CR", "Thorax p.a.", "CHEST"), ("CT", "CT Abdomen nativ", "ABDOMEN"),
        ("MR", "MRT Schädel nativ und KM", "HEAD"),
        ("US", "Sonographie Abdomen", ""), ("MG", "Screening beidseits", "BREAST"),
        ("XA", "Koronarangiographie", "HEART"),
    ]

    /// The only instance of a study; three studies a patient, of eleven years.
    private static func entry(_ study: Int, _ node: NodeID) -> InstanceEntry {
        let uid = "1.2.826.0.1.3680043.9.7.\(study)"
        var hasher = SHA256Hasher()
        hasher.update(Array(uid.utf8))
        let digest = hasher.digest()
        guard let record = RecordID(studyInstanceUID: uid, sopInstanceUID: "\(uid).1.1", payloadDigest: digest) else {
            preconditionFailure("a digest has the bytes of a record id")
        }
        let (kind, patient) = (kinds[study % kinds.count], study / 3)
        let date = dicom(CalendarDate(dayNumber: 16_600 + study * 7_919 % 4_000))
        return InstanceEntry(
            patient: PatientAttributes(
                patientID: "P\(patient)",
                issuer: "HOSPITAL",
                name: "DOE^\(patient)",
                birthDate: dicom(CalendarDate(dayNumber: patient * 104_729 % 18_000)),
                sex: "F"
            ),
            study: StudyAttributes(
                studyInstanceUID: uid,
                date: date,
                time: "101500",
                accessionNumber: "A\(study)",
                description: kind.1,
                referringPhysicianName: "",
                studyID: ""
            ),
            series: SeriesAttributes(
                seriesInstanceUID: "\(uid).1",
                modality: kind.0,
                number: 1,
                description: "",
                bodyPartExamined: kind.2,
                stationName: "STATION\(study % 40)",
                date: date,
                time: "101500",
                institutionName: "Klinik am Rande der Stadt"
            ),
            instance: InstanceAttributes(
                sopInstanceUID: "\(uid).1.1",
                sopClassUID: "1.2.840.10008.5.1.4.1.1.2",
                number: 1,
                rows: 512,
                columns: 512
            ),
            contentDigest: digest,
            pixelDigest: digest,
            receivedTransferSyntax: "1.2.840.10008.1.2.1",
            storedTransferSyntax: "1.2.840.10008.1.2.4.80",
            receivedByteCount: 526_000,
            storedByteCount: 200_000,
            recordID: record,
            nodes: [node],
            receivedAtMilliseconds: 1_600_000_000_000 + Int64(study) * 37,
            callingAETitle: "MODALITY\(study % 40)"
        )
    }

    private static func dicom(_ date: CalendarDate?) -> String {
        (date?.description ?? "").filter { $0 != "-" }
    }

    private func seconds(_ duration: Duration) -> Double { (duration / .seconds(1) * 100).rounded() / 100 }
}
