// SPDX-License-Identifier: Apache-2.0

/// Why the catalog could not do what was asked.
///
/// Never carries values of the data it was asked to store or find.
public struct CatalogError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure it is, and thereby what to do.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String {
            case unavailable
            case outcomeUnknown
            case timedOut
            case overloaded
            case conflict
            case staleTerm
            case invalid
            case unknownNode
            case schema
            case configuration
            case failed
            case closed
            case held
        }

        private let kind: Kind

        /// Postgres cannot be reached or refuses service for now.
        ///
        /// Nothing was changed; try again later.
        public static let unavailable = Code(kind: .unavailable)
        /// The connection broke or the deadline passed while a change was under way: it may or may not have happened.
        ///
        /// Asking for the same change again is safe.
        public static let outcomeUnknown = Code(kind: .outcomeUnknown)
        /// A question was not answered in time.
        ///
        /// Nothing was changed.
        public static let timedOut = Code(kind: .timedOut)
        /// Too much is waiting already.
        ///
        /// Nothing was changed; try again later.
        public static let overloaded = Code(kind: .overloaded)
        /// A compare-and-set found another value than expected: read again, then decide.
        public static let conflict = Code(kind: .conflict)
        /// The caller's term of office is over: another coordinator leads.
        public static let staleTerm = Code(kind: .staleTerm)
        /// What was given cannot be stored or asked for; the same again will fail again.
        public static let invalid = Code(kind: .invalid)
        /// A node is named that is not registered.
        public static let unknownNode = Code(kind: .unknownNode)
        /// The database's schema is missing, incomplete or newer than this program.
        public static let schema = Code(kind: .schema)
        /// The connection string, the database or its permissions are wrong.
        public static let configuration = Code(kind: .configuration)
        /// Postgres refused a statement for a reason that is not expected; see the SQLSTATE.
        public static let failed = Code(kind: .failed)
        /// A legal hold is in the way.
        ///
        /// Nothing was changed.
        public static let held = Code(kind: .held)
        /// The catalog has been shut down.
        public static let closed = Code(kind: .closed)

        public var description: String { kind.rawValue }
    }

    public let code: Code
    /// What happened and what to do.
    public let message: String
    /// Postgres' five-character error code, when it sent one.
    public let sqlState: String?

    public init(_ code: Code, _ message: String, sqlState: String? = nil) {
        self.code = code
        self.message = message
        self.sqlState = sqlState
    }

    public var description: String {
        "catalog: \(code): \(message)" + (sqlState.map { " (SQLSTATE \($0))" } ?? "")
    }
}
