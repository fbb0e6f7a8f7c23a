// SPDX-License-Identifier: Apache-2.0

import DIMSE
import Logging
import NIOCore

/// A request to be sent.
struct OutgoingRequest: Sendable {
    var command: CommandSet
    var contextID: UInt8
    /// Sent after the command; nil where there is none, or where it comes in pieces.
    var dataSet: ByteBuffer?
    /// Fulfilled when the command is sent and pieces of the data set may follow.
    var started: EventLoopPromise<Void>?
    /// Of operations with several responses: given each of them on the event loop, the last included.
    ///
    /// False asks for a C-CANCEL.
    var onResponse: (@Sendable (CommandSet, ByteBuffer?) -> Bool)?
    /// Of a C-GET: takes what the peer sends.
    var intake: StoreIntake?
}

/// A response whose data set is arriving.
///
/// Lives on the connection's event loop.
final class IncomingResponse {
    /// The longest data set of a response, in bytes.
    static let maximumByteCount = 4 << 20

    let command: CommandSet
    var dataSet = ByteBuffer()

    init(_ command: CommandSet) {
        self.command = command
    }
}

/// One association as requestor: negotiates, sends requests, matches responses.
///
/// Lives on the connection's event loop. One request is outstanding at a time; the others wait in order, bounded by
/// the tasks that wait for them.
final class AssociationClientHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What the peer's acceptance brought.
    struct Established: Sendable {
        let channel: any Channel
        let handler: NIOLoopBound<AssociationClientHandler>
        let contexts: NegotiatedContexts
        let peerInformation: UserInformation
    }

    struct Waiting {
        var makeRequest: @Sendable (UInt16) -> OutgoingRequest
        var response: EventLoopPromise<CommandSet>
    }

    struct Outstanding {
        var messageID: UInt16
        var contextID: UInt8
        /// What the response has to be.
        var expected: CommandField?
        var isSentWhole: Bool
        /// Arrived before the request was sent whole.
        var earlyResponse: CommandSet?
        var onResponse: (@Sendable (CommandSet, ByteBuffer?) -> Bool)?
        var isCancelled = false
        var intake: StoreIntake?
        var response: EventLoopPromise<CommandSet>
    }

    let configuration: DICOMClientConfiguration
    private let proposed: [ProposedContext]
    private let roles: [RoleSelection]
    private(set) var contexts: NegotiatedContexts?
    private let logger: Logger
    let upper: UpperLayer
    private var decoder: PDUDecoder
    var assembler = MessageAssembler()
    var fragmenter: MessageFragmenter?
    var context: ChannelHandlerContext?
    private var established: EventLoopPromise<Established>?
    var waiting: [Waiting] = []
    var outstanding: Outstanding?
    var pieces = ByteBuffer()
    private var incoming: IncomingResponse?
    /// Takes the data set that is being received, where that is of a C-STORE.
    var receivingIntake: StoreIntake?
    var released: [EventLoopPromise<Void>] = []
    var isReleased = false
    var nextMessageID: UInt16 = 1
    var timer: Scheduled<Void>?
    var failure: DICOMNetworkError?

    init(
        configuration: DICOMClientConfiguration,
        contexts: [ProposedContext],
        roles: [RoleSelection],
        established: EventLoopPromise<Established>,
        logger: Logger
    ) {
        self.configuration = configuration
        self.proposed = contexts
        self.roles = roles
        self.established = established
        self.logger = logger
        self.upper = UpperLayer(role: .requestor, artimTimeout: configuration.artimTimeout)
        self.decoder = PDUDecoder(limits: .init(advertisedMaximumLength: configuration.maximumPDULength))
        self.upper.willConnect()
    }

    /// Whether the peer owes an answer, or the rest of one.
    var isPeerToSpeak: Bool { outstanding != nil || established != nil || !released.isEmpty }

    // MARK: Connection

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        var information = UserInformation(
            maximumLength: self.configuration.maximumPDULength,
            implementationClassUID: self.configuration.implementationClassUID,
            implementationVersionName: self.configuration.implementationVersionName
        )
        information.roleSelections = self.roles
        let request = AssociateRequest(
            calledAETitle: self.configuration.calledAETitle,
            callingAETitle: self.configuration.callingAETitle,
            presentationContexts: self.proposed,
            userInformation: information
        )
        self.upper.apply(.transportConnected, sending: .associateRequest(request), context: context)
        self.startTimer(self.configuration.artimTimeout, context: context, "the peer did not answer A-ASSOCIATE-RQ")
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.upper.apply(.transportClosed, context: context)
        self.upper.stopTimer()
        self.end(DICOMNetworkError(.closed, "the connection was closed"))
        for promise in self.released {
            if self.isReleased {
                promise.succeed(())
            } else {
                promise.fail(self.ended)
            }
        }
        self.released.removeAll()
        self.context = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.end(DICOMNetworkError(.closed, "the connection failed", cause: error))
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var input = self.unwrapInboundIn(data)
        while input.readableBytes > 0, self.upper.state != .awaitingTransportClose, self.upper.state != .idle {
            do throws(DIMSEError) {
                guard let element = try self.decoder.next(from: &input) else { return }
                switch element {
                case .fragment(let fragment): try self.receive(fragment, context: context)
                case .pdu(let pdu): try self.receive(pdu, context: context)
                }
            } catch {
                self.upper.apply(.invalidPDUReceived, abortReason: error.abortReason, context: context)
                self.end(DICOMNetworkError(.protocolViolation, "the peer broke the protocol", cause: error))
            }
        }
    }

    // MARK: PDUs

    private func receive(_ pdu: PDU, context: ChannelHandlerContext) throws(DIMSEError) {
        switch pdu {
        case .associateAccept(let accept):
            guard self.upper.apply(.associateAcceptReceived, context: context) == .indicate else {
                return self.end(Self.unexpected("A-ASSOCIATE-AC"))
            }
            try self.accepted(accept, context: context)
        case .associateReject(let reject):
            // The reason first: the action closes the connection.
            self.end(DICOMNetworkError(.rejected, "\(reject)", rejection: reject))
            self.upper.apply(.associateRejectReceived, context: context)
        case .abort(let abort):
            let by = abort.source == 2 ? "provider, reason \(abort.reason)" : "user"
            self.end(DICOMNetworkError(.aborted, "the peer aborted the association (service \(by))"))
            self.upper.apply(.abortReceived, context: context)
        case .releaseRequest:
            self.upper.apply(.releaseRequestReceived, context: context)
            // AR-2 or AR-8 as requestor: nothing of ours is worth holding it up for.
            self.upper.apply(.releaseResponded, sending: .releaseResponse, context: context)
            if self.released.isEmpty {
                self.end(DICOMNetworkError(.closed, "the peer released the association"))
            }
        case .releaseResponse:
            self.isReleased =
                self.upper.state == .awaitingReleaseResponse
                || self.upper.state == .collisionRequestorAwaitingReleaseResponse
            self.upper.apply(.releaseResponseReceived, context: context)
            if !self.isReleased {
                self.end(Self.unexpected("A-RELEASE-RP"))
            }
        case .associateRequest:
            self.upper.apply(.associateRequestReceived, context: context)
            self.end(Self.unexpected("A-ASSOCIATE-RQ"))
        case .data:
            preconditionFailure("P-DATA-TF comes as fragments")
        }
    }

    private func accepted(_ accept: AssociateAccept, context: ChannelHandlerContext) throws(DIMSEError) {
        self.timer?.cancel()
        self.fragmenter = try MessageFragmenter(
            peerMaximumLength: accept.userInformation.maximumLength,
            cap: self.configuration.maximumSentPDULength
        )
        let contexts = NegotiatedContexts(proposed: self.proposed, results: accept.presentationContexts)
        self.contexts = contexts
        self.established?.succeed(
            Established(
                channel: context.channel,
                handler: NIOLoopBound(self, eventLoop: context.eventLoop),
                contexts: contexts,
                peerInformation: accept.userInformation
            )
        )
        self.established = nil
    }

    private func receive(_ fragment: PDUDecoder.Fragment, context: ChannelHandlerContext) throws(DIMSEError) {
        guard self.upper.isReceivingData else {
            self.upper.apply(.dataReceived, context: context)
            return self.end(Self.unexpected("P-DATA-TF"))
        }
        switch try self.assembler.receive(fragment) {
        case .incomplete: return
        case .command(let command, let contextID) where command.commandField == .storeRequest:
            try self.receiveStore(command, contextID: contextID)
        case .command(let command, _):
            guard let outstanding = self.outstanding,
                command.commandField == outstanding.expected,
                command.messageIDBeingRespondedTo == outstanding.messageID
            else { throw DIMSEError(.malformedCommand, "a message that answers no request of ours") }
            if command.hasDataSet, outstanding.onResponse != nil {
                self.incoming = IncomingResponse(command)
            } else {
                // Responses to C-ECHO and C-STORE carry no data set; one that comes all the same is dropped.
                self.receive(command, nil, context: context)
            }
        case .dataSet(let isEnd):
            if let intake = self.receivingIntake {
                return self.receive(fragment.bytes, isEnd: isEnd, into: intake, context: context)
            }
            guard let incoming = self.incoming else { return }
            let byteCount = incoming.dataSet.readableBytes + fragment.bytes.readableBytes
            guard byteCount <= IncomingResponse.maximumByteCount else {
                throw DIMSEError(
                    .lengthOverLimit,
                    "an identifier of more than \(IncomingResponse.maximumByteCount) bytes"
                )
            }
            incoming.dataSet.writeImmutableBuffer(fragment.bytes)
            guard isEnd else { return }
            self.incoming = nil
            self.receive(incoming.command, incoming.dataSet, context: context)
        }
    }

    /// A whole response.
    private func receive(_ command: CommandSet, _ dataSet: ByteBuffer?, context: ChannelHandlerContext) {
        if let onResponse = self.outstanding?.onResponse {
            let goesOn = onResponse(command, dataSet)
            if command.status?.isPending == true {
                return self.responsePending(goesOn: goesOn, context: context)
            }
        }
        self.outstanding?.earlyResponse = command
        self.completeIfDone(context: context)
    }

    // MARK: Ending

    /// Fails everything that waits.
    ///
    /// The first reason counts.
    func end(_ error: DICOMNetworkError) {
        self.timer?.cancel()
        self.timer = nil
        if self.failure == nil {
            self.failure = error
        }
        self.established?.fail(error)
        self.established = nil
        self.outstanding?.response.fail(error)
        self.outstanding = nil
        self.pieces = ByteBuffer()
        self.incoming = nil
        self.receivingIntake = nil
        self.failWaiting()
    }

    func startTimer(_ timeout: TimeAmount, context: ChannelHandlerContext, _ message: String) {
        self.timer?.cancel()
        self.timer = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
            self.upper.apply(.abortRequested, context: context)
            self.end(DICOMNetworkError(.timedOut, message))
        }
    }

    @inline(never)
    private static func unexpected(_ pdu: String) -> DICOMNetworkError {
        DICOMNetworkError(.protocolViolation, "an unexpected \(pdu) of the peer")
    }
}
