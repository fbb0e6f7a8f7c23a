// SPDX-License-Identifier: Apache-2.0

import DIMSE
import Logging
import NIOCore

extension AssociationServerHandler {
    // MARK: Receiving

    func receive(_ fragment: PDUDecoder.Fragment, context: ChannelHandlerContext) throws(DIMSEError) {
        guard self.upper.isReceivingData, let association = self.association else {
            return self.unexpected(.dataReceived, context: context)
        }
        guard association.contexts[fragment.contextID] != nil else {
            throw DIMSEError(.unexpectedFragment, "context \(fragment.contextID) was not accepted")
        }
        switch try self.assembler.receive(fragment) {
        case .incomplete:
            return
        case .command(let command, let contextID):
            try self.receive(command, contextID: contextID, context: context)
        case .dataSet(let isEnd):
            switch self.reception {
            case .store(let reception): self.append(fragment.bytes, to: reception, context: context)
            case .identifier(let reception): self.append(fragment.bytes, to: reception)
            case .none, .discard: break
            }
            if isEnd {
                self.finishDataSet(context: context)
            }
        }
    }

    private func receive(
        _ command: CommandSet,
        contextID: UInt8,
        context: ChannelHandlerContext
    ) throws(DIMSEError) {
        guard let field = command.commandField else {
            throw DIMSEError(.malformedCommand, "a command set without a command field")
        }
        guard !field.isResponse else {
            guard
                field == .storeResponse && self.receiveStoreResponse(command)
                    || field == .eventReportResponse && self.receiveReportResponse(command, context: context)
            else {
                throw DIMSEError(.malformedCommand, "a response where no request was sent")
            }
            if command.hasDataSet {
                self.reception = .discard(answer: nil, contextID: contextID)
            }
            return
        }
        switch field {
        case .echoRequest where !command.hasDataSet:
            self.queue.append(.echo(command, contextID: contextID))
        case .storeRequest:
            self.receiveStore(command, contextID: contextID, context: context)
        case .cancelRequest:
            self.cancel(command.messageIDBeingRespondedTo ?? 0, context: context)
            if command.hasDataSet {
                self.reception = .discard(answer: nil, contextID: contextID)
            }
        case .actionRequest where !self.server.configuration.actionSOPClasses.isEmpty:
            self.receiveAction(command, contextID: contextID)
        default:
            if let operation = field.queryRetrieveOperation, self.server.servesQueryRetrieve {
                self.receiveQuery(operation, command, contextID: contextID, context: context)
                break
            }
            self.answer(command.response(status: .unrecognizedOperation), to: command, contextID: contextID)
        }
        self.startNextRequest(context: context)
    }

    private func receiveStore(_ command: CommandSet, contextID: UInt8, context: ChannelHandlerContext) {
        switch self.storeRequest(command, contextID: contextID) {
        case .failure(let refusal):
            let response = command.response(status: refusal.status, errorComment: refusal.errorComment)
            self.answer(response, to: command, contextID: contextID)
        case .success(let request):
            let configuration = self.server.configuration
            let reception = DataSetReception(
                request: request,
                command: command,
                limits: .init(
                    inMemoryByteCount: configuration.maximumInMemoryDataSetByteCount,
                    byteCount: configuration.maximumDataSetByteCount,
                    spoolByteCountInFlight: configuration.maximumSpoolByteCountInFlight,
                    spoolDirectory: configuration.spoolDirectory
                ),
                expectedByteCount: self.association?.lastDataSetByteCount ?? 0,
                pool: self.server.spoolPool,
                context: context,
                onProgress: { self.advance(context: context) }
            )
            self.reception = .store(reception)
        }
    }

    /// An answer that needs no service, at once or at the end of the data set that nobody wants.
    func answer(_ response: CommandSet, to command: CommandSet, contextID: UInt8) {
        if command.hasDataSet {
            self.reception = .discard(answer: response, contextID: contextID)
        } else {
            self.queue.append(.answer(response, contextID: contextID))
        }
    }

    /// Checks a C-STORE-RQ (PS3.7 section 9.3.1.1).
    private func storeRequest(_ command: CommandSet, contextID: UInt8) -> Result<StoreRequest, StoreRefusal> {
        guard let presentationContext = self.association?.contexts[contextID] else {
            return .failure(StoreRefusal(status: .sopClassNotSupported, errorComment: "context not accepted"))
        }
        guard let sopClassUID = command.affectedSOPClassUID,
            self.server.configuration.acceptsStorage(ofSOPClass: sopClassUID)
        else {
            return .failure(StoreRefusal(status: .sopClassNotSupported, errorComment: "SOP class not supported"))
        }
        guard let sopInstanceUID = command.affectedSOPInstanceUID, UIDText.isValid(sopInstanceUID) else {
            return .failure(
                StoreRefusal(status: .invalidSOPInstance, errorComment: "no valid Affected SOP Instance UID")
            )
        }
        guard command.hasDataSet else {
            return .failure(StoreRefusal(status: .cannotUnderstand, errorComment: "no data set announced"))
        }
        return .success(
            StoreRequest(
                messageID: command.messageID ?? 0,
                affectedSOPClassUID: sopClassUID,
                affectedSOPInstanceUID: sopInstanceUID,
                priority: command[.priority].flatMap(DIMSEPriority.init(rawValue:)) ?? .medium,
                // An invalid title is no title: the field is informative.
                moveOriginatorAETitle: command.text(.moveOriginatorAETitle).flatMap { try? AETitle($0) },
                moveOriginatorMessageID: command[.moveOriginatorMessageID],
                transferSyntax: presentationContext.transferSyntax,
                presentationContextID: contextID
            )
        )
    }

    /// A data set that goes to a file is worked on from then on, while the rest of it arrives.
    private func append(_ bytes: ByteBuffer, to reception: DataSetReception, context: ChannelHandlerContext) {
        let wasSpooled = reception.spooled != nil
        reception.append(bytes)
        guard !wasSpooled, let dataSet = reception.spooled else { return }
        self.queue.append(.store(reception.request, reception.command, .file(dataSet), reception))
        self.startNextRequest(context: context)
    }

    private func finishDataSet(context: ChannelHandlerContext) {
        let reception = self.reception
        self.reception = .none
        switch reception {
        case .none:
            return
        case .discard(let answer, let contextID):
            if let answer {
                self.queue.append(.answer(answer, contextID: contextID))
            }
        case .identifier(let reception):
            self.enqueue(reception, context: context)
        case .store(let reception):
            self.association?.lastDataSetByteCount = reception.byteCount
            if reception.spooled == nil {
                self.enqueue(reception.finishInMemory(), of: reception)
            } else {
                self.isFinishingDataSet = true
                reception.finishSpooled {
                    self.isFinishingDataSet = false
                    self.advance(context: context)
                }
            }
        }
        self.startNextRequest(context: context)
    }

    private func enqueue(_ result: Result<ReceivedDataSet, DataSetReception.Refusal>, of reception: DataSetReception) {
        switch result {
        case .success(let dataSet):
            self.queue.append(.store(reception.request, reception.command, dataSet, reception))
        case .failure(let refusal):
            self.queue.append(
                .answer(
                    reception.command.response(
                        status: refusal.response.status,
                        errorComment: refusal.response.errorComment
                    ),
                    contextID: reception.request.presentationContextID
                )
            )
        }
    }

    func cancelReception() {
        if case .store(let reception) = self.reception {
            reception.cancel()
        }
        self.reception = .none
    }

    // MARK: Working

    /// Starts the request whose turn it is, unless one runs.
    func startNextRequest(context: ChannelHandlerContext) {
        while self.running == nil, !self.queue.isEmpty, let association = self.association {
            switch self.queue.removeFirst() {
            case .answer(let response, let contextID):
                self.write(response, contextID: contextID, context: context)
            case .echo(let command, let contextID):
                self.run(context: context) { service in
                    await service.echo(association.context)
                } ended: { handler, status, context in
                    handler.storeEnded(command.response(status: status), contextID: contextID, context: context)
                }
            case .store(let request, let command, let dataSet, let reception):
                self.runningReception = reception
                self.run(context: context) { service in
                    await service.store(request, dataSet: dataSet, context: association.context)
                } ended: { handler, response, context in
                    handler.storeEnded(
                        command.response(status: response.status, errorComment: response.errorComment),
                        contextID: request.presentationContextID,
                        context: context
                    )
                }
            case .query(let exchange):
                self.runningExchange = exchange
                self.run(context: context) { service in
                    guard !exchange.isCancelled else { return QueryRetrieveResponse(.cancel) }
                    return await service.answer(exchange.request, exchange: exchange, context: association.context)
                } ended: { handler, response, context in
                    handler.runningExchange = nil
                    handler.finish(exchange, with: response, context: context)
                }
            case .action(let request, let command):
                let reporter = EventReporter(of: request, handler: self, context: context)
                self.run(context: context) { service in
                    await service.act(request, reporter: reporter, context: association.context)
                } ended: { handler, response, context in
                    handler.storeEnded(
                        response.command(answering: command),
                        contextID: request.presentationContextID,
                        context: context
                    )
                }
            }
        }
    }

    /// Asks the service; `ended` then writes what it answered, on the event loop.
    private func run<Response: Sendable>(
        context: ChannelHandlerContext,
        _ work: @escaping @Sendable (any DIMSEService) async -> Response,
        ended: @escaping @Sendable (AssociationServerHandler, Response, ChannelHandlerContext) -> Void
    ) {
        let server = self.server
        let eventLoop = context.eventLoop
        let bound = NIOLoopBound((self, context), eventLoop: eventLoop)
        server.requestStarted()
        // Cancelled by this handler on `ServerEvent.abort`; awaited by the server's count of running requests.
        self.running = Task {
            let response = await work(server.service)
            eventLoop.execute {
                let (handler, context) = bound.value
                handler.running = nil
                handler.lastActivity = .now()
                ended(handler, response, context)
                // Without a peer there is nothing to go on with.
                if !handler.isClosed {
                    handler.advance(context: context)
                }
                server.requestEnded()
            }
        }
    }

    /// Writes the answer to a store, an echo or an action.
    private func storeEnded(_ response: CommandSet, contextID: UInt8, context: ChannelHandlerContext) {
        let reception = self.runningReception
        self.runningReception = nil
        guard !self.isClosed else { return }
        let answer = reception.map { self.answer(response, to: $0) } ?? response
        if let reception, self.isReceiving(reception) {
            // Decided before its end: the rest of the data set is read and dropped, the answer comes after it.
            reception.cancel()
            self.reception = .discard(answer: answer, contextID: contextID)
        } else {
            self.write(answer, contextID: contextID, context: context)
        }
    }

    /// The service's answer, or that of the server when the data set could not be kept.
    private func answer(_ response: CommandSet, to reception: DataSetReception) -> CommandSet {
        guard let failure = reception.failure else { return response }
        if let cause = reception.spoolFailure, cause.code == .spool {
            self.logger.error("cannot spool a data set", metadata: ["error": "\(cause)"])
        }
        return reception.command.response(status: failure.status, errorComment: failure.errorComment)
    }

    /// Whether the end of the data set has yet to come from the peer.
    func isReceiving(_ other: DataSetReception) -> Bool {
        if case .store(let reception) = self.reception { reception === other } else { false }
    }

    private func write(_ response: CommandSet, contextID: UInt8, context: ChannelHandlerContext) {
        guard let association,
            self.upper.apply(.dataRequested, context: context).contains(.sendPDU)
        else { return }
        var buffer = context.channel.allocator.buffer(capacity: 512)
        association.fragmenter.write(response, contextID: contextID, into: &buffer)
        context.writeAndFlush(self.wrapOutboundOut(buffer), promise: nil)
    }
}

/// Why a C-STORE is answered without asking the service.
private struct StoreRefusal: Error {
    var status: DIMSEStatus
    var errorComment: String
}
