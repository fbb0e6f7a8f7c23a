// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import DIMSE
import NIOConcurrencyHelpers
import NIOCore
import Testing

/// N-ACTION, and N-EVENT-REPORT over the same association or one of our own.
@Suite struct ActionTests {
    private static let sopClass = StorageCommitment.sopClassUID
    private static let information = ByteBuffer(string: "information.")

    /// What a service was asked, and a way to report.
    private final class Actions: Sendable {
        let requests = NIOLockedValueBox<[ActionRequest]>([])
        private let stream: AsyncStream<EventReporter>
        private let continuation: AsyncStream<EventReporter>.Continuation

        init() { (stream, continuation) = AsyncStream.makeStream() }

        func take(_ request: ActionRequest, _ reporter: EventReporter) -> ActionResponse {
            requests.withLockedValue { $0.append(request) }
            continuation.yield(reporter)
            return ActionResponse(.success)
        }

        func reporter() async throws -> EventReporter {
            var iterator = stream.makeAsyncIterator()
            let next = await iterator.next()
            return try #require(next)
        }
    }

    private static func report(_ eventTypeID: UInt16 = 1) -> EventReport {
        EventReport(
            sopClassUID: sopClass,
            sopInstanceUID: StorageCommitment.sopInstanceUID,
            eventTypeID: eventTypeID,
            information: information
        )
    }

    private static func serve(
        _ service: TestService,
        configure: (inout DICOMServerConfiguration) -> Void = { _ in },
        _ body: (Serving, RawPeer) async throws -> Void
    ) async throws {
        try await Serving.withPeer(
            service,
            [:],
            configure: {
                $0.actionSOPClasses = [sopClass]
                configure(&$0)
            },
            { serving, peer in
                var request = RawPeer.request()
                request.presentationContexts.append(
                    ProposedContext(
                        id: 5,
                        abstractSyntax: sopClass,
                        transferSyntaxes: [UIDText.implicitVRLittleEndian, UIDText.explicitVRLittleEndian]
                    )
                )
                try await peer.send(.associateRequest(request))
                guard case .associateAccept(let accept)? = try await peer.receivePDU() else {
                    throw DIMSEError(.malformedPDU, "the association was not accepted")
                }
                #expect(accept.presentationContexts.map(\.result) == [.acceptance, .acceptance, .acceptance])
                try await body(serving, peer)
            }
        )
    }

    private static func action(
        sopClass: String = Self.sopClass,
        type: UInt16? = 1,
        information: ByteBuffer? = Self.information,
        contextID: UInt8 = 5
    ) throws -> ByteBuffer {
        var command = CommandSet.actionRequest(
            messageID: 7,
            sopClassUID: sopClass,
            sopInstanceUID: StorageCommitment.sopInstanceUID,
            actionTypeID: 1
        )
        command[.actionTypeID] = type
        command.hasDataSet = information != nil
        return try RawPeer.message(command, dataSet: information, contextID: contextID)
    }

    @Test func anActionReachesTheServiceWhole() async throws {
        let actions = Actions()
        try await Self.serve(TestService(action: actions.take)) { _, peer in
            try await peer.send(Self.action())
            let response = try #require(try await peer.receiveCommands(1).first)
            #expect(response.commandField == .actionResponse)
            #expect(response.status == .success)
            #expect(response.messageIDBeingRespondedTo == 7)
            #expect(response[.actionTypeID] == 1)
            #expect(response.affectedSOPClassUID == Self.sopClass)
            #expect(response.affectedSOPInstanceUID == StorageCommitment.sopInstanceUID)
            #expect(!response.hasDataSet)
            let request = try #require(actions.requests.withLockedValue { $0.first })
            #expect(request.information == Self.information)
            #expect(request.sopInstanceUID == StorageCommitment.sopInstanceUID)
            #expect(request.transferSyntax == UIDText.explicitVRLittleEndian)
        }
    }

    @Test func whatIsNoActionOfTheContextIsRefused() async throws {
        let actions = Actions()
        try await Self.serve(TestService(action: actions.take)) { _, peer in
            try await peer.send(Self.action(sopClass: "1.2.3"))
            try await peer.send(Self.action(contextID: 3))
            try await peer.send(Self.action(type: nil))
            let statuses = try await peer.receiveCommands(3).map(\.status)
            #expect(statuses == [.noSuchSOPClass, .noSuchSOPClass, .noSuchAction])
        }
        #expect(actions.requests.withLockedValue { $0.isEmpty })
    }

    @Test func informationOverTheLimitIsRefusedAndTheAssociationGoesOn() async throws {
        let actions = Actions()
        try await Self.serve(TestService(action: actions.take), configure: { $0.maximumActionByteCount = 100_000 }) {
            _,
            peer in
            try await peer.send(Self.action(information: pattern(100_001)))
            try await peer.send(Self.action(information: pattern(100_000)))
            let statuses = try await peer.receiveCommands(2).map(\.status)
            #expect(statuses == [.resourceLimitation, .success])
        }
        #expect(actions.requests.withLockedValue { $0.map(\.information.readableBytes) } == [100_000])
    }

    @Test func aServerWithoutActionsDoesNotKnowThem() async throws {
        try await Serving.run { serving in
            let association = try await Serving.client(port: serving.port).connect(
                contexts: DICOMClient.contexts([(Self.sopClass, [UIDText.implicitVRLittleEndian])])
            )
            #expect(association.contexts.accepted.isEmpty)
            try await association.release()
        }
    }

    @Test func aReportGoesOverTheSameAssociationBehindTheAnswer() async throws {
        let actions = Actions()
        try await Self.serve(TestService(action: actions.take)) { _, peer in
            try await peer.send(Self.action())
            let reporter = try await actions.reporter()
            async let status = reporter.report(Self.report(2))
            let commands = try await peer.receiveCommands(2)
            #expect(commands.map(\.commandField) == [.actionResponse, .eventReportRequest])
            let request = commands[1]
            #expect(request.affectedSOPClassUID == Self.sopClass)
            #expect(request.affectedSOPInstanceUID == StorageCommitment.sopInstanceUID)
            #expect(request[.eventTypeID] == 2)
            let bytes = try await peer.receive { if case .fragment(let next) = $0 { next.isEnd } else { false } }
            guard case .fragment(let fragment)? = bytes.last else { throw DIMSEError(.malformedPDU, "no data set") }
            #expect(fragment.bytes == Self.information)
            try await peer.send(RawPeer.message(request.response(status: .success), contextID: 5))
            #expect(try await status == .success)
            // And the association serves on.
            try await peer.send(RawPeer.message(.echoRequest(messageID: 9), contextID: 3))
            #expect(try await peer.receiveCommands(1).first?.status == .success)
        }
    }

    @Test func aReportWaitsForTheRequestUnderWay() async throws {
        let (actions, gate) = (Actions(), Gate())
        let service = TestService(action: actions.take) { _ in
            await gate.pass()
            return .success
        }
        try await Self.serve(service) { _, peer in
            try await peer.send(Self.action())
            let reporter = try await actions.reporter()
            #expect(try await peer.receiveCommands(1).first?.commandField == .actionResponse)
            try await peer.send(RawPeer.store(11, pattern(1_000)))
            await gate.arrival()
            async let status = reporter.report(Self.report())
            // Whatever the report does, the store's answer comes first.
            gate.open()
            let commands = try await peer.receiveCommands(2)
            #expect(commands.map(\.commandField) == [.storeResponse, .eventReportRequest])
            try await peer.send(RawPeer.message(commands[1].response(status: .processingFailure), contextID: 5))
            #expect(try await status == .processingFailure)
        }
    }

    @Test func reportsAfterTheEndOfTheAssociationFail() async throws {
        let actions = Actions()
        try await Self.serve(TestService(action: actions.take)) { _, peer in
            try await peer.send(Self.action())
            let reporter = try await actions.reporter()
            _ = try await peer.receiveCommands(1)
            let report = Task { try await reporter.report(Self.report()) }
            _ = try await peer.receiveCommands(1)
            try await peer.send(.releaseRequest)
            let error = await #expect(throws: DICOMNetworkError.self) { _ = try await report.value }
            #expect(error?.code == .closed)
            let later = await #expect(throws: DICOMNetworkError.self) { _ = try await reporter.report(Self.report()) }
            #expect(later?.code == .closed)
        }
    }

    @Test func aPeerThatDoesNotAnswerKeepsItsAssociation() async throws {
        let actions = Actions()
        try await Self.serve(
            TestService(action: actions.take),
            configure: { $0.eventReportTimeout = .milliseconds(50) }
        ) { _, peer in
            try await peer.send(Self.action())
            let reporter = try await actions.reporter()
            let error = await #expect(throws: DICOMNetworkError.self) { _ = try await reporter.report(Self.report()) }
            #expect(error?.code == .timedOut)
            let again = await #expect(throws: DICOMNetworkError.self) { _ = try await reporter.report(Self.report()) }
            #expect(again?.code == .timedOut)
            let commands = try await peer.receiveCommands(2)
            #expect(commands.map(\.commandField) == [.actionResponse, .eventReportRequest])
            _ = try await peer.receive { if case .fragment(let next) = $0 { next.isEnd } else { false } }
            // Late, and nobody waits; but no breach of the protocol.
            try await peer.send(RawPeer.message(commands[1].response(status: .success), contextID: 5))
            try await peer.send(RawPeer.message(.echoRequest(messageID: 9), contextID: 3))
            #expect(try await peer.receiveCommands(1).last?.status == .success)
        }
    }

    @Test func anAnswerToNoReportEndsTheAssociation() async throws {
        try await Self.serve(TestService()) { _, peer in
            let report = Self.report()
            var answer = CommandSet(.eventReportResponse)
            answer[.messageIDBeingRespondedTo] = 1
            answer[.status] = 0
            answer.setUID(.affectedSOPClassUID, report.sopClassUID)
            try await peer.send(RawPeer.message(answer, contextID: 5))
            try await peer.expectAbort()
        }
    }

    /// As whoever asked for a commitment is called later.
    @Test func reportsOverAnAssociationOfOurOwnOfferTheProvidersRole() async throws {
        let proposed = NIOLockedValueBox<AssociateRequest?>(nil)
        let requestor = try await RawPeer.listen { peer in
            guard case .associateRequest(let request)? = try await peer.receivePDU() else { return }
            proposed.withLockedValue { $0 = request }
            let context = request.presentationContexts[0]
            let accept = AssociateAccept(
                calledAETitle: request.calledAETitle,
                callingAETitle: request.callingAETitle,
                presentationContexts: [
                    ContextResult(
                        id: context.id,
                        result: .acceptance,
                        transferSyntax: context.transferSyntaxes[0]
                    )
                ],
                userInformation: UserInformation(maximumLength: 16384, implementationClassUID: "1.2.3")
            )
            try await peer.send(.associateAccept(accept))
            guard let command = try await peer.receiveCommands(1).first else { return }
            _ = try await peer.receive { if case .fragment(let next) = $0 { next.isEnd } else { false } }
            try await peer.send(RawPeer.message(command.response(status: .success), contextID: context.id))
            _ = try await peer.receivePDU()
            try await peer.send(.releaseResponse)
        }
        let port = try #require(requestor.localAddress?.port)
        let role = RoleSelection(sopClassUID: Self.sopClass, isSCU: false, isSCP: true)
        let association = try await Serving.client(port: port).connect(
            contexts: DICOMClient.contexts([(Self.sopClass, [UIDText.explicitVRLittleEndian])]),
            roles: [role]
        )
        let context = try #require(association.contexts.accepted.first)
        #expect(try await association.report(Self.report(), contextID: context.id) == .success)
        try await association.release()
        #expect(proposed.withLockedValue { $0?.userInformation.roleSelections } == [role])
        try await requestor.close()
    }
}
