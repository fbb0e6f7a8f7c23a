// SPDX-License-Identifier: Apache-2.0

/// The titles of Key Object Selection documents that reject instances (PS3.16 CID 7011; IHE RAD TF-3 4.66).
package enum RejectionTitle: String, Sendable, CaseIterable {
    case quality = "113001"
    case patientSafety = "113037"
    case incorrectWorklist = "113038"
    case retentionExpired = "113039"

    /// The designator of the codes' scheme.
    package static let scheme = "DCM"

    /// The code's meaning.
    package var meaning: String {
        switch self {
        case .quality: "Rejected for Quality Reasons"
        case .patientSafety: "Rejected for Patient Safety Reasons"
        case .incorrectWorklist: "Incorrect Modality Worklist Entry"
        case .retentionExpired: "Data Retention Policy Expired"
        }
    }

    /// Whether instances that come after the note are hidden, too.
    ///
    /// Not where only their time was over: what is stored again then is wanted again, which the profile leaves to the archive
    /// (IHE RAD TF-3 4.66.4.4.3).
    package var awaitsInstances: Bool { self != .retentionExpired }
}
