// SPDX-License-Identifier: Apache-2.0

import Placement

/// The statements about nodes, placement maps and the coordinator's lease.
enum ClusterStatements {
    static let nodes = PreparedStatement("nodes", "SELECT \(StorageMember.columns) FROM nodes ORDER BY name, node_id")

    static let register = PreparedStatement(
        "register_node",
        """
        INSERT INTO nodes (\(StorageMember.columns)) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::int4)
        ON CONFLICT (node_id) DO UPDATE SET name = excluded.name, address = excluded.address, port = excluded.port,
            site = excluded.site, rack = excluded.rack, host = excluded.host, weight = excluded.weight
        """
    )

    static let setState = PreparedStatement("set_node_state", "SELECT set_node_state($1, $2, $3)")

    static let placementMap = PreparedStatement(
        "placement_map",
        """
        SELECT e.epoch, node_id, name, address, port, site, rack, host, weight, state
        FROM placement_epoch e LEFT JOIN placement_members m ON m.epoch = e.epoch
        """
    )

    static let publish = PreparedStatement(
        "publish_placement_map",
        "SELECT publish_placement_map($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    )

    static let acquireLease = PreparedStatement("acquire_lease", "SELECT acquire_lease($1, $2)")

    static let renewLease = PreparedStatement("renew_lease", "SELECT renew_lease($1, $2, $3)")

    static let releaseLease = PreparedStatement("release_lease", "SELECT release_lease($1, $2)")

    static let lease = PreparedStatement(
        "lease",
        """
        SELECT l.holder, t.term, greatest(0, extract(epoch FROM l.expires_at - clock_timestamp()) * 1000)::int8
        FROM coordinator_lease l, coordinator_term t WHERE l.term = t.term AND l.expires_at > clock_timestamp()
        """
    )
}
