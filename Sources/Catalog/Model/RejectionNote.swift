// SPDX-License-Identifier: Apache-2.0

public import Placement

/// A rejection note that was stored, and how far it is acted on.
public struct RejectionNote: Sendable, Hashable {
    public enum State: Int, Sendable {
        /// Nobody has looked yet whether it rejects anything.
        case unread = 0
        /// Its sender may not reject: nothing is done until somebody approves.
        case unapproved = 1
        /// To be acted on; ``RejectionNote/obstacle`` says what is in the way.
        case wanted = 2
        /// What it names is in the trash; what comes of it later will be, where it awaits that.
        case inForce = 3
        /// Somebody decided that nothing (more) is to follow from it.
        case dismissed = 4
        /// It cannot be understood: ``RejectionNote/obstacle``.
        case unreadable = 5
    }

    public var id: Int64
    /// SOP Instance UID of the document.
    public var instance: String
    public var record: RecordID
    /// The calling AE title that sent it; empty over HTTP.
    public var sender: String
    /// Milliseconds since 1970.
    public var receivedAtMilliseconds: Int64
    public var state: State
    /// The code of its title; empty before it was read.
    public var title: String
    /// Who approved or dismissed it, and why; empty when nobody had to.
    public var decidedBy: String
    public var decisionReason: String
    /// When it came into force, in milliseconds since 1970.
    public var actedAtMilliseconds: Int64?
    /// What is in the way; empty when nothing is.
    public var obstacle: String
    /// Instances that it names, that it has retired, and that it waits for.
    public var namedCount = 0
    public var retiredCount = 0
    public var awaitedCount = 0
    /// One of the studies that it names.
    public var study = ""
}

/// What a note says, as it is filed.
public struct Rejection: Sendable {
    /// The code of the document's title.
    public var title: String
    /// What the deletions give as their reason.
    public var reason: String
    /// Whether instances that come later are retired, too.
    public var awaitsInstances: Bool
    /// Study, Series and SOP Instance UID of what it names.
    public var references: [(study: String, series: String, instance: String)]

    public init(
        title: String,
        reason: String,
        awaitsInstances: Bool,
        references: [(study: String, series: String, instance: String)]
    ) {
        self.title = title
        self.reason = reason
        self.awaitsInstances = awaitsInstances
        self.references = references
    }
}

/// What came of acting on a note.
public enum RejectionOutcome: Sendable, Hashable {
    /// So many instances went to the trash now.
    case retired(Int)
    /// Nothing did: this hold is in the way.
    case held(Int64)
    /// It is not to be acted on, any more or yet.
    case notWanted
}
