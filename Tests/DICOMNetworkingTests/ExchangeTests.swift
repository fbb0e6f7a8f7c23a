// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import DIMSE
import NIOConcurrencyHelpers
import NIOCore
import Testing

/// Operations that are answered by several responses.
@Suite struct ExchangeTests {
    private static let find = QueryRetrieveSOPClass(.studyRoot, .find)
    private static let identifier = ByteBuffer(string: "an identifier..")

    private static func serve(
        _ query: @escaping @Sendable (QueryRetrieveRequest, RequestExchange) async -> QueryRetrieveResponse,
        configure: (inout DICOMServerConfiguration) -> Void = { _ in },
        _ body: (Serving, RawPeer) async throws -> Void
    ) async throws {
        try await Serving.withPeer(
            TestService(query: query),
            [find.uid: [.relational, .fuzzyNames]],
            configure: configure,
            body
        )
    }

    /// Contexts: 1 C-FIND, 3 verification.
    @discardableResult
    private static func associate(
        _ peer: RawPeer,
        wishes: [ExtendedNegotiation] = []
    ) async throws -> AssociateAccept {
        var request = RawPeer.request()
        request.presentationContexts[0] = ProposedContext(
            id: 1,
            abstractSyntax: find.uid,
            transferSyntaxes: [UIDText.implicitVRLittleEndian]
        )
        request.userInformation.extendedNegotiations = wishes
        try await peer.send(.associateRequest(request))
        guard case .associateAccept(let accept)? = try await peer.receivePDU() else {
            throw DIMSEError(.malformedPDU, "the association was not accepted")
        }
        return accept
    }

    private static func request(_ messageID: UInt16) throws -> ByteBuffer {
        try RawPeer.message(.queryRetrieveRequest(find, messageID: messageID), dataSet: identifier)
    }

    @Test func sendsEachResponseWithItsIdentifierAndTheLastWithout() async throws {
        try await Self.serve({ request, exchange in
            let identifiers = (0..<3).map { ByteBuffer(repeating: UInt8($0), count: 40_000) }
            do {
                try await exchange.send(
                    identifiers.map { QueryRetrieveResponse(.pendingWithUnsupportedKeys, identifier: $0) }
                )
            } catch {
                return QueryRetrieveResponse(.processingFailure)
            }
            return QueryRetrieveResponse(request.identifier == Self.identifier ? .success : .processingFailure)
        }) { _, peer in
            try await Self.associate(peer)
            try await peer.send(Self.request(9))
            var assembler = MessageAssembler()
            var statuses: [UInt16] = []
            var identifiers: [Int] = []
            var isLast = false
            _ = try await peer.receive { element in
                guard case .fragment(let fragment) = element, let outcome = try? assembler.receive(fragment) else {
                    return false
                }
                switch outcome {
                case .command(let command, _):
                    #expect(command.messageIDBeingRespondedTo == 9)
                    #expect(command.commandField == .findResponse)
                    statuses.append(command.status?.rawValue ?? 1)
                    isLast = !command.hasDataSet
                case .dataSet:
                    identifiers.append(fragment.bytes.readableBytes)
                case .incomplete: break
                }
                return isLast
            }
            #expect(statuses == [0xFF01, 0xFF01, 0xFF01, 0x0000])
            #expect(identifiers.reduce(0, +) == 120_000)
        }
    }

    @Test func answersExtendedNegotiationForWhatWasAsked() async throws {
        let options = NIOLockedValueBox(QueryRetrieveOptions())
        try await Self.serve({ request, _ in
            options.withLockedValue { $0 = request.options }
            return QueryRetrieveResponse(.success)
        }) { _, peer in
            let accept = try await Self.associate(
                peer,
                wishes: [
                    .init(sopClassUID: Self.find.uid, information: [1, 1, 1]),
                    .init(sopClassUID: UIDText.verification, information: [1]),
                    .init(sopClassUID: "1.2.3", information: [1]),
                ]
            )
            #expect(
                accept.userInformation.extendedNegotiations
                    == [.init(sopClassUID: Self.find.uid, information: [1, 0, 1])]
            )
            try await peer.send(Self.request(1))
            #expect(try await peer.receiveCommands(1).first?.status == .success)
            #expect(options.withLockedValue { $0 } == [.relational, .fuzzyNames])
        }
    }

    @Test func negotiatesNothingUnasked() async throws {
        try await Self.serve({ request, _ in
            QueryRetrieveResponse(request.options.isEmpty ? .success : .processingFailure)
        }) { _, peer in
            let accept = try await Self.associate(peer)
            #expect(accept.userInformation.extendedNegotiations.isEmpty)
            #expect(accept.userInformation.roleSelections.isEmpty)
            try await peer.send(Self.request(1))
            #expect(try await peer.receiveCommands(1).first?.status == .success)
        }
    }

    /// The service hangs in the catalog, say: the answer to C-CANCEL does not wait for it.
    @Test func endsACancelledQueryAtOnce() async throws {
        let gate = Gate()
        let outcome = NIOLockedValueBox(DICOMNetworkError.Code?.none)
        try await Self.serve({ _, exchange in
            await gate.pass()
            do throws(DICOMNetworkError) {
                try await exchange.send([QueryRetrieveResponse(.pending, identifier: Self.identifier)])
            } catch {
                outcome.withLockedValue { $0 = error.code }
            }
            return QueryRetrieveResponse(.success)
        }) { _, peer in
            try await Self.associate(peer)
            try await peer.send(Self.request(4))
            await gate.arrival()
            // Another operation's number cancels nothing.
            try await peer.send(RawPeer.message(.cancelRequest(of: 5)))
            try await peer.send(RawPeer.message(.cancelRequest(of: 4)))
            let answer = try await peer.receiveCommands(1).first
            #expect(answer?.status == .cancel)
            #expect(answer?.messageIDBeingRespondedTo == 4)
            gate.open()
            // One answer only, and the association goes on.
            try await peer.send(RawPeer.message(.echoRequest(messageID: 6), contextID: 3))
            #expect(try await peer.receiveCommands(1).first?.commandField == .echoResponse)
            #expect(outcome.withLockedValue { $0 } == .cancelled)
        }
    }

    @Test(arguments: [true, false])
    func wakesAServiceThatWaitsForACancellation(isByCommand: Bool) async throws {
        let gate = Gate()
        let ended = Gate()
        try await Self.serve({ _, exchange in
            await gate.pass()
            await exchange.cancellation()
            // And whoever asks afterwards is not held up.
            await exchange.cancellation()
            ended.open()
            return QueryRetrieveResponse(.success)
        }) { _, peer in
            try await Self.associate(peer)
            try await peer.send(Self.request(4))
            await gate.arrival()
            gate.open()
            if isByCommand {
                try await peer.send(RawPeer.message(.cancelRequest(of: 4)))
            } else {
                try await peer.channel.close()
            }
            await ended.pass()
        }
    }

    @Test func cancelsAQueryThatWaitsItsTurn() async throws {
        let gate = Gate()
        let count = NIOLockedValueBox(0)
        try await Self.serve({ _, _ in
            count.withLockedValue { $0 += 1 }
            await gate.pass()
            return QueryRetrieveResponse(.success)
        }) { _, peer in
            try await Self.associate(peer)
            // One PDU stream: the second request is queued with its cancellation when the first ends.
            try await peer.send(Self.request(1))
            await gate.arrival()
            try await peer.send(Self.request(2))
            try await peer.send(RawPeer.message(.cancelRequest(of: 1)))
            gate.open()
            let answers = try await peer.receiveCommands(2)
            #expect(Set(answers.map(\.messageIDBeingRespondedTo)) == [1, 2])
        }
    }

    /// What a peer does not read is not produced either.
    @Test func waitsForAPeerThatDoesNotRead() async throws {
        let sentCount = NIOLockedValueBox(0)
        let chunk = ByteBuffer(repeating: 0, count: 100_000)
        try await Self.serve({ _, exchange in
            for _ in 0..<1_000 {
                do throws(DICOMNetworkError) {
                    try await exchange.send([QueryRetrieveResponse(.pending, identifier: chunk)])
                    sentCount.withLockedValue { $0 += 1 }
                } catch {
                    return QueryRetrieveResponse(.cancel)
                }
            }
            return QueryRetrieveResponse(.success)
        }) { serving, peer in
            try await Self.associate(peer)
            try await peer.channel.setOption(.autoRead, value: false).get()
            try await peer.send(Self.request(1))
            // Others are served in the meantime, for longer than 1,000 responses would take to write.
            for _ in 0..<100 { #expect(try await serving.isAlive()) }
            #expect(sentCount.withLockedValue { $0 } < 1_000)
            // A cancellation is heard all the same, and what is written already comes first.
            try await peer.send(RawPeer.message(.cancelRequest(of: 1)))
            try await peer.channel.setOption(.autoRead, value: true).get()
            var assembler = MessageAssembler()
            var statuses: [DIMSEStatus] = []
            _ = try await peer.receive { element in
                if case .fragment(let fragment) = element,
                    case .command(let command, _)? = try? assembler.receive(fragment), let status = command.status
                {
                    statuses.append(status)
                }
                return statuses.last == .cancel
            }
            #expect(statuses.count < 1_000)
        }
    }

    @Test func tellsTheServiceThatThePeerIsGone() async throws {
        let ended = Gate()
        let outcome = NIOLockedValueBox(DICOMNetworkError.Code?.none)
        try await Self.serve({ _, exchange in
            while true {
                do throws(DICOMNetworkError) {
                    try await exchange.send([
                        QueryRetrieveResponse(.pending, identifier: ByteBuffer(repeating: 0, count: 10_000))
                    ])
                } catch {
                    outcome.withLockedValue { $0 = error.code }
                    break
                }
            }
            await ended.pass()
            return QueryRetrieveResponse(.cancel)
        }) { serving, peer in
            try await Self.associate(peer)
            try await peer.send(Self.request(1))
            _ = try await peer.receiveCommands(3)
            try await peer.channel.close()
            await ended.arrival()
            #expect([.closed, .cancelled].contains(outcome.withLockedValue { $0 }))
            ended.open()
            #expect(try await serving.isAlive())
        }
    }

    @Test func refusesWhatIsNoIdentifier() async throws {
        try await Self.serve(
            { _, _ in QueryRetrieveResponse(.success) },
            configure: { $0.maximumIdentifierByteCount = 1_000 }
        ) { _, peer in
            try await Self.associate(peer)
            var command = CommandSet.queryRetrieveRequest(Self.find, messageID: 1)
            command.hasDataSet = false
            try await peer.send(RawPeer.message(command))
            #expect(try await peer.receiveCommands(1).first?.status == .identifierDoesNotMatchSOPClass)
            let long = try RawPeer.message(
                .queryRetrieveRequest(Self.find, messageID: 2),
                dataSet: ByteBuffer(repeating: 0, count: 5_000)
            )
            try await peer.send(long)
            #expect(try await peer.receiveCommands(1).first?.status == .outOfResources)
            // A C-MOVE on a context for C-FIND.
            let other = CommandSet.queryRetrieveRequest(.init(.studyRoot, .move), messageID: 3)
            try await peer.send(RawPeer.message(other, dataSet: Self.identifier))
            #expect(try await peer.receiveCommands(1).first?.status == .sopClassNotSupported)
            try await peer.send(Self.request(4))
            #expect(try await peer.receiveCommands(1).first?.status == .success)
        }
    }
}
