// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// What was put off of surplus copies is forgotten when nothing of their set is surplus any more.
    ///
    /// It waited for two hours, and in the queue, when the copies were wanted again because another node had left.
    static let putOffDrops = Migration(version: 17, name: "put off drops are forgotten in time", sql: functions)

    private static let functions = #"""
        -- As before, and forgets what was put off of copies that the last survey does not find to be surplus.
        CREATE OR REPLACE FUNCTION unconfirmed_drops(mine bigint, nodes_in uuid[], most integer) RETURNS TABLE (
            found_record uuid, found_node uuid, found_attempts integer, found_placement integer, found_nodes uuid[]
        ) LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            DELETE FROM surplus_drops d WHERE d.state = 1 AND (d.due_at < now() - interval '2 hours' OR NOT EXISTS (
                SELECT FROM instances i JOIN repair_backlog b
                    ON (b.placement, b.placement_group) = (i.placement, placement_group_of(i.record))
                WHERE i.record = d.record AND b.kind = 4
            ));
            DELETE FROM surplus_drops d WHERE d.state = 3 AND NOT EXISTS (
                SELECT FROM instances i JOIN placements p ON p.id = i.placement
                WHERE i.record = d.record AND d.node = ANY (p.node_ids)
            );
            DELETE FROM surplus_drops d USING nodes n WHERE n.node_id = d.node AND n.service = 2;
            RETURN QUERY SELECT d.record, d.node, d.attempts, i.placement, p.node_ids
                FROM surplus_drops d JOIN instances i ON i.record = d.record JOIN placements p ON p.id = i.placement
                WHERE d.state = 2 AND d.due_at <= now() AND d.node = ANY (nodes_in)
                ORDER BY d.node, d.due_at, d.record LIMIT most;
        END $$;
        """#
}
