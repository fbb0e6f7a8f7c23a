// SPDX-License-Identifier: Apache-2.0

import DIMSE
import NIOCore

/// What the peer asks of this side: the C-STORE sub-operations of a C-GET (PS3.7 section 9.1.3).
extension AssociationClientHandler {
    /// A C-STORE request, whose data set follows.
    func receiveStore(_ command: CommandSet, contextID: UInt8) throws(DIMSEError) {
        guard let intake = self.outstanding?.intake, command.hasDataSet, let agreed = self.contexts?[contextID] else {
            throw DIMSEError(.malformedCommand, "a C-STORE request that nothing of ours asked for")
        }
        self.receivingIntake = intake
        intake.begin(command, in: agreed)
    }

    /// A part of its data set.
    func receive(_ bytes: ByteBuffer, isEnd: Bool, into intake: StoreIntake, context: ChannelHandlerContext) {
        let isFull = intake.append(bytes, isEnd: isEnd)
        if isEnd { self.receivingIntake = nil }
        if isFull {
            // Losing the error is right: it says that the connection is closed.
            try? context.channel.syncOptions?.setOption(.autoRead, value: false)
        }
        if isFull || isEnd {
            // From here on it is not the peer that takes the time.
            self.timer?.cancel()
            self.timer = nil
        } else {
            self.startResponseTimer(context: context)
        }
    }

    /// What was taken in has been dealt with.
    func resumeReading() {
        guard let context, self.failure == nil else { return }
        if self.receivingIntake != nil { self.startResponseTimer(context: context) }
        // Losing the error is right: it says that the connection is closed.
        try? context.channel.syncOptions?.setOption(.autoRead, value: true)
    }

    /// Sends the answer to a C-STORE of the peer.
    func answer(_ command: CommandSet, contextID: UInt8) {
        guard let context, self.failure == nil, let fragmenter,
            self.upper.apply(.dataRequested, context: context).contains(.sendPDU)
        else { return }
        var buffer = context.channel.allocator.buffer(capacity: 512)
        fragmenter.write(command, contextID: contextID, into: &buffer)
        context.writeAndFlush(self.wrapOutboundOut(buffer), promise: nil)
        self.startResponseTimer(context: context)
    }
}
