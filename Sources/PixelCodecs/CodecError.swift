// SPDX-License-Identifier: Apache-2.0

/// Why a frame could not be encoded, decoded or compared.
///
/// Messages name shapes and limits, never pixel values or anything that identifies a patient.
public struct CodecError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure, for callers that act on it.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String {
            case unsupported
            case invalidInput
            case corruptStream
            case mismatch
            case limitExceeded
            case outOfMemory
            case libraryFailure
            case queueFull
            case shutDown
        }

        private let kind: Kind

        private init(_ kind: Kind) { self.kind = kind }

        public var description: String { kind.rawValue }

        /// The codec cannot carry this pixel format: keep the frame native.
        public static let unsupported = Code(.unsupported)
        /// The native frame does not have the byte count its format says.
        public static let invalidInput = Code(.invalidInput)
        /// The encoded stream is damaged or no stream of this codec.
        public static let corruptStream = Code(.corruptStream)
        /// The encoded stream is sound but describes another image than the format.
        public static let mismatch = Code(.mismatch)
        /// A frame or stream passes a cap of `CodecLimits`.
        public static let limitExceeded = Code(.limitExceeded)
        /// Memory could not be allocated.
        public static let outOfMemory = Code(.outOfMemory)
        /// The codec library failed for another reason.
        public static let libraryFailure = Code(.libraryFailure)
        /// The pool's queue is full: try again later.
        public static let queueFull = Code(.queueFull)
        /// The pool was shut down before the work began.
        public static let shutDown = Code(.shutDown)
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code): \(message)" }
}
