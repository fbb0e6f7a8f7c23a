// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOSSL
public import ReplicationProtocol

/// Mutual TLS 1.3 between the processes of a cluster: our certificate and key, and the authority that peers' certificates
/// must come from.
///
/// Who a peer is comes from the name in its certificate (``CertificateIdentity``), not from its address. May be shared by
/// all servers and clients of a process.
public struct ReplicationTLS: Sendable {
    /// How long a connection that is closed waits for the peer to agree.
    ///
    /// Short: whoever is closed for giving no sign of life will not, and requests wait for the end to go elsewhere.
    private static let farewellTime = TimeAmount.milliseconds(250)

    private let serverContext: NIOSSLContext
    private let clientContext: NIOSSLContext

    /// Reads PEM files: the authority's certificate, our certificate (and those between it and the authority), our key.
    ///
    /// - Throws: ``ReplicationError`` `.unauthenticated` when a file cannot be read or does not fit the others. Blocks.
    public init(authority: String, certificate: String, key: String) throws(ReplicationError) {
        do {
            let trusted = try NIOSSLCertificate.fromPEMFile(authority)
            let chain = try NIOSSLCertificate.fromPEMFile(certificate)
            let privateKey = try NIOSSLPrivateKey(file: key, format: .pem)
            var server = TLSConfiguration.makeServerConfigurationWithMTLS(
                certificateChain: chain.map { .certificate($0) },
                privateKey: .privateKey(privateKey),
                trustRoots: .certificates(trusted)
            )
            server.minimumTLSVersion = .tlsv13
            server.shutdownTimeout = Self.farewellTime
            server.certificateVerification = .noHostnameVerification
            var client = TLSConfiguration.makeClientConfiguration()
            client.minimumTLSVersion = .tlsv13
            client.shutdownTimeout = Self.farewellTime
            client.certificateChain = chain.map { .certificate($0) }
            client.privateKey = .privateKey(privateKey)
            client.trustRoots = .certificates(trusted)
            client.certificateVerification = .noHostnameVerification
            serverContext = try NIOSSLContext(configuration: server)
            clientContext = try NIOSSLContext(configuration: client)
        } catch {
            throw ReplicationError(
                .unauthenticated,
                "TLS cannot be set up from \(authority), \(certificate) and \(key): \(error)",
                retry: .never
            )
        }
    }

    func serverHandler() -> NIOSSLServerHandler {
        NIOSSLServerHandler(context: serverContext)
    }

    func clientHandler() throws -> NIOSSLClientHandler {
        try NIOSSLClientHandler(context: clientContext, serverHostname: nil)
    }
}

/// The certificate that the other end of a connection has shown, and that was verified.
enum PeerCertificate {
    /// Who it was made for.
    static func identity(
        in pipeline: ChannelPipeline.SynchronousOperations
    ) throws(ReplicationError) -> CertificateIdentity {
        let certificate: NIOSSLCertificate?
        do {
            certificate = try pipeline.nioSSL_peerCertificate()
        } catch {
            throw ReplicationError(.unauthenticated, "the connection has no TLS: \(error)")
        }
        guard let certificate else { throw ReplicationError(.unauthenticated, "the peer has shown no certificate") }
        return try CertificateIdentity(uris: uris(of: certificate))
    }

    private static func uris(of certificate: NIOSSLCertificate) -> [String] {
        certificate._subjectAlternativeNames().compactMap { name in
            name.nameType == .uri ? String(validating: name.contents, as: UTF8.self) : nil
        }
    }
}
