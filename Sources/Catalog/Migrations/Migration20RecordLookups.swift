// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// What moves copies looks instances up by their record, and by nothing else.
    ///
    /// Where Postgres had not analyzed the table yet, it took the index of placements instead, and went through all instances of a
    /// set of nodes for each that was counted: a third of what making a copy cost the whole cluster.
    static let recordLookups = Migration(version: 20, name: "copies are looked up by their record", sql: functions)

    /// `placement + 0` is no index's, so that only the record's is left.
    private static let functions = #"""
        -- As before.
        CREATE OR REPLACE FUNCTION count_repairs(mine bigint, records uuid[], olds bigint[], news bigint[]) RETURNS integer
        LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        DECLARE
            counted integer;
        BEGIN
            PERFORM require_term(mine);
            -- Deletions hold rows in an order of their own: one or the other.
            PERFORM pg_advisory_xact_lock_shared(130160904267009);
            WITH done AS (
                SELECT n.* FROM unnest(records, olds, news) AS n(record, old, new)
                WHERE NOT EXISTS (
                    SELECT FROM surplus_drops s JOIN placements p ON p.id = n.new
                    WHERE s.record = n.record AND s.state = 2 AND s.node = ANY (p.node_ids)
                )
            ), moved AS (
                UPDATE instances i SET placement = d.new FROM done d
                WHERE i.record = d.record AND i.placement + 0 = d.old
                RETURNING i.record, d.old, i.stored_bytes
            ), sums AS (
                SELECT m.old, placement_group_of(m.record) AS g, count(*) AS n, sum(m.stored_bytes) AS bytes
                FROM moved m GROUP BY 1, 2
            ), lessened AS (
                UPDATE repair_backlog b SET instances = greatest(0, b.instances - s.n),
                    bytes = greatest(0, b.bytes - s.bytes)
                FROM sums s WHERE (b.placement, b.placement_group) = (s.old, s.g) AND b.instances IS NOT NULL
            ), summed AS (
                UPDATE repair_totals SET item_count = item_count + (SELECT coalesce(sum(s.n), 0) FROM sums s),
                    byte_count = byte_count + (SELECT coalesce(sum(s.bytes), 0) FROM sums s)
            )
            SELECT count(*) INTO counted FROM moved;
            DELETE FROM repair_items q WHERE q.record = ANY (records);
            RETURN counted;
        END $$;

        -- As before.
        CREATE OR REPLACE FUNCTION begin_drops(mine bigint, records uuid[], old integer, new integer, node_in uuid)
        RETURNS SETOF uuid LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        BEGIN
            PERFORM require_term(mine);
            -- Deletions hold rows in an order of their own: one or the other.
            PERFORM pg_advisory_xact_lock_shared(130160904267009);
            IF NOT EXISTS (
                SELECT FROM placements o, placements n WHERE o.id = old AND n.id = new
                    AND cardinality(n.node_ids) > 0 AND array_remove(o.node_ids, node_in) = n.node_ids
                    AND node_in = ANY (o.node_ids)
            ) THEN
                RAISE EXCEPTION 'the set of nodes is not the other one without the node';
            END IF;
            RETURN QUERY WITH moved AS (
                UPDATE instances i SET placement = new WHERE i.record = ANY (records) AND i.placement + 0 = old
                RETURNING i.record, i.stored_bytes
            ), noted AS (
                INSERT INTO surplus_drops AS d (record, node, state, byte_count)
                SELECT m.record, node_in, 2, m.stored_bytes FROM moved m
                ON CONFLICT (record, node) DO UPDATE SET state = 2, due_at = now(), note = ''
            ), sums AS (
                SELECT placement_group_of(m.record) AS g, count(*) AS n, sum(m.stored_bytes) AS bytes
                FROM moved m GROUP BY 1
            ), lessened AS (
                UPDATE repair_backlog b SET instances = greatest(0, b.instances - s.n),
                    bytes = greatest(0, b.bytes - s.bytes)
                FROM sums s WHERE (b.placement, b.placement_group) = (old, s.g) AND b.instances IS NOT NULL
            )
            SELECT m.record FROM moved m;
        END $$;

        -- As before.
        CREATE OR REPLACE FUNCTION restore_drops(mine bigint, records uuid[], olds bigint[], news bigint[], node_in uuid)
        RETURNS void LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        BEGIN
            PERFORM require_term(mine);
            PERFORM pg_advisory_xact_lock_shared(130160904267009);
            UPDATE instances i SET placement = n.new FROM unnest(records, olds, news) AS n(record, old, new)
            WHERE i.record = n.record AND i.placement + 0 = n.old;
            DELETE FROM surplus_drops d USING instances i, placements p
            WHERE d.record = ANY (records) AND d.node = node_in AND d.state = 2
                AND i.record = d.record AND p.id = i.placement AND node_in = ANY (p.node_ids);
        END $$;
        """#
}
