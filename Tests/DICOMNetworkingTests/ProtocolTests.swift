// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import DIMSE
import NIOCore
import Testing

/// The server's side of the protocol, byte for byte.
@Suite struct ProtocolTests {
    @Test func answersAnAssociationRequest() async throws {
        try await Serving.run { serving in
            let peer = try await RawPeer.connect(port: serving.port)
            var request = RawPeer.request()
            request.presentationContexts.append(
                ProposedContext(id: 5, abstractSyntax: "1.2.3", transferSyntaxes: [UIDText.implicitVRLittleEndian])
            )
            request.userInformation.asynchronousWindow = .init(operationsInvoked: 0, operationsPerformed: 8)
            request.userInformation.roleSelections = [.init(sopClassUID: ctStorage, isSCU: true, isSCP: true)]
            try await peer.send(.associateRequest(request))
            guard case .associateAccept(let accept)? = try await peer.receivePDU() else {
                throw DIMSEError(.malformedPDU, "the association was not accepted")
            }
            #expect(accept.calledAETitle?.value == "VARVE")
            #expect(accept.callingAETitle?.value == "RAW")
            #expect(
                accept.presentationContexts.map(\.result) == [.acceptance, .acceptance, .abstractSyntaxNotSupported]
            )
            #expect(accept.userInformation.maximumLength == 131_072)
            #expect(accept.userInformation.asynchronousWindow == .init(operationsInvoked: 1, operationsPerformed: 1))
            #expect(
                accept.userInformation.roleSelections == [.init(sopClassUID: ctStorage, isSCU: true, isSCP: false)]
            )
            try await peer.channel.close()
        }
    }

    @Test func understandsAPeerThatWritesByteByByte() async throws {
        let service = TestService()
        try await Serving.run(service) { serving in
            let peer = try await RawPeer.connect(port: serving.port)
            var request = ByteBuffer()
            PDU.associateRequest(RawPeer.request()).encode(into: &request)
            for byte in request.readableBytesView {
                try await peer.send(ByteBuffer(bytes: [byte]))
            }
            #expect(try await peer.receivePDU() != nil)
            for byte in try RawPeer.store(1, pattern(50)).readableBytesView {
                try await peer.send(ByteBuffer(bytes: [byte]))
            }
            #expect(try await peer.receiveCommands(1).first?.status == .success)
            #expect(service.stored.first?.bytes == pattern(50))
            try await peer.send(.releaseRequest)
            #expect(try await peer.receivePDU() == .releaseResponse)
            try await peer.channel.close()
        }
    }

    /// A peer that does not wait for answers: requests are worked on one at a time, answers come in order, and the
    /// release waits for them.
    @Test func worksInOrderForAPeerThatDoesNotWait() async throws {
        let gate = Gate()
        let service = TestService(answer: { request in
            if request.messageID == 1 { await gate.pass() }
            return .success
        })
        try await Serving.run(service) { serving in
            let peer = try await RawPeer.connect(port: serving.port)
            _ = try await peer.associate()
            var stream = ByteBuffer()
            for messageID in UInt16(1)...20 {
                stream.writeImmutableBuffer(try RawPeer.store(messageID, pattern(30_000, seed: Int(messageID))))
            }
            stream.writeImmutableBuffer(try RawPeer.message(.echoRequest(messageID: 21), contextID: 3))
            PDU.releaseRequest.encode(into: &stream)
            let sending = stream
            async let sent: Void = peer.send(sending)
            await gate.arrival()
            gate.open()
            try await sent
            let elements = try await peer.receive { if case .pdu = $0 { true } else { false } }
            #expect(elements.last == .pdu(.releaseResponse))
            var assembler = MessageAssembler()
            var answered: [UInt16] = []
            for case .fragment(let fragment) in elements {
                if case .command(let command, _) = try assembler.receive(fragment) {
                    #expect(command.status == .success)
                    answered.append(command.messageIDBeingRespondedTo ?? 0)
                }
            }
            #expect(answered == Array(1...21))
            #expect(service.mostRunning == 1)
            for (index, stored) in service.stored.enumerated() {
                #expect(stored.bytes == pattern(30_000, seed: index + 1))
            }
            try await peer.channel.close()
        }
    }

    @Test func answersUnknownCommandsAndIgnoresCancels() async throws {
        try await Serving.run { serving in
            let peer = try await RawPeer.connect(port: serving.port)
            _ = try await peer.associate()
            var find = CommandSet(.findRequest)
            find.setUID(.affectedSOPClassUID, ctStorage)
            find[.messageID] = 4
            find.hasDataSet = true
            var cancel = CommandSet(.cancelRequest)
            cancel[.messageIDBeingRespondedTo] = 4
            var stream = try RawPeer.message(find, dataSet: pattern(40_000))
            stream.writeImmutableBuffer(try RawPeer.message(cancel))
            stream.writeImmutableBuffer(try RawPeer.message(.echoRequest(messageID: 5), contextID: 3))
            try await peer.send(stream)
            let answers = try await peer.receiveCommands(2)
            #expect(answers.map(\.status) == [.unrecognizedOperation, .success])
            #expect(answers.map(\.messageIDBeingRespondedTo) == [4, 5])
            #expect(answers.first?.commandField == CommandField.findRequest.response)
            try await peer.channel.close()
        }
    }

    @Test(arguments: [
        ("", ctStorage, DIMSEStatus.invalidSOPInstance), ("1.2.x", ctStorage, .invalidSOPInstance),
        ("1.2.3", "1.2.840.10008.5.1.1.1", .sopClassNotSupported),
    ])
    func refusesAStoreWithoutIdentity(_ instance: String, _ sopClass: String, _ status: DIMSEStatus) async throws {
        let service = TestService()
        try await Serving.run(service) { serving in
            let peer = try await RawPeer.connect(port: serving.port)
            _ = try await peer.associate()
            let command = CommandSet.storeRequest(messageID: 1, sopClassUID: sopClass, sopInstanceUID: instance)
            try await peer.send(try RawPeer.message(command, dataSet: pattern(20_000)))
            #expect(try await peer.receiveCommands(1).first?.status == status)
            try await peer.send(try RawPeer.store(2, pattern(10)))
            #expect(try await peer.receiveCommands(1).first?.status == .success)
            #expect(service.stored.count == 1)
            try await peer.channel.close()
        }
    }

    @Test func sendsNoMoreThanThePeerTakes() async throws {
        let service = TestService(answer: { _ in
            StoreResponse(.cannotUnderstand, errorComment: String(repeating: "c", count: 64))
        })
        try await Serving.run(service) { serving in
            let peer = try await RawPeer.connect(port: serving.port)
            _ = try await peer.associate(maximumLength: 32)
            try await peer.send(try RawPeer.store(1, pattern(10)))
            let elements = try await peer.receive { if case .fragment(let last) = $0 { last.isEnd } else { false } }
            for case .fragment(let fragment) in elements {
                #expect(fragment.bytes.readableBytes <= 26)
            }
            #expect(elements.count > 3)
            try await peer.channel.close()
        }
    }

    @Test func rejectsAnotherProtocolVersionAndApplicationContext() async throws {
        try await Serving.run { serving in
            var request = RawPeer.request()
            request.protocolVersion = 2
            var peer = try await RawPeer.connect(port: serving.port)
            try await peer.send(.associateRequest(request))
            #expect(try await peer.receivePDU() == .associateReject(.protocolVersionNotSupported))
            try await peer.channel.close()

            request = RawPeer.request()
            request.applicationContext = "1.2.3"
            peer = try await RawPeer.connect(port: serving.port)
            try await peer.send(.associateRequest(request))
            #expect(try await peer.receivePDU() == .associateReject(.applicationContextNotSupported))
            try await peer.channel.close()
        }
    }
}
