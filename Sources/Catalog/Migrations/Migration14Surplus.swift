// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// Copies that are surplus and are being dropped, node by node.
    ///
    /// A copy is no longer counted before its node is told to drop it; the row of what was ordered stays until the node has
    /// confirmed, or until it is known that the copy is there, and counted again. docs/decisions/0048-dropping-one-copy.md
    static let surplus = Migration(version: 14, name: "surplus copies are dropped", sql: tables + functions)

    private static let tables = """
        CREATE TABLE surplus_drops (
            record uuid NOT NULL,
            node uuid NOT NULL,
            -- 1 put off, 2 ordered: counted no more, and the node has not said that it is gone, 3 needs a person
            state smallint NOT NULL,
            attempts integer NOT NULL DEFAULT 0,
            byte_count bigint NOT NULL,
            due_at timestamptz NOT NULL DEFAULT now(),
            entered_at timestamptz NOT NULL DEFAULT now(),
            note text NOT NULL DEFAULT '',
            PRIMARY KEY (record, node)
        );
        CREATE INDEX surplus_drops_by_state ON surplus_drops (state, due_at);

        ALTER TABLE repair_totals
            ADD COLUMN dropped_count bigint NOT NULL DEFAULT 0,  -- copies dropped since the cluster began
            ADD COLUMN dropped_bytes bigint NOT NULL DEFAULT 0;

        """

    private static let functions = #"""
        -- Records of a set whose copy on a node is not put off, ordered already, or left to a person.
        CREATE FUNCTION surplus_records(placement_in integer, after_in uuid, last_in uuid, node_in uuid, most integer)
        RETURNS TABLE (found_record uuid, found_bytes bigint, found_attempts integer) LANGUAGE sql STABLE AS $$
            SELECT i.record, i.stored_bytes, coalesce(d.attempts, 0) FROM instances i
                LEFT JOIN surplus_drops d ON d.record = i.record AND d.node = node_in
            WHERE i.placement = placement_in AND placement_group_of(i.record) = placement_group_of(last_in)
                AND i.record > after_in AND i.record <= last_in
                AND (d.record IS NULL OR (d.state = 1 AND d.due_at <= now()))
            ORDER BY i.record LIMIT most
        $$;

        -- Counts the copies on a node no more, and notes that it is to be told; says of which instances.
        --
        -- One that was deleted meanwhile, or whose copies are elsewhere now, is left as it is.
        CREATE FUNCTION begin_drops(mine bigint, records uuid[], old integer, new integer, node_in uuid)
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
                UPDATE instances i SET placement = new WHERE i.record = ANY (records) AND i.placement = old
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

        -- The node has said that the copies are gone.
        CREATE FUNCTION finish_drops(mine bigint, records uuid[], node_in uuid) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            WITH gone AS (
                DELETE FROM surplus_drops d WHERE d.record = ANY (records) AND d.node = node_in AND d.state = 2
                RETURNING d.byte_count
            )
            UPDATE repair_totals SET dropped_count = dropped_count + (SELECT count(*) FROM gone),
                dropped_bytes = dropped_bytes + (SELECT coalesce(sum(g.byte_count), 0) FROM gone g);
        END $$;

        -- What was ordered and not confirmed, and is due; of what is in the trash nothing.
        --
        -- Tidies up first: what nobody came back to, and what a removed node had.
        CREATE FUNCTION unconfirmed_drops(mine bigint, nodes_in uuid[], most integer) RETURNS TABLE (
            found_record uuid, found_node uuid, found_attempts integer, found_placement integer, found_nodes uuid[]
        ) LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            DELETE FROM surplus_drops d WHERE d.state = 1 AND d.due_at < now() - interval '2 hours';
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

        -- The copies on a node turned out to be there: they are counted again.
        CREATE FUNCTION restore_drops(mine bigint, records uuid[], olds bigint[], news bigint[], node_in uuid)
        RETURNS void LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        BEGIN
            PERFORM require_term(mine);
            PERFORM pg_advisory_xact_lock_shared(130160904267009);
            UPDATE instances i SET placement = n.new FROM unnest(records, olds, news) AS n(record, old, new)
            WHERE i.record = n.record AND i.placement = n.old;
            DELETE FROM surplus_drops d USING instances i, placements p
            WHERE d.record = ANY (records) AND d.node = node_in AND d.state = 2
                AND i.record = d.record AND p.id = i.placement AND node_in = ANY (p.node_ids);
        END $$;

        -- Puts off what could not be done; `delays` of -1 need a person. What was ordered stays ordered.
        CREATE FUNCTION postpone_drops(
            mine bigint, records uuid[], node_in uuid, delays bigint[], attempts_in bigint[], notes text[]
        ) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            INSERT INTO surplus_drops AS d (record, node, state, attempts, byte_count, due_at, note)
            SELECT n.record, node_in, CASE WHEN n.delay < 0 THEN 3 ELSE 1 END, n.attempts, i.stored_bytes,
                now() + greatest(0, n.delay) * interval '1 millisecond', n.note
            FROM unnest(records, delays, attempts_in, notes) AS n(record, delay, attempts, note)
                JOIN instances i ON i.record = n.record
            ON CONFLICT (record, node) DO UPDATE SET
                state = CASE WHEN d.state = 2 THEN 2 ELSE excluded.state END,
                attempts = excluded.attempts, note = excluded.note,
                due_at = greatest(excluded.due_at, now() + CASE WHEN d.state = 2 AND excluded.state = 3
                    THEN interval '1 hour' ELSE interval '0' END);
        END $$;

        -- As before, and never counts a copy on a node that may be dropping it.
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
                WHERE i.record = d.record AND i.placement = d.old
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
        """#
}
