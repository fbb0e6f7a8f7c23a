// SPDX-License-Identifier: Apache-2.0

import ClusterCertificates
import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Placement
import ReplicationProtocol
import ReplicationTransport
import Testing

/// Who gets through, and who does not.
@Suite(.timeLimit(.minutes(5)))
struct TLSTests {
    private static let record = TestRecord(1, byteCount: 3_000_000)

    /// The name in a certificate; `Loopback`'s server is a storage node, its clients are ingest nodes.
    private static func uri(
        _ role: NodeRole = .storage,
        _ name: String = "one",
        cluster: ClusterID = Loopback.cluster
    ) -> String {
        "\(CertificateIdentity.authorityURI(of: cluster))/\(role.name)/\(name)"
    }

    private static func withDirectory(
        _ body: (CertificateDirectory, CertificateDirectory) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let result: Result<Void, any Error>
        do {
            let ours = try CertificateDirectory.create(directory + "/ours", uri: "varve://ours", now: Date())
            let theirs = try CertificateDirectory.create(directory + "/theirs", uri: "varve://theirs", now: Date())
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
            let client = try Self.tls(ours, "ingest", Self.uri(.ingest))
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
            let stranger = try Self.tls(theirs, "ingest", Self.uri(.ingest))
            #expect(try await Self.error(server: server, client: stranger)?.code == .notConnected)
            let client = try Self.tls(ours, "ingest", Self.uri(.ingest))
            let impostor = try Self.tls(theirs, "node", Self.uri())
            #expect(try await Self.error(server: impostor, client: client)?.code == .notConnected)
        }
    }

    @Test func aCertificateThatHasEndedIsWorthNothing() async throws {
        try await Self.withDirectory { ours, _ in
            let server = try Self.tls(ours, "node", Self.uri())
            let longAgo = Date() - 2 * CertificateAuthority.leafLifetime
            let old = try Self.tls(ours, "old", Self.uri(.ingest), now: longAgo)
            #expect(try await Self.error(server: server, client: old)?.code == .notConnected)
        }
    }

    /// The test's client calls itself an ingest node, its server a storage node.
    @Test func whoCallsHimselfOtherThanHisCertificateIsRefused() async throws {
        try await Self.withDirectory { ours, _ in
            let server = try Self.tls(ours, "node", Self.uri())
            let client = try Self.tls(ours, "ingest", Self.uri(.ingest))
            #expect(try await Self.error(server: server, client: client) == nil)
            let otherCluster = ClusterID(high: 9, low: 9)
            let wrong = [
                Self.uri(.coordinator), Self.uri(.storage), "https://varve.example",
                Self.uri(.ingest, cluster: otherCluster),
            ]
            for (number, uri) in wrong.enumerated() {
                let tls = try Self.tls(ours, "wrong-\(number)", uri)
                let refused = try await Self.error(server: server, client: tls)
                #expect(refused?.code == .notConnected)
                #expect(refused?.message.contains("UNAUTHENTICATED") == true, "\(uri)")
            }
            for (number, uri) in [Self.uri(.ingest), Self.uri(cluster: otherCluster)].enumerated() {
                let tls = try Self.tls(ours, "impostor-\(number)", uri)
                let refused = try await Self.error(server: tls, client: client)
                #expect(refused?.message.contains("UNAUTHENTICATED") == true, "\(uri)")
            }
        }
    }

    /// What an ingest node's certificate is stolen for: to pass for a storage node.
    @Test func onlyStorageNodesAreServers() async throws {
        try await Self.withDirectory { ours, _ in
            let tls = try Self.tls(ours, "ingest", Self.uri(.ingest))
            var error: ReplicationError?
            try await Loopback.run(FakeService(), tls: tls, role: .ingest) { loopback in
                try await loopback.withClient(configuration: Self.configuration(tls)) { client in
                    error = await failure(of: { () throws(ReplicationError) in try await client.status() })
                }
            }
            #expect(error?.message.contains("is no storage node's") == true, "\(String(describing: error))")
        }
    }

    @Test func aNodeOfAnotherNameIsRefused() async throws {
        try await Self.withDirectory { ours, _ in
            let server = try Self.tls(ours, "node", Self.uri(.storage, "one"))
            let client = try Self.tls(ours, "ingest", Self.uri(.ingest))
            try await Loopback.run(FakeService(), tls: server) { loopback in
                try await loopback.withClient(named: "one", configuration: Self.configuration(client)) { client in
                    _ = try await client.status()
                }
                try await loopback.withClient(named: "two", configuration: Self.configuration(client)) { client in
                    let error = await failure(of: { () throws(ReplicationError) in try await client.status() })
                    #expect(error?.code == .notConnected)
                    #expect(error?.message.contains("shown where two was expected") == true)
                }
            }
        }
    }

    /// Neither the order nor its term has any effect, and the connection goes on.
    @Test(arguments: [NodeRole.ingest, .storage, .tool])
    func onlyACoordinatorGivesOrders(role: NodeRole) async throws {
        try await Self.withDirectory { ours, _ in
            let server = try Self.tls(ours, "node", Self.uri())
            let member = Self.configuration(try Self.tls(ours, "member", Self.uri(role)))
            let leader = Self.configuration(try Self.tls(ours, "leader", Self.uri(.coordinator)))
            let (stamp, record) = (Orders.stamp(1_000), Self.record)
            var ordered = record.request
            ordered.term = stamp.term
            let put = ordered
            try await Loopback.run(FakeService(), tls: server) { loopback in
                try await loopback.withClient(role: role, configuration: member) { client in
                    let errors = [
                        await failure(of: { () throws(ReplicationError) in
                            try await client.announceMap(stamp, isMember: true)
                        }),
                        await failure(of: { () throws(ReplicationError) in
                            try await client.amend(Orders.amendment(.tombstone, of: 1, term: 1_000), stamp)
                        }),
                        await failure(of: { () throws(ReplicationError) in
                            try await client.put(put, payload: record.payload)
                        }),
                    ]
                    for error in errors { #expect(error?.code == .forbidden, "\(String(describing: error))") }
                    let outcome = try await client.put(record.request, payload: record.payload)
                    #expect(outcome == .stored)
                    let payload = try await client.get(record.request.recordID)
                    #expect(payload == record.payload)
                }
                try await loopback.withClient(role: .coordinator, configuration: leader) { client in
                    let known = try await client.announceMap(Orders.stamp(1), isMember: true)
                    #expect(known == Orders.stamp(1), "an order that was refused has raised the fence")
                }
            }
        }
    }

    /// In front of TLS: what comes after the first bytes behind it is not heard.
    private final class Ear: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        var isDeaf = false

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            if !isDeaf { context.fireChannelRead(data) }
        }
    }

    /// Behind TLS.
    private final class Listener: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let ear: Ear

        init(_ ear: Ear) {
            self.ear = ear
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            ear.isDeaf = true
        }
    }

    /// A server that completes the handshake of TLS, and then hears nothing more.
    private static func mutePeer(_ files: CertificateFiles) async throws -> any Channel {
        let context = try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: try NIOSSLCertificate.fromPEMFile(files.certificate).map { .certificate($0) },
                privateKey: .privateKey(try NIOSSLPrivateKey(file: files.key, format: .pem))
            )
        )
        return try await ServerBootstrap(group: Loopback.group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let ear = Ear()
                    try channel.pipeline.syncOperations.addHandlers(
                        ear,
                        NIOSSLServerHandler(context: context),
                        Listener(ear)
                    )
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    /// The end of TLS waits for the peer; requests are not to wait with it, for they have other nodes to go to.
    @Test func aSilentPeerIsLeftAtOnce() async throws {
        try await Self.withDirectory { ours, _ in
            let silent = try await Self.mutePeer(ours.files(name: "mute", uri: Self.uri(), now: Date()))
            let port = try #require(silent.localAddress?.port)
            var configuration = Self.configuration(try Self.tls(ours, "ingest", Self.uri(.ingest)))
            configuration.connectTimeout = .milliseconds(500)
            var shortest = Duration.seconds(60)
            // The machine may be busy once; it is not each time.
            for _ in 0..<5 where shortest > .seconds(4) {
                let duration = try await ContinuousClock().measure {
                    try await Loopback.withClient(port: port, configuration: configuration) { client in
                        let error = await failure(of: { () throws(ReplicationError) in try await client.status() })
                        #expect(error?.code == .notConnected)
                    }
                }
                shortest = min(shortest, duration)
            }
            #expect(shortest < .seconds(4))
            try await silent.close()
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
