// SPDX-License-Identifier: Apache-2.0

import DIMSE
import NIOCore

/// N-ACTION, and N-EVENT-REPORT over the same association.
extension AssociationServerHandler {
    // MARK: Actions

    func receiveAction(_ command: CommandSet, contextID: UInt8) {
        guard let agreed = self.association?.contexts[contextID],
            self.server.configuration.actionSOPClasses.contains(agreed.abstractSyntax),
            command.text(.requestedSOPClassUID) == agreed.abstractSyntax
        else {
            let response = command.response(status: .noSuchSOPClass, errorComment: "not this context's SOP class")
            return self.answer(response, to: command, contextID: contextID)
        }
        guard let actionTypeID = command[.actionTypeID] else {
            let response = command.response(status: .noSuchAction, errorComment: "no Action Type ID")
            return self.answer(response, to: command, contextID: contextID)
        }
        let request = ActionRequest(
            messageID: command.messageID ?? 0,
            sopClassUID: agreed.abstractSyntax,
            sopInstanceUID: command.text(.requestedSOPInstanceUID) ?? "",
            actionTypeID: actionTypeID,
            transferSyntax: agreed.transferSyntax,
            presentationContextID: contextID
        )
        if command.hasDataSet {
            self.reception = .identifier(IdentifierReception(request, command: command))
        } else {
            self.queue.append(.action(request, command))
        }
    }

    // MARK: Reports

    func enqueue(_ waiting: WaitingReport, context: ChannelHandlerContext) {
        guard self.canReport else { return waiting.response.fail(Self.ended) }
        if let outstandingReport, outstandingReport.response == nil {
            return waiting.response.fail(Self.unanswered)
        }
        self.waitingReports.append(waiting)
        self.sendNextReport(context: context)
    }

    /// A peer that wants to release is not going to answer.
    private var canReport: Bool {
        self.association != nil && !self.isClosed && !self.isDraining && self.upper.state == .established
    }

    /// Sends a report when it is in nobody's way: two messages may not be mixed, and peers are made to be answered first.
    func sendNextReport(context: ChannelHandlerContext) {
        guard !self.waitingReports.isEmpty else { return }
        guard self.canReport, let association else { return self.failReports(Self.ended) }
        guard self.running == nil, self.queue.isEmpty, self.suboperation == nil, self.outstandingReport == nil,
            self.upper.apply(.dataRequested, context: context).contains(.sendPDU)
        else { return }
        let next = self.waitingReports.removeFirst()
        let messageID = self.nextSuboperationID
        self.nextSuboperationID = messageID == .max ? 1 : messageID + 1
        var buffer = context.channel.allocator.buffer(capacity: 512 + next.report.information.readableBytes)
        association.fragmenter.write(
            next.report.command(messageID: messageID),
            next.report.information,
            contextID: next.contextID,
            into: &buffer
        )
        context.writeAndFlush(self.wrapOutboundOut(buffer), promise: nil)
        let timeout = self.server.configuration.eventReportTimeout
        let timer = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
            guard self.outstandingReport?.messageID == messageID else { return }
            let response = self.outstandingReport?.response
            self.outstandingReport?.response = nil
            response?.fail(Self.unanswered)
            // The peer does not take them here.
            self.failReports(Self.unanswered)
        }
        self.outstandingReport = OutstandingReport(messageID: messageID, response: next.response, timer: timer)
    }

    /// The peer's answer; false when no report of ours has this number.
    func receiveReportResponse(_ command: CommandSet, context: ChannelHandlerContext) -> Bool {
        guard let outstanding = self.outstandingReport, command.messageIDBeingRespondedTo == outstanding.messageID
        else { return false }
        outstanding.timer.cancel()
        self.outstandingReport = nil
        outstanding.response?.succeed(command.status ?? .processingFailure)
        self.sendNextReport(context: context)
        return true
    }

    /// Fails those that wait; and when the association has ended, the one under way.
    func failReports(_ error: DICOMNetworkError) {
        if error.code == .closed {
            self.outstandingReport?.timer.cancel()
            let response = self.outstandingReport?.response
            self.outstandingReport = nil
            response?.fail(error)
        }
        let waiting = self.waitingReports
        self.waitingReports.removeAll()
        for report in waiting { report.response.fail(error) }
    }

    private static let ended = DICOMNetworkError(.closed, "the association has ended")
    private static let unanswered = DICOMNetworkError(.timedOut, "the peer did not answer an N-EVENT-REPORT")
}
