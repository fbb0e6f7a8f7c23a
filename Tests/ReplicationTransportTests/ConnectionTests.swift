// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport
import Testing

/// Connections that come, go, and fail at the worst moment.
@Suite(.timeLimit(.minutes(5)))
struct ConnectionTests {
    private static let record = TestRecord(1, byteCount: 526_000)

    private static func put(_ client: ReplicationClient, timeout: TimeAmount? = nil) async -> ReplicationError? {
        await failure { () async throws(ReplicationError) in
            try await client.put(record.request, payload: record.payload, timeout: timeout)
        }
    }

    // MARK: - Handshake

    @Test func anotherClusterIsRefused() async throws {
        try await Loopback.run(FakeService()) { loopback in
            try await loopback.withClient(cluster: ClusterID(high: 7, low: 7)) { client in
                let error = await Self.put(client)
                #expect(error?.code == .notConnected)
                #expect(error?.message.contains("WRONG_CLUSTER") == true)
                #expect(!client.isConnected)
            }
        }
    }

    @Test func anotherNodeThanExpectedIsRefused() async throws {
        try await Loopback.run(FakeService()) { loopback in
            try await loopback.withClient(expecting: NodeID(high: 7, low: 7)) { client in
                let error = await Self.put(client)
                #expect(error?.code == .notConnected)
                #expect(error?.message.contains("WRONG_NODE") == true)
            }
            try await loopback.withClient(expecting: nil) { client in
                let error = await Self.put(client)
                #expect(error == nil)
            }
        }
    }

    @Test func aClientRefusesAnImpostor() async throws {
        try await ScriptedServer.run { message, responder in
            guard case .hello = message.message else { return }
            let identity = HelloIdentity(
                clusterID: ClusterID(high: 7, low: 7),
                nodeID: Loopback.node,
                incarnation: 1,
                role: .storage
            )
            responder.send(.helloAck(HelloAck(identity: identity, version: 1, features: 0, limits: SessionLimits())))
        } body: { server in
            try await Loopback.withClient(port: server.port) { client in
                let error = await Self.put(client)
                #expect(error?.code == .notConnected)
                #expect(error?.message.contains("WRONG_CLUSTER") == true)
            }
        }
    }

    @Test func nobodyThereFailsFast() async throws {
        // A port that was free a moment ago.
        var port = 0
        try await ScriptedServer.run { _, _ in
        } body: { server in
            port = server.port
        }
        try await Loopback.withClient(port: port) { client in
            // The first waits for the first attempt, the second for nothing.
            for _ in 0..<2 {
                let error = await Self.put(client)
                #expect(error?.code == .notConnected)
                #expect(error?.retry == .otherNode)
            }
            let ping = await failure { () async throws(ReplicationError) in try await client.ping() }
            #expect(ping?.code == .notConnected)
        }
    }

    @Test func waitingForAConnectionCanBeCancelled() async throws {
        var port = 0
        try await ScriptedServer.run { _, _ in
        } body: { server in
            port = server.port
        }
        try await Loopback.withClient(port: port) { client in
            let waiting = Task {
                await failure { () async throws(ReplicationError) in try await client.waitUntilConnected() }
            }
            waiting.cancel()
            #expect(await waiting.value?.code == .cancelled)
        }
    }

    @Test func aServerThatNeverSaysHelloIsGivenUp() async throws {
        var configuration = Loopback.patient
        configuration.connectTimeout = .milliseconds(50)
        try await ScriptedServer.run { _, _ in
        } body: { server in
            try await Loopback.withClient(port: server.port, configuration: configuration) { client in
                let error = await Self.put(client)
                #expect(error?.code == .notConnected)
            }
        }
    }

    // MARK: - Loss

    @Test func aNodeKilledAfterCommitLeavesTheOutcomeUnknown() async throws {
        try await ScriptedServer.run { message, responder in
            switch message.message {
            case .hello: responder.accept()
            case .putCommit: responder.close()
            default: break
            }
        } body: { server in
            try await Loopback.withClient(port: server.port) { client in
                let error = await Self.put(client)
                #expect(error?.code == .outcomeUnknown)
                #expect(error?.retry == .sameNode)
            }
        }
    }

    @Test func aNodeKilledBeforeCommitLosesThePut() async throws {
        try await ScriptedServer.run { message, responder in
            switch message.message {
            case .hello: responder.accept()
            case .data: responder.close()
            default: break
            }
        } body: { server in
            try await Loopback.withClient(port: server.port) { client in
                // More than the credit, so that PUT-COMMIT cannot have been sent.
                let record = TestRecord(2, byteCount: 4 << 20)
                let error = await failure { () async throws(ReplicationError) in
                    try await client.put(record.request, payload: record.payload)
                }
                #expect(error?.code == .connectionLost)
                #expect(error?.retry == .otherNode)
            }
        }
    }

    @Test func aNodeKilledFailsEverythingUnderWay() async throws {
        let service = FakeService(gate: Gate())
        try await Loopback.run(service, gracePeriod: .zero) { loopback in
            try await loopback.withClient { client in
                async let put = Self.put(client)
                async let head = failure { () async throws(ReplicationError) in try await client.head(TestRecord.id(1))
                }
                await service.gate.arrived(2)
                async let down: Void = loopback.server.shutdown(gracePeriod: .zero)
                let errors = await [put, head]
                #expect(errors.map { $0?.code } == [.outcomeUnknown, .connectionLost])
                service.gate.open()
                await down
            }
        }
        #expect(service.state.withLockedValue { $0.cancelledCount } == 1)
    }

    @Test func aClientComesBackWhenItsNodeDoes() async throws {
        var configuration = Loopback.patient
        configuration.initialReconnectPause = .milliseconds(1)
        configuration.maximumReconnectPause = .milliseconds(20)
        let connections = NIOLockedValueBox(0)
        try await ScriptedServer.run { message, responder in
            switch message.message {
            case .hello:
                let number = connections.withLockedValue { count in
                    count += 1
                    return count
                }
                // The first two are cut off at once, the third one stays.
                if number < 3 { responder.close() } else { responder.accept() }
            case .status:
                let report = NodeStatusReport(recordCount: 7, usedBytes: 0, freeBytes: 0, acceptsWrites: true)
                responder.send(.statusResult(report), stream: message.header.streamID)
            default: break
            }
        } body: { server in
            try await Loopback.withClient(port: server.port, configuration: configuration) { client in
                let early = await failure { () async throws(ReplicationError) in try await client.status() }
                #expect(early?.code == .notConnected)
                try await client.waitUntilConnected()
                let status = try await client.status()
                #expect(status.recordCount == 7)
                #expect(connections.withLockedValue { $0 } == 3)
            }
        }
    }

    @Test func aSilentNodeIsGivenUp() async throws {
        var configuration = Loopback.patient
        configuration.pingInterval = .milliseconds(10)
        configuration.pingTimeout = .milliseconds(100)
        try await ScriptedServer.run { message, responder in
            if case .hello = message.message { responder.accept() }
        } body: { server in
            try await Loopback.withClient(port: server.port, configuration: configuration) { client in
                let error = await Self.put(client)
                #expect(error?.code == .outcomeUnknown)
                #expect(error?.message.contains("no sign of life") == true)
            }
        }
    }

    // MARK: - Deadlines and withdrawal

    @Test func deadlinesEndRequests() async throws {
        let service = FakeService(gate: Gate())
        try await Loopback.run(service) { loopback in
            try await loopback.withClient { client in
                try await client.waitUntilConnected()
                let put = await Self.put(client, timeout: .milliseconds(50))
                #expect(put?.code == .outcomeUnknown)
                let head = await failure { () async throws(ReplicationError) in
                    try await client.head(TestRecord.id(1), timeout: .milliseconds(50))
                }
                #expect(head?.code == .deadlineExceeded)
                let get = await failure { () async throws(ReplicationError) in
                    try await client.get(TestRecord.id(1), timeout: .milliseconds(1))
                }
                #expect(get != nil)
                // The server has seen every CANCEL before this.
                _ = try await client.ping()
                service.gate.open()
                let again = await Self.put(client)
                #expect(again == nil)
            }
        }
        // The first put was cancelled before the gate opened, or never got as far as the service.
        #expect(service.state.withLockedValue { $0.putCount - $0.cancelledCount } == 1)
    }

    @Test func aCancelledTaskWithdrawsItsRequest() async throws {
        let service = FakeService(gate: Gate())
        try await Loopback.run(service) { loopback in
            try await loopback.withClient { client in
                let put = Task { await Self.put(client) }
                let head = Task {
                    await failure { () async throws(ReplicationError) in try await client.head(TestRecord.id(1)) }
                }
                await service.gate.arrived(2)
                put.cancel()
                head.cancel()
                #expect(await put.value?.code == .outcomeUnknown)
                #expect(await head.value?.code == .cancelled)
                // CANCEL was sent before this.
                _ = try await client.ping()
                service.gate.open()
                let already = Task { await Self.put(client) }
                already.cancel()
                _ = await already.value
            }
        }
        #expect(service.state.withLockedValue { $0.cancelledCount } >= 1)
    }

    // MARK: - Leaving

    @Test func aServerThatLeavesFinishesWhatIsUnderWay() async throws {
        let service = FakeService(gate: Gate())
        try await Loopback.run(service) { loopback in
            try await loopback.withClient { client in
                async let put = client.put(Self.record.request, payload: Self.record.payload)
                await service.gate.arrived(1)
                async let down: Void = loopback.server.shutdown(gracePeriod: .minutes(1))
                // GOAWAY arrives in its own time; until then requests are refused by the server itself.
                var refused: ReplicationError?
                repeat {
                    refused = await failure { () async throws(ReplicationError) in
                        _ = try await client.status()
                    }
                } while refused == nil
                #expect(refused?.code == .shuttingDown || refused?.code == .notConnected)
                service.gate.open()
                let outcome = try await put
                #expect(outcome == .stored)
                await down
                #expect(loopback.server.connectionCount == 0)
            }
        }
    }

    @Test func aClientThatLeavesFinishesWhatIsUnderWay() async throws {
        let service = FakeService(gate: Gate())
        try await Loopback.run(service) { loopback in
            try await loopback.withClient { client in
                async let put = client.put(Self.record.request, payload: Self.record.payload)
                await service.gate.arrived(1)
                async let down: Void = client.shutdown(gracePeriod: .minutes(1))
                var refused: ReplicationError?
                repeat {
                    refused = await failure { () async throws(ReplicationError) in
                        _ = try await client.status()
                    }
                } while refused == nil
                #expect(refused?.code == .shuttingDown)
                service.gate.open()
                let outcome = try await put
                #expect(outcome == .stored)
                await down
                #expect(!client.isConnected)
            }
        }
    }

    @Test func aServerStartsOnce() async throws {
        try await Loopback.run(FakeService()) { loopback in
            await #expect(throws: ReplicationError.self) { try await loopback.server.start() }
        }
    }
}
