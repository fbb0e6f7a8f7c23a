// SPDX-License-Identifier: Apache-2.0

import PixelCodecs

/// Why an instance could not be given back, in terms that HTTP and DIMSE can answer with.
///
/// The reason goes to the client and the log: it names UIDs, nodes and rules, never a patient.
package struct RetrieveFailure: Error, Sendable, CustomStringConvertible {
    package enum Kind: Sendable {
        /// Nothing of that name is stored (404).
        case notFound
        /// The search can't be answered as it is (400).
        case invalidQuery
        /// It is stored, but can't be delivered in the form asked for (406).
        case notAcceptable
        /// The catalog, or every copy, is out of reach for now (503).
        case unavailable
        /// It is on media that are not at hand; that it comes back is ordered (503).
        case offline
        /// Too much is under way (503).
        case overloaded
        /// A legal hold is in the way (409).
        case held
        /// Every copy is damaged or missing (500).
        case damaged
    }

    package let kind: Kind
    package let reason: String
    /// When to come back, in seconds; nil: soon.
    package let retryAfterSeconds: Int?

    package init(_ kind: Kind, _ reason: String, retryAfterSeconds: Int? = nil) {
        self.kind = kind
        self.reason = reason
        self.retryAfterSeconds = retryAfterSeconds
    }

    package var description: String { reason }
}

extension RetrieveFailure {
    /// What a codec's failure means for a frame of an instance of ours.
    init(_ error: CodecError) {
        switch error.code {
        case .queueFull, .shutDown, .outOfMemory: self.init(.overloaded, error.message)
        case .unsupported, .limitExceeded: self.init(.notAcceptable, error.message)
        default: self.init(.damaged, "a frame does not decode: \(error.message)")
        }
    }
}
