// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Catalog
import Foundation
import Ingest
import Logging

/// `varve catalog ...`: what Postgres knows against what the storage nodes hold.
struct CatalogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "catalog",
        abstract: "Look after the catalog.",
        subcommands: [CatalogCheckCommand.self, CatalogMigrateCommand.self]
    )
}

/// `varve catalog migrate`.
struct CatalogMigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Bring the catalog's schema up to date, as a coordinator does when it leads.",
        discussion: """
            Safe while the archive serves, and to be repeated. With --contract, also takes away what only versions before \
            this one need: none of their processes may run then (docs/upgrading.md).

            Example: varve catalog migrate --catalog 'host=db.hospital.example dbname=varve user=varve'
            """
    )

    @Option(help: "The catalog's Postgres: libpq's connection string, or VARVE_CATALOG.")
    var catalog = ProcessInfo.processInfo.environment["VARVE_CATALOG"] ?? ""
    @Flag(help: "Also take away what only older versions need.") var contract = false

    func validate() throws {
        guard !catalog.isEmpty else { throw ValidationError("--catalog, or VARVE_CATALOG, must name the Postgres") }
    }

    func run() async throws {
        let logger = Logger(label: "varve.catalog") { _ in SwiftLogNoOpLogHandler() }
        let configuration = Catalog.Configuration(connectionString: catalog)
        let catalog = try Catalog(configuration: configuration, logger: logger)
        let result: Result<[Int], CatalogError>
        do throws(CatalogError) {
            result = .success(try await catalog.migrate(contracting: contract))
        } catch {
            result = .failure(error)
        }
        await catalog.shutdown()
        let applied = try result.get().map { String($0) }
        output(
            applied.isEmpty
                ? "the schema is up to date: nothing was done" : "done now: steps \(applied.joined(separator: ", "))"
        )
    }
}

/// `varve catalog check`.
struct CatalogCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Compare every record of the storage nodes with the catalog; exit status 1 when they differ.",
        discussion: """
            Reports rows without a record (missing), records without a row (orphan) and records that cannot be read. \
            With --adopt, records that the catalog does not know are proven and entered; nothing is ever removed.

            Example: varve catalog check --adopt
            """
    )

    /// Placement groups of a cluster.
    private static let groupCount = 1024

    @OptionGroup var server: ServerOptions
    @Flag(help: "Enter records that the catalog does not know.") var adopt = false
    @Option(help: "Leave out records received in the last so many seconds: their store may be under way.")
    var grace = 600

    func run() async throws {
        let client = AdminClient(server)
        var total = CatalogCheckTotal()
        var lastWord = ContinuousClock.now
        for group in 0..<Self.groupCount {
            let path = "/api/v1/catalog/check?group=\(group)&adopt=\(adopt)&grace=\(grace)"
            let report = try await client.post(path, as: CatalogCheckReport.self)
            if !server.json {
                for finding in report.findings {
                    output("\(finding.kind.rawValue) \(finding.record) \(finding.sopInstanceUID): \(finding.reason)")
                }
            }
            total.add(report)
            if ContinuousClock.now - lastWord > .seconds(3) {
                complain("\(group + 1) of \(Self.groupCount) groups, \(total.records) records compared")
                lastWord = .now
            }
        }
        if server.json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            FileHandle.standardOutput.write(try encoder.encode(total) + Data("\n".utf8))
        } else {
            output(
                "\(total.records) records, \(total.rows) rows: \(total.adopted) entered, \(total.findingCount) findings,"
                    + " \(total.young) too young to judge"
                    + (total.trashed > 0 ? ", \(total.trashed) in the trash and not yet deleted on every node" : "")
            )
            if !total.silentNodes.isEmpty {
                output("nodes that did not answer: \(total.silentNodes.sorted().joined(separator: ", "))")
            }
        }
        if total.findingCount > 0 || !total.silentNodes.isEmpty { throw ExitCode(1) }
    }
}

/// The reports of all groups together.
private struct CatalogCheckTotal: Encodable {
    var records = 0
    var rows = 0
    var adopted = 0
    var young = 0
    /// Of the trash, and not yet deleted on every node.
    var trashed = 0
    var findingCount = 0
    var findings: [CatalogCheckReport.Finding] = []
    var silentNodes: Set<String> = []

    mutating func add(_ report: CatalogCheckReport) {
        records += report.records
        rows += report.rows
        adopted += report.adopted
        young += report.young
        trashed += report.trashed ?? 0
        findingCount += report.findingCount
        findings += report.findings
        silentNodes.formUnion(report.silentNodes)
    }
}
