// SPDX-License-Identifier: Apache-2.0

import ClusterCertificates
import Foundation
import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport
import Testing

/// Who gets through, and who does not.
@Suite(.timeLimit(.minutes(5)))
struct TLSTests {
    private static let record = TestRecord(1, byteCount: 3_000_000)

    private static func uri(node: NodeID = Loopback.node, cluster: ClusterID = Loopback.cluster) -> String {
        CertificateIdentity.node(cluster, node).description
    }

    private static func uri(role: NodeRole, cluster: ClusterID = Loopback.cluster) -> String {
        CertificateIdentity.role(cluster, role).description
    }

    private static func withDirectory(
        _ body: (CertificateDirectory, CertificateDirectory) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let result: Result<Void, any Error>
        do {
            let ours = try CertificateDirectory(path: directory + "/ours", cluster: "ours", now: Date())
            let theirs = try CertificateDirectory(path: directory + "/theirs", cluster: "theirs", now: Date())
            result = .success(try await body(ours, theirs))
        } catch {
            result = .failure(error)
        }
        // A directory left behind in the temporary folder harms nobody.
        try? FileManager.default.removeItem(atPath: directory)
        try result.get()
    }

    private static func tls(
        _ directory: CertificateDirectory,
        _ name: String,
        _ uri: String,
        now: Date = Date()
    ) throws -> ReplicationTLS {
        let files = try directory.files(name: name, uri: uri, now: now)
        return try ReplicationTLS(authority: files.authority, certificate: files.certificate, key: files.key)
    }

    private static func configuration(_ tls: ReplicationTLS?) -> ReplicationClientConfiguration {
        var configuration = Loopback.patient
        configuration.tls = tls
        return configuration
    }

    /// What a client with `client` hears of a server with `server`.
    private static func error(server: ReplicationTLS?, client: ReplicationTLS?) async throws -> ReplicationError? {
        var error: ReplicationError?
        try await Loopback.run(FakeService(), tls: server) { loopback in
            try await loopback.withClient(configuration: configuration(client)) { client in
                error = await failure(of: { () throws(ReplicationError) in try await client.status() })
            }
        }
        return error
    }

    @Test func everythingWorksOverTLS() async throws {
        try await Self.withDirectory { ours, _ in
            let server = try Self.tls(ours, "node", Self.uri())
            let client = try Self.tls(ours, "ingest", Self.uri(role: .ingest))
            try await Loopback.run(FakeService(), tls: server) { loopback in
                try await loopback.withClient(configuration: Self.configuration(client)) { client in
                    #expect(try await client.put(Self.record.request, payload: Self.record.payload) == .stored)
                    let payload = try await client.get(Self.record.request.recordID)
                    #expect(payload == Self.record.payload)
                    let large = TestRecord(2, byteCount: 20 << 20)
                    #expect(try await client.put(large.request, payload: large.payload) == .stored)
                }
            }
        }
    }

    @Test func whoHasNoCertificateGetsNothing() async throws {
        try await Self.withDirectory { ours, _ in
            let tls = try Self.tls(ours, "node", Self.uri())
            #expect(try await Self.error(server: tls, client: nil)?.code == .notConnected)
            #expect(try await Self.error(server: nil, client: tls)?.code == .notConnected)
        }
    }

    @Test func anotherAuthoritysCertificatesAreWorthNothing() async throws {
        try await Self.withDirectory { ours, theirs in
            let server = try Self.tls(ours, "node", Self.uri())
            let stranger = try Self.tls(theirs, "ingest", Self.uri(role: .ingest))
            #expect(try await Self.error(server: server, client: stranger)?.code == .notConnected)
            let client = try Self.tls(ours, "ingest", Self.uri(role: .ingest))
            let impostor = try Self.tls(theirs, "node", Self.uri())
            #expect(try await Self.error(server: impostor, client: client)?.code == .notConnected)
        }
    }

    @Test func aCertificateThatHasEndedIsWorthNothing() async throws {
        try await Self.withDirectory { ours, _ in
            let server = try Self.tls(ours, "node", Self.uri())
            let longAgo = Date() - 2 * CertificateAuthority.leafLifetime
            let old = try Self.tls(ours, "old", Self.uri(role: .ingest), now: longAgo)
            #expect(try await Self.error(server: server, client: old)?.code == .notConnected)
        }
    }

    /// The test's client calls itself an ingest node, its server node `Loopback.node`.
    @Test func whoCallsHimselfOtherThanHisCertificateIsRefused() async throws {
        try await Self.withDirectory { ours, _ in
            let server = try Self.tls(ours, "node", Self.uri())
            let client = try Self.tls(ours, "ingest", Self.uri(role: .ingest))
            #expect(try await Self.error(server: server, client: client) == nil)
            let wrong = [
                Self.uri(role: .coordinator), Self.uri(node: Loopback.ingest), "https://varve.example",
                Self.uri(role: .ingest, cluster: ClusterID(high: 9, low: 9)),
            ]
            for (number, uri) in wrong.enumerated() {
                let tls = try Self.tls(ours, "wrong-\(number)", uri)
                let refused = try await Self.error(server: server, client: tls)
                #expect(refused?.code == .notConnected)
                #expect(refused?.message.contains("UNAUTHENTICATED") == true, "\(uri)")
            }
            for (number, uri) in [Self.uri(node: NodeID(high: 9, low: 9)), Self.uri(role: .ingest)].enumerated() {
                let tls = try Self.tls(ours, "impostor-\(number)", uri)
                let refused = try await Self.error(server: tls, client: client)
                #expect(refused?.message.contains("UNAUTHENTICATED") == true, "\(uri)")
            }
        }
    }

    @Test func filesThatDoNotFitAreAnErrorThatNamesThem() async throws {
        try await Self.withDirectory { ours, _ in
            let one = try ours.files(name: "one", uri: Self.uri(), now: Date())
            let other = try ours.files(name: "other", uri: Self.uri(), now: Date())
            for (certificate, key) in [
                (one.certificate, other.key), ("/nonexistent", one.key), (one.certificate, one.certificate),
            ] {
                let error = #expect(throws: ReplicationError.self) {
                    _ = try ReplicationTLS(authority: one.authority, certificate: certificate, key: key)
                }
                #expect(error?.code == .unauthenticated)
                #expect(error?.message.contains(certificate) == true)
            }
        }
    }
}
