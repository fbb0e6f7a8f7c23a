// SPDX-License-Identifier: Apache-2.0

public import DIMSE
public import NIOCore

/// What a `DICOMServer` does with associations and requests.
///
/// Implemented by the role that stores instances. One service serves all associations at once; requests of
/// one association come one after the other.
public protocol DIMSEService: Sendable {
    /// Accepts or rejects an association. Called on an event loop: must not block.
    func negotiate(_ request: AssociationRequestInfo) -> AssociationDecision

    /// Answers a C-ECHO.
    func echo(_ context: AssociationContext) async -> DIMSEStatus

    /// Takes an instance. The answer goes to the peer as soon as this returns and the data set has arrived. The task is
    /// cancelled when a shutdown runs out of its grace period, not when the peer is gone; but a data set that was still
    /// arriving then ends with an error.
    func store(
        _ request: StoreRequest,
        dataSet: ReceivedDataSet,
        context: AssociationContext
    ) async -> StoreResponse

    /// Answers a C-FIND, C-GET or C-MOVE: with responses sent over `exchange`, and the last one returned. Called only for
    /// SOP classes that the server's configuration lists. When the peer is gone, or has cancelled, `exchange` says so.
    func answer(
        _ request: QueryRetrieveRequest,
        exchange: RequestExchange,
        context: AssociationContext
    ) async -> QueryRetrieveResponse

    /// Answers an N-ACTION. Called only for SOP classes that the server's configuration lists. `reporter` may be kept: it
    /// sends N-EVENT-REPORTs over the same association, later, as long as that lasts.
    func act(_ request: ActionRequest, reporter: EventReporter, context: AssociationContext) async -> ActionResponse
}

/// What a peer says of itself when it asks for an association.
public struct AssociationRequestInfo: Sendable {
    public var callingAETitle: AETitle
    public var calledAETitle: AETitle
    public var remoteAddress: SocketAddress?
    public var presentationContexts: [ProposedContext]
    public var userInformation: UserInformation

    public init(
        callingAETitle: AETitle,
        calledAETitle: AETitle,
        remoteAddress: SocketAddress? = nil,
        presentationContexts: [ProposedContext] = [],
        userInformation: UserInformation = UserInformation()
    ) {
        self.callingAETitle = callingAETitle
        self.calledAETitle = calledAETitle
        self.remoteAddress = remoteAddress
        self.presentationContexts = presentationContexts
        self.userInformation = userInformation
    }
}

/// The service's decision about an association.
///
/// Presentation contexts are answered by the configuration.
public enum AssociationDecision: Sendable {
    case accept
    case reject(AssociateReject)
}

/// An established association, as services see it.
public struct AssociationContext: Sendable {
    /// Distinct among all associations of one server; for logs.
    public let associationID: UInt64
    public let callingAETitle: AETitle
    public let calledAETitle: AETitle
    public let remoteAddress: SocketAddress?
    public let peerImplementationClassUID: String?
    public let peerImplementationVersionName: String?
    public let presentationContexts: NegotiatedContexts
    /// What extended negotiation granted, by the UID of the SOP class.
    public let queryRetrieveOptions: [String: QueryRetrieveOptions]
    /// SOP classes that the requestor is SCP of, by the role selection that was agreed on.
    public let requestorSCPClasses: Set<String>

    public init(
        associationID: UInt64,
        callingAETitle: AETitle,
        calledAETitle: AETitle,
        remoteAddress: SocketAddress?,
        peerImplementationClassUID: String?,
        peerImplementationVersionName: String?,
        presentationContexts: NegotiatedContexts,
        queryRetrieveOptions: [String: QueryRetrieveOptions] = [:],
        requestorSCPClasses: Set<String> = []
    ) {
        self.associationID = associationID
        self.callingAETitle = callingAETitle
        self.calledAETitle = calledAETitle
        self.remoteAddress = remoteAddress
        self.peerImplementationClassUID = peerImplementationClassUID
        self.peerImplementationVersionName = peerImplementationVersionName
        self.presentationContexts = presentationContexts
        self.queryRetrieveOptions = queryRetrieveOptions
        self.requestorSCPClasses = requestorSCPClasses
    }

    /// Presentation contexts in which the requestor takes instances (C-GET).
    var storeContexts: [NegotiatedContexts.Context] {
        self.presentationContexts.accepted.filter { self.requestorSCPClasses.contains($0.abstractSyntax) }
    }
}

/// A C-STORE request.
///
/// Both UIDs have the form of one; whether the data set agrees is the service's to check.
public struct StoreRequest: Sendable, Hashable {
    public var messageID: UInt16
    public var affectedSOPClassUID: String
    public var affectedSOPInstanceUID: String
    public var priority: DIMSEPriority
    public var moveOriginatorAETitle: AETitle?
    public var moveOriginatorMessageID: UInt16?
    /// The transfer syntax of the data set, by UID.
    public var transferSyntax: String
    public var presentationContextID: UInt8

    public init(
        messageID: UInt16,
        affectedSOPClassUID: String,
        affectedSOPInstanceUID: String,
        priority: DIMSEPriority = .medium,
        moveOriginatorAETitle: AETitle? = nil,
        moveOriginatorMessageID: UInt16? = nil,
        transferSyntax: String,
        presentationContextID: UInt8
    ) {
        self.messageID = messageID
        self.affectedSOPClassUID = affectedSOPClassUID
        self.affectedSOPInstanceUID = affectedSOPInstanceUID
        self.priority = priority
        self.moveOriginatorAETitle = moveOriginatorAETitle
        self.moveOriginatorMessageID = moveOriginatorMessageID
        self.transferSyntax = transferSyntax
        self.presentationContextID = presentationContextID
    }
}

/// The answer to a C-STORE.
public struct StoreResponse: Sendable, Hashable {
    public var status: DIMSEStatus
    /// At most 64 characters go out.
    ///
    /// No patient data.
    public var errorComment: String?

    public init(_ status: DIMSEStatus, errorComment: String? = nil) {
        self.status = status
        self.errorComment = errorComment
    }

    public static let success = StoreResponse(.success)
}

/// A received data set: the bytes without file meta information.
public enum ReceivedDataSet: Sendable {
    case memory(ByteBuffer)
    /// A data set over the configured limit, in a file without a name; the end of it may still be arriving.
    case file(SpooledDataSet)
}
