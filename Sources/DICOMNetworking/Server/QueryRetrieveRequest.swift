// SPDX-License-Identifier: Apache-2.0

public import DIMSE
public import NIOCore

/// A C-FIND, C-GET or C-MOVE request.
public struct QueryRetrieveRequest: Sendable {
    public var sopClass: QueryRetrieveSOPClass
    public var messageID: UInt16
    public var priority: DIMSEPriority
    /// Of a C-MOVE; nil where it names none, or none that is one.
    public var moveDestination: AETitle?
    /// The transfer syntax of the identifier and of those that answer it, by UID.
    public var transferSyntax: String
    public var presentationContextID: UInt8
    /// The identifier as it came, not read.
    public var identifier: ByteBuffer
    /// What extended negotiation granted for the SOP class.
    public var options: QueryRetrieveOptions

    public init(
        sopClass: QueryRetrieveSOPClass,
        messageID: UInt16,
        priority: DIMSEPriority = .medium,
        moveDestination: AETitle? = nil,
        transferSyntax: String,
        presentationContextID: UInt8,
        identifier: ByteBuffer = ByteBuffer(),
        options: QueryRetrieveOptions = []
    ) {
        self.sopClass = sopClass
        self.messageID = messageID
        self.priority = priority
        self.moveDestination = moveDestination
        self.transferSyntax = transferSyntax
        self.presentationContextID = presentationContextID
        self.identifier = identifier
        self.options = options
    }
}

/// One of the responses to a C-FIND, C-GET or C-MOVE.
public struct QueryRetrieveResponse: Sendable, Hashable {
    public var status: DIMSEStatus
    /// At most 64 characters go out.
    ///
    /// No patient data.
    public var errorComment: String?
    /// Tags, group in the upper half.
    public var offendingElements: [UInt32]
    /// Of C-GET and C-MOVE; what remains is told in pending responses and after a cancellation only (PS3.7 §9.1.4.1.8).
    public var counts: SuboperationCounts?
    /// In the transfer syntax of the request's.
    public var identifier: ByteBuffer?

    public init(
        _ status: DIMSEStatus,
        errorComment: String? = nil,
        offendingElements: [UInt32] = [],
        counts: SuboperationCounts? = nil,
        identifier: ByteBuffer? = nil
    ) {
        self.status = status
        self.errorComment = errorComment
        self.offendingElements = offendingElements
        self.counts = counts
        self.identifier = identifier
    }

    /// The response to `request`, without its identifier.
    func command(answering request: CommandSet) -> CommandSet {
        var command = request.response(
            status: self.status,
            errorComment: self.errorComment,
            offendingElements: self.offendingElements
        )
        command.suboperationCounts = self.counts
        if !self.status.isPending, self.status != .cancel {
            command[.remainingSuboperations] = nil
        }
        command.hasDataSet = self.identifier != nil
        return command
    }
}
