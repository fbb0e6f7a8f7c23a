// SPDX-License-Identifier: Apache-2.0

/// What went wrong while reading or building PDUs, commands or messages.
///
/// Never carries values of the data set: messages name fields, lengths and offsets only.
public struct DIMSEError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The kind of failure.
    ///
    /// A struct, so that kinds can be added without breaking callers.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String {
            case unrecognizedPDU, malformedPDU, lengthOverLimit, looksLikeTLS, looksLikeHTTP
            case unexpectedFragment, malformedCommand, invalidAETitle, unusableMaximumLength
        }

        private let kind: Kind

        private init(_ kind: Kind) {
            self.kind = kind
        }

        /// A PDU type outside 01H...07H.
        public static let unrecognizedPDU = Code(.unrecognizedPDU)
        /// A PDU of a known type whose contents contradict PS3.8 section 9.3.
        public static let malformedPDU = Code(.malformedPDU)
        /// A claimed length over the limit; nothing was allocated for it.
        public static let lengthOverLimit = Code(.lengthOverLimit)
        /// The peer speaks TLS on the plain port.
        public static let looksLikeTLS = Code(.looksLikeTLS)
        /// The peer speaks HTTP on the DICOM port.
        public static let looksLikeHTTP = Code(.looksLikeHTTP)
        /// A fragment that does not continue the message in progress.
        public static let unexpectedFragment = Code(.unexpectedFragment)
        /// A command set that cannot be decoded or lacks a mandatory element.
        public static let malformedCommand = Code(.malformedCommand)
        /// An AE title of no or too many characters, or with forbidden ones.
        public static let invalidAETitle = Code(.invalidAETitle)
        /// The peer's maximum PDU length leaves no room for data.
        public static let unusableMaximumLength = Code(.unusableMaximumLength)

        public var description: String { self.kind.rawValue }
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(self.code): \(self.message)" }

    /// The reason an A-ABORT of the service provider gives for this failure (PS3.8 table 9-26).
    public var abortReason: AbortReason {
        switch self.code {
        case .unrecognizedPDU: .unrecognizedPDU
        case .malformedPDU, .lengthOverLimit: .invalidParameterValue
        case .unexpectedFragment: .unexpectedParameter
        default: .notSpecified
        }
    }

    @inline(never)
    static func malformed(_ message: String) -> DIMSEError {
        DIMSEError(.malformedPDU, message)
    }
}
