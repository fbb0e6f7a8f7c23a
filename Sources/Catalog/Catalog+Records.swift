// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import Placement

extension Catalog {
    /// The records that instances are entered with and whose ids lie in a range, ascending; at most `limit`.
    public func records(in range: ClosedRange<RecordID>, limit: Int) async throws(CatalogError) -> [RecordID] {
        let parameters = [
            PostgresValue.text("\(range.lowerBound)"), .text("\(range.upperBound)"), .int4(Int32(clamping: limit)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.recordsInRange, parameters, deadline: deadline).rows.map {
                row throws(PostgresFailure) in
                guard let id = row.recordID(0) else {
                    throw PostgresFailure(kind: .unexpected, message: "a record id cannot be read")
                }
                return id
            }
        }
    }

    /// The instances whose records lie in a range of ids, by these, ascending; at most `limit`.
    public func instances(in range: ClosedRange<RecordID>, limit: Int) async throws(CatalogError) -> [InstanceRow] {
        let parameters = [
            PostgresValue.text("\(range.lowerBound)"), .text("\(range.upperBound)"), .int4(Int32(clamping: limit)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try InstanceRow.rows(connection.query(Self.instancesInRange, parameters, deadline: deadline))
        }
    }

    /// The records of which a node has a copy, as far as the catalog knows, after one of them, ascending; at most `limit`.
    public func records(
        on node: NodeID,
        after: RecordID?,
        limit: Int
    ) async throws(CatalogError) -> [RecordID] {
        let first = after.map { "\($0)" } ?? "00000000-0000-0000-0000-000000000000"
        let parameters = [PostgresValue.node(node), .text(first), .int4(Int32(clamping: limit))]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.recordsOnNode, parameters, deadline: deadline).rows.map {
                row throws(PostgresFailure) in
                guard let id = row.recordID(0) else {
                    throw PostgresFailure(kind: .unexpected, message: "a record id cannot be read")
                }
                return id
            }
        }
    }

    /// Those of `ids`, in their order, with which no instance is entered.
    public func unknown(among ids: [RecordID]) async throws(CatalogError) -> [RecordID] {
        let list = [PostgresValue.text("{\(ids.map { "\($0)" }.joined(separator: ","))}")]
        let known = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.recordsAmong, list, deadline: deadline).rows.map {
                row throws(PostgresFailure) in
                guard let id = row.recordID(0) else {
                    throw PostgresFailure(kind: .unexpected, message: "a record id cannot be read")
                }
                return id
            }
        }
        let all = Set(known)
        return ids.filter { !all.contains($0) }
    }

    /// The instance that is entered with a record.
    public func instance(record: RecordID) async throws(CatalogError) -> InstanceRow? {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let id = [PostgresValue.text("\(record)")]
            return try InstanceRow.rows(connection.query(Self.instanceByRecord, id, deadline: deadline)).first
        }
    }

    private static let recordsInRange = PreparedStatement(
        "records_in_range",
        """
        SELECT record FROM instances WHERE record BETWEEN $1::text::uuid AND $2::text::uuid ORDER BY record LIMIT $3::int4
        """
    )

    private static let instancesInRange = PreparedStatement(
        "instances_in_range",
        """
        \(InstanceRow.selection) WHERE i.record BETWEEN $1::text::uuid AND $2::text::uuid ORDER BY i.record LIMIT $3::int4
        """
    )

    private static let recordsAmong = PreparedStatement(
        "records_among",
        "SELECT record FROM instances WHERE record = ANY ($1::text::uuid[])"
    )

    private static let recordsOnNode = PreparedStatement(
        "records_on_node",
        """
        SELECT record FROM instances
        WHERE record > $2::text::uuid AND placement = ANY (ARRAY(
            SELECT p.id FROM placements p JOIN nodes n ON p.nodes @> ARRAY[n.id] WHERE n.node_id = $1
        ))
        ORDER BY record LIMIT $3::int4
        """
    )

    private static let instanceByRecord = PreparedStatement(
        "instance_by_record",
        "\(InstanceRow.selection) WHERE i.record = $1::text::uuid"
    )
}
