// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// Rejection notes: documents that say which instances are not to be seen any more, and how far they are acted on.
    ///
    /// A note is put into the queue by a trigger, whoever enters it: a store, a journal, a comparison with the nodes. It
    /// names instances that may come later, so each that comes is looked up among those that are awaited.
    /// docs/decisions/0063-rejection-notes.md
    static let rejections = Migration(
        version: 23,
        name: "rejection notes, holds that nodes know",
        sql: rejectionTables + rejectionTriggers + rejectionFiling + rejectionActing + nodeHolds
    )

    /// The advisory lock between those who delete and those who enter instances or place holds.
    private static let deletionLock = "130160904267009"  // "varve" in ASCII, and 1

    private static let rejectionTables = #"""
        -- Key Object Selection documents that were not looked at yet, and those that reject; kept for ever, but for the
        -- documents that reject nothing.
        CREATE TABLE rejection_notes (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            -- Of the document. A second one with its UID is not another note.
            instance_uid text COLLATE "C" NOT NULL UNIQUE,
            record uuid NOT NULL,
            sender text NOT NULL,  -- its calling AE title; empty over HTTP
            received_at bigint NOT NULL,  -- milliseconds since 1970
            -- 0 to be read, 1 not acted on until somebody approves, 2 to be acted on, 3 in force, 4 dismissed,
            -- 5 cannot be understood
            state integer NOT NULL DEFAULT 0,
            title text NOT NULL DEFAULT '',  -- the code of its title
            reason text NOT NULL DEFAULT '',  -- what deletions give as theirs
            -- Whether instances that come later are hidden, too.
            awaits boolean NOT NULL DEFAULT false,
            -- Who approved or dismissed it; empty when nobody had to.
            decided_by text NOT NULL DEFAULT '',
            decision_reason text NOT NULL DEFAULT '',
            decided_at timestamptz,
            acted_at timestamptz,  -- when it came into force
            -- What is in the way; for people.
            note text NOT NULL DEFAULT '',
            due_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX rejection_notes_open ON rejection_notes (due_at) WHERE state IN (0, 2);

        -- What they refer to.
        CREATE TABLE rejected_instances (
            note bigint NOT NULL REFERENCES rejection_notes,
            study_uid text COLLATE "C" NOT NULL,
            series_uid text COLLATE "C" NOT NULL,
            instance_uid text COLLATE "C" NOT NULL,
            -- 0 to be retired as soon as it is here, 1 was retired by this note, 2 is left alone: it was in the trash
            -- before, or is not awaited
            state integer NOT NULL DEFAULT 0,
            deletion bigint,
            PRIMARY KEY (note, instance_uid)
        );
        CREATE INDEX rejected_instances_awaited ON rejected_instances (uid_key(instance_uid)) WHERE state = 0;

        -- Notes of which something came that they await: rows that nobody else writes, so that no store waits for another.
        CREATE TABLE rejection_arrivals (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            note bigint NOT NULL
        );

        -- Documents from before this step are documents, and nothing else.
        CREATE TABLE rejection_state (
            is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
            since bigint NOT NULL  -- milliseconds since 1970
        );
        INSERT INTO rejection_state (since) VALUES ((extract(epoch FROM now()) * 1000)::int8);

        """#

    private static let rejectionTriggers = #"""
        CREATE FUNCTION note_rejections() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO rejection_notes (instance_uid, record, sender, received_at)
            SELECT c.uid, c.record, coalesce(a.text, ''), c.received_at
            FROM changed c LEFT JOIN terms a ON a.id = c.calling_ae
            WHERE c.sop_class = (SELECT x.id FROM terms x WHERE x.text = '1.2.840.10008.5.1.4.1.1.88.59')
                AND c.received_at >= (SELECT s.since FROM rejection_state s)
            ORDER BY c.uid COLLATE "C"
            ON CONFLICT DO NOTHING;
            INSERT INTO rejection_arrivals (note)
            SELECT DISTINCT r.note FROM changed c
                JOIN rejected_instances r ON uid_key(r.instance_uid) = uid_key(c.uid) AND r.instance_uid = c.uid
                JOIN rejection_notes n ON n.id = r.note
            WHERE r.state = 0 AND n.state = 3;
            RETURN NULL;
        END $$;
        CREATE TRIGGER note_rejections AFTER INSERT ON instances REFERENCING NEW TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION note_rejections();

        """#

    private static let rejectionFiling = #"""
        -- Notes to work on, taken for a while: another who asks meanwhile gets others. Those of which an awaited instance
        -- came first.
        CREATE FUNCTION claim_rejection_notes(most integer, claim_in interval) RETURNS SETOF rejection_notes
        LANGUAGE plpgsql AS $$
        BEGIN
            RETURN QUERY UPDATE rejection_notes n SET due_at = now() + claim_in WHERE n.id IN (
                SELECT x.id FROM rejection_notes x
                WHERE x.due_at <= now() AND (x.state = 2
                    OR (x.state = 0 AND EXISTS (SELECT FROM instances i WHERE i.record = x.record))
                    OR (x.state = 3 AND x.id IN (SELECT a.note FROM rejection_arrivals a)))
                ORDER BY x.state DESC, x.id LIMIT most FOR UPDATE SKIP LOCKED
            ) RETURNING n.*;
        END $$;

        -- Files what a note says, once: `state_in` is 1 or 2. Its reference to itself is none.
        CREATE FUNCTION file_rejection(
            note_in bigint, state_in integer, title_in text, reason_in text, awaits_in boolean, text_in text,
            studies_in text[], series_in text[], instances_in text[]
        ) RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE rejection_notes n SET state = state_in, title = title_in, reason = reason_in, awaits = awaits_in,
                note = text_in, due_at = now()
            WHERE n.id = note_in AND n.state = 0;
            IF NOT FOUND THEN
                RETURN false;
            END IF;
            INSERT INTO rejected_instances (note, study_uid, series_uid, instance_uid)
            SELECT note_in, x.study, x.series, x.instance
            FROM unnest(studies_in, series_in, instances_in) AS x(study, series, instance)
                JOIN rejection_notes n ON n.id = note_in AND n.instance_uid <> x.instance
            ON CONFLICT DO NOTHING;
            RETURN true;
        END $$;

        -- What somebody decides of a note. Approving is for one that waits for it, or could not be understood and is to be
        -- read again; dismissing for all that are not done, and ends the waiting for what has not come.
        CREATE FUNCTION decide_rejection(note_in bigint, approves boolean, by_in text, reason_in text) RETURNS boolean
        LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE rejection_notes n SET decided_by = by_in, decision_reason = reason_in, decided_at = now(), note = '',
                due_at = now(), state = CASE WHEN NOT approves THEN 4 WHEN n.state = 5 THEN 0 ELSE 2 END
            WHERE n.id = note_in AND CASE WHEN approves THEN n.state IN (1, 5) ELSE n.state <> 4 END;
            IF NOT FOUND THEN
                RETURN false;
            END IF;
            DELETE FROM rejection_arrivals a WHERE a.note = note_in AND NOT approves;
            RETURN true;
        END $$;

        """#

    private static let rejectionActing = #"""
        -- Retires what a note refers to and is here: all of it, or nothing while a study of it is held. One deletion for
        -- each study. The number of instances; the number of a hold, negative; NULL when the note is not to be acted on.
        CREATE FUNCTION act_on_rejection(note_in bigint, issued_in bigint) RETURNS bigint
        LANGUAGE plpgsql SET lock_timeout = '3s' SET plan_cache_mode = force_custom_plan AS $$
        DECLARE
            acting rejection_notes;
            studies_found text[];
            study_found text;
            affected bigint[];
            owner bigint;
            new_id bigint;
            holding bigint;
            moved integer;
            total bigint := 0;
        BEGIN
            -- First, as all who delete: what stores that are under way enter is seen below, and later ones see the note.
            PERFORM pg_advisory_xact_lock(\#(deletionLock));
            SELECT * INTO acting FROM rejection_notes n WHERE n.id = note_in AND n.state IN (2, 3) FOR UPDATE;
            IF NOT FOUND THEN
                DELETE FROM rejection_arrivals a WHERE a.note = note_in;
                RETURN NULL;
            END IF;
            -- Study and series have to be as the note says: one that names an instance wrongly means another.
            SELECT array_agg(DISTINCT t.uid) INTO studies_found
            FROM rejected_instances r JOIN instances i ON uid_key(i.uid) = uid_key(r.instance_uid)
                    AND i.uid = r.instance_uid
                JOIN series e ON e.id = i.series AND e.uid = r.series_uid
                JOIN studies t ON t.id = e.study AND t.uid = r.study_uid
            WHERE r.note = note_in AND r.state = 0;
            SELECT min(h.hold) INTO holding FROM held_now h JOIN studies t ON t.id = h.study
            WHERE t.uid = ANY (studies_found);
            IF holding IS NOT NULL THEN
                RETURN -holding;
            END IF;
            FOREACH study_found IN ARRAY coalesce(studies_found, '{}') LOOP
                SELECT t.patient INTO owner FROM studies t WHERE t.uid = study_found;
                INSERT INTO deletions (level, instance_count, study_uid, series_uid, instance_uid)
                VALUES (1, 0, study_found, '', '') RETURNING id INTO new_id;
                WITH wanted AS (
                    SELECT i.record, i.uid FROM rejected_instances r
                        JOIN instances i ON uid_key(i.uid) = uid_key(r.instance_uid) AND i.uid = r.instance_uid
                        JOIN series e ON e.id = i.series AND e.uid = r.series_uid
                        JOIN studies t ON t.id = e.study AND t.uid = r.study_uid
                    WHERE r.note = note_in AND r.state = 0 AND r.study_uid = study_found
                ), gone AS (
                    DELETE FROM instances i USING wanted w WHERE i.record = w.record AND i.uid = w.uid RETURNING i.*
                ), kept AS (
                    INSERT INTO trashed_instances SELECT new_id, gone.* FROM gone RETURNING record, uid
                ), done AS (
                    UPDATE rejected_instances r SET state = 1, deletion = new_id FROM kept k
                    WHERE r.note = note_in AND r.instance_uid = k.uid
                )
                INSERT INTO deletion_records SELECT new_id, record FROM kept;
                GET DIAGNOSTICS moved = ROW_COUNT;
                total := total + moved;
                SELECT array_agg(DISTINCT x.series) INTO affected FROM trashed_instances x WHERE x.deletion = new_id;
                -- Names are folded anew when they come back.
                INSERT INTO trashed_series
                SELECT new_id, e.id, to_jsonb(p) - 'name_words', to_jsonb(t) - 'referring_words', to_jsonb(e)
                FROM series e JOIN studies t ON t.id = e.study JOIN patients p ON p.id = t.patient
                WHERE e.id = ANY (affected);
                DELETE FROM series e WHERE e.id = ANY (affected)
                    AND NOT EXISTS (SELECT FROM instances i WHERE i.series = e.id);
                DELETE FROM studies t WHERE t.uid = study_found
                    AND NOT EXISTS (SELECT FROM series e WHERE e.study = t.id);
                DELETE FROM patients p WHERE p.id = owner
                    AND NOT EXISTS (SELECT FROM studies t WHERE t.patient = p.id);
                UPDATE deletions SET instance_count = moved WHERE id = new_id;
                INSERT INTO trash_orders (deletion, kind, issued_at, requested_by, reason, reference)
                VALUES (new_id, 1, issued_in, CASE WHEN acting.decided_by <> '' THEN acting.decided_by
                    WHEN acting.sender <> '' THEN 'rejection note from ' || acting.sender
                    ELSE 'rejection note over HTTP' END, acting.reason, gen_random_uuid());
            END LOOP;
            -- What is in the trash already is not this note's: whoever takes it back does not find it struck again.
            UPDATE rejected_instances r SET state = 2 WHERE r.note = note_in AND r.state = 0 AND (NOT acting.awaits
                OR EXISTS (SELECT FROM trashed_instances x
                    WHERE uid_key(x.uid) = uid_key(r.instance_uid) AND x.uid = r.instance_uid));
            DELETE FROM rejection_arrivals a WHERE a.note = note_in;
            UPDATE rejection_notes n SET state = 3, note = '', acted_at = coalesce(n.acted_at, now()), due_at = now()
            WHERE n.id = note_in;
            RETURN total;
        END $$;
        """#
}
