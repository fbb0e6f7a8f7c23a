// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// The cluster, its nodes, its placement maps, its coordinator.
    static let clusterTables = Migration(
        version: 1,
        name: "cluster tables",
        sql: #"""
            -- A table of one row has the key `one`, which is always true.
            CREATE TABLE cluster (
                one boolean PRIMARY KEY DEFAULT true CHECK (one),
                cluster_id uuid NOT NULL,
                placement_groups integer NOT NULL,
                created_at timestamptz NOT NULL DEFAULT now()
            );

            CREATE TABLE nodes (
                id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                node_id uuid NOT NULL UNIQUE,
                name text COLLATE "C" NOT NULL,
                address text COLLATE "C" NOT NULL,
                port integer NOT NULL,
                site text COLLATE "C" NOT NULL,
                rack text COLLATE "C" NOT NULL,
                host text COLLATE "C" NOT NULL,
                weight bigint NOT NULL,
                state smallint NOT NULL,
                registered_at timestamptz NOT NULL DEFAULT now(),
                state_changed_at timestamptz NOT NULL DEFAULT now()
            );

            -- Interned sets of nodes. A row never changes and is never removed, so its id can be kept in memory.
            CREATE TABLE placements (
                id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                nodes integer[] NOT NULL UNIQUE,  -- ascending
                node_ids uuid[] NOT NULL          -- the same, ascending by uuid
            );
            CREATE INDEX placements_by_node ON placements USING gin (nodes);

            -- The epoch that is in force; its members and those of epochs before it.
            CREATE TABLE placement_epoch (
                one boolean PRIMARY KEY DEFAULT true CHECK (one),
                epoch bigint NOT NULL
            );
            INSERT INTO placement_epoch (epoch) VALUES (0);
            CREATE TABLE placement_members (
                epoch bigint NOT NULL,
                node_id uuid NOT NULL,
                name text COLLATE "C" NOT NULL,
                address text COLLATE "C" NOT NULL,
                port integer NOT NULL,
                site text COLLATE "C" NOT NULL,
                rack text COLLATE "C" NOT NULL,
                host text COLLATE "C" NOT NULL,
                weight bigint NOT NULL,
                state smallint NOT NULL,
                PRIMARY KEY (epoch, node_id)
            );

            -- The term is the authority and is written only at a takeover; every transaction of a coordinator holds it
            -- FOR SHARE. The lease, beside it, is what is renewed every few seconds.
            CREATE TABLE coordinator_term (
                one boolean PRIMARY KEY DEFAULT true CHECK (one),
                term bigint NOT NULL
            );
            INSERT INTO coordinator_term (term) VALUES (0);
            CREATE TABLE coordinator_lease (
                one boolean PRIMARY KEY DEFAULT true CHECK (one),
                term bigint NOT NULL,
                holder text COLLATE "C" NOT NULL,
                expires_at timestamptz NOT NULL
            );
            INSERT INTO coordinator_lease (term, holder, expires_at) VALUES (0, '', '-infinity');

            -- Fails unless `mine` is the current term, and keeps it current until the transaction ends.
            CREATE FUNCTION require_term(mine bigint) RETURNS void LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM 1 FROM coordinator_term WHERE term = mine FOR SHARE;
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'the term of office is over' USING ERRCODE = 'VA002';
                END IF;
            END $$;

            -- Takes the lease when it is free, expired or already the holder's; NULL when another holds it.
            CREATE FUNCTION acquire_lease(new_holder text, duration_ms bigint) RETURNS bigint
            LANGUAGE plpgsql AS $$
            DECLARE
                held coordinator_lease;
                until timestamptz;
                new_term bigint;
            BEGIN
                SELECT * INTO held FROM coordinator_lease FOR UPDATE;
                -- After the wait for the row, not now(), which is when the transaction began.
                until := clock_timestamp() + duration_ms * interval '1 millisecond';
                IF held.expires_at > clock_timestamp() THEN
                    IF held.holder <> new_holder THEN
                        RETURN NULL;
                    END IF;
                    UPDATE coordinator_lease SET expires_at = until;
                    RETURN held.term;
                END IF;
                UPDATE coordinator_term SET term = term + 1 RETURNING term INTO new_term;
                UPDATE coordinator_lease SET term = new_term, holder = new_holder, expires_at = until;
                RETURN new_term;
            END $$;

            -- A lease that has run out may still be renewed as long as nobody has taken over.
            CREATE FUNCTION renew_lease(old_holder text, mine bigint, duration_ms bigint) RETURNS boolean
            LANGUAGE plpgsql AS $$
            BEGIN
                UPDATE coordinator_lease SET expires_at = clock_timestamp() + duration_ms * interval '1 millisecond'
                WHERE holder = old_holder AND term = mine;
                RETURN FOUND;
            END $$;

            CREATE FUNCTION release_lease(old_holder text, mine bigint) RETURNS void LANGUAGE sql AS $$
                UPDATE coordinator_lease SET expires_at = '-infinity' WHERE holder = old_holder AND term = mine;
            $$;

            CREATE FUNCTION set_node_state(node uuid, new_state integer, mine bigint) RETURNS void
            LANGUAGE plpgsql AS $$
            BEGIN
                IF mine IS NOT NULL THEN
                    PERFORM require_term(mine);
                END IF;
                UPDATE nodes SET state = new_state,
                    state_changed_at = CASE WHEN state = new_state THEN state_changed_at ELSE now() END
                WHERE node_id = node;
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'the node is not registered' USING ERRCODE = 'VA001';
                END IF;
            END $$;

            CREATE FUNCTION publish_placement_map(
                expected bigint, new_epoch bigint, mine bigint, node_ids uuid[], names text[], addresses text[],
                ports bigint[], sites text[], racks text[], hosts text[], weights bigint[], states bigint[]
            ) RETURNS void LANGUAGE plpgsql AS $$
            BEGIN
                IF mine IS NOT NULL THEN
                    PERFORM require_term(mine);
                END IF;
                UPDATE placement_epoch SET epoch = new_epoch WHERE epoch = expected;
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'another placement map is in force' USING ERRCODE = 'VA003';
                END IF;
                INSERT INTO placement_members
                SELECT new_epoch, n.node_id, n.name, n.address, n.port, n.site, n.rack, n.host, n.weight, n.state
                FROM unnest(node_ids, names, addresses, ports, sites, racks, hosts, weights, states)
                    AS n(node_id, name, address, port, site, rack, host, weight, state);
            END $$;
            """#
    )
}
