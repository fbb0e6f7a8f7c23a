// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// Packs that somebody wants read whole, orders to drop copies that are proven anew, and the removal of packs from their stores.
    ///
    /// docs/decisions/0065-what-is-in-packs-only.md
    static let packProof = Migration(
        version: 27,
        name: "pack proof",
        sql: packReadings + provenDrops + packRemovals + removalFunctions
    )

    private static let packReadings = #"""
        -- Packs that are to be read whole, or were by request; a row a pack.
        CREATE TABLE pack_readings (
            pack uuid PRIMARY KEY REFERENCES cold_packs,
            wanted_at timestamptz NOT NULL DEFAULT now(),
            due_at timestamptz NOT NULL DEFAULT now(),
            ended_at timestamptz,  -- NULL: it has to be read yet
            attempts integer NOT NULL DEFAULT 0,
            is_damaged boolean NOT NULL DEFAULT false,  -- or it is not in its store
            failure text NOT NULL DEFAULT ''  -- empty: it was sound
        );
        CREATE INDEX pack_readings_open ON pack_readings (due_at) WHERE ended_at IS NULL;

        -- Has every pack read that has instances which are counted on no node, from the study key `first_in` on.
        CREATE FUNCTION want_pack_readings(
            first_in uuid, OUT since bigint, OUT found_packs bigint, OUT found_bytes bigint
        ) LANGUAGE plpgsql AS $$
        DECLARE
            nowhere integer := intern_placement('{}');
        BEGIN
            since := (extract(epoch FROM now()) * 1000000)::bigint;
            WITH wanted AS MATERIALIZED (
                SELECT c.id, c.byte_count FROM cold_packs c
                WHERE c.state = 4 AND c.study_key >= first_in AND EXISTS (
                    SELECT FROM unnest(c.records) r(record) JOIN instances i ON i.record = r.record
                    WHERE i.placement + 0 = nowhere
                )
            ), entered AS (
                INSERT INTO pack_readings AS r (pack) SELECT w.id FROM wanted w
                ON CONFLICT (pack) DO UPDATE SET wanted_at = now(), due_at = now(), ended_at = NULL, attempts = 0,
                    is_damaged = false, failure = ''
            )
            SELECT count(*), coalesce(sum(w.byte_count), 0)::bigint INTO found_packs, found_bytes FROM wanted w;
        END $$;

        -- The packs that are to be read now, the one that has waited longest first.
        CREATE FUNCTION due_pack_readings(mine bigint, most integer)
        RETURNS TABLE (found_pack uuid, found_attempts integer) LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            -- Given up or removed meanwhile: there is nothing to be proven.
            DELETE FROM pack_readings r USING cold_packs c WHERE r.ended_at IS NULL AND c.id = r.pack AND c.state <> 4;
            RETURN QUERY SELECT r.pack, r.attempts FROM pack_readings r
                WHERE r.ended_at IS NULL AND r.due_at <= now() ORDER BY r.due_at, r.pack LIMIT most;
        END $$;

        -- Enters what came of a reading: an empty failure: it is sound. What is damaged is in doubt from here on.
        CREATE FUNCTION end_pack_reading(
            mine bigint, pack_in uuid, digest_in bytea, node_in uuid, damaged_in boolean, failure_in text
        ) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            IF failure_in = '' THEN
                PERFORM note_sound_pack(mine, pack_in, digest_in, node_in);
            ELSIF damaged_in THEN
                PERFORM doubt_pack(pack_in, failure_in);
            END IF;
            UPDATE pack_readings SET ended_at = now(), is_damaged = damaged_in, failure = failure_in
            WHERE pack = pack_in AND ended_at IS NULL;
        END $$;

        CREATE FUNCTION postpone_pack_reading(mine bigint, pack_in uuid, delay bigint, attempts_in integer) RETURNS void
        LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            UPDATE pack_readings SET attempts = attempts_in, due_at = now() + delay * interval '1 millisecond'
            WHERE pack = pack_in AND ended_at IS NULL;
        END $$;

        """#

    private static let provenDrops = #"""
        -- Those of `records_in`, copies of which a node is to be told to drop now, that a pack proves as well as when they were
        -- counted no more: all of it was read within the last day, after it had stood, by another node than its writer.
        --
        -- The packs of the others are to be read. Whoever doubts a pack has said so before this, or waits for its end.
        CREATE FUNCTION begin_cold_drops(mine bigint, records_in uuid[]) RETURNS SETOF uuid
        LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        DECLARE
            packs uuid[];
            proven uuid[];
        BEGIN
            PERFORM require_term(mine);
            SELECT coalesce(array_agg(DISTINCT c.id), '{}') INTO packs
            FROM (
                SELECT DISTINCT (left(r.record::text, 16) || '00-0000-000000000000')::uuid AS key
                FROM unnest(records_in) r(record)
            ) k JOIN cold_packs c ON c.study_key = k.key AND c.state = 4
            WHERE c.records && records_in;
            PERFORM FROM cold_packs c WHERE c.id = ANY (packs) ORDER BY c.id FOR SHARE;
            SELECT coalesce(array_agg(c.id), '{}') INTO proven FROM cold_packs c JOIN pack_moves m ON m.id = c.move
            WHERE c.id = ANY (packs) AND c.state = 4 AND c.verified_at >= now() - interval '1 day'
                AND (m.soaks_until IS NULL OR c.verified_at >= m.soaks_until) AND c.verified_by IS NOT NULL
                AND (c.verified_by <> c.written_by OR NOT EXISTS (
                    SELECT FROM placement_members p JOIN placement_epoch e ON e.epoch = p.epoch
                    WHERE p.node_id <> c.written_by
                ));
            -- Once an hour: whoever may read it may be its writer.
            INSERT INTO pack_readings AS r (pack)
            SELECT c.id FROM cold_packs c
            WHERE c.id = ANY (packs) AND c.state = 4 AND NOT c.id = ANY (proven) AND EXISTS (
                SELECT FROM unnest(records_in) u(record) WHERE u.record = ANY (c.records) AND NOT EXISTS (
                    SELECT FROM cold_packs o WHERE o.id = ANY (proven) AND u.record = ANY (o.records)
                )
            )
            ON CONFLICT (pack) DO UPDATE SET wanted_at = now(), due_at = now(), ended_at = NULL, attempts = 0,
                is_damaged = false, failure = ''
            WHERE r.ended_at < now() - interval '1 hour';
            RETURN QUERY SELECT DISTINCT u.record FROM unnest(records_in) u(record)
                JOIN cold_packs c ON c.id = ANY (proven) AND u.record = ANY (c.records);
        END $$;

        """#
}
