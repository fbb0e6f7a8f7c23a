// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// The trash: what was deleted, by whom and why, the orders that tell the storage nodes, and the rows as they were.
    ///
    /// Rows of deleted instances are moved, not marked, so that no query has to look past them; a series, study or patient
    /// that has none left goes with them, and comes back from a copy. That takes rows away which those who store have
    /// just looked up, so one lock orders the two: who stores has it shared, who deletes alone. The triggers hold for
    /// programs before this step, too: they do not know of the trash, but must not put into the archive what is in it.
    /// docs/decisions/0040-deleting-to-the-trash.md
    static let trash = Migration(version: 11, name: "trash", sql: tables + functions + guards)

    /// The advisory lock between those who enter instances and those who delete or undelete.
    private static let lock = "130160904267009"  // "varve" in ASCII, and 1

    private static let tables = """
        -- Kept for ever: the audit of what was deleted.
        CREATE TABLE deletions (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            level integer NOT NULL,  -- 1 study, 2 series, 3 instance
            instance_count integer NOT NULL,
            study_uid text COLLATE "C" NOT NULL,
            series_uid text COLLATE "C" NOT NULL,  -- empty above the level
            instance_uid text COLLATE "C" NOT NULL,
            -- When the last of its instances was back in the catalog.
            restored_at timestamptz
        );
        CREATE INDEX deletions_by_study ON deletions (study_uid);
        CREATE INDEX deletions_in_trash ON deletions (id) WHERE restored_at IS NULL;

        -- What storage nodes are to be told of a deletion's records, and who wanted it; kept for ever, too.
        CREATE TABLE trash_orders (
            -- With the term, the place of the order among all orders.
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            deletion bigint NOT NULL REFERENCES deletions,
            kind integer NOT NULL,  -- of the amendment: 1 tombstone, 2 undelete
            requested_at timestamptz NOT NULL DEFAULT now(),
            issued_at bigint NOT NULL,  -- the same, in milliseconds since 1970
            requested_by text NOT NULL,
            reason text NOT NULL,
            -- What the amendments name: the permit.
            reference uuid NOT NULL UNIQUE,
            -- Of the coordinator that took it up first; an amendment keeps it whoever hands it in.
            term bigint,
            -- Nodes that have all its amendments on their disks.
            answered uuid[] NOT NULL DEFAULT '{}',
            -- When all members had answered.
            done_at timestamptz,
            -- Taken back before it was done: not sent any more.
            is_superseded boolean NOT NULL DEFAULT false,
            -- Why it is not done; for people.
            note text NOT NULL DEFAULT '',
            UNIQUE (deletion, kind)
        );
        CREATE INDEX trash_orders_open ON trash_orders (number) WHERE done_at IS NULL;

        -- The records that an order is about, also once they are back.
        CREATE TABLE deletion_records (
            deletion bigint NOT NULL,
            record uuid NOT NULL,
            PRIMARY KEY (deletion, record)
        );

        -- The rows of instances in the trash, as they were.
        CREATE TABLE trashed_instances (deletion bigint NOT NULL, LIKE instances INCLUDING STORAGE);
        CREATE INDEX trashed_by_deletion ON trashed_instances (deletion, record);
        CREATE UNIQUE INDEX trashed_by_uid_key ON trashed_instances (uid_key(uid));
        CREATE INDEX trashed_by_record ON trashed_instances (record);

        -- What was above them, as it was then.
        CREATE TABLE trashed_series (
            deletion bigint NOT NULL,
            series bigint NOT NULL,
            patient_row jsonb NOT NULL,
            study_row jsonb NOT NULL,
            series_row jsonb NOT NULL,
            PRIMARY KEY (deletion, series)
        );

        """

    private static let functions = #"""
        -- Deletes what the UIDs name (empty ones name nothing) and says how many instances that were; 0 when there is
        -- none. The same reference again is the same deletion.
        CREATE FUNCTION move_to_trash(
            level_in integer, study_in text, series_in text, instance_in text, by_in text, reason_in text,
            reference_in uuid, issued_in bigint
        ) RETURNS integer LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        DECLARE
            affected bigint[];
            new_id bigint;
            moved integer;
            owner bigint;
        BEGIN
            PERFORM pg_advisory_xact_lock(\#(lock));
            SELECT d.instance_count INTO moved FROM trash_orders o JOIN deletions d ON d.id = o.deletion
            WHERE o.reference = reference_in;
            IF FOUND THEN
                RETURN moved;
            END IF;
            SELECT array_agg(e.id), min(t.patient) INTO affected, owner FROM studies t JOIN series e ON e.study = t.id
            WHERE t.uid = study_in AND (series_in = '' OR e.uid = series_in);
            IF affected IS NULL THEN
                RETURN 0;
            END IF;
            -- Holds: once the catalog has them, what is held among `affected` ends the deletion here.
            INSERT INTO deletions (level, instance_count, study_uid, series_uid, instance_uid)
            VALUES (level_in, 0, study_in, series_in, instance_in) RETURNING id INTO new_id;
            WITH gone AS (
                DELETE FROM instances i
                WHERE i.series = ANY (affected) AND (instance_in = '' OR i.uid = instance_in)
                RETURNING i.*
            ), kept AS (
                INSERT INTO trashed_instances SELECT new_id, gone.* FROM gone RETURNING record
            )
            INSERT INTO deletion_records SELECT new_id, record FROM kept;
            GET DIAGNOSTICS moved = ROW_COUNT;
            IF moved = 0 THEN
                DELETE FROM deletions WHERE id = new_id;
                RETURN 0;
            END IF;
            -- Names are folded anew when they come back.
            INSERT INTO trashed_series
            SELECT new_id, e.id, to_jsonb(p) - 'name_words', to_jsonb(t) - 'referring_words', to_jsonb(e)
            FROM series e JOIN studies t ON t.id = e.study JOIN patients p ON p.id = t.patient
            WHERE e.id IN (SELECT x.series FROM trashed_instances x WHERE x.deletion = new_id);
            DELETE FROM series e WHERE e.id = ANY (affected)
                AND NOT EXISTS (SELECT FROM instances i WHERE i.series = e.id);
            DELETE FROM studies t WHERE t.uid = study_in
                AND NOT EXISTS (SELECT FROM series e WHERE e.study = t.id);
            DELETE FROM patients p WHERE p.id = owner
                AND NOT EXISTS (SELECT FROM studies t WHERE t.patient = p.id);
            UPDATE deletions SET instance_count = moved WHERE id = new_id;
            INSERT INTO trash_orders (deletion, kind, issued_at, requested_by, reason, reference)
            VALUES (new_id, 1, issued_in, by_in, reason_in, reference_in);
            RETURN moved;
        END $$;

        -- Has what was deleted of a study (by one deletion only when that is not 0) given back; says how many deletions are
        -- on their way back then.
        CREATE FUNCTION take_from_trash(
            study_in text, deletion_in bigint, by_in text, reason_in text, issued_in bigint
        ) RETURNS integer LANGUAGE plpgsql AS $$
        DECLARE
            wanted bigint[];
        BEGIN
            SELECT coalesce(array_agg(d.id ORDER BY d.id), '{}') INTO wanted FROM deletions d
            WHERE d.study_uid = study_in AND (deletion_in = 0 OR d.id = deletion_in) AND d.restored_at IS NULL;
            INSERT INTO trash_orders (deletion, kind, issued_at, requested_by, reason, reference)
            SELECT w.id, 2, issued_in, by_in, reason_in, gen_random_uuid() FROM unnest(wanted) w(id) ORDER BY w.id
            ON CONFLICT (deletion, kind) DO NOTHING;
            UPDATE trash_orders SET done_at = coalesce(done_at, now()), is_superseded = true
            WHERE deletion = ANY (wanted) AND kind = 1;
            RETURN cardinality(wanted);
        END $$;

        -- The orders that some member has not answered, first those that came first. `looks_back`: also of those that
        -- were done, because the members have changed.
        CREATE FUNCTION open_trash_orders(mine bigint, members uuid[], looks_back boolean, most integer)
        RETURNS SETOF trash_orders LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            IF looks_back THEN
                UPDATE trash_orders SET done_at = NULL
                WHERE done_at IS NOT NULL AND NOT is_superseded AND NOT answered @> members;
            END IF;
            UPDATE trash_orders SET term = mine WHERE done_at IS NULL AND term IS NULL;
            RETURN QUERY SELECT * FROM trash_orders WHERE done_at IS NULL ORDER BY number LIMIT most;
        END $$;

        -- Notes that a node has all amendments of an order; true when that was the last member.
        CREATE FUNCTION note_trash_answer(mine bigint, number_in bigint, node uuid, members uuid[]) RETURNS boolean
        LANGUAGE plpgsql AS $$
        DECLARE
            is_done boolean;
        BEGIN
            PERFORM require_term(mine);
            UPDATE trash_orders SET answered = array_append(answered, node)
            WHERE number = number_in AND NOT node = ANY (answered);
            -- An undelete is done when its instances are back, too.
            UPDATE trash_orders o SET done_at = now(), note = ''
            WHERE o.number = number_in AND o.done_at IS NULL AND o.answered @> members AND (o.kind = 1 OR EXISTS (
                SELECT FROM deletions d WHERE d.id = o.deletion AND d.restored_at IS NOT NULL));
            RETURN FOUND;
        END $$;

        CREATE FUNCTION note_trash_obstacle(mine bigint, number_in bigint, note_in text) RETURNS void
        LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            UPDATE trash_orders SET note = note_in WHERE number = number_in AND note <> note_in AND done_at IS NULL;
        END $$;

        -- Gives records of a deletion back to the catalog, with what was above them; how many are in the trash still.
        CREATE FUNCTION restore_from_trash(mine bigint, deletion_in bigint, records_in uuid[]) RETURNS integer
        LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        DECLARE
            moved trashed_instances[];
            entered integer;
            remaining integer;
        BEGIN
            PERFORM require_term(mine);
            PERFORM pg_advisory_xact_lock(\#(lock));
            SELECT coalesce(array_agg(x), '{}') INTO moved FROM trashed_instances x
            WHERE x.deletion = deletion_in AND x.record = ANY (records_in);
            DELETE FROM trashed_instances x WHERE x.deletion = deletion_in AND x.record = ANY (records_in);
            INSERT INTO patients OVERRIDING SYSTEM VALUE
            SELECT p.* FROM trashed_series s CROSS JOIN LATERAL jsonb_populate_record(NULL::patients, s.patient_row) p
            WHERE s.deletion = deletion_in AND s.series IN (SELECT m.series FROM unnest(moved) m)
            ON CONFLICT DO NOTHING;
            INSERT INTO studies OVERRIDING SYSTEM VALUE
            SELECT t.* FROM trashed_series s
                JOIN patients p ON (p.patient_id, p.issuer, p.scope)
                    = (s.patient_row->>'patient_id', s.patient_row->>'issuer', s.patient_row->>'scope')
                CROSS JOIN LATERAL jsonb_populate_record(NULL::studies,
                    s.study_row || jsonb_build_object('patient', p.id)) t
            WHERE s.deletion = deletion_in AND s.series IN (SELECT m.series FROM unnest(moved) m)
            ON CONFLICT DO NOTHING;
            INSERT INTO series OVERRIDING SYSTEM VALUE
            SELECT e.* FROM trashed_series s JOIN studies t ON t.uid = s.study_row->>'uid'
                CROSS JOIN LATERAL jsonb_populate_record(NULL::series,
                    s.series_row || jsonb_build_object('study', t.id)) e
            WHERE s.deletion = deletion_in AND s.series IN (SELECT m.series FROM unnest(moved) m)
            ON CONFLICT DO NOTHING;
            INSERT INTO instances (series, received_at, received_bytes, stored_bytes, sop_class, received_syntax,
                stored_syntax, calling_ae, placement, number, rows, columns, frames, record, uid, content_digest,
                pixel_digest)
            SELECT e.id, m.received_at, m.received_bytes, m.stored_bytes, m.sop_class, m.received_syntax,
                m.stored_syntax, m.calling_ae, m.placement, m.number, m.rows, m.columns, m.frames, m.record, m.uid,
                m.content_digest, m.pixel_digest
            FROM unnest(moved) m
                JOIN trashed_series s ON s.deletion = deletion_in AND s.series = m.series
                JOIN studies t ON t.uid = s.study_row->>'uid'
                JOIN series e ON e.uid = s.series_row->>'uid' AND e.study = t.id;
            GET DIAGNOSTICS entered = ROW_COUNT;
            IF entered <> cardinality(moved) THEN
                RAISE EXCEPTION '% of % instances can be given back', entered, cardinality(moved);
            END IF;
            -- A study that came again meanwhile keeps the patient it came with.
            DELETE FROM patients p USING trashed_series s
            WHERE s.deletion = deletion_in AND (p.patient_id, p.issuer, p.scope)
                    = (s.patient_row->>'patient_id', s.patient_row->>'issuer', s.patient_row->>'scope')
                AND NOT EXISTS (SELECT FROM studies t WHERE t.patient = p.id);
            SELECT count(*) INTO remaining FROM trashed_instances x WHERE x.deletion = deletion_in;
            IF remaining = 0 THEN
                UPDATE deletions SET restored_at = now() WHERE id = deletion_in AND restored_at IS NULL;
            END IF;
            RETURN remaining;
        END $$;

        """#

    private static let guards = #"""
        CREATE FUNCTION wait_for_deletions() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock_shared(\#(lock));
            RETURN NULL;
        END $$;
        CREATE TRIGGER wait_for_deletions BEFORE INSERT ON instances
            FOR EACH STATEMENT EXECUTE FUNCTION wait_for_deletions();

        -- The statement began before the wait, so what it found may be gone: these look again.
        CREATE FUNCTION leave_out_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (SELECT FROM trashed_instances x WHERE uid_key(x.uid) = uid_key(NEW.uid) AND x.uid = NEW.uid)
                OR NOT EXISTS (SELECT FROM series e WHERE e.id = NEW.series)
            THEN
                RETURN NULL;
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER leave_out_deleted BEFORE INSERT ON instances
            FOR EACH ROW EXECUTE FUNCTION leave_out_deleted();

        -- As before, and waits for deletions before it holds any row: else the two could wait for each other.
        CREATE OR REPLACE FUNCTION commit_instances(
            patients_in new_patient[], patient_words text[], studies_in new_study[], study_words text[],
            series_in new_series[], instances_in new_instance[],
            OUT entered integer, OUT series_ids bigint[]
        ) LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock_shared(\#(lock));
            SELECT c.entered, c.series_ids INTO entered, series_ids
            FROM commit_instances(patients_in, studies_in, series_in, instances_in) c;
            IF cardinality(series_in) > 0 THEN
                WITH named AS (
                    SELECT x.id, w.words FROM unnest(patients_in) WITH ORDINALITY AS n(patient_id, issuer, scope,
                            name, name_key, ideographic_key, phonetic_key, birth_date, sex, position)
                        JOIN unnest(patient_words) WITH ORDINALITY AS w(words, position) USING (position)
                        JOIN patients x ON (x.patient_id, x.issuer, x.scope) = (n.patient_id, n.issuer, n.scope)
                    WHERE x.name_words IS NULL AND x.name = n.name AND x.name_key = n.name_key
                    FOR NO KEY UPDATE OF x SKIP LOCKED
                )
                UPDATE patients x SET name_words = words_of(named.words) FROM named WHERE x.id = named.id;
                WITH named AS (
                    SELECT t.id, w.words FROM unnest(studies_in) WITH ORDINALITY AS n(patient_id, issuer, scope, uid,
                            received_at, date, time, accession, study_id, description, referring, referring_key,
                            position)
                        JOIN unnest(study_words) WITH ORDINALITY AS w(words, position) USING (position)
                        JOIN studies t ON t.uid = n.uid
                    WHERE t.referring_words IS NULL AND t.referring = n.referring
                        AND t.referring_key = n.referring_key
                    FOR NO KEY UPDATE OF t SKIP LOCKED
                )
                UPDATE studies t SET referring_words = words_of(named.words) FROM named WHERE t.id = named.id;
            END IF;
        END $$;
        """#
}
