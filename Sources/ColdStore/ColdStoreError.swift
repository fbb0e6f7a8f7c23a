// SPDX-License-Identifier: Apache-2.0

/// Why a store could not do what it was asked to.
///
/// Names keys, which are made of UIDs, and places of the store; never credentials.
public struct ColdStoreError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of failure; what to do about it follows from it.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Value: String, Sendable {
            case notFound, exists, full, unavailable, offline, denied, failed, damaged, invalid
        }

        private let value: Value

        /// The store is there, and has no such object.
        public static let notFound = Code(value: .notFound)
        /// There is an object of that key; objects are never written over.
        public static let exists = Code(value: .exists)
        /// There is no room.
        public static let full = Code(value: .full)
        /// The store is not there, or not in a state to answer: what it holds is unknown, and may be asked later.
        public static let unavailable = Code(value: .unavailable)
        /// It is on a medium that is not at hand, or in an archive class: it is to be fetched first, and may take hours.
        public static let offline = Code(value: .offline)
        /// The store refuses us.
        public static let denied = Code(value: .denied)
        /// A read or write failed: read another copy, write elsewhere.
        public static let failed = Code(value: .failed)
        /// What the object holds is not what was written.
        public static let damaged = Code(value: .damaged)
        /// The request contradicts itself.
        public static let invalid = Code(value: .invalid)

        public var description: String { value.rawValue }
    }

    public let code: Code
    /// What happened, where, and what to do.
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code): \(message)" }
}
