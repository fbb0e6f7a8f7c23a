// SPDX-License-Identifier: Apache-2.0

import DIMSE
import NIOCore

/// Requests that are answered by several responses: C-FIND, C-GET, C-MOVE, and C-CANCEL.
extension AssociationServerHandler {
    // MARK: Receiving

    func receiveQuery(
        _ operation: QueryRetrieveSOPClass.Operation,
        _ command: CommandSet,
        contextID: UInt8,
        context: ChannelHandlerContext
    ) {
        let asked = command.affectedSOPClassUID.flatMap { QueryRetrieveSOPClass(uid: $0) }
        guard let association, let agreed = association.contexts[contextID],
            let sopClass = QueryRetrieveSOPClass(uid: agreed.abstractSyntax), sopClass.operation == operation,
            asked == sopClass
        else {
            let response = command.response(status: .sopClassNotSupported, errorComment: "not this context's SOP class")
            return self.answer(response, to: command, contextID: contextID)
        }
        guard command.hasDataSet else {
            let response = command.response(
                status: .identifierDoesNotMatchSOPClass,
                errorComment: "no identifier announced"
            )
            return self.answer(response, to: command, contextID: contextID)
        }
        let request = QueryRetrieveRequest(
            sopClass: sopClass,
            messageID: command.messageID ?? 0,
            priority: command[.priority].flatMap(DIMSEPriority.init(rawValue:)) ?? .medium,
            moveDestination: command.text(.moveDestination).flatMap { try? AETitle($0) },
            transferSyntax: agreed.transferSyntax,
            presentationContextID: contextID,
            options: association.context.queryRetrieveOptions[sopClass.uid] ?? []
        )
        self.reception = .identifier(IdentifierReception(request, command: command))
    }

    /// Adds to the identifier or action information that is being received, unless it is too long.
    func append(_ bytes: ByteBuffer, to reception: IdentifierReception) {
        let configuration = self.server.configuration
        let (limit, status, name) =
            switch reception.request {
            case .query: (configuration.maximumIdentifierByteCount, DIMSEStatus.outOfResources, "identifier")
            case .action: (configuration.maximumActionByteCount, .resourceLimitation, "action information")
            }
        guard reception.bytes.readableBytes + bytes.readableBytes <= limit else {
            let response = reception.command.response(
                status: status,
                errorComment: "the \(name) has more than \(limit) bytes"
            )
            self.reception = .discard(answer: response, contextID: reception.contextID)
            return
        }
        reception.bytes.writeImmutableBuffer(bytes)
    }

    func enqueue(_ reception: IdentifierReception, context: ChannelHandlerContext) {
        switch reception.request {
        case .query(var request):
            request.identifier = reception.bytes
            self.queue.append(
                .query(RequestExchange(command: reception.command, request: request, handler: self, context: context))
            )
        case .action(var request):
            request.information = reception.bytes
            self.queue.append(.action(request, reception.command))
        }
    }

    // MARK: Cancelling

    /// C-CANCEL (PS3.7 section 9.3.2.3): no response of its own; the operation it names ends.
    ///
    /// A C-FIND ends here, whatever the service is waiting for. C-GET and C-MOVE end when the sub-operation under way
    /// has: half a message cannot be taken back.
    func cancel(_ messageID: UInt16, context: ChannelHandlerContext) {
        if let exchange = self.runningExchange, exchange.request.messageID == messageID {
            exchange.cancel()
            if exchange.request.sopClass.operation == .find {
                self.finish(exchange, with: QueryRetrieveResponse(.cancel), context: context)
                self.failSenders(DICOMNetworkError(.cancelled, "the peer cancelled the operation"))
            }
        }
        for case .query(let exchange) in self.queue where exchange.request.messageID == messageID {
            exchange.cancel()
        }
    }

    // MARK: Answering

    /// Writes responses that are not the last; the promise succeeds when the peer is ready for more.
    func send(
        _ responses: [QueryRetrieveResponse],
        of exchange: RequestExchange,
        promise: EventLoopPromise<Void>,
        context: ChannelHandlerContext
    ) {
        guard let association, !self.isClosed, self.runningExchange === exchange else {
            return promise.fail(DICOMNetworkError(.closed, "the association has ended"))
        }
        guard !exchange.isCancelled else {
            return promise.fail(DICOMNetworkError(.cancelled, "the peer cancelled the operation"))
        }
        guard self.upper.apply(.dataRequested, context: context).contains(.sendPDU) else {
            return promise.fail(DICOMNetworkError(.closed, "the association has ended"))
        }
        var buffer = context.channel.allocator.buffer(capacity: responses.count * 512)
        // Of all matches of a query the command set is the same.
        var written: (response: QueryRetrieveResponse, command: ByteBuffer)?
        for response in responses {
            var bare = response
            bare.identifier = response.identifier.map { _ in ByteBuffer() }
            let command: ByteBuffer
            if let written, written.response == bare {
                command = written.command
            } else {
                command = response.command(answering: exchange.command).encoded()
                written = (bare, command)
            }
            let contextID = exchange.request.presentationContextID
            association.fragmenter.write(encoded: command, response.identifier, contextID: contextID, into: &buffer)
        }
        context.writeAndFlush(self.wrapOutboundOut(buffer), promise: nil)
        self.waitUntilWritable(promise, context: context)
    }

    /// Fulfils the promise when the connection takes more.
    func waitUntilWritable(_ promise: EventLoopPromise<Void>, context: ChannelHandlerContext) {
        if context.channel.isWritable {
            promise.succeed(())
        } else {
            self.senders.append(promise)
        }
    }

    /// Writes the last response, once.
    func finish(_ exchange: RequestExchange, with response: QueryRetrieveResponse, context: ChannelHandlerContext) {
        guard exchange.finish(), let association, !self.isClosed,
            self.upper.apply(.dataRequested, context: context).contains(.sendPDU)
        else { return }
        var buffer = context.channel.allocator.buffer(capacity: 512)
        association.fragmenter.write(
            response.command(answering: exchange.command),
            response.identifier,
            contextID: exchange.request.presentationContextID,
            into: &buffer
        )
        context.writeAndFlush(self.wrapOutboundOut(buffer), promise: nil)
    }

    /// Lets those go on who waited for the peer to read.
    func resumeSenders() {
        let senders = self.senders
        self.senders.removeAll()
        for sender in senders { sender.succeed(()) }
    }

    func failSenders(_ error: DICOMNetworkError) {
        let senders = self.senders
        self.senders.removeAll()
        for sender in senders { sender.fail(error) }
    }

    /// Whether the running operation waits for the peer, not for us.
    var isExchangeAwaitingPeer: Bool { !self.senders.isEmpty || self.suboperation?.isSentWhole == true }

    /// Tells the running operation, and those with something to report, that nobody listens any more.
    func endExchange() {
        self.runningExchange?.cancel()
        for case .query(let exchange) in self.queue { exchange.cancel() }
        let error = DICOMNetworkError(.closed, "the association has ended")
        self.failSenders(error)
        self.failSuboperation(error)
        self.failReports(error)
    }
}

extension MessageFragmenter {
    /// Appends a whole message: for data sets so small that copying them costs less than writing them apart.
    func write(_ command: CommandSet, _ dataSet: ByteBuffer?, contextID: UInt8, into buffer: inout ByteBuffer) {
        self.write(encoded: command.encoded(), dataSet, contextID: contextID, into: &buffer)
    }

    /// As ``write(_:_:contextID:into:)``, with a command set that has been encoded.
    func write(encoded command: ByteBuffer, _ dataSet: ByteBuffer?, contextID: UInt8, into buffer: inout ByteBuffer) {
        self.write(encoded: command, contextID: contextID, into: &buffer)
        guard var dataSet else { return }
        while let next = self.nextFragment(from: &dataSet, contextID: contextID, isLast: true) {
            buffer.writeImmutableBuffer(next.headers)
            buffer.writeImmutableBuffer(next.data)
        }
    }
}
