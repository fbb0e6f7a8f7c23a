// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement

extension Catalog {
    /// Counts the instances of sets, and the bytes of one copy of each; one amount a set, in their order.
    ///
    /// Reads the row of every instance.
    package func amounts(of sets: [PlacedGroup]) async throws(CatalogError) -> [RepairAmount] {
        let values: [PostgresValue] = [
            .int8s(sets.map { Int64($0.placement) }), .int8s(sets.map { Int64($0.group.rawValue) }),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let found = try connection.query(Self.amounts, values, deadline: deadline).rows.map { row in
                RepairAmount(instanceCount: row.int(0) ?? 0, byteCount: Int64(row.int(1) ?? 0))
            }
            guard found.count == sets.count else {
                throw PostgresFailure(kind: .unexpected, message: "Postgres counted other sets than it was asked for")
            }
            return found
        }
    }

    private static let amounts = PreparedStatement(
        "amounts_of_sets",
        """
        SELECT c.instances, c.bytes
        FROM unnest($1::int8[], $2::int8[]) WITH ORDINALITY n(p, g, number) CROSS JOIN LATERAL (
            SELECT count(*) AS instances, coalesce(sum(i.stored_bytes), 0)::int8 AS bytes FROM instances i
            WHERE i.placement = n.p::int4 AND placement_group_of(i.record) = n.g::int4
        ) c ORDER BY n.number
        """
    )
}
