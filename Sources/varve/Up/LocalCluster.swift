// SPDX-License-Identifier: Apache-2.0

import ClusterCertificates
import Foundation
import Logging
import Placement
import ReplicationProtocol
import ReplicationTransport
import Supervisor
import UnixSignals

/// Starts the processes of `varve up` in order, waits until they serve, and stops them in the opposite order.
struct LocalCluster {
    let options: UpCommand
    let layout: ClusterLayout
    let logger: Logger

    /// Runs until SIGTERM or SIGINT, or until the start fails.
    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let supervisor = try ProcessSupervisor(
            directory: layout.directory,
            restart: !options.noRestart,
            logger: logger
        )
        let result: Result<Void, any Error>
        do {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask {
                    for await _ in signals { return }
                }
                tasks.addTask {
                    try await start(supervisor)
                    announce()
                    // The supervisor restarts and logs by itself; this ends when the signal cancels it.
                    for await _ in supervisor.events {}
                }
                defer { tasks.cancelAll() }
                try await tasks.next()
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        logger.info("stopping all processes")
        await supervisor.stopAll()
        supervisor.close()
        try result.get()
    }

    private func announce() {
        let addresses = (0..<options.ingestNodes).map { index in
            "dicom=127.0.0.1:\(options.dicomPort + index) http=http://127.0.0.1:\(options.httpPort + index)"
        }
        output("varve: ready \(addresses.joined(separator: " "))")
    }

    private func start(_ supervisor: ProcessSupervisor) async throws {
        let catalog = try await startPostgres(supervisor)
        let names = (1...options.storageNodes).map { "storage-\($0)" }
        let served = (0..<options.ingestNodes).flatMap { [options.dicomPort + $0, options.httpPort + $0] }
        let ports = try layout.ports(forStorageNodes: names, except: Set(served))
        let nodes = zip(names, ports).map { (name: $0, port: $1) }
        for node in nodes {
            try await start(
                supervisor,
                role: "storage",
                name: node.name,
                [
                    "name: \(node.name)",
                    "cluster: \(layout.cluster)",
                    "data: \(quoted(layout.directory + "/" + node.name))",
                    "listen:",
                    "  host: 127.0.0.1",
                    "  port: \(node.port)",
                    "domain:",
                    "  host: \(node.name)",
                    // The whole cluster shares one disk here: the default reserve of every node would add up.
                    "minimum-free-bytes: \(256 << 20)",
                    "scrub-seconds: \(options.scrubSeconds)",
                ] + sockets + disks(of: node.name) + lines(options.storageSettings)
            )
        }
        for number in 1...options.coordinators {
            try await start(
                supervisor,
                role: "coordinator",
                name: "coordinator-\(number)",
                [
                    "name: coordinator-\(number)",
                    "cluster: \(layout.cluster)",
                    "catalog: \(quoted(catalog))",
                    "loss-settling-seconds: \(options.lossSettlingSeconds)",
                    "copies: \(options.copies)",
                ] + lines(options.coordinatorSettings) + ["storage-nodes:"]
                    + nodes.map { "  - \($0.name)=127.0.0.1:\($0.port)" }
            )
        }
        for number in 1...options.ingestNodes {
            try await start(
                supervisor,
                role: "ingest",
                name: "ingest-\(number)",
                [
                    "name: ingest-\(number)",
                    "cluster: \(layout.cluster)",
                    "catalog: \(quoted(catalog))",
                    "spool: \(quoted(layout.directory + "/ingest-\(number)/spool"))",
                    "dicom:",
                    "  host: 127.0.0.1",
                    "  port: \(options.dicomPort + number - 1)",
                    "http:",
                    "  host: 127.0.0.1",
                    "  port: \(options.httpPort + number - 1)",
                    "  delete: \(options.httpDelete)",
                ] + corsOrigins + [
                    "copies: \(options.copies)",
                    "ack: \(options.ack)",
                    "acknowledgement-spread-seconds: \(max(1, options.lossSettlingSeconds / 2))",
                    "commitment-patience-seconds: \(options.commitmentPatienceSeconds)",
                    "codec: \(options.codec)",
                    "validation: \(options.validation)",
                ] + sockets + moveDestinations + lines(options.ingestSettings)
            )
        }
        for number in 1...options.ingestNodes {
            try await waitUntilReady(supervisor, "ingest-\(number)", port: options.httpPort + number - 1)
        }
    }

    private func start(
        _ supervisor: ProcessSupervisor,
        role: String,
        name: String,
        _ configuration: [String]
    ) async throws {
        let path = try layout.writeConfiguration(name, configuration + tls(role: role, name: name))
        var backOff = ChildSpecification.BackOff()
        backOff.maximum = .milliseconds(Int64(options.restartDelayLimit * 1000))
        backOff.initial = min(backOff.initial, backOff.maximum)
        try await supervisor.start(
            ChildSpecification(
                name: name,
                executable: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"),
                arguments: [role, "--config", path],
                backOff: backOff
            )
        )
    }

    /// The line about the directory where the processes meet, unless sockets in it would have too long a path.
    private var sockets: [String] {
        let directory = layout.directory + "/run"
        return LocalSocket.isUsable(directory) ? ["socket-directory: \(quoted(directory))"] : []
    }

    /// Further lines of a configuration, from KEY=VALUE.
    private func lines(_ settings: [String]) -> [String] {
        settings.map { text in
            let parts = text.split(separator: "=", maxSplits: 1)
            return "\(parts[0]): \(quoted(String(parts[1])))"
        }
    }

    /// An ingest node's lines about where C-MOVE may send to.
    private var moveDestinations: [String] {
        options.destinations.isEmpty ? [] : ["destinations:"] + options.destinations.map { "  - \(quoted($0))" }
    }

    /// The line of the ingest node's `http` section about pages of other origins.
    private var corsOrigins: [String] {
        guard !options.corsOrigin.isEmpty else { return [] }
        return ["  cors-origins: [\(options.corsOrigin.map(quoted).joined(separator: ", "))]"]
    }

    /// The storage node's lines about its disks, whose directories are made.
    ///
    /// Its own directory is the first, so that a cluster that has had one disk a node can be given more.
    private func disks(of node: String) throws -> [String] {
        guard options.disks > 1 else { return [] }
        return try ["disks:"] + layout.diskDirectories(of: node, count: options.disks).map { "  - \(quoted($0))" }
    }

    /// The process's lines about TLS, and its certificate, made or renewed where that is due.
    private func tls(role: String, name: String) throws -> [String] {
        guard options.tls else { return ["tls: off"] }
        let now = Date()
        let authority = CertificateIdentity.authorityURI(of: layout.cluster)
        let directory = try CertificateDirectory.openOrCreate(layout.directory + "/tls", uri: authority, now: now)
        guard let role = NodeRole(name: role),
            let identity = CertificateIdentity(cluster: layout.cluster, role: role, name: name)
        else { throw CommandError("no certificate can name the \(role) process \(name)") }
        let files = try directory.files(name: name, uri: identity.description, now: now)
        return [
            "tls:",
            "  ca: \(quoted(files.authority))",
            "  certificate: \(quoted(files.certificate))",
            "  key: \(quoted(files.key))",
        ]
    }

    /// Starts the private Postgres, unless another was named; returns the connection string.
    private func startPostgres(_ supervisor: ProcessSupervisor) async throws -> String {
        if let postgres = options.postgres { return postgres }
        let postgres = try PrivatePostgres(supervisor: supervisor, logger: logger)
        try await postgres.start()
        return postgres.connectionString
    }

    /// Asks `/readyz` until it says yes, or until the process is dead and stays so.
    private func waitUntilReady(_ supervisor: ProcessSupervisor, _ name: String, port: Int) async throws {
        let deadline = ContinuousClock.now + .seconds(options.readyTimeout)
        while let reason = await ReadinessProbe.reasonNotReady(port: port) {
            let child = await supervisor.children().first { $0.name == name }
            if let child, child.hasEnded {
                let status = child.lastExit.map { " (\($0))" } ?? ""
                throw CommandError("\(name) ended before it served\(status): see \(layout.directory)/log/\(name).log")
            }
            guard ContinuousClock.now < deadline else {
                throw CommandError(
                    "the cluster does not serve after \(options.readyTimeout) s: \(reason);"
                        + " see \(layout.directory)/log/*.log"
                )
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// A YAML scalar in double quotes.
    private func quoted(_ text: String) -> String {
        "\"" + text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"") + "\""
    }
}
