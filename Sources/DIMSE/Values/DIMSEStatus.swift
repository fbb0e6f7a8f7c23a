// SPDX-License-Identifier: Apache-2.0

/// The Status (0000,0900) of a DIMSE response (PS3.7 annex C, PS3.4 table B.2-1).
public struct DIMSEStatus: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt16

    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    public static let success = DIMSEStatus(rawValue: 0x0000)
    public static let cancel = DIMSEStatus(rawValue: 0xFE00)
    public static let pending = DIMSEStatus(rawValue: 0xFF00)
    /// C-FIND: a match follows; optional keys of the request were not matched or are not returned (PS3.4 §C.4.1.1.4).
    public static let pendingWithUnsupportedKeys = DIMSEStatus(rawValue: 0xFF01)

    public static let noSuchSOPClass = DIMSEStatus(rawValue: 0x0118)
    public static let processingFailure = DIMSEStatus(rawValue: 0x0110)
    public static let duplicateSOPInstance = DIMSEStatus(rawValue: 0x0111)
    /// N-ACTION: no such SOP instance (PS3.7 section C.5.9).
    public static let noSuchObjectInstance = DIMSEStatus(rawValue: 0x0112)
    public static let invalidArgumentValue = DIMSEStatus(rawValue: 0x0115)
    public static let invalidSOPInstance = DIMSEStatus(rawValue: 0x0117)
    public static let sopClassNotSupported = DIMSEStatus(rawValue: 0x0122)
    public static let noSuchAction = DIMSEStatus(rawValue: 0x0123)
    public static let notAuthorized = DIMSEStatus(rawValue: 0x0124)
    public static let duplicateInvocation = DIMSEStatus(rawValue: 0x0210)
    public static let unrecognizedOperation = DIMSEStatus(rawValue: 0x0211)
    public static let mistypedArgument = DIMSEStatus(rawValue: 0x0212)
    public static let resourceLimitation = DIMSEStatus(rawValue: 0x0213)

    /// Refused, out of resources; the requestor may try again.
    public static let outOfResources = DIMSEStatus(rawValue: 0xA700)
    /// C-STORE: the data set does not match the SOP class.
    public static let dataSetDoesNotMatchSOPClass = DIMSEStatus(rawValue: 0xA900)
    /// C-STORE: cannot understand.
    public static let cannotUnderstand = DIMSEStatus(rawValue: 0xC000)
    /// C-STORE warning: the data set does not match its SOP Class; it is stored all the same (PS3.4 §B.2.3).
    public static let dataSetDoesNotMatchSOPClassWarning = DIMSEStatus(rawValue: 0xB007)
    /// C-STORE warning: coercion of data elements.
    public static let coercionOfDataElements = DIMSEStatus(rawValue: 0xB000)

    /// C-FIND, C-GET, C-MOVE: the identifier does not match the SOP class (PS3.4 §C.4.1.1.4).
    public static let identifierDoesNotMatchSOPClass = DIMSEStatus(rawValue: 0xA900)
    /// C-FIND, C-GET, C-MOVE: unable to process, one of Cxxx (PS3.4 §C.4.1.1.4).
    public static let unableToProcess = DIMSEStatus(rawValue: 0xC001)
    /// C-GET, C-MOVE: none of the sub-operations could be performed (PS3.4 §C.4.2.1.5).
    public static let cannotPerformSuboperations = DIMSEStatus(rawValue: 0xA702)
    /// C-MOVE: the destination is not known (PS3.4 §C.4.2.1.5).
    public static let moveDestinationUnknown = DIMSEStatus(rawValue: 0xA801)
    /// C-GET, C-MOVE warning: some sub-operations failed or had warnings (PS3.4 §C.4.2.1.5).
    public static let suboperationsFailed = DIMSEStatus(rawValue: 0xB000)

    public var isSuccess: Bool { self.rawValue == 0 }

    /// PS3.7 annex C: 0001H, Bxxx and 0107H, 0116H are warnings.
    public var isWarning: Bool {
        self.rawValue == 0x0001 || self.rawValue & 0xF000 == 0xB000 || self.rawValue == 0x0107
            || self.rawValue == 0x0116
    }

    /// FF00H and FF01H: more responses follow.
    public var isPending: Bool { self.rawValue == 0xFF00 || self.rawValue == 0xFF01 }

    public var description: String {
        let digits = String(self.rawValue, radix: 16, uppercase: true)
        return String(repeating: "0", count: 4 - digits.count) + digits + "H"
    }
}
