// SPDX-License-Identifier: Apache-2.0

import DIMSE
import NIOCore

extension AssociationClientHandler {
    /// Sends a request when those before it are answered.
    func enqueue(
        _ makeRequest: @escaping @Sendable (UInt16) -> OutgoingRequest,
        response: EventLoopPromise<CommandSet>
    ) {
        self.waiting.append(Waiting(makeRequest: makeRequest, response: response))
        guard self.failure == nil, self.released.isEmpty, let context else { return self.failWaiting() }
        self.sendNext(context: context)
    }

    func failWaiting() {
        let waiting = self.waiting
        self.waiting.removeAll()
        for next in waiting {
            let request = next.makeRequest(0)
            request.started?.fail(self.ended)
            next.response.fail(self.ended)
        }
    }

    var ended: DICOMNetworkError {
        self.failure ?? DICOMNetworkError(.closed, "the association has ended")
    }

    private func sendNext(context: ChannelHandlerContext) {
        guard self.outstanding == nil, let fragmenter else { return }
        guard !self.waiting.isEmpty else { return self.releaseIfDue(context: context) }
        guard self.upper.apply(.dataRequested, context: context).contains(.sendPDU) else { return self.failWaiting() }
        let next = self.waiting.removeFirst()
        let messageID = self.nextMessageID
        self.nextMessageID = messageID == .max ? 1 : messageID + 1
        let request = next.makeRequest(messageID)
        self.outstanding = Outstanding(
            messageID: messageID,
            contextID: request.contextID,
            expected: request.command.commandField?.response,
            isSentWhole: request.started == nil,
            onResponse: request.onResponse,
            intake: request.intake,
            response: next.response
        )
        var buffer = context.channel.allocator.buffer(capacity: 512)
        fragmenter.write(request.command, contextID: request.contextID, into: &buffer)
        let written = self.progressPromise(context: context)
        if var dataSet = request.dataSet {
            context.write(self.wrapOutboundOut(buffer), promise: nil)
            self.write(&dataSet, isLast: true, promise: written, context: context)
        } else {
            context.write(self.wrapOutboundOut(buffer), promise: written)
        }
        context.flush()
        self.startResponseTimer(context: context)
        request.started?.succeed(())
    }

    /// Sends a piece of the outstanding request's data set.
    ///
    /// The promise succeeds when the kernel has taken it.
    func sendPiece(_ piece: ByteBuffer, isLast: Bool, promise: EventLoopPromise<Void>) {
        guard let context, self.failure == nil, let outstanding, !outstanding.isSentWhole else {
            return promise.fail(self.ended)
        }
        self.pieces.writeImmutableBuffer(piece)
        let written = self.progressPromise(context: context)
        var pieces = self.pieces
        self.pieces = ByteBuffer()
        self.write(&pieces, isLast: isLast, promise: written, context: context)
        context.flush()
        self.pieces.writeImmutableBuffer(pieces)
        if isLast {
            self.outstanding?.isSentWhole = true
            self.completeIfDone(context: context)
        }
        written.futureResult.cascade(to: promise)
    }

    /// Writes all fragments at hand, as slices; the promise is that of the last one.
    private func write(
        _ dataSet: inout ByteBuffer,
        isLast: Bool,
        promise: EventLoopPromise<Void>,
        context: ChannelHandlerContext
    ) {
        guard let fragmenter, let outstanding, fragmenter.hasFragment(in: dataSet, isLast: isLast) else {
            return promise.succeed(())
        }
        while let next = fragmenter.nextFragment(from: &dataSet, contextID: outstanding.contextID, isLast: isLast) {
            context.write(self.wrapOutboundOut(next.headers), promise: nil)
            let isEnd = !fragmenter.hasFragment(in: dataSet, isLast: isLast)
            context.write(self.wrapOutboundOut(next.data), promise: isEnd ? promise : nil)
        }
    }

    /// A promise whose success gives the peer its full time again.
    private func progressPromise(context: ChannelHandlerContext) -> EventLoopPromise<Void> {
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenSuccess {
            if self.outstanding != nil {
                self.startResponseTimer(context: context)
            }
        }
        return promise
    }

    func startResponseTimer(context: ChannelHandlerContext) {
        self.startTimer(self.configuration.responseTimeout, context: context, "the peer did not answer a request")
    }

    /// More responses follow: the peer has its full time again, and is told when they are not wanted.
    func responsePending(goesOn: Bool, context: ChannelHandlerContext) {
        self.startResponseTimer(context: context)
        guard !goesOn, let outstanding, !outstanding.isCancelled, let fragmenter,
            self.upper.apply(.dataRequested, context: context).contains(.sendPDU)
        else { return }
        self.outstanding?.isCancelled = true
        var buffer = context.channel.allocator.buffer(capacity: 512)
        fragmenter.write(.cancelRequest(of: outstanding.messageID), contextID: outstanding.contextID, into: &buffer)
        context.writeAndFlush(self.wrapOutboundOut(buffer), promise: nil)
    }

    func completeIfDone(context: ChannelHandlerContext) {
        guard let outstanding, outstanding.isSentWhole, let response = outstanding.earlyResponse else { return }
        self.timer?.cancel()
        self.timer = nil
        self.outstanding = nil
        outstanding.response.succeed(response)
        self.sendNext(context: context)
    }

    // MARK: Release and abort

    /// Releases when all requests are answered.
    ///
    /// The promise succeeds when the connection is closed.
    func release(_ promise: EventLoopPromise<Void>) {
        guard self.failure == nil, let context else {
            return promise.fail(self.ended)
        }
        self.released.append(promise)
        if self.outstanding == nil {
            self.sendNext(context: context)
        }
    }

    private func releaseIfDue(context: ChannelHandlerContext) {
        guard !self.released.isEmpty else { return }
        if self.upper.apply(.releaseRequested, sending: .releaseRequest, context: context).contains(.sendPDU) {
            self.startTimer(self.configuration.artimTimeout, context: context, "the peer did not answer A-RELEASE-RQ")
        }
    }

    func abort() {
        guard let context else { return }
        self.upper.apply(.abortRequested, context: context)
        self.end(DICOMNetworkError(.aborted, "the association was aborted by this side"))
        context.close(promise: nil)
    }
}
