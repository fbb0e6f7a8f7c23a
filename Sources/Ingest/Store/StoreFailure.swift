// SPDX-License-Identifier: Apache-2.0

/// Why an instance was not stored, in terms that both DIMSE and HTTP can answer with.
///
/// The reason goes to the sender and the log: it names tags and rules, never a patient.
package struct StoreFailure: Error, Sendable, CustomStringConvertible {
    package enum Kind: Sendable {
        /// The data set cannot be understood, or lacks what storing needs (C000H, 400).
        case malformed
        /// The data set's SOP Class is not the one the request names (A900H, 409).
        case mismatch
        /// An instance of this UID with other content exists (0111H, 409).
        case conflict
        /// The instance was deleted and is in the trash (0124H, 409).
        case deleted
        /// Fewer than `ack` hosts could write, or the catalog is away: try again later (A700H, 503).
        case unavailable
        /// Our own failure (0110H, 500).
        case processing
    }

    package let kind: Kind
    package let reason: String

    package init(_ kind: Kind, _ reason: String) {
        self.kind = kind
        self.reason = reason
    }

    package var description: String { reason }

    /// What is in the trash is not stored again.
    static let deleted = StoreFailure(
        .deleted,
        "the instance was deleted here and is in the trash; it comes back by 'varve study undelete'"
    )
}
