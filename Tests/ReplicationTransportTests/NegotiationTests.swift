// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol
import ReplicationTransport
import Testing

/// Versions and features that the two ends do not share.
@Suite(.timeLimit(.minutes(5)))
struct NegotiationTests {
    private static let identity = HelloIdentity(
        clusterID: Loopback.cluster,
        nodeID: Loopback.ingest,
        incarnation: 1,
        role: .ingest
    )

    @Test func aClientOfTwoVersionsIsSpokenToInTheOlderOne() async throws {
        try await Loopback.run(FakeService()) { loopback in
            let peer = try await RawPeer.connect(port: loopback.port)
            await peer.send(.hello(Hello(identity: Self.identity, versions: 1...2, features: 0b111)))
            guard case .helloAck(let ack) = await peer.next()?.message else {
                Issue.record("no HELLO-ACK")
                return
            }
            #expect(ack.version == 1)
            #expect(ack.features == 0)
            await peer.send(.status(timeoutMilliseconds: 0), stream: 1)
            let answer = await peer.next()
            #expect(answer?.header.version == 1)
            #expect(answer?.header.type == .statusResult)
            await peer.close()
        }
    }

    @Test(arguments: [
        (Hello(identity: identity, versions: 2...3), ReplicationError.Code.unsupportedVersion),
        (Hello(identity: identity, features: 0b10, requiredFeatures: 0b10), .unsupported),
    ])
    func whatTheServerLacksIsSaidInAnError(hello: Hello, code: ReplicationError.Code) async throws {
        try await Loopback.run(FakeService()) { loopback in
            let peer = try await RawPeer.connect(port: loopback.port)
            await peer.send(.hello(hello))
            let messages = await peer.rest()
            guard messages.count == 1, case .error(let error) = messages[0].message else {
                Issue.record("\(messages)")
                return
            }
            #expect(error.code == code)
            #expect(error.retry == .never)
            #expect(messages[0].header.version == 1)
        }
    }

    /// A server must not choose what the client did not offer.
    @Test func aVersionThatWasNotOfferedIsRefusedByTheClient() async throws {
        try await ScriptedServer.run { message, responder in
            guard case .hello = message.message else { return }
            let identity = HelloIdentity(
                clusterID: Loopback.cluster,
                nodeID: Loopback.node,
                incarnation: 1,
                role: .storage
            )
            responder.send(.helloAck(HelloAck(identity: identity, version: 2, features: 0, limits: SessionLimits())))
        } body: { server in
            try await Loopback.withClient(port: server.port) { client in
                let error = await failure(of: { () throws(ReplicationError) in try await client.status() })
                #expect(error?.code == .notConnected)
                #expect(error?.message.contains("version 2") == true)
            }
        }
    }
}
