// SPDX-License-Identifier: Apache-2.0

/// What a legal hold is to hold.
public enum HoldSubject: Sendable, Hashable {
    /// Studies by their UIDs; `query` is the search that found them, empty when they were named.
    case studies([String], query: String)
    /// All studies of a patient, also those that come later; nil as issuer: of any.
    case patient(id: String, issuer: String?)
}

/// A legal hold: nothing of what it holds is deleted until somebody releases it.
public struct Hold: Sendable, Hashable {
    /// Who released it, when and why.
    public struct Release: Sendable, Hashable {
        public var releasedBy: String
        public var reason: String
        /// Milliseconds since 1970, by the clock of the database.
        public var atMilliseconds: Int64
    }

    public var number: Int64
    /// What people call it.
    public var name: String
    public var reason: String
    public var placedBy: String
    /// Milliseconds since 1970, by the clock of the database.
    public var placedAtMilliseconds: Int64
    /// Empty unless it holds a patient's studies.
    public var patientID: String
    public var issuer: String
    /// The search by which studies were found; empty when they were named.
    public var query: String
    /// Studies that it holds, of a patient those that are there now.
    public var studyCount: Int
    /// One of the studies that were named or found; empty for a patient's.
    public var firstStudy: String
    /// Studies of which some storage nodes have not been told yet that they are held by it, or no longer are.
    public var untoldCount: Int
    /// Nil: it is in force.
    public var release: Release?
}
