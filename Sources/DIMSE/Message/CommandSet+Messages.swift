// SPDX-License-Identifier: Apache-2.0

/// Command Field (0000,0100), PS3.7 annex E.1.
public struct CommandField: RawRepresentable, Sendable, Hashable {
    public let rawValue: UInt16

    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    public static let storeRequest = CommandField(rawValue: 0x0001)
    public static let storeResponse = CommandField(rawValue: 0x8001)
    public static let getRequest = CommandField(rawValue: 0x0010)
    public static let getResponse = CommandField(rawValue: 0x8010)
    public static let findRequest = CommandField(rawValue: 0x0020)
    public static let findResponse = CommandField(rawValue: 0x8020)
    public static let moveRequest = CommandField(rawValue: 0x0021)
    public static let moveResponse = CommandField(rawValue: 0x8021)
    public static let echoRequest = CommandField(rawValue: 0x0030)
    public static let echoResponse = CommandField(rawValue: 0x8030)
    public static let cancelRequest = CommandField(rawValue: 0x0FFF)
    public static let eventReportRequest = CommandField(rawValue: 0x0100)
    public static let eventReportResponse = CommandField(rawValue: 0x8100)
    public static let actionRequest = CommandField(rawValue: 0x0130)
    public static let actionResponse = CommandField(rawValue: 0x8130)

    public var isResponse: Bool { self.rawValue & 0x8000 != 0 }
    public var response: CommandField { CommandField(rawValue: self.rawValue | 0x8000) }
}

/// Priority (0000,0700).
public enum DIMSEPriority: UInt16, Sendable {
    case medium = 0
    case high = 1
    case low = 2
}

extension CommandSet {
    /// Command Data Set Type for "no data set"; any other value announces one (PS3.7 annex E.1).
    public static let noDataSet: UInt16 = 0x0101

    public var commandField: CommandField? { self[.commandField].map(CommandField.init(rawValue:)) }
    public var messageID: UInt16? { self[.messageID] }
    public var messageIDBeingRespondedTo: UInt16? { self[.messageIDBeingRespondedTo] }
    public var status: DIMSEStatus? { self[.status].map(DIMSEStatus.init(rawValue:)) }
    public var affectedSOPClassUID: String? { self.text(.affectedSOPClassUID) }
    public var affectedSOPInstanceUID: String? { self.text(.affectedSOPInstanceUID) }
    public var errorComment: String? { self.text(.errorComment) }

    /// Whether a data set follows.
    ///
    /// A command that does not say so has none.
    public var hasDataSet: Bool {
        get { self[.commandDataSetType] ?? Self.noDataSet != Self.noDataSet }
        set { self[.commandDataSetType] = newValue ? 0x0000 : Self.noDataSet }
    }

    /// C-ECHO-RQ (PS3.7 table 9.3-12).
    public static func echoRequest(messageID: UInt16) -> CommandSet {
        var command = CommandSet(.echoRequest)
        command.setUID(.affectedSOPClassUID, UIDText.verification)
        command[.messageID] = messageID
        return command
    }

    /// C-STORE-RQ (PS3.7 table 9.3-1).
    public static func storeRequest(
        messageID: UInt16,
        sopClassUID: String,
        sopInstanceUID: String,
        priority: DIMSEPriority = .medium,
        moveOriginator: (aeTitle: AETitle, messageID: UInt16)? = nil
    ) -> CommandSet {
        var command = CommandSet(.storeRequest)
        command.setUID(.affectedSOPClassUID, sopClassUID)
        command[.messageID] = messageID
        command[.priority] = priority.rawValue
        command.hasDataSet = true
        command.setUID(.affectedSOPInstanceUID, sopInstanceUID)
        if let moveOriginator {
            command.setText(.moveOriginatorAETitle, moveOriginator.aeTitle.value)
            command[.moveOriginatorMessageID] = moveOriginator.messageID
        }
        return command
    }

    /// The response to a request without a data set: its command field, message id and SOP identity echoed.
    ///
    /// The error comment is cut to the 64 characters of its VR (LO), ASCII only. Offending elements are tags, group in the
    /// upper half.
    public func response(
        status: DIMSEStatus,
        errorComment: String? = nil,
        offendingElements: [UInt32] = []
    ) -> CommandSet {
        var command = CommandSet((self.commandField ?? CommandField(rawValue: 0)).response)
        command.setUID(
            .affectedSOPClassUID,
            self.affectedSOPClassUID ?? self.text(.requestedSOPClassUID)
        )
        command[.messageIDBeingRespondedTo] = self.messageID ?? 0
        command[.status] = status.rawValue
        command.setUID(
            .affectedSOPInstanceUID,
            self.affectedSOPInstanceUID ?? self.text(.requestedSOPInstanceUID)
        )
        if let errorComment, !errorComment.isEmpty {
            command.setText(.errorComment, Self.comment(errorComment))
        }
        command.setTags(.offendingElement, offendingElements)
        return command
    }

    private static func comment(_ text: String) -> String {
        let allowed = text.unicodeScalars.map { (0x20..<0x7F).contains($0.value) && $0 != "\\" ? Character($0) : "?" }
        return String(allowed.prefix(64))
    }
}
