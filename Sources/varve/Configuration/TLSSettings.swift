// SPDX-License-Identifier: Apache-2.0

import ClusterCertificates
import Foundation
import Logging
import Placement
import ReplicationProtocol
import ReplicationTransport

/// What a role's configuration says about TLS: files, or `tls: off`.
enum TLSSettings {
    case off
    case files(CertificateFiles)

    /// A certificate that ends within this time is worth a warning at the start.
    private static let warningTime: TimeInterval = 30 * 86_400

    /// Reads the files and checks that they fit together and are those of the process `name`; `nil` when TLS is off.
    func load(_ role: NodeRole, name: String, cluster: ClusterID, logger: Logger) async throws -> ReplicationTLS? {
        guard case .files(let files) = self else {
            logger.notice("TLS is off: whoever reaches this cluster's storage ports can read, store and give orders")
            return nil
        }
        let facts = try await files.checked()
        let identity: CertificateIdentity
        do throws(ReplicationError) {
            identity = try CertificateIdentity(uris: facts.uris)
        } catch {
            throw SettingsError("\(files.certificate) is not for this process: \(error.message)")
        }
        guard let wanted = CertificateIdentity(cluster: cluster, role: role, name: name) else {
            throw SettingsError(
                "'name' is '\(name)', which no certificate can say: letters, digits, '.', '_' and '-', at most"
                    + " \(CertificateIdentity.maximumNameCount), the first a letter or digit"
            )
        }
        guard identity == wanted else {
            throw SettingsError(
                "\(files.certificate) is the certificate of \(identity), this process is \(wanted): issue it one of its own"
            )
        }
        let end = facts.notValidAfter.formatted(.iso8601)
        logger.info("certificate", metadata: ["identity": "\(identity)", "until": "\(end)"])
        if facts.notValidAfter < Date() + Self.warningTime {
            logger.warning("the certificate ends soon: renew it and start again", metadata: ["until": "\(end)"])
        }
        return try ReplicationTLS(authority: files.authority, certificate: files.certificate, key: files.key)
    }
}

extension Settings {
    /// What the process is to speak TLS with; `nil` when its configuration says `tls: off`.
    mutating func tls(_ role: NodeRole, logger: Logger) async throws -> ReplicationTLS? {
        try await tls().load(role, name: required("name"), cluster: cluster(), logger: logger)
    }

    /// `tls.ca`, `tls.certificate` and `tls.key`, or `tls: off`; nothing is an error, so that nobody is without TLS unawares.
    mutating func tls() throws -> TLSSettings {
        let keys = ["tls.ca", "tls.certificate", "tls.key"]
        let mode = optional("tls")
        let files = keys.map { optional($0) }
        if let mode {
            guard mode == "off" else {
                throw SettingsError("'tls' is '\(mode)', it must be off, or have ca, certificate and key under it")
            }
            guard files.allSatisfy({ $0 == nil }) else {
                throw SettingsError("'tls' is off, but files for it are given as well: take one of them away")
            }
            return .off
        }
        if let authority = files[0], let certificate = files[1], let key = files[2] {
            return .files(CertificateFiles(authority: authority, certificate: certificate, key: key))
        }
        let missing = zip(keys, files).filter { $0.1 == nil }.map { "'\($0.0)'" }.joined(separator: ", ")
        throw SettingsError(
            "\(missing) missing: the processes of a cluster know each other by certificates. Make them with 'varve"
                + " certificate ca' and 'varve certificate issue' (each has --help) and name the files, or say 'tls: off':"
                + " then whoever reaches a storage node's port can read, store and give orders"
        )
    }
}
