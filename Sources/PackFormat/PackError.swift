// SPDX-License-Identifier: Apache-2.0

/// Why bytes are no sound pack, or why a pack can't be written.
///
/// Names paths in the pack, which are made of UIDs, and no other content.
public struct PackError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of failure.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Value: String, Sendable {
            case notAPack, unsupportedVersion, damaged, digestMismatch, limitExceeded, invalid
        }

        private let value: Value

        /// The last bytes are not those of a pack: it is another file, or its end is missing.
        public static let notAPack = Code(value: .notAPack)
        /// A pack of a later version.
        public static let unsupportedVersion = Code(value: .unsupportedVersion)
        /// It is a pack, and its directory or manifest is not what was written: read another copy.
        public static let damaged = Code(value: .damaged)
        /// Bytes do not have the SHA-256 that was announced or written down for them.
        public static let digestMismatch = Code(value: .digestMismatch)
        /// A count or length is over its limit.
        public static let limitExceeded = Code(value: .limitExceeded)
        /// What a writer was asked for contradicts itself, or comes out of order.
        public static let invalid = Code(value: .invalid)

        public var description: String { value.rawValue }
    }

    public let code: Code
    /// What is wrong and where.
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code): \(message)" }
}
