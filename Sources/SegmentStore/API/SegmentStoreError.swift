// SPDX-License-Identifier: Apache-2.0

public import Placement
public import SegmentFormat

/// Why a store could not do what it was asked to.
public struct SegmentStoreError: Error, Sendable, CustomStringConvertible {
    /// The kind of failure; what to do about it follows from it.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Value: String, Sendable {
            case notFound, checksumMismatch, readFailed, conflict, digestMismatch, invalid, tooLarge
            case full, writeFailed, overloaded, closed, foreign, locked, openFailed
            case deleted, held, staleTerm
        }

        private let value: Value

        /// No record has this id (as far as is known: see `StoreStatus.isUncertain`).
        public static let notFound = Code(value: .notFound)
        /// The stored bytes are not the ones that were written: read another copy.
        public static let checksumMismatch = Code(value: .checksumMismatch)
        /// The disk would not give the bytes: read another copy.
        public static let readFailed = Code(value: .readFailed)
        /// A record with this id and another payload is stored.
        public static let conflict = Code(value: .conflict)
        /// The payload does not have the digest that was declared for it: it was damaged on its way.
        public static let digestMismatch = Code(value: .digestMismatch)
        /// The request contradicts itself (a range beyond the end, more bytes than declared).
        public static let invalid = Code(value: .invalid)
        /// The record or the range is over its limit; use `beginLarge`, or ask for a smaller range.
        public static let tooLarge = Code(value: .tooLarge)
        /// Too little space is left; nothing was written.
        public static let full = Code(value: .full)
        /// A write or a sync failed, now or before: this store takes no more records until it is opened again.
        public static let writeFailed = Code(value: .writeFailed)
        /// Too much is waiting already; later it may work.
        public static let overloaded = Code(value: .overloaded)
        /// The store is closed.
        public static let closed = Code(value: .closed)
        /// The directory belongs to another cluster or node.
        public static let foreign = Code(value: .foreign)
        /// Another process uses the directory.
        public static let locked = Code(value: .locked)
        /// The store can't be opened for another reason.
        public static let openFailed = Code(value: .openFailed)

        /// A tombstone hides the record: for clients it is not there, and it may not be stored again.
        public static let deleted = Code(value: .deleted)
        /// A hold forbids to delete the record.
        public static let held = Code(value: .held)
        /// A coordinator of a higher term has been heard of: whoever asked is no longer in office.
        public static let staleTerm = Code(value: .staleTerm)

        public var description: String { value.rawValue }
    }

    public let code: Code
    /// What happened, where, and what to do.
    public let message: String
    public let record: RecordID?
    public let segment: SegmentID?
    public let offset: UInt64?

    public init(
        _ code: Code,
        _ message: String,
        record: RecordID? = nil,
        segment: SegmentID? = nil,
        offset: UInt64? = nil
    ) {
        self.code = code
        self.message = message
        self.record = record
        self.segment = segment
        self.offset = offset
    }

    public var description: String {
        var text = "\(code): \(message)"
        if let segment { text += ", segment \(segment)" }
        if let offset { text += ", offset \(offset)" }
        return text
    }
}
