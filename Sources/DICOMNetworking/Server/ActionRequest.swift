// SPDX-License-Identifier: Apache-2.0

public import DIMSE
public import NIOCore

/// An N-ACTION request (PS3.7 section 10.1.4).
public struct ActionRequest: Sendable {
    public var messageID: UInt16
    /// As the presentation context has it.
    public var sopClassUID: String
    /// As the request names it, whatever it is.
    public var sopInstanceUID: String
    public var actionTypeID: UInt16
    /// The transfer syntax of the information, by UID.
    public var transferSyntax: String
    public var presentationContextID: UInt8
    /// The action information as it came, not read; empty where there was none.
    public var information: ByteBuffer

    public init(
        messageID: UInt16,
        sopClassUID: String,
        sopInstanceUID: String,
        actionTypeID: UInt16,
        transferSyntax: String,
        presentationContextID: UInt8,
        information: ByteBuffer = ByteBuffer()
    ) {
        self.messageID = messageID
        self.sopClassUID = sopClassUID
        self.sopInstanceUID = sopInstanceUID
        self.actionTypeID = actionTypeID
        self.transferSyntax = transferSyntax
        self.presentationContextID = presentationContextID
        self.information = information
    }
}

/// The answer to an N-ACTION, without an action reply.
public struct ActionResponse: Sendable, Hashable {
    public var status: DIMSEStatus
    /// At most 64 characters go out.
    ///
    /// No patient data.
    public var errorComment: String?

    public init(_ status: DIMSEStatus, errorComment: String? = nil) {
        self.status = status
        self.errorComment = errorComment
    }

    /// PS3.7 table 10.3-8.
    func command(answering request: CommandSet) -> CommandSet {
        var command = request.response(status: self.status, errorComment: self.errorComment)
        command[.actionTypeID] = request[.actionTypeID]
        return command
    }
}
