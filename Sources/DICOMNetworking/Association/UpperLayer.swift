// SPDX-License-Identifier: Apache-2.0

import DIMSE
import NIOCore

/// Carries out what the association state machine decides: sends PDUs, runs the ARTIM timer, closes the
/// connection.
///
/// What concerns the service user is left to the handler that owns it.
///
/// Owned by one channel handler; lives on its event loop.
final class UpperLayer {
    private var machine: AssociationStateMachine
    private let artimTimeout: TimeAmount
    private var artim: Scheduled<Void>?

    init(role: AssociationStateMachine.Role, artimTimeout: TimeAmount) {
        self.machine = AssociationStateMachine(role: role)
        self.artimTimeout = artimTimeout
    }

    var state: AssociationStateMachine.State { self.machine.state }

    /// Whether a P-DATA-TF is due here: then `dataReceived` leads to the same state with no effect but
    /// `indicate`, so that fragments, the hot path, need not ask the machine.
    var isReceivingData: Bool {
        self.machine.state == .established || self.machine.state == .awaitingReleaseResponse
    }

    /// Evt1, as requestor: the bootstrap opens the connection.
    func willConnect() {
        _ = self.machine.handle(.associateRequested)
    }

    /// Applies an event and carries out all effects but `indicate`, which the caller looks for in the result.
    ///
    /// `pdu` is sent where the action sends a PDU that is not an A-ABORT.
    @discardableResult
    func apply(
        _ event: AssociationStateMachine.Event,
        sending pdu: PDU? = nil,
        abortReason: AbortReason = .unexpectedPDU,
        isAcceptable: Bool = true,
        context: ChannelHandlerContext
    ) -> AssociationStateMachine.Effects {
        guard let action = self.machine.handle(event, isAcceptable: isAcceptable) else { return [] }
        let effects = action.effects
        guard effects != .indicate else { return effects }
        if effects.contains(.sendPDU), let pdu {
            Self.send(pdu, context: context)
        }
        if effects.contains(.sendUserAbort) {
            Self.send(.abort(.byServiceUser), context: context)
        }
        if effects.contains(.sendProviderAbort) {
            Self.send(.abort(.byServiceProvider(abortReason)), context: context)
        }
        if effects.contains(.stopTimer) {
            self.stopTimer()
        }
        if effects.contains(.startTimer) {
            self.startTimer(context: context)
        }
        if effects.contains(.closeTransport) {
            context.close(promise: nil)
        }
        return effects
    }

    private func startTimer(context: ChannelHandlerContext) {
        self.stopTimer()
        self.artim = context.eventLoop.assumeIsolated().scheduleTask(in: self.artimTimeout) {
            self.apply(.artimExpired, context: context)
        }
    }

    func stopTimer() {
        self.artim?.cancel()
        self.artim = nil
    }

    private static func send(_ pdu: PDU, context: ChannelHandlerContext) {
        var buffer = context.channel.allocator.buffer(capacity: 256)
        pdu.encode(into: &buffer)
        context.writeAndFlush(NIOAny(buffer), promise: nil)
    }
}
