// SPDX-License-Identifier: Apache-2.0

/// Messages of the normalized services (PS3.7 section 10.3) that Storage Commitment takes.
extension CommandSet {
    /// N-ACTION-RQ with action information (PS3.7 table 10.3-7).
    public static func actionRequest(
        messageID: UInt16,
        sopClassUID: String,
        sopInstanceUID: String,
        actionTypeID: UInt16
    ) -> CommandSet {
        var command = CommandSet(.actionRequest)
        command.setUID(.requestedSOPClassUID, sopClassUID)
        command[.messageID] = messageID
        command.hasDataSet = true
        command.setUID(.requestedSOPInstanceUID, sopInstanceUID)
        command[.actionTypeID] = actionTypeID
        return command
    }

    /// N-EVENT-REPORT-RQ with event information (PS3.7 table 10.3-1).
    public static func eventReportRequest(
        messageID: UInt16,
        sopClassUID: String,
        sopInstanceUID: String,
        eventTypeID: UInt16
    ) -> CommandSet {
        var command = CommandSet(.eventReportRequest)
        command.setUID(.affectedSOPClassUID, sopClassUID)
        command[.messageID] = messageID
        command.hasDataSet = true
        command.setUID(.affectedSOPInstanceUID, sopInstanceUID)
        command[.eventTypeID] = eventTypeID
        return command
    }
}
