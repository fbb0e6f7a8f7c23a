// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import Placement

extension Catalog {
    /// All registered nodes, those out of service included, by name.
    public func nodes() async throws(CatalogError) -> [StorageMember] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try StorageMember.rows(connection.query(ClusterStatements.nodes, [], deadline: deadline))
        }
    }

    /// Adds a node, or updates what is known of it; its state stays as it is once it is known.
    ///
    /// A node does not take part in placement before a map with it is published.
    public func register(_ node: StorageMember) async throws(CatalogError) {
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(ClusterStatements.register, node.values, deadline: deadline).changedRowCount
        }
    }

    /// Sets a node's state.
    ///
    /// Throws `.unknownNode` when it is not registered, `.staleTerm` when `term` is over.
    public func setState(
        of node: NodeID,
        to state: NodeState,
        term: Term? = nil
    ) async throws(CatalogError) {
        let values: [PostgresValue] = [.node(node), .int4(Int32(state.rawValue)), .term(term)]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(ClusterStatements.setState, values, deadline: deadline).rowCount
        }
    }

    // MARK: placement map

    /// The placement map in force; epoch 0 without members before the first is published.
    public func placementMap() async throws(CatalogError) -> PlacementMap {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let result = try connection.query(ClusterStatements.placementMap, [], deadline: deadline)
            guard let epoch = result.first?.int(0) else {
                throw PostgresFailure(kind: .unexpected, message: "the catalog has no placement epoch")
            }
            let members = result.rows.compactMap { StorageMember(row: $0, from: 1) }
            return PlacementMap(epoch: MapEpoch(rawValue: UInt64(max(0, epoch))), members: members)
        }
    }

    /// Puts a map in force, if `expected` still is.
    ///
    /// Throws `.conflict` when another epoch is in force, `.staleTerm` when `term` is over, `.invalid` when the map's
    /// epoch does not follow the expected one. After `.outcomeUnknown`, read the map.
    public func publish(
        _ map: PlacementMap,
        replacing expected: MapEpoch,
        term: Term? = nil
    ) async throws(CatalogError) {
        guard map.epoch > expected, let epoch = Int64(exactly: map.epoch.rawValue) else {
            throw CatalogError(.invalid, "a new placement map needs a higher epoch than the one it replaces")
        }
        let members = map.members
        let values: [PostgresValue] = [
            .int8(Int64(expected.rawValue)), .int8(epoch), .term(term),
            .nodes(members.map(\.id)), .texts(members.map(\.name)), .texts(members.map(\.host)),
            .int8s(members.map { Int64($0.port) }), .texts(members.map(\.domain.site)),
            .texts(members.map(\.domain.rack)), .texts(members.map(\.domain.host)),
            .int8s(members.map { Int64($0.weight) }), .int8s(members.map { Int64($0.state.rawValue) }),
        ]
        _ = try await perform(.once) { connection, deadline throws(PostgresFailure) in
            try connection.query(ClusterStatements.publish, values, deadline: deadline).rowCount
        }
    }

    // MARK: cluster

    /// The cluster's identity; `nil` before it is established.
    public func clusterID() async throws(CatalogError) -> ClusterID? {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query("SELECT cluster_id FROM cluster", deadline: deadline).first?.clusterID(0)
        }
    }

    /// Gives the cluster its identity unless it has one; returns the one it has.
    public func establishCluster(_ proposed: ClusterID) async throws(CatalogError) -> ClusterID {
        let values: [PostgresValue] = [
            .uuid(high: proposed.high, low: proposed.low), .int4(Int32(PlacementGroup.count)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let sql = "INSERT INTO cluster (cluster_id, placement_groups) VALUES ($1, $2) ON CONFLICT DO NOTHING"
            _ = try connection.query(sql, values, deadline: deadline)
            let found = try connection.query("SELECT cluster_id FROM cluster", deadline: deadline).first?.clusterID(0)
            guard let found else {
                throw PostgresFailure(kind: .unexpected, message: "the catalog has no cluster after it was established")
            }
            return found
        }
    }
}

extension PostgresValue {
    /// A term, or NULL for a change that needs none.
    static func term(_ term: Term?) -> PostgresValue {
        guard let term else { return PostgresValue(type: OID.int8, bytes: nil) }
        return .int8(Int64(clamping: term.rawValue))
    }
}

extension StorageMember {
    static let columns = "node_id, name, address, port, site, rack, host, weight, state"

    /// The values for `columns`.
    var values: [PostgresValue] {
        [
            .node(id), .text(name), .text(host), .int4(Int32(clamping: port)), .text(domain.site), .text(domain.rack),
            .text(domain.host), .int8(Int64(weight)), .int4(Int32(state.rawValue)),
        ]
    }

    init?(row: PostgresResult.Row, from start: Int) {
        guard let id = row.nodeID(start), let state = row.int(start + 8).flatMap({ UInt8(exactly: $0) }) else {
            return nil
        }
        self.init(
            id: id,
            name: row.text(start + 1),
            host: row.text(start + 2),
            port: row.int(start + 3) ?? 0,
            domain: FailureDomain(site: row.text(start + 4), rack: row.text(start + 5), host: row.text(start + 6)),
            weight: UInt32(clamping: row.int(start + 7) ?? 0),
            // A state that a newer program knows: nothing is placed there.
            state: NodeState(rawValue: state) ?? .out
        )
    }

    static func rows(_ result: PostgresResult) -> [StorageMember] {
        result.rows.compactMap { StorageMember(row: $0, from: 0) }
    }
}
