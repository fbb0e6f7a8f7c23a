// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ClusterCertificates
import Foundation
import Placement
import ReplicationProtocol

/// `varve certificate ...`: the certificates by which the processes of a cluster know each other.
struct CertificateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certificate",
        abstract: "Make and show the certificates by which the processes of a cluster know each other.",
        discussion: """
            Once for a cluster, on a machine that keeps the authority's key safe; then for each of its processes:

              varve certificate ca --out ./ca --cluster $(uuidgen)
              varve certificate issue --ca ./ca --role storage --name storage-1 --out ./storage-1
            """,
        subcommands: [CertificateAuthorityCommand.self, CertificateIssueCommand.self, CertificateShowCommand.self]
    )
}

/// `varve certificate ca`.
struct CertificateAuthorityCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ca",
        abstract: "Make a cluster's authority: ca.pem and ca.key, good for ten years.",
        discussion: """
            ca.key makes certificates that every process of the cluster believes: no process needs it, so keep it where \
            none runs. An authority that is there already is left alone, and is an error.

            Example: varve certificate ca --out ./ca --cluster 6f1e0000-0000-4000-8000-000000000001
            """
    )

    @Option(help: "The directory to write to; made when it does not exist.") var out: String
    @Option(help: "The cluster's UUID, 'cluster' in every process's configuration.") var cluster: String

    func run() async throws {
        guard let cluster = ClusterID(cluster) else { throw ValidationError("--cluster \(cluster): it must be a UUID") }
        _ = try CertificateDirectory.create(out, uri: CertificateIdentity.authorityURI(of: cluster), now: Date())
        output("\(out)/ca.pem  for every process: 'tls.ca' of its configuration")
        output("\(out)/ca.key  for 'varve certificate issue' only: keep it safe")
    }
}

/// `varve certificate issue`.
struct CertificateIssueCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "issue",
        abstract: "Make the certificate and key of one process, or renew them.",
        discussion: """
            Writes NAME.pem, NAME.key and ca.pem into the directory of --out, over those that are there: that is how a \
            certificate is renewed. A process takes new files at its next start.

            Example: varve certificate issue --ca ./ca --role storage --name storage-1 --out ./storage-1
            """
    )

    /// Days a certificate may be good for.
    private static let days = 1...3650

    @Option(help: "The directory of 'varve certificate ca'.") var ca: String
    @Option(help: "What the process does: storage, ingest or coordinator; tool for programs that read and store.")
    var role: String
    @Option(help: "The process's name, 'name' in its configuration and, of a storage node, in 'storage-nodes'.")
    var name: String
    @Option(help: "The directory to write to; made when it does not exist.") var out: String
    @Option(name: .customLong("days"), help: "How long it is good.") var dayCount = 365

    func validate() throws {
        guard NodeRole(name: role) != nil else {
            throw ValidationError("--role \(role): use storage, ingest, coordinator or tool")
        }
        guard CertificateIdentity.isName(name) else {
            throw ValidationError(
                "--name \(name): use letters, digits, '.', '_' and '-', at most \(CertificateIdentity.maximumNameCount),"
                    + " the first a letter or digit"
            )
        }
        // It would be written over the authority's own.
        guard name != "ca" else { throw ValidationError("--name ca: that is what the authority's files are called") }
        guard Self.days.contains(dayCount) else { throw ValidationError("--days must be from 1 to 3650") }
    }

    func run() async throws {
        let directory = try CertificateDirectory.open(ca)
        guard let cluster = directory.uri.flatMap({ CertificateIdentity.cluster(ofAuthority: $0) }) else {
            throw CommandError("\(ca)/ca.pem does not say which cluster it is for: use one of 'varve certificate ca'")
        }
        guard let role = NodeRole(name: role),
            let identity = CertificateIdentity(cluster: cluster, role: role, name: name)
        else { throw CommandError("there is no such role or name") }
        let files = try directory.issue(
            name: name,
            uri: identity.description,
            now: Date(),
            lifetime: TimeInterval(dayCount) * 86_400,
            into: out
        )
        output("tls:")
        output("  ca: \(files.authority)")
        output("  certificate: \(files.certificate)")
        output("  key: \(files.key)")
    }
}

/// `varve certificate show`.
struct CertificateShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show whose certificates are in PEM files, and how long they are good.",
        discussion: "Example: varve certificate show ./storage-1/storage-1.pem --json"
    )

    /// One certificate, as `--json` lists it.
    private struct Row: Encodable {
        let file: String
        let names: [String]
        let from: String
        let until: String
    }

    @Argument(help: "PEM files.") var files: [String]
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let rows = try files.flatMap { file in
            try CertificateFacts.read(file).map { facts in
                Row(
                    file: file,
                    names: facts.uris,
                    from: facts.notValidBefore.formatted(.iso8601),
                    until: facts.notValidAfter.formatted(.iso8601)
                )
            }
        }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            FileHandle.standardOutput.write(try encoder.encode(rows) + Data("\n".utf8))
            return
        }
        var table = TextTable(["FILE", "NAME", "FROM", "UNTIL"], rightAligned: [])
        for row in rows { table.add([row.file, row.names.joined(separator: " "), row.from, row.until]) }
        output(table.text)
    }
}
