// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport
import Testing

/// Peers that break the rules or ask for too much: they lose their connection, nobody else anything.
@Suite(.timeLimit(.minutes(5)))
struct HostilePeerTests {
    private static let record = TestRecord(1, byteCount: 1000)

    /// The error that ends the connection, when one is sent.
    private static func lastError(_ messages: [WireMessage]) -> ReplicationError? {
        guard let last = messages.last, last.header.streamID == 0, case .error(let error) = last.message else {
            return nil
        }
        return error
    }

    /// A good client is served while and after a bad one does its worst.
    private static func withBystander(
        _ service: FakeService = FakeService(),
        limits: ReplicationServerConfiguration.Limits = Loopback.patientLimits,
        body: (Loopback, ReplicationClient) async throws -> Void
    ) async throws {
        try await Loopback.run(service, limits: limits) { loopback in
            try await loopback.withClient { client in
                try await client.waitUntilConnected()
                try await body(loopback, client)
                let outcome = try await client.put(record.request, payload: record.payload)
                #expect(outcome == .stored)
            }
        }
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\nHost: varve.example\r\nUser-Agent: nobody\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3} and a TLS client goes on like this",
    ])
    func garbageIsAnsweredAndCutOff(text: String) async throws {
        try await Self.withBystander { loopback, _ in
            let peer = try await RawPeer.connect(port: loopback.port)
            await peer.send(ByteBuffer(string: text))
            let error = Self.lastError(await peer.rest())
            #expect(error?.code == .protocolViolation)
        }
    }

    @Test func offencesAfterTheHandshakeEndTheConnection() async throws {
        let begin = Message.putBegin(PutBegin(Self.record.request, timeoutMilliseconds: 0))
        let data = Message.data(ByteBuffer(repeating: 7, count: 100))
        let scripts: [(String, [(Message, MessageFlags, UInt32, UInt32)])] = [
            ("PUT-COMMIT too early", [(begin, [], 1, 0), (.putCommit(payloadByteCount: 1000), [], 1, 1)]),
            ("DATA without credit", [(begin, [], 1, 0), (data, [], 1, 1)]),
            ("DATA for no stream", [(data, .unsolicited, 1, 0)]),
            ("an even stream", [(begin, [], 2, 0)]),
            ("a stream that goes back", [(begin, [], 3, 0), (begin, [], 1, 0)]),
            ("a number left out", [(begin, [], 1, 0), (data, .unsolicited, 1, 2)]),
            ("a number doubled", [(begin, [], 1, 0), (data, .unsolicited, 1, 0)]),
            ("a connection number left out", [(.ping(token: 1), [], 0, 2)]),
            ("a message only servers send", [(.putAck(.stored), [], 1, 0)]),
            ("a second HELLO", [(.hello(Hello(identity: Self.identity)), [], 0, 1)]),
            ("PUT-BEGIN for the connection", [(begin, [], 0, 1)]),
            ("a PUT within a GET", [(Self.get, [], 1, 0), (.putCommit(payloadByteCount: 0), [], 1, 1)]),
            ("DATA within a GET", [(Self.get, [], 1, 0), (data, .unsolicited, 1, 1)]),
        ]
        for (name, script) in scripts {
            let service = FakeService(gate: Gate())
            service.state.withLockedValue { state in
                state.records[Self.record.request.recordID] = (Self.record.request, Self.record.payload)
            }
            try await Loopback.run(service) { loopback in
                let peer = try await RawPeer.handshake(port: loopback.port)
                for (message, flags, stream, sequence) in script {
                    await peer.send(message, flags: flags, stream: stream, sequence: sequence)
                }
                let error = Self.lastError(await peer.rest())
                #expect(error?.code == .protocolViolation, "\(name)")
                service.gate.open()
            }
        }
    }

    private static let identity = HelloIdentity(
        clusterID: Loopback.cluster,
        nodeID: Loopback.ingest,
        incarnation: 1,
        role: .ingest
    )
    private static let get = Message.get(
        GetRequest(recordID: record.request.recordID, range: nil, credit: 0, timeoutMilliseconds: 0)
    )

    @Test func damagedDataEndsTheConnection() async throws {
        try await Self.withBystander { loopback, _ in
            let peer = try await RawPeer.handshake(port: loopback.port)
            await peer.send(.putBegin(PutBegin(Self.record.request, timeoutMilliseconds: 0)), stream: 1)
            var bytes = ByteBuffer()
            Message.data(Self.record.payload).write(to: &bytes, flags: .unsolicited, streamID: 1, sequence: 1)
            bytes.setInteger((bytes.getInteger(at: 500) as UInt8? ?? 0) ^ 1, at: 500)
            await peer.send(bytes)
            let error = Self.lastError(await peer.rest())
            #expect(error?.code == .checksumMismatch)
        }
    }

    @Test func aPeerThatNeverSaysHelloIsCutOff() async throws {
        var limits = Loopback.patientLimits
        limits.handshakeTimeout = .milliseconds(200)
        try await Loopback.run(FakeService(), limits: limits) { loopback in
            let peer = try await RawPeer.connect(port: loopback.port)
            let error = Self.lastError(await peer.rest())
            #expect(error?.code == .deadlineExceeded)
        }
    }

    @Test func aSilentPeerIsCutOff() async throws {
        var limits = Loopback.patientLimits
        limits.idleTimeout = .milliseconds(200)
        try await Loopback.run(FakeService(), limits: limits) { loopback in
            let peer = try await RawPeer.connect(port: loopback.port)
            await peer.send(.hello(Hello(identity: Self.identity)))
            let error = Self.lastError(await peer.rest())
            #expect(error?.code == .connectionLost)
        }
    }

    @Test func moreConnectionsThanAllowedAreTurnedAway() async throws {
        var limits = Loopback.patientLimits
        limits.maximumConnections = 1
        try await Self.withBystander(limits: limits) { loopback, bystander in
            let second = try await RawPeer.connect(port: loopback.port)
            await second.send(.hello(Hello(identity: Self.identity)))
            let error = Self.lastError(await second.rest())
            #expect(error?.code == .overloaded)
            #expect(error?.retry == .later)
            // Another that does not even say HELLO takes the last place; a third one gets none.
            // A client may see the end of a connection before the server has counted it out, and be connected by the
            // kernel before the server has counted it in.
            try await Loopback.roundTrips(of: bystander) { loopback.server.connectionCount == 1 }
            let third = try await RawPeer.connect(port: loopback.port)
            try await Loopback.roundTrips(of: bystander) { loopback.server.connectionCount == 2 }
            let fourth = try await RawPeer.connect(port: loopback.port)
            #expect(await fourth.rest().isEmpty)
            await third.close()
        }
    }

    @Test func moreStreamsThanAllowedAreRefusedOneByOne() async throws {
        let service = FakeService(gate: Gate())
        var limits = Loopback.patientLimits
        limits.maximumStreamsPerConnection = 2
        try await Loopback.run(service, limits: limits) { loopback in
            let peer = try await RawPeer.handshake(port: loopback.port)
            for stream in [1, 3, 5] as [UInt32] {
                let query = RecordQuery(recordID: TestRecord.id(1), timeoutMilliseconds: 0)
                await peer.send(.head(query), stream: stream)
            }
            let refusal = try #require(await peer.next())
            #expect(refusal.header.streamID == 5)
            guard case .error(let error) = refusal.message else {
                Issue.record("not an ERROR")
                return
            }
            #expect(error.code == .overloaded)
            // A good client knows the limit and does not even ask.
            try await loopback.withClient { client in
                try await client.waitUntilConnected()
                async let one = client.head(TestRecord.id(1))
                async let two = client.head(TestRecord.id(1))
                await service.gate.arrived(4)
                let third = await failure { () async throws(ReplicationError) in try await client.head(TestRecord.id(1))
                }
                #expect(third?.code == .overloaded)
                service.gate.open()
                _ = try await (one, two)
            }
            await peer.close()
        }
    }

    @Test func aPeerThatReadsNoAnswersIsCutOff() async throws {
        try await Self.withBystander { loopback, _ in
            let peer = try await RawPeer.handshake(port: loopback.port, reads: false, receiveBufferByteCount: 4096)
            var pings = ByteBuffer()
            var sequence: UInt32 = 1
            // Each is answered by as many bytes. The kernel takes some megabytes, then the server's patience one;
            // a server that is late on a busy machine gets more.
            for _ in 0..<2000 {
                pings.clear()
                for _ in 0..<2000 {
                    Message.ping(token: 1).write(to: &pings, streamID: 0, sequence: sequence)
                    sequence += 1
                }
                await peer.send(pings)
                guard peer.isOpen else { break }
            }
            #expect(!peer.isOpen)
            await peer.close()
        }
    }

    @Test func unsolicitedBytesForEndedStreamsAreGivenBack() async throws {
        let service = FakeService()
        service.state.withLockedValue { $0.failure = ReplicationError(.diskFull, "full") }
        var limits = Loopback.patientLimits
        limits.connectionCreditByteCount = 300_000
        limits.streamCreditByteCount = 200_000
        limits.maximumPayloadByteCount = 250_000
        try await Loopback.run(service, limits: limits) { loopback in
            try await loopback.withClient { client in
                // Refused while its bytes are on the way; ten times the connection's credit in all.
                for number in 0..<10 {
                    let record = TestRecord(UInt64(number), byteCount: 300_000)
                    let error = await failure { () async throws(ReplicationError) in
                        try await client.put(record.request, payload: record.payload)
                    }
                    #expect(error?.code == .tooLarge)
                }
                let error = await failure { () async throws(ReplicationError) in
                    try await client.put(Self.record.request, payload: Self.record.payload)
                }
                #expect(error?.code == .diskFull)
            }
        }
    }
}
