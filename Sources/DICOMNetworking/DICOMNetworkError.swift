// SPDX-License-Identifier: Apache-2.0

public import DIMSE

/// Why a server could not start, or an association or operation failed.
public struct DICOMNetworkError: Error, Sendable, CustomStringConvertible {
    /// The kind of failure.
    ///
    /// A struct, so that kinds can be added without breaking callers.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String {
            case connectFailed, rejected, aborted, closed, timedOut, contextNotAccepted, protocolViolation, spool
            case bindFailed, usage, cancelled
        }

        private let kind: Kind

        private init(_ kind: Kind) {
            self.kind = kind
        }

        /// No TCP connection.
        public static let connectFailed = Code(.connectFailed)
        /// The server's port could not be opened.
        public static let bindFailed = Code(.bindFailed)
        /// The peer answered A-ASSOCIATE-RJ; see `rejection`.
        public static let rejected = Code(.rejected)
        /// The peer, or this side after an error, aborted the association.
        public static let aborted = Code(.aborted)
        /// The association or connection is closed.
        public static let closed = Code(.closed)
        public static let timedOut = Code(.timedOut)
        /// The peer accepted no presentation context for the SOP class and transfer syntax.
        public static let contextNotAccepted = Code(.contextNotAccepted)
        public static let protocolViolation = Code(.protocolViolation)
        /// The spool file could not be written or read.
        public static let spool = Code(.spool)
        /// The peer cancelled the operation (C-CANCEL).
        public static let cancelled = Code(.cancelled)
        /// The caller's mistake.
        public static let usage = Code(.usage)

        public var description: String { self.kind.rawValue }
    }

    public let code: Code
    public let message: String
    /// With `.rejected`: what the peer answered.
    public let rejection: AssociateReject?
    public let cause: (any Error)?

    public init(_ code: Code, _ message: String, rejection: AssociateReject? = nil, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.rejection = rejection
        self.cause = cause
    }

    public var description: String {
        if let cause { "\(self.code): \(self.message) (\(cause))" } else { "\(self.code): \(self.message)" }
    }
}
