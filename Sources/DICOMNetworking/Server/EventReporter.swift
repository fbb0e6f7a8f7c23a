// SPDX-License-Identifier: Apache-2.0

public import DIMSE
import NIOCore

/// A way to report events over the association that an N-ACTION came by.
///
/// May be used from any task, also when the association is long gone: then it says so.
public final class EventReporter: Sendable {
    /// The transfer syntax of the presentation context, by UID: that of the reports' information.
    public let transferSyntax: String
    private let contextID: UInt8
    private let eventLoop: any EventLoop
    private let handler: NIOLoopBound<(AssociationServerHandler, ChannelHandlerContext)>

    init(of request: ActionRequest, handler: AssociationServerHandler, context: ChannelHandlerContext) {
        self.transferSyntax = request.transferSyntax
        self.contextID = request.presentationContextID
        self.eventLoop = context.eventLoop
        self.handler = NIOLoopBound((handler, context), eventLoop: context.eventLoop)
    }

    /// Sends a report when nothing else is under way, and returns the peer's answer.
    ///
    /// Throws `.closed` where the association has ended or is about to, `.timedOut` where the peer does not answer; the
    /// association goes on then.
    public func report(_ report: EventReport) async throws(DICOMNetworkError) -> DIMSEStatus {
        let response = self.eventLoop.makePromise(of: DIMSEStatus.self)
        let waiting = WaitingReport(report: report, contextID: self.contextID, response: response)
        let handler = self.handler
        self.eventLoop.execute {
            let (handler, context) = handler.value
            handler.enqueue(waiting, context: context)
        }
        return try await DICOMAssociation.value(of: response.futureResult)
    }
}

/// An N-EVENT-REPORT that waits for its turn.
struct WaitingReport: Sendable {
    let report: EventReport
    let contextID: UInt8
    let response: EventLoopPromise<DIMSEStatus>
}

/// An N-EVENT-REPORT that the peer has yet to answer.
struct OutstandingReport {
    let messageID: UInt16
    /// Nil when nobody waits any more: the answer may come late.
    var response: EventLoopPromise<DIMSEStatus>?
    let timer: Scheduled<Void>
}
