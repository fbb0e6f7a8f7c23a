// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `varve bench ...`: what the parts of an archive can do on this machine.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Load a part of the archive and report throughput and latency.",
        subcommands: [CatalogBenchCommand.self]
    )
}
