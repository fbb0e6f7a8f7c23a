// SPDX-License-Identifier: Apache-2.0

/// What went wrong with a request or a connection, and where trying again makes sense.
///
/// The same value is thrown locally and travels in an ERROR message; the text never carries patient data.
public struct ReplicationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The most bytes of text an ERROR message carries; longer texts are cut at a character.
    public static let maximumMessageByteCount = 512

    /// Where the same request may succeed.
    public enum RetryClass: UInt8, Sendable, CaseIterable {
        /// At once, at the same node: the request is idempotent and its outcome is not known.
        case sameNode = 1
        /// At another node that has (or takes) a copy.
        case otherNode = 2
        /// At the same node after a pause.
        case later = 3
        /// Nowhere: the request itself is at fault.
        case never = 4
    }

    public let code: Code
    public let message: String
    public let retry: RetryClass

    /// Makes an error; the retry class is the code's own unless given.
    @inline(never)
    public init(_ code: Code, _ message: String, retry: RetryClass? = nil) {
        self.code = code
        self.message = message
        self.retry = retry ?? code.usualRetry
    }

    public var description: String { "\(code): \(message)" }

    /// The peer broke the protocol: the connection ends.
    @inline(never)
    package static func violation(_ message: String) -> ReplicationError {
        ReplicationError(.protocolViolation, message)
    }

    /// The bytes of a payload are not what its type prescribes.
    @inline(never)
    static func malformed(_ type: MessageType, _ message: String) -> ReplicationError {
        ReplicationError(.protocolViolation, "malformed \(type.name): \(message)")
    }
}

extension ReplicationError {
    /// The kind of an error: a number on the wire; numbers this version does not know are kept.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        public let rawValue: UInt16

        public init(rawValue: UInt16) { self.rawValue = rawValue }

        /// A fault of the node's own.
        public static let `internal` = Code(rawValue: 1)
        /// A message that the protocol does not allow here.
        public static let protocolViolation = Code(rawValue: 2)
        /// No protocol version in common.
        public static let unsupportedVersion = Code(rawValue: 3)
        /// The peer belongs to another cluster.
        public static let wrongCluster = Code(rawValue: 4)
        /// Another node answers at the address than the one that was expected.
        public static let wrongNode = Code(rawValue: 5)
        /// The node does not have the record, and is sure of it.
        public static let notFound = Code(rawValue: 6)
        /// The node does not know whether it has the record (after an unclean start).
        public static let unknown = Code(rawValue: 7)
        /// The id exists with other content.
        public static let conflict = Code(rawValue: 8)
        /// The bytes that arrived do not match their checksum or digest.
        public static let checksumMismatch = Code(rawValue: 9)
        /// The record's bytes on the node's disk are damaged.
        public static let corrupt = Code(rawValue: 10)
        /// The range lies outside the payload.
        public static let rangeNotSatisfiable = Code(rawValue: 11)
        /// The request was made under a placement map that is too old.
        public static let staleEpoch = Code(rawValue: 12)
        /// The request carries a coordinator term lower than one the node has seen.
        public static let staleTerm = Code(rawValue: 13)
        /// The node takes no writes.
        public static let readOnly = Code(rawValue: 14)
        /// The node's disk is full.
        public static let diskFull = Code(rawValue: 15)
        /// The node's disk failed.
        public static let diskFailed = Code(rawValue: 16)
        /// A limit of the node is reached: connections, streams or memory.
        public static let overloaded = Code(rawValue: 17)
        /// The request's time was up before it took effect.
        public static let deadlineExceeded = Code(rawValue: 18)
        /// The payload, its metadata or the answer is larger than allowed.
        public static let tooLarge = Code(rawValue: 19)
        /// The request was withdrawn by whoever made it.
        public static let cancelled = Code(rawValue: 20)
        /// The request makes no sense.
        public static let invalidRequest = Code(rawValue: 21)
        /// The node does not offer the operation.
        public static let unsupported = Code(rawValue: 22)
        /// The node is shutting down.
        public static let shuttingDown = Code(rawValue: 23)
        /// The put may or may not have become durable: repeat it, it is idempotent.
        public static let outcomeUnknown = Code(rawValue: 24)
        /// The connection ended before the request took effect.
        public static let connectionLost = Code(rawValue: 25)
        /// There is no connection to the node at the moment.
        public static let notConnected = Code(rawValue: 26)

        /// A hold or a retention forbids it.
        public static let held = Code(rawValue: 27)
        /// The peer is not who its certificate says, or has none.
        public static let unauthenticated = Code(rawValue: 28)
        /// The certificate's holder may not order that.
        public static let forbidden = Code(rawValue: 29)
        /// A pack is on a medium that is not at hand, or has to be restored from an archive class first.
        public static let offline = Code(rawValue: 30)

        /// Where a request that failed with this code is best repeated.
        public var usualRetry: RetryClass {
            switch self {
            case .checksumMismatch, .outcomeUnknown: .sameNode
            case .internal, .wrongNode, .notFound, .unknown, .corrupt, .readOnly, .diskFull, .diskFailed, .shuttingDown,
                .connectionLost, .notConnected, .deadlineExceeded:
                .otherNode
            case .overloaded, .staleEpoch, .offline: .later
            default: .never
            }
        }

        /// The name of the code as in docs/replication-protocol.md.
        public var description: String {
            let names = [
                "INTERNAL", "PROTOCOL", "VERSION", "WRONG_CLUSTER", "WRONG_NODE", "NOT_FOUND", "UNKNOWN", "CONFLICT",
                "CHECKSUM", "CORRUPT", "RANGE", "STALE_EPOCH", "STALE_TERM", "READ_ONLY", "DISK_FULL", "DISK_FAILED",
                "OVERLOADED", "DEADLINE", "TOO_LARGE", "CANCELLED", "INVALID_REQUEST", "UNSUPPORTED", "SHUTTING_DOWN",
                "OUTCOME_UNKNOWN", "CONNECTION_LOST", "NOT_CONNECTED", "HELD", "UNAUTHENTICATED", "FORBIDDEN",
                "OFFLINE",
            ]
            let index = Int(rawValue) - 1
            return names.indices.contains(index) ? names[index] : "CODE_\(rawValue)"
        }
    }
}
