// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import ReplicationProtocol
import Testing

/// Handshake, stream ids and leaving, as transcripts of both sides.
struct SessionTests {
    private static func header(_ type: MessageType, stream: UInt32) -> MessageHeader {
        MessageHeader(type: type, payloadByteCount: 0, streamID: stream, sequence: 0, mapEpoch: 0, payloadChecksum: 0)
    }

    private static func connect(
        hello: Hello = Hello(identity: Samples.client),
        limits: SessionLimits = Samples.limits
    ) throws -> (client: ClientSession, server: ServerSession) {
        var client = ClientSession(hello: hello)
        var server = ServerSession(identity: Samples.server, limits: limits)
        guard case .accept(let ack, _) = server.helloReceived(client.connected()),
            case .begin = client.helloAckReceived(ack)
        else { throw ReplicationError(.internal, "the handshake failed") }
        return (client, server)
    }

    // MARK: - Handshake

    @Test func bothSidesAgree() {
        var client = ClientSession(
            hello: Hello(identity: Samples.client, features: 0b101, expectedNodeID: Samples.storage)
        )
        var server = ServerSession(identity: Samples.server, limits: Samples.limits, features: 0b110)
        #expect(server.isAwaitingHello)
        guard case .accept(let ack, let agreement) = server.helloReceived(client.connected()) else {
            Issue.record("the server refuses")
            return
        }
        #expect(!server.isAwaitingHello)
        #expect(ack == HelloAck(identity: Samples.server, version: 1, features: 0b100, limits: Samples.limits))
        #expect(agreement.peer == Samples.client)
        #expect(agreement.features == 0b100)
        guard case .begin(let ours) = client.helloAckReceived(ack) else {
            Issue.record("the client refuses")
            return
        }
        #expect(ours.peer == Samples.server)
        #expect(ours.features == 0b100)
        #expect(ours.limits == Samples.limits)
    }

    @Test func anotherClusterIsRefusedByTheServer() {
        var stranger = Samples.client
        stranger.clusterID = ClusterID(high: 1, low: 2)
        var server = ServerSession(identity: Samples.server, limits: Samples.limits)
        let action = server.helloReceived(Hello(identity: stranger))
        #expect(action.refusal?.code == .wrongCluster)
        #expect(action.refusal?.retry == .never)
        #expect(server.streamOpened(1).closeReason?.code == .protocolViolation)
    }

    @Test func anotherClusterIsRefusedByTheClient() {
        var client = ClientSession(hello: Hello(identity: Samples.client))
        _ = client.connected()
        var stranger = Samples.server
        stranger.clusterID = ClusterID(high: 1, low: 2)
        let ack = HelloAck(identity: stranger, version: 1, features: 0, limits: Samples.limits)
        #expect(client.helloAckReceived(ack).closeReason?.code == .wrongCluster)
    }

    @Test func anotherNodeIsRefusedByBoth() {
        let other = NodeID(high: 9, low: 9)
        let hello = Hello(identity: Samples.client, expectedNodeID: other)
        var server = ServerSession(identity: Samples.server, limits: Samples.limits)
        #expect(server.helloReceived(hello).refusal?.code == .wrongNode)
        var client = ClientSession(hello: hello)
        _ = client.connected()
        let ack = HelloAck(identity: Samples.server, version: 1, features: 0, limits: Samples.limits)
        #expect(client.helloAckReceived(ack).closeReason?.code == .wrongNode)
    }

    @Test(
        arguments: [
            (1...1, 1...1, 1), (1...3, 2...5, 3), (2...5, 1...3, 3), (1...9, 4...4, 4), (1...2, 3...4, nil),
            (3...4, 1...2, nil),
        ] as [(ClosedRange<UInt16>, ClosedRange<UInt16>, UInt16?)]
    )
    func theNewestCommonVersionIsChosen(theirs: ClosedRange<UInt16>, ours: ClosedRange<UInt16>, expected: UInt16?) {
        var server = ServerSession(identity: Samples.server, limits: Samples.limits, versions: ours)
        let action = server.helloReceived(Hello(identity: Samples.client, versions: theirs))
        #expect(action.agreement?.version == expected)
        if expected == nil { #expect(action.refusal?.code == .unsupportedVersion) }
    }

    @Test func aVersionNotOfferedIsRefused() {
        var client = ClientSession(hello: Hello(identity: Samples.client, versions: 1...2))
        _ = client.connected()
        let ack = HelloAck(identity: Samples.server, version: 3, features: 0, limits: Samples.limits)
        #expect(client.helloAckReceived(ack).closeReason?.code == .unsupportedVersion)
    }

    @Test func aMissingFeatureIsRefused() {
        var server = ServerSession(identity: Samples.server, limits: Samples.limits, features: 0b01)
        let hello = Hello(identity: Samples.client, features: 0b10, requiredFeatures: 0b10)
        #expect(server.helloReceived(hello).refusal?.code == .unsupported)
    }

    @Test func handshakeMessagesOutOfPlaceEndTheSession() throws {
        var (client, server) = try Self.connect()
        #expect(server.helloReceived(Hello(identity: Samples.client)).refusal?.code == .protocolViolation)
        let ack = HelloAck(identity: Samples.server, version: 1, features: 0, limits: Samples.limits)
        #expect(client.helloAckReceived(ack).closeReason?.code == .protocolViolation)
        var early = ServerSession(identity: Samples.server, limits: Samples.limits)
        #expect(early.streamOpened(1).closeReason?.code == .protocolViolation)
    }

    // MARK: - Streams

    @Test func streamIDsAreOddAndRise() throws {
        var (client, server) = try Self.connect()
        #expect(client.openStream() == .open(1))
        #expect(client.openStream() == .open(3))
        #expect(server.streamOpened(1) == .accept)
        #expect(server.streamOpened(5) == .accept)
        #expect(server.streamOpened(5).closeReason?.code == .protocolViolation)
        #expect(server.streamOpened(3).closeReason?.code == .protocolViolation)
        #expect(server.streamOpened(8).closeReason?.code == .protocolViolation)
        #expect(server.streamOpened(0).closeReason?.code == .protocolViolation)
    }

    @Test func streamsBeyondTheLimitAreRefused() throws {
        var limits = Samples.limits
        limits.maximumStreams = 2
        var (client, server) = try Self.connect(limits: limits)
        #expect(client.openStream() == .open(1))
        #expect(client.openStream() == .open(3))
        #expect(client.openStream().refusal?.code == .overloaded)
        #expect(server.streamOpened(1) == .accept)
        #expect(server.streamOpened(3) == .accept)
        #expect(server.streamOpened(5).refusal?.code == .overloaded)
        #expect(client.streamEnded() == .wait)
        #expect(client.openStream() == .open(5))
        #expect(server.streamEnded() == .wait)
        #expect(server.streamOpened(7) == .accept)
    }

    @Test func messagesForEndedStreamsAreIgnoredAndForUnopenedOnesNot() throws {
        var (client, server) = try Self.connect()
        _ = client.openStream()
        _ = client.openStream()
        #expect(client.strayMessage(Self.header(.putAck, stream: 3)) == .ignore)
        #expect(client.strayMessage(Self.header(.putAck, stream: 5)) != .ignore)
        #expect(client.strayMessage(Self.header(.putAck, stream: 2)) != .ignore)
        #expect(server.streamOpened(3) == .accept)
        #expect(server.strayMessage(Self.header(.data, stream: 1)) == .ignore)
        #expect(server.strayMessage(Self.header(.data, stream: 5)) != .ignore)
        #expect(server.strayMessage(Self.header(.data, stream: 2)) != .ignore)
    }

    @Test func usedUpStreamIDsEndTheSession() {
        var client = ClientSession(hello: Hello(identity: Samples.client), firstStreamID: .max - 2)
        _ = client.connected()
        _ = client.helloAckReceived(
            HelloAck(identity: Samples.server, version: 1, features: 0, limits: Samples.limits)
        )
        #expect(client.openStream() == .open(.max - 2))
        #expect(client.openStream() == .open(.max))
        #expect(client.openStream().refusal?.code == .notConnected)
        #expect(client.openStream().refusal?.retry == .sameNode)
        #expect(client.strayMessage(Self.header(.putAck, stream: .max)) == .ignore)
        #expect(client.streamEnded() == .wait)
        #expect(client.streamEnded() == .close)
        guard case .refuseAndClose(let error) = client.openStream() else {
            Issue.record("a session without streams and ids stays open")
            return
        }
        #expect(error.retry == .sameNode)
    }

    // MARK: - Leaving

    @Test func aDrainingServerLetsStreamsEnd() throws {
        var (client, server) = try Self.connect()
        for id in [1, 3] as [UInt32] {
            #expect(client.openStream() == .open(id))
            #expect(server.streamOpened(id) == .accept)
        }
        let goAway = GoAway(lastStreamID: 3, code: .shuttingDown, message: "bye")
        #expect(server.drain(code: .shuttingDown, "bye") == .sayGoAway(goAway))
        #expect(server.drain(code: .shuttingDown, "bye") == .wait)
        // One that crosses with GOAWAY is refused, not an offence.
        #expect(client.openStream() == .open(5))
        #expect(client.goAwayReceived(goAway) == .wait)
        #expect(server.streamOpened(5).refusal?.code == .shuttingDown)
        #expect(client.openStream().refusal?.code == .shuttingDown)
        #expect(client.streamEnded() == .wait)
        #expect(client.streamEnded() == .wait)
        #expect(client.streamEnded() == .close)
        #expect(server.streamEnded() == .wait)
        #expect(server.streamEnded() == .close)
    }

    @Test func anIdleServerClosesAtOnce() throws {
        var (client, server) = try Self.connect()
        #expect(
            server.drain(code: .shuttingDown, "bye")
                == .sayGoAwayAndClose(GoAway(lastStreamID: 0, code: .shuttingDown, message: "bye"))
        )
        #expect(client.drain() == .close)
        var fresh = ServerSession(identity: Samples.server, limits: Samples.limits)
        #expect(fresh.drain(code: .shuttingDown, "bye") == .close)
    }

    // MARK: - Rules

    @Test func onlyTheRightSideSendsAMessage() {
        let fromClient: Set<MessageType> = [
            .putBegin, .putCommit, .get, .head, .verify, .list, .status, .places, .cancel, .amend, .amendments,
            .digest,
            .pull, .purgePermit, .map, .damage, .healed, .drop, .buildPack, .verifyPack, .recall, .removePack,
        ]
        let fromServer: Set<MessageType> = [
            .putAck, .getBegin, .headResult, .verifyResult, .listResult, .statusResult, .placesResult, .error,
            .amendResult, .amendmentsResult, .digestResult, .pullProgress, .pullResult, .purgeResult, .mapResult,
            .damageResult, .healedResult, .dropResult, .buildPackResult, .verifyPackResult, .recallResult,
            .removePackResult,
        ]
        let fromBoth: Set<MessageType> = [.data, .metadata, .credit]
        for type in MessageType.allCases {
            #expect(
                type.isAllowed(from: .client, onStream: 1) == (fromClient.union(fromBoth).contains(type)),
                "\(type)"
            )
            #expect(
                type.isAllowed(from: .server, onStream: 1) == (fromServer.union(fromBoth).contains(type)),
                "\(type)"
            )
            let clientOnZero: Set<MessageType> = [.hello, .ping, .pong, .goAway, .error]
            let serverOnZero: Set<MessageType> = [.helloAck, .ping, .pong, .goAway, .error, .credit]
            #expect(type.isAllowed(from: .client, onStream: 0) == clientOnZero.contains(type), "\(type)")
            #expect(type.isAllowed(from: .server, onStream: 0) == serverOnZero.contains(type), "\(type)")
        }
    }

    @Test func lostAndDoubledMessagesAreNoticed() throws {
        var sequence = MessageSequence()
        #expect(sequence.next() == 0)
        #expect(sequence.next() == 1)
        var header = Self.header(.data, stream: 1)
        try sequence.received(header)
        #expect(throws: ReplicationError.self) { try sequence.received(header) }
        header.sequence = 2
        #expect(throws: ReplicationError.self) { try sequence.received(header) }
        header.sequence = 1
        try sequence.received(header)
    }
}

extension ServerSession.HandshakeAction {
    fileprivate var refusal: ReplicationError? {
        if case .refuse(let error) = self { error } else { nil }
    }

    fileprivate var agreement: SessionAgreement? {
        if case .accept(_, let agreement) = self { agreement } else { nil }
    }
}

extension ServerSession.OpenAction {
    fileprivate var refusal: ReplicationError? {
        if case .refuse(let error) = self { error } else { nil }
    }

    fileprivate var closeReason: ReplicationError? {
        if case .close(let error) = self { error } else { nil }
    }
}

extension ClientSession.HandshakeAction {
    fileprivate var closeReason: ReplicationError? {
        if case .close(let error) = self { error } else { nil }
    }
}

extension ClientSession.OpenAction {
    fileprivate var refusal: ReplicationError? {
        if case .refuse(let error) = self { error } else { nil }
    }
}
