// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// A protocol data unit of the upper layer (PS3.8 section 9.3).
public enum PDU: Sendable, Equatable {
    indirect case associateRequest(AssociateRequest)
    indirect case associateAccept(AssociateAccept)
    case associateReject(AssociateReject)
    case data([PresentationDataValue])
    case releaseRequest
    case releaseResponse
    case abort(AssociateAbort)

    /// The bytes before the variable part: type, reserved, length (PS3.8 section 9.3.1).
    public static let headerByteCount = 6
}

/// The PDU types of PS3.8 section 9.3.1.
public enum PDUType: UInt8, Sendable {
    case associateRequest = 0x01
    case associateAccept = 0x02
    case associateReject = 0x03
    case data = 0x04
    case releaseRequest = 0x05
    case releaseResponse = 0x06
    case abort = 0x07
}

/// One presentation data value item of a P-DATA-TF PDU (PS3.8 section 9.3.5.1, annex E.2).
public struct PresentationDataValue: Sendable, Equatable {
    /// Item length, presentation context id and message control header.
    public static let headerByteCount = 6

    public var contextID: UInt8
    public var isCommand: Bool
    public var isLastFragment: Bool
    public var bytes: ByteBuffer

    public init(contextID: UInt8, isCommand: Bool, isLastFragment: Bool, bytes: ByteBuffer) {
        self.contextID = contextID
        self.isCommand = isCommand
        self.isLastFragment = isLastFragment
        self.bytes = bytes
    }
}

/// A-ASSOCIATE-RJ (PS3.8 section 9.3.4): result, source and reason as the standard numbers them.
public struct AssociateReject: Error, Sendable, Hashable, CustomStringConvertible {
    public var result: UInt8
    public var source: UInt8
    public var reason: UInt8

    public init(result: UInt8, source: UInt8, reason: UInt8) {
        self.result = result
        self.source = source
        self.reason = reason
    }

    /// Whether the requestor may try again later.
    public var isTransient: Bool { self.result == 2 }

    public static let noReasonGiven = AssociateReject(result: 1, source: 1, reason: 1)
    public static let applicationContextNotSupported = AssociateReject(result: 1, source: 1, reason: 2)
    public static let callingAETitleNotRecognized = AssociateReject(result: 1, source: 1, reason: 3)
    public static let calledAETitleNotRecognized = AssociateReject(result: 1, source: 1, reason: 7)
    public static let protocolVersionNotSupported = AssociateReject(result: 1, source: 2, reason: 2)
    public static let temporaryCongestion = AssociateReject(result: 2, source: 3, reason: 1)
    public static let localLimitExceeded = AssociateReject(result: 2, source: 3, reason: 2)

    public var description: String {
        let why =
            switch (self.source, self.reason) {
            case (1, 2): "application context name not supported"
            case (1, 3): "calling AE title not recognized"
            case (1, 7): "called AE title not recognized"
            case (2, 2): "protocol version not supported"
            case (3, 1): "temporary congestion"
            case (3, 2): "local limit exceeded"
            default: "no reason given"
            }
        return "association rejected (\(self.isTransient ? "transient" : "permanent")): \(why)"
    }
}

/// A-ABORT (PS3.8 section 9.3.8).
public struct AssociateAbort: Sendable, Hashable {
    /// 0 is the service user, 2 the service provider.
    public var source: UInt8
    public var reason: UInt8

    public init(source: UInt8, reason: UInt8) {
        self.source = source
        self.reason = reason
    }

    /// PS3.8 section 9.3.8: with the service user as source the reason is not significant.
    public static let byServiceUser = AssociateAbort(source: 0, reason: 0)

    public static func byServiceProvider(_ reason: AbortReason) -> AssociateAbort {
        AssociateAbort(source: 2, reason: reason.rawValue)
    }
}

/// Reasons of an A-ABORT by the service provider (PS3.8 table 9-26).
public enum AbortReason: UInt8, Sendable {
    case notSpecified = 0
    case unrecognizedPDU = 1
    case unexpectedPDU = 2
    case unrecognizedParameter = 4
    case unexpectedParameter = 5
    case invalidParameterValue = 6
}
