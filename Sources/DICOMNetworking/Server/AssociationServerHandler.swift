// SPDX-License-Identifier: Apache-2.0

import DIMSE
import Logging
import NIOCore

/// One connection to the server: reads PDUs, keeps the association, queues requests, writes responses.
///
/// Lives on the connection's event loop; only the tasks that call the service leave it. One request is worked on
/// at a time and one more is received meanwhile; then reading stops until there is room, so the memory of an
/// association is bounded by two data sets in memory and what one read brings.
final class AssociationServerHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let server: ServerState
    let upper: UpperLayer
    private var decoder: PDUDecoder
    var assembler = MessageAssembler()
    var association: EstablishedAssociation?
    var reception = Reception.none
    /// Whether the end of a data set waits for its spool file.
    var isFinishingDataSet = false
    /// Requests in order, received whole but for a last one that goes to a file.
    ///
    /// At most one of them waits while another runs.
    var queue: [PendingRequest] = []
    /// Cancelled by this handler when the server runs out of grace; ends by telling this handler.
    var running: Task<Void, Never>?
    /// Of the store that runs.
    var runningReception: DataSetReception?
    /// Of the query or retrieval that runs.
    var runningExchange: RequestExchange?
    /// Of the running operation: fulfilled when the peer reads on.
    var senders: [EventLoopPromise<Void>] = []
    /// Of the C-GET that runs.
    var suboperation: Suboperation?
    var nextSuboperationID: UInt16 = 1
    /// N-EVENT-REPORTs that wait until nothing else is under way.
    var waitingReports: [WaitingReport] = []
    var outstandingReport: OutstandingReport?
    var isReleaseDue = false
    var isDraining = false
    var isClosed = false
    /// When the peer, or a request of it that finished here, last showed life.
    var lastActivity = NIODeadline.now()
    var logger: Logger

    private var held = ByteBuffer()
    private var isReadHeldBack = false
    private var isProcessing = false
    private var idleTimer: Scheduled<Void>?
    private var holdsPlace = false

    init(server: ServerState) {
        self.server = server
        self.upper = UpperLayer(role: .acceptor, artimTimeout: server.configuration.artimTimeout)
        self.decoder = PDUDecoder(limits: .init(advertisedMaximumLength: server.configuration.maximumPDULength))
        self.logger = server.logger
    }

    // MARK: Connection

    func channelActive(context: ChannelHandlerContext) {
        self.upper.apply(.transportAccepted, context: context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        let wasEstablished = self.association != nil && self.upper.state != .idle
        let isInProgress = self.running != nil || !self.queue.isEmpty || !self.assembler.isIdle
        self.upper.apply(.transportClosed, context: context)
        self.upper.stopTimer()
        if wasEstablished, isInProgress {
            self.logger.info("connection lost with a message in progress")
        }
        self.endAssociation()
        self.isClosed = true
        self.held = ByteBuffer()
        self.server.connectionClosed(context.channel)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A reset by the peer is everyday life; channelInactive does the rest.
        self.logger.debug("connection failed", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ServerEvent else { return context.fireUserInboundEventTriggered(event) }
        switch event {
        case .drain:
            self.isDraining = true
            self.advance(context: context)
        case .abort:
            self.running?.cancel()
            self.abort(context: context)
            context.close(promise: nil)
        }
    }

    // MARK: Reading

    func read(context: ChannelHandlerContext) {
        if self.isBlocked(context) || self.held.readableBytes > 0 {
            self.isReadHeldBack = true
        } else {
            context.read()
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var input = self.unwrapInboundIn(data)
        if self.held.readableBytes > 0 {
            self.held.writeBuffer(&input)
        } else {
            self.process(&input, context: context)
            if input.readableBytes > 0 {
                // Copied, so that the receive buffer can be used again.
                self.held = context.channel.allocator.buffer(buffer: input)
            }
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        self.lastActivity = .now()
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.lastActivity = .now()
        // First what was held back: it may be a C-CANCEL.
        self.advance(context: context)
        if context.channel.isWritable {
            self.resumeSenders()
        }
        context.fireChannelWritabilityChanged()
    }

    /// Whether what comes next must wait: the queue is full, the spool is behind, or the peer does not read.
    private func isBlocked(_ context: ChannelHandlerContext) -> Bool {
        if self.isFinishingDataSet || (self.running != nil && !self.queue.isEmpty) { return true }
        if case .store(let reception) = self.reception, reception.isFull { return true }
        // An operation with many responses may be cancelled while the peer has yet to read them.
        return !context.channel.isWritable && self.runningExchange == nil
    }

    private func process(_ input: inout ByteBuffer, context: ChannelHandlerContext) {
        self.isProcessing = true
        defer { self.isProcessing = false }
        while input.readableBytes > 0, !self.isBlocked(context) {
            if self.upper.state == .awaitingTransportClose || self.upper.state == .idle {
                // AA-6: what comes after the end is ignored, well-formed or not.
                input.moveReaderIndex(to: input.writerIndex)
                return
            }
            do throws(DIMSEError) {
                guard let element = try self.decoder.next(from: &input) else { return }
                switch element {
                case .fragment(let fragment):
                    try self.receive(fragment, context: context)
                case .pdu(let pdu):
                    self.receive(pdu, context: context)
                }
            } catch {
                self.fail(error, context: context)
            }
        }
    }

    /// Goes on after something was finished: starts the next request, reads what was held back, releases.
    func advance(context: ChannelHandlerContext) {
        guard !self.isProcessing else { return }
        self.startNextRequest(context: context)
        if self.held.readableBytes > 0 {
            // Taken out, so that it can be replaced while it is being read.
            var input = self.held
            self.held = ByteBuffer()
            self.process(&input, context: context)
            self.held = input
        }
        self.startNextRequest(context: context)
        self.endIfDue(context: context)
        self.sendNextReport(context: context)
        if self.isReadHeldBack, self.held.readableBytes == 0, !self.isBlocked(context) {
            self.isReadHeldBack = false
            context.read()
        }
    }

    private func endIfDue(context: ChannelHandlerContext) {
        guard self.running == nil, self.queue.isEmpty, self.upper.state != .awaitingTransportClose else { return }
        if self.isReleaseDue {
            self.isReleaseDue = false
            // Given back first: the peer may come again as soon as it has the answer.
            self.endAssociation()
            self.upper.apply(.releaseResponded, sending: .releaseResponse, context: context)
        } else if self.isDraining, self.assembler.isIdle, !self.isFinishingDataSet {
            self.abort(context: context)
            if self.upper.state != .awaitingTransportClose {
                context.close(promise: nil)
            }
        }
    }

    // MARK: Association

    private func receive(_ pdu: PDU, context: ChannelHandlerContext) {
        switch pdu {
        case .associateRequest(let request):
            self.negotiate(request, context: context)
        case .releaseRequest:
            if self.upper.apply(.releaseRequestReceived, context: context).contains(.indicate) {
                if self.upper.state == .awaitingLocalReleaseResponse {
                    self.isReleaseDue = true
                    self.endAfterProcessing(context: context)
                } else {
                    self.endAssociation()
                }
            }
        case .abort:
            self.logger.info("association aborted by the peer")
            self.upper.apply(.abortReceived, context: context)
            self.endAssociation()
        case .associateAccept:
            self.unexpected(.associateAcceptReceived, context: context)
        case .associateReject:
            self.unexpected(.associateRejectReceived, context: context)
        case .releaseResponse:
            self.unexpected(.releaseResponseReceived, context: context)
        case .data:
            preconditionFailure("P-DATA-TF comes as fragments")
        }
    }

    private func endAfterProcessing(context: ChannelHandlerContext) {
        self.startNextRequest(context: context)
        self.endIfDue(context: context)
    }

    func unexpected(_ event: AssociationStateMachine.Event, context: ChannelHandlerContext) {
        self.logger.info("unexpected PDU", metadata: ["event": "\(event)", "state": "\(self.upper.state)"])
        self.upper.apply(event, context: context)
        self.endAssociation()
    }

    private func negotiate(_ request: AssociateRequest, context: ChannelHandlerContext) {
        guard self.upper.state == .awaitingAssociateRequest else {
            return self.unexpected(.associateRequestReceived, context: context)
        }
        let answer = self.server.answer(to: request, remoteAddress: context.remoteAddress)
        switch answer {
        case .reject(let reject, isByProvider: true):
            self.logger.info("association rejected", metadata: ["reason": "\(reject)"])
            self.upper.apply(
                .associateRequestReceived,
                sending: .associateReject(reject),
                isAcceptable: false,
                context: context
            )
        case .reject(let reject, isByProvider: false):
            self.logger.info("association rejected", metadata: ["reason": "\(reject)"])
            self.upper.apply(.associateRequestReceived, context: context)
            self.upper.apply(.associateRejected, sending: .associateReject(reject), context: context)
        case .accept(let accept, let association):
            self.holdsPlace = true
            self.logger[metadataKey: "association"] = "\(association.context.associationID)"
            self.logger.debug(
                "association accepted",
                metadata: [
                    "calling": "\(association.context.callingAETitle)",
                    "contexts": "\(association.contexts.accepted.count)",
                ]
            )
            self.association = association
            self.upper.apply(.associateRequestReceived, context: context)
            self.upper.apply(.associateAccepted, sending: .associateAccept(accept), context: context)
            self.startIdleTimer(in: self.server.configuration.idleTimeout, context: context)
        }
    }

    /// Ends the association with an A-ABORT of our own, where there is one.
    func abort(context: ChannelHandlerContext) {
        self.upper.apply(.abortRequested, context: context)
        self.endAssociation()
    }

    /// Gives back what the association held.
    ///
    /// A request that runs goes on; its answer is dropped.
    private func endAssociation() {
        self.idleTimer?.cancel()
        self.idleTimer = nil
        self.endExchange()
        self.queue.removeAll()
        self.cancelReception()
        if self.holdsPlace {
            self.holdsPlace = false
            self.server.giveBackAssociation()
        }
    }

    private func fail(_ error: DIMSEError, context: ChannelHandlerContext) {
        self.logger.info("association failed", metadata: ["error": "\(error)"])
        if error.code == .looksLikeTLS || error.code == .looksLikeHTTP {
            // The peer would not understand an A-ABORT.
            context.close(promise: nil)
        } else {
            self.upper.apply(.invalidPDUReceived, abortReason: error.abortReason, context: context)
        }
        self.endAssociation()
    }

    private func startIdleTimer(in timeout: TimeAmount, context: ChannelHandlerContext) {
        self.idleTimer = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
            let limit = self.server.configuration.idleTimeout
            let silence = NIODeadline.now() - self.lastActivity
            // A peer that does not read its answers is silent too, and so is one that sends half a data set.
            let isAwaitingPeer =
                self.runningReception.map(self.isReceiving) ?? false || self.isExchangeAwaitingPeer
            if (self.running != nil && !isAwaitingPeer) || self.isFinishingDataSet {
                self.startIdleTimer(in: limit, context: context)
            } else if silence < limit {
                self.startIdleTimer(in: limit - silence, context: context)
            } else {
                self.logger.info("association aborted: silent for too long")
                self.abort(context: context)
            }
        }
    }
}
