// SPDX-License-Identifier: Apache-2.0

import DIMSE
public import NIOCore

/// An N-EVENT-REPORT that this side sends (PS3.7 section 10.1.1).
public struct EventReport: Sendable {
    public var sopClassUID: String
    public var sopInstanceUID: String
    public var eventTypeID: UInt16
    /// The event information, in the transfer syntax of the presentation context it goes out in.
    public var information: ByteBuffer

    public init(sopClassUID: String, sopInstanceUID: String, eventTypeID: UInt16, information: ByteBuffer) {
        self.sopClassUID = sopClassUID
        self.sopInstanceUID = sopInstanceUID
        self.eventTypeID = eventTypeID
        self.information = information
    }

    func command(messageID: UInt16) -> CommandSet {
        .eventReportRequest(
            messageID: messageID,
            sopClassUID: self.sopClassUID,
            sopInstanceUID: self.sopInstanceUID,
            eventTypeID: self.eventTypeID
        )
    }
}
