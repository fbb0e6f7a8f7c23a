// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import DIMSE
import NIOCore
import Testing

/// The client against servers that the test plays, and the parts of it that `ServerTests` does not reach.
@Suite struct ClientTests {
    @Test func reportsARefusedConnection() async throws {
        let listener = try await RawPeer.listen { _ in }
        let port = try #require(listener.localAddress?.port)
        try await listener.close()
        await Self.expect(.connectFailed) { try await Self.connect(port) }
    }

    @Test func reportsAnAbortInsteadOfAnAnswer() async throws {
        try await Self.play { peer in
            _ = try await peer.receivePDU()
            try await peer.send(.abort(.byServiceProvider(.notSpecified)))
        } against: { port in
            await Self.expect(.aborted) { try await Self.connect(port) }
        }
    }

    @Test func givesUpOnASilentPeer() async throws {
        try await Self.play { peer in
            _ = try await peer.receive()
        } against: { port in
            await Self.expect(.timedOut) { try await Self.connect(port) { $0.artimTimeout = .milliseconds(20) } }
        }
    }

    /// With the timeouts of production: only the cancellation can end it.
    @Test func givesUpConnectingWhenTheTaskIsCancelled() async throws {
        let gate = Gate()
        try await Self.play { peer in
            _ = try await peer.receivePDU()
            // It has been asked, and does not answer.
            gate.open()
            #expect(try await peer.receive() == [])
        } against: { port in
            let connecting = Task { try await Self.connect(port) }
            await gate.pass()
            connecting.cancel()
            await Self.expect(.closed) { try await connecting.value }
        }
    }

    @Test func givesUpOnAMissingResponse() async throws {
        try await Self.play { peer in
            try await Self.accept(peer)
            try await peer.expectAbort()
        } against: { port in
            let association = try await Self.connect(port) { $0.responseTimeout = .milliseconds(20) }
            await Self.expect(.timedOut) { try await association.echo() }
            await Self.expect(.timedOut) { try await association.echo() }
        }
    }

    @Test func refusesAResponseToAnotherRequest() async throws {
        try await Self.play { peer in
            try await Self.accept(peer)
            let request = try await peer.receiveCommands(1)
            var response = try #require(request.first).response(status: .success)
            response[.messageIDBeingRespondedTo] = 999
            try await peer.send(try RawPeer.message(response, contextID: 3))
            try await peer.expectAbort()
        } against: { port in
            let association = try await Self.connect(port)
            await Self.expect(.protocolViolation) { try await association.echo() }
        }
    }

    @Test func survivesAReleaseCollision() async throws {
        try await Self.play { peer in
            try await Self.accept(peer)
            #expect(try await peer.receivePDU() == .releaseRequest)
            // Crossed on the wire: our request, then the answer to theirs once they have answered ours.
            try await peer.send(.releaseRequest)
            #expect(try await peer.receivePDU() == .releaseResponse)
            try await peer.send(.releaseResponse)
            #expect(try await peer.receive() == [])
        } against: { port in
            let association = try await Self.connect(port)
            try await association.release()
        }
    }

    @Test func answersAReleaseOfThePeer() async throws {
        try await Self.play { peer in
            try await Self.accept(peer)
            try await peer.send(.releaseRequest)
            #expect(try await peer.receivePDU() == .releaseResponse)
            try await peer.channel.close()
        } against: { port in
            let association = try await Self.connect(port)
            // Sooner or later the release is seen; then nothing more can be asked.
            await #expect(throws: DICOMNetworkError.self) { try await association.echo() }
        }
    }

    @Test func sendsADataSetInPieces() async throws {
        let service = TestService()
        try await Serving.run(service) { serving in
            let association = try await serving.associate()
            let whole = pattern(3_000_001)
            for pieceByteCount in [3_000_001, 1 << 20, 131_066, 999] {
                var rest = whole
                let response = try await association.store(
                    sopClassUID: ctStorage,
                    sopInstanceUID: "1.2.\(pieceByteCount)",
                    transferSyntax: UIDText.explicitVRLittleEndian
                ) {
                    rest.readableBytes == 0 ? nil : rest.readSlice(length: min(rest.readableBytes, pieceByteCount))
                }
                #expect(response == .success)
            }
            #expect(service.stored.allSatisfy { $0.bytes == whole })
            #expect(service.stored.count == 4)
            try await association.release()
        }
    }

    @Test func abortsWhenADataSetCannotBeRead() async throws {
        struct Unreadable: Error {}
        let service = TestService()
        try await Serving.run(service) { serving in
            let association = try await serving.associate()
            var count = 0
            await Self.expect(.aborted) {
                try await association.store(
                    sopClassUID: ctStorage,
                    sopInstanceUID: "1.2",
                    transferSyntax: UIDText.explicitVRLittleEndian
                ) {
                    count += 1
                    if count == 4 { throw Unreadable() }
                    return pattern(100_000)
                }
            }
            await Self.expect(.aborted) { try await association.echo() }
            #expect(try await serving.isAlive())
        }
        #expect(service.stored.isEmpty)
    }

    @Test func runsConcurrentOperationsOneAfterTheOther() async throws {
        let service = TestService()
        try await Serving.run(service) { serving in
            let association = try await serving.associate()
            try await withThrowingTaskGroup(of: StoreResponse.self) { tasks in
                for index in 0..<50 {
                    tasks.addTask { try await association.storeCT(pattern(10_000), instance: "1.2.\(index)") }
                }
                for try await response in tasks {
                    #expect(response == .success)
                }
            }
            try await association.release()
            #expect(service.stored.count == 50)
            await Self.expect(.closed) { try await association.echo() }
        }
    }

    // MARK: Playing a server

    private static func connect(
        _ port: Int,
        configure: (inout DICOMClientConfiguration) -> Void = { _ in }
    ) async throws(DICOMNetworkError) -> DICOMAssociation {
        guard let client = try? Serving.client(port: port, configure: configure) else {
            throw DICOMNetworkError(.usage, "no client")
        }
        return try await client.connect(contexts: RawPeer.request().presentationContexts)
    }

    private static func accept(_ peer: RawPeer) async throws {
        guard case .associateRequest(let request)? = try await peer.receivePDU() else {
            throw DIMSEError(.malformedPDU, "not an A-ASSOCIATE-RQ")
        }
        let accept = AssociateAccept(
            calledAETitle: request.calledAETitle,
            callingAETitle: request.callingAETitle,
            presentationContexts: request.presentationContexts.map {
                ContextResult(id: $0.id, result: .acceptance, transferSyntax: $0.transferSyntaxes[0])
            },
            userInformation: UserInformation(maximumLength: 16384)
        )
        try await peer.send(.associateAccept(accept))
    }

    /// The play must come to its end before the test does.
    private static func play(
        _ server: @escaping @Sendable (RawPeer) async throws -> Void,
        against client: (Int) async throws -> Void
    ) async throws {
        let (ended, continuation) = AsyncStream<Void>.makeStream()
        let listener = try await RawPeer.listen { peer in
            defer { continuation.finish() }
            do {
                try await server(peer)
            } catch {
                Issue.record(error)
            }
        }
        try await client(try #require(listener.localAddress?.port))
        for await _ in ended {}
        try await listener.close()
    }

    private static func expect<T>(
        _ code: DICOMNetworkError.Code,
        sourceLocation: SourceLocation = #_sourceLocation,
        _ operation: () async throws -> T
    ) async {
        do {
            _ = try await operation()
            Issue.record("no error", sourceLocation: sourceLocation)
        } catch {
            #expect((error as? DICOMNetworkError)?.code == code, sourceLocation: sourceLocation)
        }
    }
}
