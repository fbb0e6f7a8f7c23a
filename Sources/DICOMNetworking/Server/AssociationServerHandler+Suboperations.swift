// SPDX-License-Identifier: Apache-2.0

import DIMSE
import NIOCore

/// A C-STORE request of ours that the peer has yet to answer.
struct Suboperation {
    let messageID: UInt16
    let contextID: UInt8
    /// The end of what was written, held back because it may be the data set's last fragment.
    var rest = ByteBuffer()
    var isSentWhole = false
    /// Arrived before the request was sent whole.
    var earlyResponse: CommandSet?
    let response: EventLoopPromise<CommandSet>
}

/// The sub-operations of a C-GET, one after the other.
extension AssociationServerHandler {
    func beginStore(
        _ store: OutgoingStore,
        of exchange: RequestExchange,
        response: EventLoopPromise<CommandSet>,
        context: ChannelHandlerContext
    ) {
        guard let association, !self.isClosed, self.runningExchange === exchange,
            self.suboperation == nil,
            association.contexts[store.contextID] != nil,
            self.upper.apply(.dataRequested, context: context).contains(.sendPDU)
        else { return response.fail(DICOMNetworkError(.closed, "the association has ended")) }
        let messageID = self.nextSuboperationID
        self.nextSuboperationID = messageID == .max ? 1 : messageID + 1
        self.suboperation = Suboperation(
            messageID: messageID,
            contextID: store.contextID,
            response: response
        )
        var buffer = context.channel.allocator.buffer(capacity: 512)
        association.fragmenter.write(
            store.command(messageID: messageID),
            contextID: store.contextID,
            into: &buffer
        )
        // Goes out with the first piece.
        context.write(self.wrapOutboundOut(buffer), promise: nil)
    }

    /// Writes pieces of the data set; the promise succeeds when the connection takes more.
    func sendPieces(
        _ pieces: [ByteBuffer],
        isLast: Bool,
        of exchange: RequestExchange,
        promise: EventLoopPromise<Void>,
        context: ChannelHandlerContext
    ) {
        guard let association, !self.isClosed, self.runningExchange === exchange,
            var rest = self.suboperation?.rest,
            let contextID = self.suboperation?.contextID,
            self.upper.apply(.dataRequested, context: context).contains(.sendPDU)
        else { return promise.fail(DICOMNetworkError(.closed, "the association has ended")) }
        // The only owner now, so that appending does not copy.
        self.suboperation?.rest = ByteBuffer()
        func writeFragments(isEnd: Bool) {
            while let next = association.fragmenter.nextFragment(
                from: &rest,
                contextID: contextID,
                isLast: isEnd
            ) {
                context.write(self.wrapOutboundOut(next.headers), promise: nil)
                context.write(self.wrapOutboundOut(next.data), promise: nil)
            }
        }
        for piece in pieces {
            if rest.readableBytes == 0 {
                rest = piece
            } else {
                // At most a fragment is left over: what is copied is the new piece, once.
                rest.writeImmutableBuffer(piece)
            }
            writeFragments(isEnd: false)
        }
        if isLast {
            writeFragments(isEnd: true)
            self.suboperation?.isSentWhole = true
        } else {
            self.suboperation?.rest = rest
        }
        context.flush()
        self.waitUntilWritable(promise, context: context)
        self.completeSuboperation()
    }

    /// The peer's answer; false when no request of ours has this number.
    func receiveStoreResponse(_ command: CommandSet) -> Bool {
        guard let messageID = self.suboperation?.messageID,
            command.messageIDBeingRespondedTo == messageID,
            self.suboperation?.earlyResponse == nil
        else { return false }
        self.suboperation?.earlyResponse = command
        self.completeSuboperation()
        return true
    }

    private func completeSuboperation() {
        guard let suboperation, suboperation.isSentWhole, let response = suboperation.earlyResponse
        else { return }
        self.suboperation = nil
        suboperation.response.succeed(response)
    }

    /// A data set that cannot be finished ends the association.
    func abortStore(of exchange: RequestExchange, context: ChannelHandlerContext) {
        guard self.runningExchange === exchange, self.suboperation != nil else { return }
        self.abort(context: context)
    }

    func failSuboperation(_ error: DICOMNetworkError) {
        let suboperation = self.suboperation
        self.suboperation = nil
        suboperation?.response.fail(error)
    }
}
