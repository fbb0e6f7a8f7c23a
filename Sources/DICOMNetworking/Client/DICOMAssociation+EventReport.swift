// SPDX-License-Identifier: Apache-2.0

public import DIMSE
import NIOCore

extension DICOMAssociation {
    /// Sends an N-EVENT-REPORT in an accepted context, and returns the peer's answer.
    ///
    /// - Precondition: `contextID` is one of `contexts`.
    public func report(_ report: EventReport, contextID: UInt8) async throws(DICOMNetworkError) -> DIMSEStatus {
        let response = self.channel.eventLoop.makePromise(of: CommandSet.self)
        self.enqueue(response: response) { messageID in
            OutgoingRequest(
                command: report.command(messageID: messageID),
                contextID: contextID,
                dataSet: report.information
            )
        }
        return try await Self.value(of: response.futureResult).status ?? .processingFailure
    }
}
