// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// What operators want of nodes, and the repair queue.
    ///
    /// The catalog itself says what is to be done: rows whose placement is not where the map wants them. The queue holds the
    /// next of it, and what could not be done; so it stays small however much there is. Only the coordinator in office writes
    /// here, under its term. docs/decisions/0044-a-short-queue.md
    static let repair = Migration(version: 12, name: "repair", sql: nodeOrders + repairTables + repairFunctions)

    /// The instances of a placement and group, which are the unit of repair.
    ///
    /// Few values of many rows each: Postgres keeps these as lists, of a few bytes a row.
    static let placementIndex = Migration(
        version: 13,
        name: "instances by placement and group",
        concurrent: [
            // What an attempt that broke off has left is marked invalid, and in the way.
            "DROP INDEX CONCURRENTLY IF EXISTS instances_by_placement_group",
            """
            CREATE INDEX CONCURRENTLY instances_by_placement_group
            ON instances (placement, placement_group_of(record))
            """,
            // The new one begins with the same column, so programs before lose nothing.
            "DROP INDEX CONCURRENTLY IF EXISTS instances_by_placement",
        ]
    )

    private static let nodeOrders = """
        ALTER TABLE nodes
            ADD COLUMN service smallint NOT NULL DEFAULT 0,  -- 0 in service, 1 draining, 2 removed
            ADD COLUMN maintenance_until timestamptz;

        -- What operators asked for; kept for ever.
        CREATE TABLE node_orders (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            node uuid NOT NULL,
            kind smallint NOT NULL,  -- 1 drain, 2 undrain, 3 remove, 4 maintenance, 5 end of maintenance
            seconds bigint NOT NULL DEFAULT 0,  -- of a maintenance, from when it was asked for
            requested_at timestamptz NOT NULL DEFAULT now(),
            requested_by text NOT NULL,
            reason text NOT NULL,
            -- When the coordinator in office did it, or refused.
            decided_at timestamptz,
            is_refused boolean NOT NULL DEFAULT false,
            -- What it did, or why it refused; for people.
            note text NOT NULL DEFAULT ''
        );
        CREATE INDEX node_orders_open ON node_orders (id) WHERE decided_at IS NULL;
        CREATE INDEX node_orders_by_node ON node_orders (node, id);

        CREATE FUNCTION decide_node_order(
            mine bigint, id_in bigint, service_in integer, sets_maintenance boolean, refused boolean, note_in text
        ) RETURNS void LANGUAGE plpgsql AS $$
        DECLARE
            found_order node_orders;
        BEGIN
            PERFORM require_term(mine);
            UPDATE node_orders SET decided_at = now(), is_refused = refused, note = note_in
            WHERE id = id_in AND decided_at IS NULL RETURNING * INTO found_order;
            IF NOT FOUND OR refused THEN
                RETURN;
            END IF;
            UPDATE nodes SET
                service = coalesce(service_in, service),
                maintenance_until = CASE WHEN NOT sets_maintenance THEN maintenance_until
                    WHEN found_order.seconds = 0 THEN NULL
                    ELSE found_order.requested_at + found_order.seconds * interval '1 second' END
            WHERE node_id = found_order.node;
        END $$;

        """

    private static let repairTables = """
        -- One copy of one record that is to be made next.
        CREATE TABLE repair_items (
            record uuid PRIMARY KEY,
            placement integer NOT NULL,  -- the instance's when it was entered here
            kind smallint NOT NULL,  -- 1 repair, 2 drain, 3 rebalance
            living smallint NOT NULL,  -- copies that could be read then
            state smallint NOT NULL DEFAULT 1,  -- 1 waiting, 2 taken up, 3 needs a person
            attempts integer NOT NULL DEFAULT 0,
            byte_count bigint NOT NULL,
            term bigint,  -- of the coordinator that took it up
            due_at timestamptz NOT NULL DEFAULT now(),
            entered_at timestamptz NOT NULL DEFAULT now(),
            note text NOT NULL DEFAULT ''
        );
        -- In no order of groups: neighbours have other sources and targets, which work at the same time.
        CREATE INDEX repair_items_due ON repair_items (living, kind, uuid_hash(record)) WHERE state < 3;

        -- Where copies are not as wanted, by placement and group: as of the last survey, less what has been done since.
        CREATE TABLE repair_backlog (
            placement integer NOT NULL,
            placement_group integer NOT NULL,
            kind smallint NOT NULL,  -- as above; 4 surplus
            living smallint NOT NULL,
            is_short boolean NOT NULL,  -- fewer copies than wanted can be read
            obstacle smallint NOT NULL,  -- 0 none, 1 no source, 2 the target is away, 3 no target
            target uuid,
            instances bigint,  -- NULL until they are counted
            bytes bigint,
            PRIMARY KEY (placement, placement_group)
        );
        CREATE INDEX repair_backlog_uncounted ON repair_backlog (placement) WHERE instances IS NULL;

        -- How repair goes on; one row.
        CREATE TABLE repair_totals (
            one boolean PRIMARY KEY DEFAULT true CHECK (one),
            copies integer NOT NULL DEFAULT 0,  -- that the coordinator wants of an instance
            item_count bigint NOT NULL DEFAULT 0,  -- copies made since the cluster began
            byte_count bigint NOT NULL DEFAULT 0,
            items_per_second double precision NOT NULL DEFAULT 0,
            bytes_per_second double precision NOT NULL DEFAULT 0,
            rated_at timestamptz,
            surveyed_at timestamptz,
            alarm text NOT NULL DEFAULT ''  -- what an operator has to know: loss of much of the cluster
        );
        INSERT INTO repair_totals DEFAULT VALUES;

        """

    private static let repairFunctions = #"""
        CREATE FUNCTION placement_group_of(record uuid) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            SELECT ('x' || left(record::text, 4))::bit(16)::integer
        $$;

        -- What a survey found, in place of what the one before did; counts of what was found before are kept.
        CREATE FUNCTION replace_repair_backlog(
            mine bigint, copies_in integer, placements bigint[], groups bigint[], kinds bigint[], livings bigint[],
            shorts bigint[], obstacles bigint[], targets text[]
        ) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            DELETE FROM repair_backlog b WHERE NOT EXISTS (
                SELECT FROM unnest(placements, groups) n(p, g) WHERE (n.p, n.g) = (b.placement, b.placement_group)
            );
            INSERT INTO repair_backlog AS b (placement, placement_group, kind, living, is_short, obstacle, target)
            SELECT n.p, n.g, n.k, n.l, n.s = 1, n.o, nullif(n.t, '')::uuid
            FROM unnest(placements, groups, kinds, livings, shorts, obstacles, targets) n(p, g, k, l, s, o, t)
            ON CONFLICT (placement, placement_group) DO UPDATE SET
                kind = excluded.kind, living = excluded.living, is_short = excluded.is_short,
                obstacle = excluded.obstacle, target = excluded.target,
                -- It is there, so there is something: what was stored meanwhile, or was counted wrong.
                instances = CASE WHEN b.instances > 0 THEN b.instances END,
                bytes = CASE WHEN b.instances > 0 THEN b.bytes END;
            UPDATE repair_totals SET surveyed_at = now(), copies = copies_in;
        END $$;

        -- Counts some of what has not been counted; how many are left.
        CREATE FUNCTION count_repair_backlog(mine bigint, most integer) RETURNS integer LANGUAGE plpgsql AS $$
        DECLARE
            entry repair_backlog;
        BEGIN
            PERFORM require_term(mine);
            FOR entry IN SELECT * FROM repair_backlog WHERE instances IS NULL
                ORDER BY living, kind, placement, placement_group LIMIT most
            LOOP
                UPDATE repair_backlog b SET (instances, bytes) = (
                    SELECT count(*), coalesce(sum(i.stored_bytes), 0) FROM instances i
                    WHERE i.placement = entry.placement
                        AND placement_group_of(i.record) = entry.placement_group
                ) WHERE (b.placement, b.placement_group) = (entry.placement, entry.placement_group);
            END LOOP;
            RETURN (SELECT count(*) FROM repair_backlog WHERE instances IS NULL);
        END $$;

        -- Enters the next records of a set into the queue; says how many it looked at, and the last of them.
        --
        -- None when the queue has enough of that urgency. What is there already becomes as urgent as this; what needed a
        -- person is tried again when its copies are elsewhere now.
        CREATE FUNCTION enqueue_repairs(
            mine bigint, placement_in integer, after_in uuid, last_in uuid, kind_in integer, living_in integer,
            most integer, most_waiting integer, OUT looked_at integer, OUT last_record uuid
        ) LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            looked_at := 0;
            IF (SELECT count(*) FROM (SELECT FROM repair_items q WHERE q.living = living_in LIMIT most_waiting) x)
                >= most_waiting
            THEN
                looked_at := -1;
                RETURN;
            END IF;
            WITH page AS (
                -- At most a group is looked through for it, whichever index is taken.
                SELECT i.record, i.stored_bytes FROM instances i
                WHERE i.placement = placement_in AND placement_group_of(i.record) = placement_group_of(last_in)
                    AND i.record > after_in AND i.record <= last_in
                ORDER BY i.record LIMIT most
            ), entered AS (
                INSERT INTO repair_items AS q (record, placement, kind, living, byte_count)
                SELECT p.record, placement_in, kind_in, living_in, p.stored_bytes FROM page p
                ON CONFLICT (record) DO UPDATE SET
                    placement = excluded.placement, kind = excluded.kind, living = excluded.living,
                    state = CASE WHEN q.state = 3 AND q.placement <> excluded.placement THEN 1 ELSE q.state END,
                    attempts = CASE WHEN q.state = 3 AND q.placement <> excluded.placement THEN 0 ELSE q.attempts END
                WHERE q.state <> 2
                    AND (q.placement, q.kind, q.living) <> (excluded.placement, excluded.kind, excluded.living)
            )
            SELECT count(*), (SELECT p.record FROM page p ORDER BY p.record DESC LIMIT 1)
            INTO looked_at, last_record FROM page;
        END $$;

        -- Takes up what is due, the most urgent first: what waits, and what another coordinator, or an answer that was lost,
        -- has left taken up. `held` is what is in hand.
        CREATE FUNCTION claim_repairs(mine bigint, most integer, held uuid[]) RETURNS TABLE (
            item_record uuid, item_kind integer, item_living integer, item_bytes bigint, item_attempts integer,
            current_placement integer, current_nodes uuid[]
        ) LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            RETURN QUERY WITH due AS (
                SELECT q.record FROM repair_items q
                WHERE q.state < 3 AND q.due_at <= now() AND NOT q.record = ANY (held)
                ORDER BY q.living, q.kind, uuid_hash(q.record) LIMIT most
            ), taken AS (
                UPDATE repair_items q SET state = 2, term = mine FROM due d WHERE q.record = d.record RETURNING q.*
            )
            SELECT t.record, t.kind::integer, t.living::integer, t.byte_count, t.attempts, i.placement, p.node_ids
            FROM taken t LEFT JOIN instances i ON i.record = t.record LEFT JOIN placements p ON p.id = i.placement
            ORDER BY t.living, t.kind, uuid_hash(t.record);
        END $$;

        -- Counts copies that have been made: the instances are where they are now, and the queue is rid of them.
        --
        -- An instance that was deleted meanwhile, or is counted already, is left as it is; how many were counted.
        CREATE FUNCTION count_repairs(mine bigint, records uuid[], olds bigint[], news bigint[]) RETURNS integer
        LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        DECLARE
            counted integer;
        BEGIN
            PERFORM require_term(mine);
            -- Deletions hold rows in an order of their own: one or the other.
            PERFORM pg_advisory_xact_lock_shared(130160904267009);
            WITH done AS (
                SELECT * FROM unnest(records, olds, news) AS n(record, old, new)
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

        CREATE FUNCTION drop_repairs(mine bigint, records uuid[]) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            DELETE FROM repair_items q WHERE q.record = ANY (records);
        END $$;

        -- Puts off what could not be done; `delays` of -1 need a person.
        CREATE FUNCTION postpone_repairs(
            mine bigint, records uuid[], delays bigint[], attempts_in bigint[], notes text[]
        ) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            UPDATE repair_items q SET state = CASE WHEN n.delay < 0 THEN 3 ELSE 1 END,
                due_at = now() + greatest(0, n.delay) * interval '1 millisecond', attempts = n.attempts, note = n.note
            FROM unnest(records, delays, attempts_in, notes) AS n(record, delay, attempts, note)
            WHERE q.record = n.record;
        END $$;

        CREATE FUNCTION note_repair_rate(
            mine bigint, items double precision, bytes double precision, alarm_in text
        ) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            UPDATE repair_totals SET items_per_second = items, bytes_per_second = bytes, rated_at = now(), alarm = alarm_in;
        END $$;
        """#
}
