// SPDX-License-Identifier: Apache-2.0

/// A-ASSOCIATE-RQ (PS3.8 section 9.3.2).
public struct AssociateRequest: Sendable, Equatable {
    /// A bit field; bit 0 is version 1, the only one.
    public var protocolVersion: UInt16
    /// Nil where the field holds no valid title.
    public var calledAETitle: AETitle?
    public var callingAETitle: AETitle?
    public var applicationContext: String
    public var presentationContexts: [ProposedContext]
    public var userInformation: UserInformation

    public init(
        protocolVersion: UInt16 = 1,
        calledAETitle: AETitle?,
        callingAETitle: AETitle?,
        applicationContext: String = UIDText.applicationContext,
        presentationContexts: [ProposedContext],
        userInformation: UserInformation
    ) {
        self.protocolVersion = protocolVersion
        self.calledAETitle = calledAETitle
        self.callingAETitle = callingAETitle
        self.applicationContext = applicationContext
        self.presentationContexts = presentationContexts
        self.userInformation = userInformation
    }
}

/// A-ASSOCIATE-AC (PS3.8 section 9.3.3).
public struct AssociateAccept: Sendable, Equatable {
    public var protocolVersion: UInt16
    /// Echoed from the request; "not to be tested" by the requestor.
    public var calledAETitle: AETitle?
    public var callingAETitle: AETitle?
    public var applicationContext: String
    public var presentationContexts: [ContextResult]
    public var userInformation: UserInformation

    public init(
        protocolVersion: UInt16 = 1,
        calledAETitle: AETitle?,
        callingAETitle: AETitle?,
        applicationContext: String = UIDText.applicationContext,
        presentationContexts: [ContextResult],
        userInformation: UserInformation
    ) {
        self.protocolVersion = protocolVersion
        self.calledAETitle = calledAETitle
        self.callingAETitle = callingAETitle
        self.applicationContext = applicationContext
        self.presentationContexts = presentationContexts
        self.userInformation = userInformation
    }
}

/// One proposed presentation context (PS3.8 section 9.3.2.2).
public struct ProposedContext: Sendable, Hashable {
    public var id: UInt8
    /// Empty where the item holds no valid UID.
    public var abstractSyntax: String
    public var transferSyntaxes: [String]

    public init(id: UInt8, abstractSyntax: String, transferSyntaxes: [String]) {
        self.id = id
        self.abstractSyntax = abstractSyntax
        self.transferSyntaxes = transferSyntaxes
    }
}

/// The answer to one presentation context (PS3.8 section 9.3.3.2).
public struct ContextResult: Sendable, Hashable {
    /// Result/Reason (PS3.8 table 9-18).
    public enum Result: UInt8, Sendable {
        case acceptance = 0
        case userRejection = 1
        case noReason = 2
        case abstractSyntaxNotSupported = 3
        case transferSyntaxesNotSupported = 4
    }

    public var id: UInt8
    public var result: Result
    /// Not significant, and often empty, where the context was rejected.
    public var transferSyntax: String

    public init(id: UInt8, result: Result, transferSyntax: String) {
        self.id = id
        self.result = result
        self.transferSyntax = transferSyntax
    }
}

/// The user information item (PS3.8 section 9.3.2.3, PS3.7 annex D.3.3).
public struct UserInformation: Sendable, Equatable {
    /// Bytes of a P-DATA-TF PDU after its 6-byte header; 0 is no limit; nil is absent.
    public var maximumLength: UInt32?
    public var implementationClassUID: String?
    public var implementationVersionName: String?
    public var asynchronousWindow: AsynchronousWindow?
    public var roleSelections: [RoleSelection] = []
    public var extendedNegotiations: [ExtendedNegotiation] = []
    /// Sub-items 57H as received.
    public var commonExtendedNegotiations: [[UInt8]] = []
    public var userIdentity: UserIdentity?
    /// The server's answer to a user identity (sub-item 59H).
    public var userIdentityResponse: [UInt8]?

    public init(
        maximumLength: UInt32? = nil,
        implementationClassUID: String? = nil,
        implementationVersionName: String? = nil
    ) {
        self.maximumLength = maximumLength
        self.implementationClassUID = implementationClassUID
        self.implementationVersionName = implementationVersionName
    }
}

/// Asynchronous operations window (PS3.7 section D.3.3.3): 0 is unlimited, absent is 1 and 1.
public struct AsynchronousWindow: Sendable, Hashable {
    public var operationsInvoked: UInt16
    public var operationsPerformed: UInt16

    public init(operationsInvoked: UInt16, operationsPerformed: UInt16) {
        self.operationsInvoked = operationsInvoked
        self.operationsPerformed = operationsPerformed
    }
}

/// SCP/SCU role selection (PS3.7 section D.3.3.4), always from the requestor's point of view.
public struct RoleSelection: Sendable, Hashable {
    public var sopClassUID: String
    public var isSCU: Bool
    public var isSCP: Bool

    public init(sopClassUID: String, isSCU: Bool, isSCP: Bool) {
        self.sopClassUID = sopClassUID
        self.isSCU = isSCU
        self.isSCP = isSCP
    }
}

/// SOP class extended negotiation (PS3.7 section D.3.3.5).
public struct ExtendedNegotiation: Sendable, Hashable {
    public var sopClassUID: String
    public var information: [UInt8]

    public init(sopClassUID: String, information: [UInt8]) {
        self.sopClassUID = sopClassUID
        self.information = information
    }
}

/// User identity (PS3.7 section D.3.3.7).
///
/// Its description never shows the fields: they may be a password.
public struct UserIdentity: Sendable, Hashable, CustomStringConvertible {
    /// 1 user name, 2 user name and passcode, 3 Kerberos, 4 SAML, 5 JSON web token.
    public var type: UInt8
    public var isResponseRequested: Bool
    public var primaryField: [UInt8]
    public var secondaryField: [UInt8]

    public init(type: UInt8, isResponseRequested: Bool, primaryField: [UInt8], secondaryField: [UInt8] = []) {
        self.type = type
        self.isResponseRequested = isResponseRequested
        self.primaryField = primaryField
        self.secondaryField = secondaryField
    }

    public var description: String { "user identity of type \(self.type)" }
}
