// SPDX-License-Identifier: Apache-2.0

/// Why a process or the private database could not be started, and what to do about it.
public struct SupervisorError: Error, Sendable, CustomStringConvertible {
    /// The kind of failure, for callers that act on it.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String {
            case alreadyRunning
            case fileSystem
            case invalidSpecification
            case spawnFailed
            case childEnded
            case notReady
            case postgresMissing
            case postgresFailed
        }

        private let kind: Kind

        private init(_ kind: Kind) { self.kind = kind }

        public var description: String { kind.rawValue }

        /// Another supervisor holds the directory's lock.
        public static let alreadyRunning = Code(.alreadyRunning)
        /// A directory or file could not be made, read or written.
        public static let fileSystem = Code(.fileSystem)
        /// A child's name or user is not usable.
        public static let invalidSpecification = Code(.invalidSpecification)
        /// The operating system could not start the executable.
        public static let spawnFailed = Code(.spawnFailed)
        /// A child ended that should have become ready.
        public static let childEnded = Code(.childEnded)
        /// A child was not ready by its deadline.
        public static let notReady = Code(.notReady)
        /// No usable PostgreSQL server is installed.
        public static let postgresMissing = Code(.postgresMissing)
        /// A PostgreSQL program failed.
        public static let postgresFailed = Code(.postgresFailed)
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
