// SPDX-License-Identifier: Apache-2.0

/// Why bytes could not be read as (or values written in) one of the formats of this target.
public struct SegmentFormatError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of failure.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Value: String, Sendable {
            case truncated, wrongMagic, unsupportedVersion, checksumMismatch, misplaced, foreign, limitExceeded,
                malformed
        }

        private let value: Value

        /// There are fewer bytes than the structure needs.
        public static let truncated = Code(value: .truncated)
        /// The structure does not begin with its magic number.
        public static let wrongMagic = Code(value: .wrongMagic)
        /// The structure is of a version this program does not read.
        public static let unsupportedVersion = Code(value: .unsupportedVersion)
        /// A CRC32C does not match the bytes it covers.
        public static let checksumMismatch = Code(value: .checksumMismatch)
        /// The structure is sound but belongs to another offset or segment: a misdirected write or a stale block.
        public static let misplaced = Code(value: .misplaced)
        /// The structure is sound but belongs to another cluster or node.
        public static let foreign = Code(value: .foreign)
        /// A length or count is over its limit.
        public static let limitExceeded = Code(value: .limitExceeded)
        /// A field holds a value that it must not hold.
        public static let malformed = Code(value: .malformed)

        public var description: String { value.rawValue }
    }

    public let code: Code
    /// What was being read, and which field was wrong.
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code): \(message)" }
}
