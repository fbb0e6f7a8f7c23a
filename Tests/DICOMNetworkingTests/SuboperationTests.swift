// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import DIMSE
import NIOConcurrencyHelpers
import NIOCore
import Testing

/// C-STORE requests of the server's, over the association that a C-GET came by.
@Suite struct SuboperationTests {
    private static let get = QueryRetrieveSOPClass(.studyRoot, .get)
    private static let identifier = ByteBuffer(string: "an identifier..")

    private static func serve(
        _ query: @escaping @Sendable (QueryRetrieveRequest, RequestExchange) async -> QueryRetrieveResponse,
        configure: (inout DICOMServerConfiguration) -> Void = { _ in },
        _ body: (Serving, RawPeer) async throws -> Void
    ) async throws {
        try await Serving.withPeer(TestService(query: query), [get.uid: []], configure: configure, body)
    }

    /// Contexts: 1 C-GET, 3 CT storage.
    @discardableResult
    private static func associate(
        _ peer: RawPeer,
        roles: [RoleSelection]
    ) async throws
        -> AssociateAccept
    {
        var request = RawPeer.request()
        request.presentationContexts = [
            ProposedContext(
                id: 1,
                abstractSyntax: get.uid,
                transferSyntaxes: [UIDText.implicitVRLittleEndian]
            ),
            ProposedContext(
                id: 3,
                abstractSyntax: ctStorage,
                transferSyntaxes: [UIDText.explicitVRLittleEndian]
            ),
        ]
        request.userInformation.roleSelections = roles
        try await peer.send(.associateRequest(request))
        guard case .associateAccept(let accept)? = try await peer.receivePDU() else {
            throw DIMSEError(.malformedPDU, "the association was not accepted")
        }
        return accept
    }

    private static let asSCP = [RoleSelection(sopClassUID: ctStorage, isSCU: false, isSCP: true)]

    private static func request(_ messageID: UInt16 = 1) throws -> ByteBuffer {
        try RawPeer.message(.queryRetrieveRequest(get, messageID: messageID), dataSet: identifier)
    }

    /// The next message: its command and the bytes of its data set.
    private static func message(_ peer: RawPeer) async throws -> (CommandSet, ByteBuffer) {
        var assembler = MessageAssembler()
        var command: CommandSet?
        var bytes = ByteBuffer()
        _ = try await peer.receive { element in
            guard case .fragment(let fragment) = element, let outcome = try? assembler.receive(fragment)
            else {
                return false
            }
            switch outcome {
            case .command(let found, _):
                command = found
                return !found.hasDataSet
            case .dataSet(let isEnd):
                bytes.writeImmutableBuffer(fragment.bytes)
                return isEnd
            case .incomplete: return false
            }
        }
        guard let command else { throw DIMSEError(.malformedCommand, "the connection ended") }
        return (command, bytes)
    }

    private static func answer(_ command: CommandSet, _ status: DIMSEStatus) throws -> ByteBuffer {
        try RawPeer.message(command.response(status: status), contextID: 3)
    }

    @Test func grantsTheSCPRoleOnlyWhereItIsOffered() async throws {
        let roles = NIOLockedValueBox<[[NegotiatedContexts.Context]]>([])
        try await Self.serve({ _, exchange in
            roles.withLockedValue { $0.append(exchange.storeContexts) }
            return QueryRetrieveResponse(.success)
        }) { serving, peer in
            let accept = try await Self.associate(peer, roles: Self.asSCP)
            #expect(accept.userInformation.roleSelections == Self.asSCP)
            try await peer.send(Self.request())
            _ = try await peer.receiveCommands(1)
            let other = try await RawPeer.connect(port: serving.port)
            #expect(try await Self.associate(other, roles: []).userInformation.roleSelections.isEmpty)
            try await other.send(Self.request())
            _ = try await other.receiveCommands(1)
            try await other.channel.close()
            #expect(roles.withLockedValue { $0.map { $0.map(\.id) } } == [[3], []])
        }
    }

    @Test(arguments: [[2], [100, 16_372, 16_370], [40_000, 1, 1, 60_000], [3_000_000]])
    func sendsADataSetInPieces(byteCounts: [Int]) async throws {
        let pieces = byteCounts.enumerated().map { pattern($1, seed: $0) }
        let whole = pieces.reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) }
        try await Self.serve({ request, exchange in
            var counts = SuboperationCounts(remaining: 2)
            for number in 1...2 {
                let store = OutgoingStore(
                    sopClassUID: ctStorage,
                    sopInstanceUID: "1.2.\(number)",
                    contextID: 3,
                    priority: .high
                )
                do {
                    let response = try await exchange.store(store) { write in
                        for piece in pieces { try await write([piece]) }
                    }
                    counts.add(response.status)
                    try await exchange.send([QueryRetrieveResponse(.pending, counts: counts)])
                } catch {
                    return QueryRetrieveResponse(.processingFailure)
                }
            }
            return QueryRetrieveResponse(counts.finalStatus, counts: counts, identifier: Self.identifier)
        }) { _, peer in
            try await Self.associate(peer, roles: Self.asSCP)
            try await peer.send(Self.request(8))
            for (number, status) in [(UInt16(1), DIMSEStatus.success), (2, .outOfResources)] {
                let (store, dataSet) = try await Self.message(peer)
                #expect(store.commandField == .storeRequest)
                #expect(store.messageID == number)
                #expect(store.affectedSOPInstanceUID == "1.2.\(number)")
                #expect(store[.priority] == 1)
                #expect(dataSet == whole)
                try await peer.send(Self.answer(store, status))
                let (pending, _) = try await Self.message(peer)
                #expect(pending.status == .pending)
                #expect(pending.messageIDBeingRespondedTo == 8)
                #expect(pending.suboperationCounts?.remaining == 2 - Int(number))
            }
            let (last, identifier) = try await Self.message(peer)
            #expect(last.status?.rawValue == 0xB000)
            #expect(last[.completedSuboperations] == 1)
            #expect(last[.failedSuboperations] == 1)
            #expect(last[.remainingSuboperations] == nil)
            #expect(identifier == Self.identifier)
        }
    }

    /// The sub-operation under way is finished, then the operation ends.
    @Test func cancellingIsSeenBetweenSuboperations() async throws {
        try await Self.serve({ _, exchange in
            var count = 0
            while !exchange.isCancelled {
                count += 1
                let store = OutgoingStore(sopClassUID: ctStorage, sopInstanceUID: "1.2.3", contextID: 3)
                guard (try? await exchange.store(store) { try await $0([pattern(1_000)]) }) != nil else {
                    return QueryRetrieveResponse(.processingFailure)
                }
            }
            return QueryRetrieveResponse(
                .cancel,
                counts: SuboperationCounts(remaining: 5, completed: count)
            )
        }) { _, peer in
            try await Self.associate(peer, roles: Self.asSCP)
            try await peer.send(Self.request())
            let (store, _) = try await Self.message(peer)
            try await peer.send(RawPeer.message(.cancelRequest(of: 1)))
            try await peer.send(Self.answer(store, .success))
            let (last, _) = try await Self.message(peer)
            #expect(last.status == .cancel)
            #expect(last.suboperationCounts == SuboperationCounts(remaining: 5, completed: 1))
        }
    }

    @Test func aDataSetThatBreaksOffEndsTheAssociation() async throws {
        struct Unreadable: Error {}
        let code = NIOLockedValueBox(DICOMNetworkError.Code?.none)
        try await Self.serve({ _, exchange in
            let store = OutgoingStore(sopClassUID: ctStorage, sopInstanceUID: "1.2.3", contextID: 3)
            do throws(DICOMNetworkError) {
                _ = try await exchange.store(store) { write in
                    try await write([pattern(100_000)])
                    throw Unreadable()
                }
            } catch {
                code.withLockedValue { $0 = error.code }
            }
            return QueryRetrieveResponse(.processingFailure)
        }) { serving, peer in
            try await Self.associate(peer, roles: Self.asSCP)
            try await peer.send(Self.request())
            try await peer.expectAbort()
            #expect(try await serving.isAlive())
        }
        #expect(code.withLockedValue { $0 } == .aborted)
    }

    @Test func aPeerThatNeverAnswersIsGivenUp() async throws {
        let code = NIOLockedValueBox(DICOMNetworkError.Code?.none)
        try await Self.serve(
            { _, exchange in
                let store = OutgoingStore(sopClassUID: ctStorage, sopInstanceUID: "1.2.3", contextID: 3)
                do throws(DICOMNetworkError) {
                    _ = try await exchange.store(store) { try await $0([pattern(1_000)]) }
                } catch {
                    code.withLockedValue { $0 = error.code }
                }
                return QueryRetrieveResponse(.processingFailure)
            },
            configure: { $0.idleTimeout = .seconds(1) }
        ) { _, peer in
            try await Self.associate(peer, roles: Self.asSCP)
            try await peer.send(Self.request())
            try await peer.expectAbort()
        }
        #expect(code.withLockedValue { $0 } == .closed)
    }

    @Test func anAnswerToNothingIsAFault() async throws {
        try await Self.serve({ _, exchange in
            let store = OutgoingStore(sopClassUID: ctStorage, sopInstanceUID: "1.2.3", contextID: 3)
            _ = try? await exchange.store(store) { try await $0([pattern(1_000)]) }
            return QueryRetrieveResponse(.processingFailure)
        }) { _, peer in
            try await Self.associate(peer, roles: Self.asSCP)
            try await peer.send(Self.request())
            var (store, _) = try await Self.message(peer)
            store[.messageID] = 77
            try await peer.send(Self.answer(store, .success))
            try await peer.expectAbort()
        }
    }
}
