// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// `varve bench catalog`.
struct CatalogBenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "catalog",
        abstract: "Fill a catalog and measure it: searches, stores and bytes an instance.",
        discussion: """
            Starts two Postgres of its own, as 'varve up' does, fills one with 10,000 instances and the other with as many \
            as asked for, and measures both in turn. They live in a temporary directory that is removed at the end, or in \
            --data, where they stay: a second run then only measures. Ten million instances take 4 GB.

            Example: varve bench catalog --instances 1000000
            """
    )

    @Option(help: "Instances in the large catalog: 100 a study.") var instances = 1_000_000
    @Option(help: "Clients at once.") var clients = 4
    @Option(help: "Searches of each kind and client.") var searches = 500
    @Option(help: "Instances that each client enters, one after the other, in each of five rounds.") var stores = 400
    @Option(help: "Keep the databases here, and fill them only when they are not full.") var data: String?
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        guard (CatalogBench.smallInstanceCount...100_000_000).contains(instances) else {
            throw ValidationError("--instances must be from \(CatalogBench.smallInstanceCount) to 100000000")
        }
        guard (1...64).contains(clients) else { throw ValidationError("--clients must be from 1 to 64") }
        guard (1...1_000_000).contains(searches) else { throw ValidationError("--searches must be from 1 to 1000000") }
        guard (1...1_000_000).contains(stores) else { throw ValidationError("--stores must be from 1 to 1000000") }
    }

    func run() async throws {
        let directory = try data ?? Self.makeTemporaryDirectory()
        let result: Result<CatalogBenchReport, any Error>
        do {
            let bench = CatalogBench(
                directory: directory,
                instanceCount: instances,
                clientCount: clients,
                searchCount: searches,
                storeCount: stores,
                progress: { complain($0) }
            )
            result = .success(try await bench.run())
        } catch {
            result = .failure(error)
        }
        if data == nil {
            do {
                try FileManager.default.removeItem(atPath: directory)
            } catch {
                complain("the databases stay in \(directory): \(error.localizedDescription)")
            }
        }
        let report = try result.get()
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            FileHandle.standardOutput.write(try encoder.encode(report) + Data("\n".utf8))
        } else {
            output(report.text)
        }
    }

    /// Where the user that Postgres runs as can get in.
    private static func makeTemporaryDirectory() throws -> String {
        let path = NSTemporaryDirectory() + "varve-bench-\(ProcessInfo.processInfo.processIdentifier)"
        try FileManager.default.createDirectory(
            atPath: path,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o755]
        )
        return path
    }
}
