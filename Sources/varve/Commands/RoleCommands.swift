// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import CPlatform
import Coordinator
import Ingest
import Logging
import ReplicationProtocol
import ServiceLifecycle
import StorageNode
import Telemetry
import UnixSignals

/// What the three role commands have in common.
struct RoleOptions: ParsableArguments {
    @Option(help: "The YAML configuration file; see deploy/varve.example.yaml for every key.")
    var config: String?

    @Flag(help: "Check the configuration and exit.")
    var checkConfig = false

    @Option(help: "How much to log: trace, debug, info, notice, warning, error.")
    var logLevel = "info"

    func bootstrapLogging(_ name: String) throws -> Logger {
        guard let level = Logger.Level(rawValue: logLevel) else {
            throw ValidationError("--log-level \(logLevel): use trace, debug, info, notice, warning or error")
        }
        LoggingSystem.bootstrap { label in
            var handler = LineLogHandler(label: label)
            handler.logLevel = level
            return handler
        }
        return Logger(label: name)
    }
}

/// Lets the allocator keep up to 64 MiB that are free, instead of giving an image's memory back after every image.
///
/// By its defaults glibc returns memory at once, and the next image's buffers are faulted in page by page: a tenth of
/// the throughput (docs/benchmarks.md).
private func keepFreedMemory() {
    varve_keep_freed_memory(64 << 20)
}

/// Runs one role until SIGTERM or SIGINT, which end it in order.
func runUntilSignalled(_ service: some Service, logger: Logger) async throws {
    keepFreedMemory()
    let group = ServiceGroup(
        configuration: .init(
            services: [.init(service: service)],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger
        )
    )
    try await group.run()
}

/// `varve ingest`.
struct IngestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ingest",
        abstract: "Run an ingest node: DICOM and DICOMweb in and out.",
        discussion: "Example: varve ingest --config /etc/varve/ingest.yaml"
    )

    @OptionGroup var options: RoleOptions

    func run() async throws {
        let logger = try options.bootstrapLogging("ingest")
        var settings = try Settings(path: options.config)
        let tls = try await settings.tls(.ingest, logger: logger)
        var configuration = try IngestConfiguration(&settings)
        configuration.tls = tls
        if options.checkConfig { return output("the configuration is valid") }
        try await runUntilSignalled(
            IngestNode(configuration: configuration, version: Version.text, logger: logger),
            logger: logger
        )
    }
}

/// `varve storage`.
struct StorageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "storage",
        abstract: "Run a storage node: keeps records on its disks.",
        discussion: "Example: varve storage --config /etc/varve/storage.yaml"
    )

    @OptionGroup var options: RoleOptions

    func run() async throws {
        let logger = try options.bootstrapLogging("storage")
        var settings = try Settings(path: options.config)
        let tls = try await settings.tls(.storage, logger: logger)
        var configuration = try StorageNodeConfiguration(&settings)
        configuration.tls = tls
        if options.checkConfig { return output("the configuration is valid") }
        try await runUntilSignalled(StorageNode(configuration: configuration, logger: logger), logger: logger)
    }
}

/// `varve coordinator`.
struct CoordinatorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "coordinator",
        abstract: "Run a coordinator: membership and placement.",
        discussion: "Example: varve coordinator --config /etc/varve/coordinator.yaml"
    )

    @OptionGroup var options: RoleOptions

    func run() async throws {
        let logger = try options.bootstrapLogging("coordinator")
        var settings = try Settings(path: options.config)
        let tls = try await settings.tls(.coordinator, logger: logger)
        var configuration = try CoordinatorConfiguration(&settings)
        configuration.tls = tls
        if options.checkConfig { return output("the configuration is valid") }
        try await runUntilSignalled(Coordinator(configuration: configuration, logger: logger), logger: logger)
    }
}
