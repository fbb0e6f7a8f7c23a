// SPDX-License-Identifier: Apache-2.0

public import Placement

/// Permits to destroy what is in the trash of storage nodes: written down before they are given, and for good.
extension Catalog {
    /// Writes a permit down, under the term of the coordinator that will give it.
    ///
    /// Safe to repeat.
    public func issuePurgePermit(_ permit: PurgePermit, term: Term) async throws(CatalogError) {
        let parameters: [PostgresValue] = [
            .term(term), .uuid(high: permit.high, low: permit.low),
            .uuid(high: permit.node.high, low: permit.node.low), .int8(permit.retiredBeforeMilliseconds),
        ]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.issuePurgePermit, parameters, deadline: deadline).rowCount
        }
    }

    /// Notes how many segments a node destroyed by a permit, how many it left, and why it did not do more.
    ///
    /// A permit by which nothing was destroyed, and which failed in no way, is forgotten.
    public func notePurge(
        _ permit: PurgePermit,
        destroyed: Int64,
        remaining: Int64,
        note: String,
        term: Term
    ) async throws(CatalogError) {
        let parameters: [PostgresValue] = [
            .term(term), .uuid(high: permit.high, low: permit.low), .int8(destroyed), .int8(remaining),
            .text(StoredText.clean(note)),
        ]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.notePurge, parameters, deadline: deadline).rowCount
        }
    }

    private static let issuePurgePermit = PreparedStatement(
        "issue_purge_permit",
        "SELECT issue_purge_permit($1, $2, $3, $4)"
    )

    private static let notePurge = PreparedStatement("note_purge", "SELECT note_purge($1, $2, $3, $4, $5)")
}
