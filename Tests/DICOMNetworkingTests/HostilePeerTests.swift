// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import DIMSE
import NIOCore
import Testing

/// Peers that are broken, dead or hostile cost their own connection, nothing else.
@Suite struct HostilePeerTests {
    @Test func closesOnATLSClientHello() async throws {
        try await Serving.run { serving in
            let peer = try await RawPeer.connect(port: serving.port)
            try await peer.send(ByteBuffer(bytes: [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03]))
            #expect(try await peer.receive() == [])
            #expect(try await serving.isAlive())
        }
    }

    @Test func closesOnHTTP() async throws {
        try await Serving.run { serving in
            let peer = try await RawPeer.connect(port: serving.port)
            try await peer.send(ByteBuffer(string: "GET / HTTP/1.1\r\nHost: varve\r\n\r\n"))
            #expect(try await peer.receive() == [])
            #expect(try await serving.isAlive())
        }
    }

    @Test(
        arguments: [
            [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [0x01, 0, 0x7F, 0xFF, 0xFF, 0xFF], [0x04, 0, 0, 0, 0, 8, 0, 0],
            [0x02, 0, 0, 0, 0, 0], [0x05, 0, 0, 0, 0, 4, 0, 0, 0, 0], [0x03, 0, 0, 0, 0, 4, 0, 1, 1, 1],
        ] as [[UInt8]]
    )
    func abortsWhatIsNoAssociationRequest(_ bytes: [UInt8]) async throws {
        try await Serving.run { serving in
            let peer = try await RawPeer.connect(port: serving.port)
            try await peer.send(ByteBuffer(bytes: bytes))
            if bytes[0] == 0x04 {
                // A P-DATA-TF is judged by its first value.
                try await peer.send(ByteBuffer(bytes: [0, 4, 1, 3, 0, 0]))
            }
            try await peer.expectAbort()
            #expect(try await serving.isAlive())
        }
    }

    @Test func closesOnAnAbortBeforeAnything() async throws {
        try await Serving.run { serving in
            let peer = try await RawPeer.connect(port: serving.port)
            try await peer.send(.abort(.byServiceUser))
            #expect(try await peer.receive() == [])
            #expect(try await serving.isAlive())
        }
    }

    @Test func closesAConnectionThatStaysSilent() async throws {
        try await Serving.run(configure: { $0.artimTimeout = .milliseconds(20) }) { serving in
            let silent = try await RawPeer.connect(port: serving.port)
            #expect(try await silent.receive() == [])

            let half = try await RawPeer.connect(port: serving.port)
            var request = ByteBuffer()
            PDU.associateRequest(RawPeer.request()).encode(into: &request)
            // A server that has closed already is right, too.
            try? await half.send(ByteBuffer(request.readableBytesView.prefix(50)))
            #expect(try await half.receive() == [])
        }
    }

    @Test func closesAfterARejectionThatThePeerIgnores() async throws {
        var timeout = TimeAmount.milliseconds(20)
        var received: [PDUDecoder.Element] = []
        // On a busy machine the time may be over before the request is there: then with more of it.
        while received.isEmpty {
            try await Serving.run(
                TestService(decide: { _ in .reject(.noReasonGiven) }),
                configure: { $0.artimTimeout = timeout },
                { serving in
                    let peer = try await RawPeer.connect(port: serving.port)
                    try? await peer.send(.associateRequest(RawPeer.request()))
                    received = try await peer.receive()
                }
            )
            timeout = timeout * 2
        }
        #expect(received == [.pdu(.associateReject(.noReasonGiven))])
    }

    @Test func abortsASilentAssociation() async throws {
        try await Serving.run(
            configure: { $0.idleTimeout = .milliseconds(20) },
            { serving in
                let peer = try await RawPeer.connect(port: serving.port)
                _ = try await peer.associate()
                #expect(try await peer.receivePDU() == .abort(.byServiceUser))
                try await peer.channel.close()
            }
        )
    }

    @Test(arguments: [false, true]) func forgetsAHalfDataSet(_ isSpooled: Bool) async throws {
        let service = TestService()
        try await Serving.run(
            service,
            configure: { $0.maximumInMemoryDataSetByteCount = isSpooled ? 1 << 16 : 1 << 22 },
            { serving in
                let whole = try RawPeer.store(1, pattern(3_000_000))
                // The command's PDU and 90 whole PDUs of the data set.
                let command = CommandSet.storeRequest(messageID: 1, sopClassUID: ctStorage, sopInstanceUID: "1.2.3.1")
                let boundary = try RawPeer.message(command).readableBytes + 90 * (16384 + PDU.headerByteCount)
                let aborting = try await RawPeer.connect(port: serving.port)
                _ = try await aborting.associate()
                try await aborting.send(ByteBuffer(whole.readableBytesView.prefix(boundary)))
                try await aborting.send(.abort(.byServiceUser))
                _ = try await aborting.receive()

                let vanishing = try await RawPeer.connect(port: serving.port)
                _ = try await vanishing.associate()
                try await vanishing.send(ByteBuffer(whole.readableBytesView.prefix(1_500_000)))
                try await vanishing.channel.close()
                #expect(try await serving.isAlive())
            }
        )
        #expect(service.stored.isEmpty)
    }

    @Test func abortsOnViolationsWithinAnAssociation() async throws {
        let whole = try RawPeer.store(1, pattern(100_000))
        var response = ByteBuffer()
        response.writeImmutableBuffer(
            try RawPeer.message(CommandSet.echoRequest(messageID: 1).response(status: .success), contextID: 3)
        )
        var twoCommands = ByteBuffer(whole.readableBytesView.prefix(16000))
        twoCommands.moveWriterIndex(to: 0)
        twoCommands.writeImmutableBuffer(
            try RawPeer.message(.storeRequest(messageID: 1, sopClassUID: ctStorage, sopInstanceUID: "1.2"))
        )
        twoCommands.writeImmutableBuffer(try RawPeer.message(.echoRequest(messageID: 2), contextID: 3))
        var secondRequest = ByteBuffer()
        PDU.associateRequest(RawPeer.request()).encode(into: &secondRequest)
        let violations: [ByteBuffer] = [
            try RawPeer.message(.echoRequest(messageID: 1), contextID: 99),
            response,
            twoCommands,
            secondRequest,
            ByteBuffer(bytes: [0x04, 0, 0, 2, 0, 13]),
            ByteBuffer(bytes: [0x04, 0, 0, 0, 0, 8, 0, 0, 0, 99, 1, 3, 0, 0]),
            ByteBuffer(bytes: [0x42, 0, 0, 0, 0, 8]),
        ]
        try await Serving.run { serving in
            for violation in violations {
                let peer = try await RawPeer.connect(port: serving.port)
                _ = try await peer.associate()
                try await peer.send(violation)
                try await peer.expectAbort()
            }
            #expect(try await serving.isAlive())
        }
    }

    @Test func survivesDamagedConversations() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("damaged conversations: seed \(seed)")
        var value = seed
        func random(_ bound: Int) -> Int {
            value = value &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(value >> 33) % bound
        }
        var valid = ByteBuffer()
        PDU.associateRequest(RawPeer.request()).encode(into: &valid)
        valid.writeImmutableBuffer(try RawPeer.store(1, pattern(5000)))
        valid.writeImmutableBuffer(try RawPeer.message(.echoRequest(messageID: 2), contextID: 3))
        PDU.releaseRequest.encode(into: &valid)
        try await Serving.run { serving in
            for _ in 0..<200 {
                var damaged = valid
                for _ in 0...random(3) {
                    damaged.setInteger(UInt8(random(256)), at: random(damaged.readableBytes))
                }
                let peer = try await RawPeer.connect(port: serving.port)
                // A server that has closed already is right, too.
                try? await peer.send(damaged)
                try? await peer.channel.close()
            }
            #expect(try await serving.isAlive())
        }
    }

    @Test func limitsConnectionsBeyondAssociations() async throws {
        try await Serving.run(
            configure: {
                $0.maximumAssociations = 1; $0.maximumSurplusConnections = 1
            },
            { serving in
                let first = try await serving.associate()
                let second = try await RawPeer.connect(port: serving.port)
                try await second.send(.associateRequest(RawPeer.request()))
                #expect(try await second.receivePDU() == .associateReject(.localLimitExceeded))
                // Two connections stand; the third is closed without a word.
                let third = try await RawPeer.connect(port: serving.port)
                #expect(try await third.receive() == [])
                try await second.channel.close()
                try await first.release()
            }
        )
    }
}
