// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// What rules decide by: a row a study, so that a plan reads one table and not every instance.
    ///
    /// The rows are derived: who enters or deletes instances leaves a note of the study, by triggers, so that programs
    /// of the version before leave it, too; whoever needs the rows has the notes worked off first. A note is a row
    /// that nobody else writes, so stores wait for nothing. What was there before this step is collected in the order
    /// of the studies' ids. docs/decisions/0058-plans-from-the-catalog.md
    static let lifecycleFacts = factTables + collecting + noting

    private static let factTables = #"""
        -- One row a study, made of the tables above it and below it, except who has read it, its tags and its holds.
        --
        -- Columns of several texts have a backslash before each, which no such text of DICOM has in it (PS3.5 6.2);
        -- nothing behind it says that there is another, which is not known. So '' is none, '\CT\SR' two, '\CT\' one
        -- and a series without.
        CREATE TABLE study_facts (
            study bigint PRIMARY KEY,
            received_at bigint NOT NULL,  -- milliseconds since 1970, of the study's first instance
            byte_count bigint NOT NULL,  -- of all its instances, as they were received
            instance_count bigint NOT NULL,
            study_date date,
            birth_date date,
            -- Of the patient's latest study; NULL while one of them has no date.
            latest_visit date,
            description text COLLATE "C" NOT NULL,
            modalities text COLLATE "C" NOT NULL,
            body_parts text COLLATE "C" NOT NULL,
            stations text COLLATE "C" NOT NULL,
            institutions text COLLATE "C" NOT NULL,
            calling_aes text COLLATE "C" NOT NULL,
            -- The modalities of the patient's studies of later days.
            later_modalities text COLLATE "C" NOT NULL
        );

        -- Studies of which instances came or went since their facts were collected. Their ids, for they may be gone.
        CREATE TABLE lifecycle_changes (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            study bigint NOT NULL,
            patient bigint NOT NULL
        );

        CREATE TABLE lifecycle_state (
            is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
            -- Facts of the studies up to this id have been collected, of those that were there before this step.
            collected_through bigint NOT NULL DEFAULT 0,
            is_collected boolean NOT NULL DEFAULT false,
            -- Since when it is noted who reads studies: an older one may have been read until then.
            access_noted_since timestamptz NOT NULL DEFAULT now()
        );
        INSERT INTO lifecycle_state DEFAULT VALUES;

        -- When a study was last read, in milliseconds since 1970; none for one that was not since this step. Rows of
        -- deleted studies stay: they come back with their ids.
        CREATE TABLE study_access (
            study bigint PRIMARY KEY,
            accessed_at bigint NOT NULL
        ) WITH (fillfactor = 80);

        -- What people marked studies with. Rows of deleted studies stay, as above.
        CREATE TABLE study_tags (
            study bigint NOT NULL,
            tag text COLLATE "C" NOT NULL,
            tagged_at timestamptz NOT NULL DEFAULT now(),
            tagged_by text NOT NULL,
            PRIMARY KEY (study, tag)
        );

        -- Marks a study and takes marks away; its tags then, NULL when there is no such study.
        CREATE FUNCTION change_tags(study_in text, added text[], removed text[], by_in text) RETURNS text[]
        LANGUAGE plpgsql AS $$
        DECLARE
            wanted bigint;
        BEGIN
            SELECT t.id INTO wanted FROM studies t WHERE t.uid = study_in;
            IF NOT FOUND THEN
                RETURN NULL;
            END IF;
            DELETE FROM study_tags x WHERE x.study = wanted AND x.tag = ANY (removed);
            INSERT INTO study_tags (study, tag, tagged_by) SELECT DISTINCT wanted, n.tag, by_in FROM unnest(added) n(tag)
            ON CONFLICT DO NOTHING;
            RETURN (SELECT coalesce(array_agg(x.tag ORDER BY x.tag), '{}') FROM study_tags x WHERE x.study = wanted);
        END $$;

        """#

    private static let collecting = #"""
        -- At most 4,000 characters of such texts; of more the last ones are not known.
        CREATE FUNCTION bounded_texts(texts text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
            SELECT CASE WHEN length(texts) <= 4000 THEN texts
                ELSE regexp_replace(left(texts, 4000), '\\[^\\]*$', '') || '\' END
        $$;

        -- What the studies of these patients have of their patient and of one another.
        --
        -- Days that stand for none are none here (docs/lifecycle.md). Of a patient without Patient ID, who is known in
        -- one study only, nobody knows what other studies there are.
        CREATE FUNCTION patient_facts(patients_in bigint[])
        RETURNS TABLE (of_study bigint, birth_date date, latest_visit date, later_modalities text)
        LANGUAGE sql STABLE AS $$
            WITH dated AS (
                SELECT t.id, t.patient, p.birth_date, p.scope = '' AS is_known,
                    CASE WHEN t.date > '1900-01-01' AND t.date <> '1970-01-01' THEN t.date END AS day
                FROM studies t JOIN patients p ON p.id = t.patient WHERE t.patient = ANY (patients_in)
            ), visits AS (
                SELECT d.id, d.patient, d.birth_date, d.day, max(d.day) OVER w AS latest,
                    bool_and(d.is_known AND d.day IS NOT NULL) OVER w AS is_known
                FROM dated d WINDOW w AS (PARTITION BY d.patient)
            ), latest_of_modality AS (
                SELECT d.patient, x.modality, max(d.day) AS day FROM dated d JOIN series x ON x.study = d.id
                WHERE d.day IS NOT NULL GROUP BY d.patient, x.modality
            )
            SELECT v.id, v.birth_date, CASE WHEN v.is_known THEN v.latest END, bounded_texts(
                coalesce(string_agg('\' || m.modality, '' ORDER BY m.modality), '')
                    || CASE WHEN v.is_known THEN '' ELSE '\' END
            )
            FROM visits v LEFT JOIN latest_of_modality m ON m.patient = v.patient AND m.day > v.day
            GROUP BY v.id, v.birth_date, v.is_known, v.latest
        $$;

        -- Makes the rows of these studies again, and what the other studies of these patients have of them.
        CREATE FUNCTION collect_facts(studies_in bigint[], patients_in bigint[]) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            DELETE FROM study_facts f WHERE f.study = ANY (studies_in)
                AND NOT EXISTS (SELECT FROM studies t WHERE t.id = f.study);
            INSERT INTO study_facts AS f (study, received_at, byte_count, instance_count, study_date, birth_date,
                latest_visit, description, modalities, body_parts, stations, institutions, calling_aes, later_modalities)
            SELECT t.id, t.received_at, i.byte_count, i.instance_count, t.date, w.birth_date, w.latest_visit,
                t.description,
                bounded_texts(e.modalities), bounded_texts(e.body_parts), bounded_texts(e.stations),
                bounded_texts(e.institutions), bounded_texts(i.calling_aes), w.later_modalities
            FROM studies t JOIN patient_facts(patients_in) w ON w.of_study = t.id
                CROSS JOIN LATERAL (
                    SELECT coalesce(string_agg(DISTINCT '\' || x.modality, ''), '\') AS modalities,
                        coalesce(string_agg(DISTINCT '\' || x.body_part, ''), '\') AS body_parts,
                        coalesce(string_agg(DISTINCT '\' || x.station, ''), '\') AS stations,
                        coalesce(string_agg(DISTINCT '\' || x.institution, ''), '\') AS institutions
                    FROM series x WHERE x.study = t.id
                ) e
                CROSS JOIN LATERAL (
                    SELECT coalesce(sum(g.bytes), 0) AS byte_count, coalesce(sum(g.n), 0) AS instance_count,
                        coalesce(string_agg('\' || coalesce(m.text, ''), '' ORDER BY m.text), '\') AS calling_aes
                    FROM (
                        SELECT y.calling_ae, count(*) AS n, sum(y.received_bytes) AS bytes
                        FROM series x JOIN instances y ON y.series = x.id WHERE x.study = t.id GROUP BY y.calling_ae
                    ) g LEFT JOIN terms m ON m.id = g.calling_ae
                ) i
            WHERE t.id = ANY (studies_in)
            ON CONFLICT (study) DO UPDATE SET received_at = excluded.received_at, byte_count = excluded.byte_count,
                instance_count = excluded.instance_count, study_date = excluded.study_date,
                description = excluded.description, modalities = excluded.modalities, body_parts = excluded.body_parts,
                stations = excluded.stations, institutions = excluded.institutions, calling_aes = excluded.calling_aes,
                birth_date = excluded.birth_date, latest_visit = excluded.latest_visit,
                later_modalities = excluded.later_modalities;
            -- Of the patients' other studies those that it changes something for.
            UPDATE study_facts f SET birth_date = w.birth_date, latest_visit = w.latest_visit,
                later_modalities = w.later_modalities
            FROM patient_facts(patients_in) w
            WHERE f.study = w.of_study AND (f.birth_date, f.latest_visit, f.later_modalities)
                IS DISTINCT FROM (w.birth_date, w.latest_visit, w.later_modalities);
        END $$;

        -- Works off notes, the oldest first, and then what was there before there were notes: at most `most` of one of
        -- the two. How many it was; 0 when all facts are as the archive is.
        --
        -- By indexes whatever the statistics say: after much was entered they know nothing of it, and a plan that reads whole
        -- tables, or is compiled first, takes as long for each batch as for all.
        CREATE FUNCTION collect_some_facts(most integer) RETURNS integer LANGUAGE plpgsql
            SET enable_seqscan = off SET plan_cache_mode = force_custom_plan SET jit = off
        AS $$
        DECLARE
            notes bigint[];
            wanted bigint[];
            owners bigint[];
            begun bigint;
        BEGIN
            PERFORM pg_advisory_xact_lock(\#(collectingLock));
            SELECT array_agg(c.id), array_agg(DISTINCT c.study), array_agg(DISTINCT c.patient)
            INTO notes, wanted, owners
            FROM (SELECT * FROM lifecycle_changes ORDER BY id LIMIT most) c;
            IF notes IS NOT NULL THEN
                PERFORM collect_facts(wanted, owners);
                DELETE FROM lifecycle_changes c WHERE c.id = ANY (notes);
                RETURN cardinality(notes);
            END IF;
            SELECT s.collected_through INTO begun FROM lifecycle_state s WHERE NOT s.is_collected;
            IF NOT FOUND THEN
                RETURN 0;
            END IF;
            SELECT array_agg(t.id), array_agg(DISTINCT t.patient) INTO wanted, owners
            FROM (SELECT x.id, x.patient FROM studies x WHERE x.id > begun ORDER BY x.id LIMIT most) t;
            IF wanted IS NULL THEN
                UPDATE lifecycle_state SET is_collected = true;
                RETURN 0;
            END IF;
            PERFORM collect_facts(wanted, owners);
            UPDATE lifecycle_state SET collected_through = (SELECT max(w) FROM unnest(wanted) w);
            RETURN cardinality(wanted);
        END $$;

        """#

    /// One collects at a time.
    private static let collectingLock = "130160904267010"  // "varve" in ASCII, and 2

    private static let noting = #"""
        CREATE FUNCTION note_lifecycle_changes() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO lifecycle_changes (study, patient)
            SELECT DISTINCT t.id, t.patient FROM changed c JOIN series x ON x.id = c.series
                JOIN studies t ON t.id = x.study;
            RETURN NULL;
        END $$;
        CREATE TRIGGER note_entered AFTER INSERT ON instances REFERENCING NEW TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION note_lifecycle_changes();
        CREATE TRIGGER note_deleted AFTER DELETE ON instances REFERENCING OLD TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION note_lifecycle_changes();

        """#
}
