// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Glibc
import Ingest
import Logging
import Supervisor
import Telemetry

/// `varve up`: a whole cluster on this machine, each role a process of its own.
struct UpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Run a whole cluster on this machine: private Postgres, coordinator, ingest and storage nodes.",
        discussion: """
            Example: varve up --data ./varve-data
            Stays in the foreground; SIGTERM or Ctrl-C stops everything in order. A second start on the same directory
            continues where the first stopped.
            """
    )

    @Option(help: "The directory of everything the cluster keeps; made when it does not exist.") var data: String
    @Option(help: "Storage nodes.") var storageNodes = 3
    @Option(help: "Disks of each storage node: directories beside its own, to try what several do.") var disks = 1
    @Option(help: "Coordinators; one leads, the others stand by.") var coordinators = 1
    @Option(help: "Ingest nodes; the second listens one port higher, and so on.") var ingestNodes = 1
    @Option(help: "Copies an instance should have.") var copies = 2
    @Option(help: "Durable copies on distinct hosts that make a success.") var ack = 2
    @Option(help: "DICOM port of the first ingest node.") var dicomPort = 11112
    @Option(help: "HTTP port of the first ingest node.") var httpPort = 8042
    @Option(
        name: .customLong("destination"),
        help: "AE=HOST:PORT that C-MOVE may send to, and that reports of storage commitment go to; can be repeated."
    )
    var destinations: [String] = []
    @Option(help: "Pages of this origin may read over DICOMweb, '*' for all; can be repeated.")
    var corsOrigin: [String] = []
    @Option(help: "What DELETE over DICOMweb does: off (it is refused) or trash.") var httpDelete = "off"
    @Option(help: "Compression, always proven: fast (HTJ2K), balanced (JPEG-LS), dense (the smallest), as-received.")
    var codec = "balanced"
    @Option(help: "Instances that break rules of the standard: accept, warn, refuse or quarantine.")
    var validation = "accept"
    @Option(help: "Every byte on a storage node's disk is read and checked within so many seconds; 0: never.")
    var scrubSeconds = 14 * 86_400
    @Option(
        help: """
            A storage node that has lost what it cannot name is compared with the others after so many seconds. A store \
            fails whose copies come further apart than half of that.
            """
    )
    var lossSettlingSeconds = 600
    @Option(help: "A request for storage commitment waits so many seconds for copies that are not good yet.")
    var commitmentPatienceSeconds = 600
    @Option(
        name: .customLong("coordinator-setting"),
        help: """
            KEY=VALUE of the coordinators' configuration, as deploy/varve.example.yaml has them (out-seconds=60, for \
            example); can be repeated.
            """
    )
    var coordinatorSettings: [String] = []
    @Option(
        name: .customLong("ingest-setting"),
        help: "KEY=VALUE of the ingest nodes' configuration (watch-sample=0, for example); can be repeated."
    )
    var ingestSettings: [String] = []
    @Option(
        name: .customLong("storage-setting"),
        help: "KEY=VALUE of the storage nodes' configuration (weight=100, for example); can be repeated."
    )
    var storageSettings: [String] = []
    @Option(help: "Use this Postgres (libpq connection string or URL) instead of a private one.")
    var postgres: String?
    @Flag(
        inversion: .prefixedNo,
        help: """
            TLS between the processes, with certificates that are made and renewed in the directory's 'tls'. Without it, \
            other users of this machine can connect to the storage nodes.
            """
    )
    var tls = false
    @Flag(help: "Leave a dead process dead instead of starting it again.") var noRestart = false
    @Option(help: "A process that dies again and again is started again after so many seconds at most.")
    var restartDelayLimit = 5.0
    @Option(help: "How long to wait until everything serves, in seconds.") var readyTimeout = 120

    func validate() throws {
        guard (1...64).contains(storageNodes) else { throw ValidationError("--storage-nodes must be from 1 to 64") }
        guard (1...16).contains(disks) else { throw ValidationError("--disks must be from 1 to 16") }
        guard (1...8).contains(coordinators) else { throw ValidationError("--coordinators must be from 1 to 8") }
        guard (1...16).contains(ingestNodes) else { throw ValidationError("--ingest-nodes must be from 1 to 16") }
        for origin in corsOrigin {
            if let problem = IngestConfiguration.problem(withOrigin: origin) {
                throw ValidationError("--cors-origin \(origin): \(problem)")
            }
        }
        guard HTTPDeletePolicy(rawValue: httpDelete) != nil else {
            throw ValidationError("--http-delete is '\(httpDelete)', it must be off or trash")
        }
        guard (0...1 << 31).contains(scrubSeconds) else {
            throw ValidationError("--scrub-seconds must be from 0 to \(1 << 31)")
        }
        for text in coordinatorSettings where text.split(separator: "=", maxSplits: 1).count != 2 {
            throw ValidationError("--coordinator-setting is '\(text)', it must be KEY=VALUE")
        }
        for text in ingestSettings where text.split(separator: "=", maxSplits: 1).count != 2 {
            throw ValidationError("--ingest-setting is '\(text)', it must be KEY=VALUE")
        }
        for text in storageSettings where text.split(separator: "=", maxSplits: 1).count != 2 {
            throw ValidationError("--storage-setting is '\(text)', it must be KEY=VALUE")
        }
        for text in destinations where MoveDestination(text) == nil {
            throw ValidationError("--destination is '\(text)', it must be AE=HOST:PORT")
        }
        guard (2...86_400).contains(lossSettlingSeconds) else {
            throw ValidationError("--loss-settling-seconds must be from 2 to 86400")
        }
        guard (0...604_800).contains(commitmentPatienceSeconds) else {
            throw ValidationError("--commitment-patience-seconds must be from 0 to 604800")
        }
        guard (0.1...3_600).contains(restartDelayLimit) else {
            throw ValidationError("--restart-delay-limit must be from 0.1 to 3600 seconds")
        }
        guard ack >= 1, copies >= ack, storageNodes >= copies else {
            throw ValidationError("it must be 1 <= --ack <= --copies <= --storage-nodes")
        }
    }

    func run() async throws {
        LoggingSystem.bootstrap { LineLogHandler(label: $0) }
        // Every configuration key is also a variable, which would reach all children and override what each is told.
        for variable in ProcessInfo.processInfo.environment.keys where variable.hasPrefix("VARVE_") {
            unsetenv(variable)
        }
        let layout = try ClusterLayout(directory: data)
        let cluster = LocalCluster(options: self, layout: layout, logger: Logger(label: "up"))
        try await cluster.run()
    }
}
