// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import Placement

/// What operators ask of the coordinator about nodes: rows, which the one in office acts on.
extension Catalog {
    /// All registered nodes with what is wanted of them, those that were removed included, by name.
    public func nodeRecords() async throws(CatalogError) -> [NodeRecord] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.nodeRecords, [], deadline: deadline).rows.compactMap { NodeRecord(row: $0) }
        }
    }

    /// Enters an order; its number.
    ///
    /// Throws `.unknownNode` when there is no such node.
    public func enterNodeOrder(
        _ kind: NodeOrder.Kind,
        of node: NodeID,
        seconds: Int64 = 0,
        requestedBy: String,
        reason: String
    ) async throws(CatalogError) -> Int64 {
        let values: [PostgresValue] = [
            .node(node), .int4(Int32(kind.rawValue)), .int8(seconds), .text(StoredText.clean(requestedBy)),
            .text(StoredText.clean(reason)),
        ]
        let number = try await perform(.once) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.enterNodeOrder, values, deadline: deadline).first?.int(0).map(Int64.init)
        }
        guard let number else { throw CatalogError(.unknownNode, "the node is not registered") }
        return number
    }

    /// An order by its number.
    public func nodeOrder(_ id: Int64) async throws(CatalogError) -> NodeOrder? {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.nodeOrder, [.int8(id)], deadline: deadline).first.flatMap { NodeOrder(row: $0) }
        }
    }

    /// The orders about a node, the last first; at most `limit`.
    public func nodeOrders(of node: NodeID, limit: Int) async throws(CatalogError) -> [NodeOrder] {
        let values: [PostgresValue] = [.node(node), .int4(Int32(clamping: limit))]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.ordersOfNode, values, deadline: deadline).rows.compactMap { NodeOrder(row: $0) }
        }
    }

    /// The orders that nobody has decided, in the order in which they came.
    public func openNodeOrders(limit: Int) async throws(CatalogError) -> [NodeOrder] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.openNodeOrders, [.int4(Int32(clamping: limit))], deadline: deadline).rows
                .compactMap { NodeOrder(row: $0) }
        }
    }

    /// Carries out an order, by making `service` what is wanted of its node, or by the maintenance that it asks for; or
    /// refuses it.
    ///
    /// One that has been decided stays as it was. Throws `.staleTerm` when `term` is over.
    public func decide(
        _ order: NodeOrder,
        service: NodeService?,
        isRefused: Bool,
        note: String,
        term: Term
    ) async throws(CatalogError) {
        let isMaintenance = order.kind == .maintenance || order.kind == .endOfMaintenance
        let service = service.map { PostgresValue.int4(Int32($0.rawValue)) }
        let values: [PostgresValue] = [
            .term(term), .int8(order.id), service ?? PostgresValue(type: PostgresValue.OID.int4, bytes: nil),
            .bool(isMaintenance), .bool(isRefused), .text(StoredText.clean(note)),
        ]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.decideNodeOrder, values, deadline: deadline).rowCount
        }
    }
}

extension Catalog {
    private static let nodeRecords = PreparedStatement(
        "node_records",
        """
        SELECT \(StorageMember.columns), service,
            CASE WHEN maintenance_until > now()
                THEN (extract(epoch FROM maintenance_until - now()) * 1000)::int8 END,
            (extract(epoch FROM now() - state_changed_at) * 1000)::int8
        FROM nodes ORDER BY name, node_id
        """
    )

    private static let enterNodeOrder = PreparedStatement(
        "enter_node_order",
        """
        INSERT INTO node_orders (node, kind, seconds, requested_by, reason)
        SELECT node_id, $2::int4, $3::int8, $4, $5 FROM nodes WHERE node_id = $1 RETURNING id
        """
    )

    private static let orderColumns = """
        id, node, kind, seconds, requested_by, reason, (extract(epoch FROM requested_at) * 1000)::int8,
        (extract(epoch FROM decided_at) * 1000)::int8, is_refused, note
        """

    private static let nodeOrder = PreparedStatement(
        "node_order",
        "SELECT \(orderColumns) FROM node_orders WHERE id = $1"
    )

    private static let ordersOfNode = PreparedStatement(
        "orders_of_node",
        "SELECT \(orderColumns) FROM node_orders WHERE node = $1 ORDER BY id DESC LIMIT $2::int4"
    )

    private static let openNodeOrders = PreparedStatement(
        "open_node_orders",
        "SELECT \(orderColumns) FROM node_orders WHERE decided_at IS NULL ORDER BY id LIMIT $1::int4"
    )

    private static let decideNodeOrder = PreparedStatement(
        "decide_node_order",
        "SELECT decide_node_order($1, $2, $3, $4, $5, $6)"
    )
}

extension NodeRecord {
    fileprivate init?(row: PostgresResult.Row) {
        guard let member = StorageMember(row: row, from: 0) else { return nil }
        self.init(
            member: member,
            // What a newer program knows and this one does not: it is left alone.
            service: row.int(9).flatMap { UInt8(exactly: $0) }.flatMap { NodeService(rawValue: $0) } ?? .draining,
            maintenanceLeft: row.int(10).map { .milliseconds($0) },
            stateAge: .milliseconds(row.int(11) ?? 0)
        )
    }
}

extension NodeOrder {
    fileprivate init?(row: PostgresResult.Row) {
        guard let id = row.int(0), let node = row.nodeID(1), let kind = row.int(2).flatMap(Kind.init) else {
            return nil
        }
        self.init(
            id: Int64(id),
            node: node,
            kind: kind,
            seconds: Int64(row.int(3) ?? 0),
            requestedBy: row.text(4),
            reason: row.text(5),
            requestedAtMilliseconds: Int64(row.int(6) ?? 0),
            decidedAtMilliseconds: row.int(7).map(Int64.init),
            isRefused: row.bool(8),
            note: row.text(9)
        )
    }
}
