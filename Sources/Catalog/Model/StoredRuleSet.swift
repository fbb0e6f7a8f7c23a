// SPDX-License-Identifier: Apache-2.0

public import Checksums

/// A rule set as it was loaded: the text of its file, and who loaded it when and why.
///
/// The catalog keeps the text and knows nothing of its meaning.
public struct StoredRuleSet: Sendable, Hashable {
    /// Counts from 1; the largest holds.
    public var version: Int64
    public var text: String
    /// Of the text in UTF-8.
    public var digest: SHA256Digest
    /// Milliseconds since 1970, by the clock of the database.
    public var loadedAtMilliseconds: Int64
    public var loadedBy: String
    public var reason: String

    public init(
        version: Int64,
        text: String,
        digest: SHA256Digest,
        loadedAtMilliseconds: Int64,
        loadedBy: String,
        reason: String
    ) {
        self.version = version
        self.text = text
        self.digest = digest
        self.loadedAtMilliseconds = loadedAtMilliseconds
        self.loadedBy = loadedBy
        self.reason = reason
    }
}
