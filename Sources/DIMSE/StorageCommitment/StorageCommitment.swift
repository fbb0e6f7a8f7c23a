// SPDX-License-Identifier: Apache-2.0

/// The Storage Commitment Push Model SOP class (PS3.4 annex J): names and numbers.
///
/// The requestor asks by N-ACTION that instances be kept; the provider says by N-EVENT-REPORT for which of them it
/// takes that on.
public enum StorageCommitment {
    /// Storage Commitment Push Model SOP Class.
    public static let sopClassUID = "1.2.840.10008.1.20.1"
    /// The well-known instance that all requests are made to (PS3.4 section J.3.5).
    public static let sopInstanceUID = "1.2.840.10008.1.20.1.1"
    /// N-ACTION, Action Type ID: Request Storage Commitment (PS3.4 table J.3-1).
    public static let requestActionTypeID: UInt16 = 1
    /// N-EVENT-REPORT, Event Type ID: Storage Commitment Request Successful (PS3.4 table J.3-2).
    public static let successEventTypeID: UInt16 = 1
    /// N-EVENT-REPORT, Event Type ID: Storage Commitment Request Complete - Failures Exist (PS3.4 table J.3-2).
    public static let failuresEventTypeID: UInt16 = 2
}
