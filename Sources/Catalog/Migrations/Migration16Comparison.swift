// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// The catalog is compared with the nodes on a schedule: how far that is, and the copies that were not where it says.
    ///
    /// docs/decisions/0052-the-catalog-is-compared-on-a-schedule.md
    static let comparison = Migration(
        version: 16,
        name: "the catalog is compared with the nodes",
        sql: tables + functions
    )

    private static let tables = """
        -- How far the comparison is; one row. Counts are of: copies that are there, copies that were not asked for, copies that
        -- are missing, copies that are not counted, records without a row, records in the trash.
        CREATE TABLE comparison (
            one boolean PRIMARY KEY DEFAULT true CHECK (one),
            next_group integer NOT NULL DEFAULT 0,
            stepped_at timestamptz,
            started_at timestamptz,
            counts bigint[] NOT NULL DEFAULT '{0,0,0,0,0,0}',
            last_started_at timestamptz,
            last_finished_at timestamptz,
            last_counts bigint[] NOT NULL DEFAULT '{0,0,0,0,0,0}',
            total_counts bigint[] NOT NULL DEFAULT '{0,0,0,0,0,0}',  -- of complete groups since the cluster began
            uncounted_total bigint NOT NULL DEFAULT 0,  -- copies that were missing and are counted no more
            recounted_total bigint NOT NULL DEFAULT 0  -- copies that were there, and are counted again
        );
        INSERT INTO comparison DEFAULT VALUES;

        -- Copies that the catalog names and a node did not have when it was asked.
        CREATE TABLE missing_copies (
            record uuid NOT NULL,
            node uuid NOT NULL,
            -- 1 to be looked at, 2 counted no more (kept for a while, so that it is known where a copy was), 3 no good copy is
            -- known anywhere: nothing was changed
            state smallint NOT NULL DEFAULT 1,
            attempts integer NOT NULL DEFAULT 0,
            found_at timestamptz NOT NULL DEFAULT now(),
            due_at timestamptz NOT NULL DEFAULT now(),
            note text NOT NULL DEFAULT '',
            PRIMARY KEY (record, node)
        );
        CREATE INDEX missing_copies_by_state ON missing_copies (state, due_at);

        """

    private static let functions = #"""
        CREATE FUNCTION sum_of_counts(a bigint[], b bigint[]) RETURNS bigint[] LANGUAGE sql IMMUTABLE AS $$
            SELECT array_agg(coalesce(x, 0) + coalesce(y, 0) ORDER BY o) FROM unnest(a, b) WITH ORDINALITY u(x, y, o)
        $$;

        -- A group has been compared. Once only: what another coordinator has noted, or this one before its answer was lost, is
        -- left as it is.
        CREATE FUNCTION note_comparison(mine bigint, group_in integer, groups integer, counts_in bigint[]) RETURNS void
        LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            UPDATE comparison SET stepped_at = now(),
                started_at = CASE WHEN group_in = 0 OR started_at IS NULL THEN now() ELSE started_at END,
                counts = CASE WHEN group_in = 0 THEN counts_in ELSE sum_of_counts(counts, counts_in) END,
                total_counts = sum_of_counts(total_counts, counts_in),
                next_group = (group_in + 1) % groups
            WHERE next_group = group_in;
            IF FOUND AND group_in + 1 = groups THEN
                UPDATE comparison SET last_started_at = started_at, last_finished_at = now(), last_counts = counts;
            END IF;
        END $$;

        -- Copies that a node did not list, whoever has looked; as far as the catalog still names them.
        CREATE FUNCTION report_missing_copies(records uuid[], nodes_in uuid[]) RETURNS integer LANGUAGE sql AS $$
            WITH entered AS (
                INSERT INTO missing_copies AS m (record, node)
                SELECT DISTINCT n.record, n.node FROM unnest(records, nodes_in) n(record, node)
                    JOIN instances i ON i.record = n.record JOIN placements p ON p.id = i.placement
                WHERE n.node = ANY (p.node_ids)
                ON CONFLICT (record, node) DO UPDATE SET
                    state = 1, attempts = 0, found_at = now(), due_at = now(), note = ''
                WHERE m.state = 2
                RETURNING 1
            )
            SELECT count(*)::integer FROM entered
        $$;

        -- What is due of any of these nodes, and where the instance's copies are counted now; NULL where it is not any more.
        CREATE FUNCTION missing_copies_due(mine bigint, nodes_in uuid[], most integer) RETURNS TABLE (
            found_record uuid, found_node uuid, found_attempts integer, found_bytes bigint, found_placement integer,
            found_nodes uuid[], found_uid text
        ) LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            DELETE FROM missing_copies m WHERE m.state = 2 AND m.due_at < now();
            DELETE FROM missing_copies m USING nodes n WHERE n.node_id = m.node AND n.service = 2 AND m.state <> 2;
            RETURN QUERY SELECT m.record, m.node, m.attempts, coalesce(i.stored_bytes, 0), i.placement, p.node_ids, i.uid
                FROM missing_copies m LEFT JOIN instances i ON i.record = m.record
                    LEFT JOIN placements p ON p.id = i.placement
                WHERE m.state <> 2 AND m.due_at <= now() AND m.node = ANY (nodes_in)
                ORDER BY m.state, m.due_at, m.record LIMIT most;
        END $$;

        -- It is there after all, or not named any more.
        CREATE FUNCTION settle_missing_copy(mine bigint, record_in uuid, node_in uuid) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            DELETE FROM missing_copies m WHERE m.record = record_in AND m.node = node_in AND m.state <> 2;
        END $$;

        -- Counts a copy on a node no more that does not have it; never the last. True when that was done now.
        --
        -- An instance that was deleted meanwhile, or whose copies are elsewhere now, is left as it is, and is looked at again.
        CREATE FUNCTION uncount_missing_copy(mine bigint, record_in uuid, node_in uuid, old integer, new integer, note_in text)
        RETURNS boolean LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        DECLARE
            freed bigint;
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
            UPDATE instances i SET placement = new WHERE i.record = record_in AND i.placement = old
            RETURNING i.stored_bytes INTO freed;
            IF NOT FOUND THEN
                RETURN false;
            END IF;
            UPDATE missing_copies m SET state = 2, due_at = now() + interval '90 days', note = note_in
            WHERE m.record = record_in AND m.node = node_in;
            UPDATE repair_backlog b SET instances = greatest(0, b.instances - 1), bytes = greatest(0, b.bytes - freed)
            WHERE (b.placement, b.placement_group) = (old, placement_group_of(record_in)) AND b.instances IS NOT NULL;
            UPDATE comparison SET uncounted_total = uncounted_total + 1;
            RETURN true;
        END $$;

        -- Counts a copy that was read whole on a node of which the catalog does not say that it has one. True when that was
        -- done now; never one that its node may be dropping.
        CREATE FUNCTION recount_copy(mine bigint, record_in uuid, node_in uuid, old integer, new integer) RETURNS boolean
        LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        BEGIN
            PERFORM require_term(mine);
            PERFORM pg_advisory_xact_lock_shared(130160904267009);
            IF NOT EXISTS (
                SELECT FROM placements o, placements n WHERE o.id = old AND n.id = new
                    AND array_remove(n.node_ids, node_in) = o.node_ids AND node_in = ANY (n.node_ids)
            ) THEN
                RAISE EXCEPTION 'the set of nodes is not the other one with the node';
            END IF;
            UPDATE instances i SET placement = new WHERE i.record = record_in AND i.placement = old
                AND NOT EXISTS (
                    SELECT FROM surplus_drops s WHERE s.record = record_in AND s.node = node_in AND s.state = 2
                );
            IF NOT FOUND THEN
                RETURN false;
            END IF;
            UPDATE comparison SET recounted_total = recounted_total + 1;
            RETURN true;
        END $$;

        -- Puts off what could not be judged; `is_lost`: no good copy is known anywhere.
        CREATE FUNCTION postpone_missing_copy(
            mine bigint, record_in uuid, node_in uuid, is_lost boolean, seconds bigint, note_in text
        ) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            UPDATE missing_copies m SET state = CASE WHEN is_lost THEN 3 ELSE m.state END, attempts = m.attempts + 1,
                due_at = now() + seconds * interval '1 second', note = note_in
            WHERE m.record = record_in AND m.node = node_in AND m.state <> 2;
        END $$;
        """#
}
