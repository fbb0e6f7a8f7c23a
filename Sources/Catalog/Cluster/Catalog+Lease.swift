// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import Placement

/// Who leads the cluster, and for how long by the database's clock.
public struct CoordinatorLease: Sendable, Hashable {
    public let holder: String
    public let term: Term
    public let remaining: Duration
}

extension Catalog {
    /// Takes the coordinator's lease if it is free or has run out; returns the new term, or `nil` while another holds it.
    ///
    /// `holder` must be different for every start of every process: who asks again while holding the lease gets the same
    /// term. The time is measured by the database's clock. After `.outcomeUnknown`, ask again.
    public func acquireLease(holder: String, duration: Duration) async throws(CatalogError) -> Term? {
        let values: [PostgresValue] = [.text(holder), .int8(duration.milliseconds)]
        return try await perform(.once) { connection, deadline throws(PostgresFailure) in
            let term = try connection.query(ClusterStatements.acquireLease, values, deadline: deadline).first?.int(0)
            return term.map { Term(rawValue: UInt64(max(0, $0))) }
        }
    }

    /// Extends the lease from now; false when the term is over, and with it all authority.
    public func renewLease(holder: String, term: Term, duration: Duration) async throws(CatalogError) -> Bool {
        let values: [PostgresValue] = [.text(holder), .term(term), .int8(duration.milliseconds)]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(ClusterStatements.renewLease, values, deadline: deadline).first?.bool(0) ?? false
        }
    }

    /// Gives the lease up, so that another need not wait for it to run out.
    public func releaseLease(holder: String, term: Term) async throws(CatalogError) {
        let values: [PostgresValue] = [.text(holder), .term(term)]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(ClusterStatements.releaseLease, values, deadline: deadline).rowCount
        }
    }

    /// The lease in force; `nil` when nobody leads.
    public func lease() async throws(CatalogError) -> CoordinatorLease? {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            guard let row = try connection.query(ClusterStatements.lease, [], deadline: deadline).first else {
                return nil
            }
            return CoordinatorLease(
                holder: row.text(0),
                term: Term(rawValue: UInt64(max(0, row.int(1) ?? 0))),
                remaining: .milliseconds(row.int(2) ?? 0)
            )
        }
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 { TimeAmount(self).nanoseconds / 1_000_000 }
}
