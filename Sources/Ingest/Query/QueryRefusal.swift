// SPDX-License-Identifier: Apache-2.0

package import DICOM
import DICOMNetworking
package import DIMSE

/// Why a query or retrieval is not carried out: its last response's status, comment and offending elements.
///
/// The comment names attributes and rules, never values: they may be a patient's.
package struct QueryRefusal: Error, Sendable, Hashable {
    package let status: DIMSEStatus
    package let comment: String
    package let offending: [Tag]

    package init(_ status: DIMSEStatus, _ comment: String, offending: [Tag] = []) {
        self.status = status
        self.comment = comment
        self.offending = offending
    }

    /// The identifier is not one of the SOP class (A900H).
    static func identifier(_ comment: String, _ offending: Tag...) -> Self {
        Self(.identifierDoesNotMatchSOPClass, comment, offending: offending)
    }
}

extension QueryRefusal {
    /// What a failed look-up means for the operation as a whole.
    init(_ failure: RetrieveFailure) {
        switch failure.kind {
        case .invalidQuery: self.init(.identifierDoesNotMatchSOPClass, failure.reason)
        case .unavailable, .offline, .overloaded: self.init(.outOfResources, failure.reason)
        case .notFound, .notAcceptable, .held, .damaged: self.init(.unableToProcess, failure.reason)
        }
    }
}

extension QueryRetrieveResponse {
    init(_ refusal: QueryRefusal) {
        self.init(
            refusal.status,
            errorComment: refusal.comment,
            offendingElements: refusal.offending.map(\.rawValue)
        )
    }
}
