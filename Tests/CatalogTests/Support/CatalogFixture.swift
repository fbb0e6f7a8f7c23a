// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import Foundation
import Logging
import Placement

/// A database of its own for one test, with the schema and three nodes, and a catalog on it.
struct CatalogFixture {
    let server: PostgresServer
    let database: String
    let catalog: Catalog

    static let nodes: [StorageMember] = (1...3).map { number in
        StorageMember(
            id: NodeID(high: 0x1000, low: UInt64(number)),
            name: "storage-\(number)",
            host: "127.0.0.1",
            port: 7000 + number,
            domain: FailureDomain(host: "host-\(number)")
        )
    }

    /// Runs `body` with a fresh database.
    static func with(
        server: PostgresServer? = nil,
        _ body: (CatalogFixture) async throws -> Void,
        configure: (inout Catalog.Configuration) -> Void = { _ in }
    ) async throws {
        let server = try server ?? PostgresServer.shared()
        await turnstile.enter()
        do {
            let database = try server.makeDatabase()
            let catalog = try open(server, database, configure)
            do {
                _ = try await catalog.migrate()
                for node in nodes { try await catalog.register(node) }
                try await body(CatalogFixture(server: server, database: database, catalog: catalog))
            } catch {
                await catalog.shutdown()
                throw error
            }
            await catalog.shutdown()
        } catch {
            await turnstile.leave()
            throw error
        }
        await turnstile.leave()
    }

    /// Each test has connections of its own, of which a server takes so many: all tests at once were sometimes too many.
    private static let turnstile = Turnstile(places: 24)

    static func open(
        _ server: PostgresServer,
        _ database: String,
        _ configure: (inout Catalog.Configuration) -> Void = { _ in }
    ) throws -> Catalog {
        var configuration = Catalog.Configuration(connectionString: server.connectionString(database: database))
        configuration.poolSize = 2
        // The machine that runs the tests may be busy: only tests about deadlines have short ones.
        configuration.commitTimeout = .seconds(60)
        configuration.queryTimeout = .seconds(60)
        configure(&configuration)
        return try Catalog(configuration: configuration, logger: logger)
    }

    static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    func sql(_ text: String) throws -> [String] { try server.sql(text, database: database) }

    func count(_ table: String) throws -> Int { Int(try sql("SELECT count(*) FROM \(table)").first ?? "") ?? -1 }
}

extension InstanceEntry {
    /// An entry of study `study`, its series `series` and the instance `instance` in that; content by `content`.
    static func sample(
        study: String = "1",
        series: String = "1",
        instance: Int = 1,
        content: String = "",
        patientID: String = "P1",
        nodes: [NodeID] = Array(CatalogFixture.nodes.prefix(2).map(\.id))
    ) -> InstanceEntry {
        let studyUID = "1.2.826.0.1.3680043.9.\(study)"
        let uid = "\(studyUID).\(series).\(instance)"
        var hasher = SHA256Hasher()
        hasher.update(Array("\(uid)/\(content)".utf8))
        let digest = hasher.digest()
        guard let recordID = RecordID(group: PlacementGroup(studyInstanceUID: studyUID), digest: digest.bytes) else {
            preconditionFailure("a digest has more than 14 bytes")
        }
        return InstanceEntry(
            patient: PatientAttributes(patientID: patientID, name: "Doe^Jane", birthDate: "19700102", sex: "F"),
            study: StudyAttributes(
                studyInstanceUID: studyUID,
                date: "20240229",
                time: "101112.5",
                accessionNumber: "A\(study)",
                description: "CT THORAX",
                referringPhysicianName: "House^Gregory",
                studyID: "S\(study)"
            ),
            series: SeriesAttributes(
                seriesInstanceUID: "\(studyUID).\(series)",
                modality: "CT",
                number: Int(series),
                description: "LUNG 1.0",
                bodyPartExamined: "CHEST",
                stationName: "CT1",
                laterality: "",
                date: "20240229",
                time: "101200",
                institutionName: "General"
            ),
            instance: InstanceAttributes(
                sopInstanceUID: uid,
                sopClassUID: "1.2.840.10008.5.1.4.1.1.2",
                number: instance,
                rows: 512,
                columns: 512
            ),
            contentDigest: digest,
            pixelDigest: digest,
            receivedTransferSyntax: "1.2.840.10008.1.2.1",
            storedTransferSyntax: "1.2.840.10008.1.2.4.80",
            receivedByteCount: 525_000,
            storedByteCount: 210_000,
            recordID: recordID,
            nodes: nodes,
            receivedAtMilliseconds: 1_700_000_000_000 + Int64(instance),
            callingAETitle: "CT1"
        )
    }
}

/// A generator that gives the same numbers for the same seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    /// The seed of `VARVE_TEST_SEED`, or a new one; printed, so that a failure can be repeated.
    static func fromEnvironment(_ test: String = #function) -> SeededGenerator {
        let seed =
            ProcessInfo.processInfo.environment["VARVE_TEST_SEED"].flatMap { UInt64($0) }
            ?? UInt64.random(in: 1...1_000_000)
        FileHandle.standardError.write(Data("\(test): VARVE_TEST_SEED=\(seed)\n".utf8))
        return SeededGenerator(seed: seed)
    }

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
        return bits ^ (bits >> 31)
    }
}
