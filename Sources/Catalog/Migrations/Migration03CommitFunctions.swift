// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// The functions that enter a batch of instances, in one round trip and one transaction.
    ///
    /// Many clients run them at once, so locks are taken in one order everywhere: patients before studies before series
    /// before instances; within each, insertions before updates; within those, ascending by key. No two transactions
    /// can then wait for each other.
    static let commitFunctions = Migration(
        version: 3,
        name: "commit functions",
        sql: #"""
            CREATE TYPE new_patient AS (
                patient_id text, issuer text, scope text,
                name text, name_key text, ideographic_key text, phonetic_key text,
                birth_date date, sex text
            );
            CREATE TYPE new_study AS (
                patient_id text, issuer text, scope text,
                uid text, received_at bigint, date date, time text, accession text, study_id text,
                description text, referring text, referring_key text
            );
            CREATE TYPE new_series AS (
                study_uid text, uid text, number integer, date date, time text, modality text, description text,
                body_part text, station text, laterality text, institution text
            );
            CREATE TYPE new_instance AS (
                series bigint, study_uid text, series_uid text,  -- the UIDs when `series` is 0
                received_at bigint, received_bytes bigint, stored_bytes bigint,
                sop_class integer, received_syntax integer, stored_syntax integer, calling_ae integer,
                placement integer, number integer, rows integer, columns integer, frames integer,
                record uuid, uid text, content_digest bytea, pixel_digest bytea
            );

            -- The ids of texts, in no order; new ones are added.
            CREATE FUNCTION intern_terms(texts text[]) RETURNS TABLE (id integer, text text) LANGUAGE plpgsql AS $$
            #variable_conflict use_column
            BEGIN
                INSERT INTO terms (text)
                SELECT n.t FROM unnest(texts) AS n(t)
                WHERE NOT EXISTS (SELECT FROM terms x WHERE x.text = n.t)
                ORDER BY n.t COLLATE "C"
                ON CONFLICT DO NOTHING;
                RETURN QUERY SELECT x.id, x.text FROM terms x WHERE x.text = ANY (texts);
            END $$;

            -- The id of a set of nodes, all of which must be registered.
            CREATE FUNCTION intern_placement(ids uuid[]) RETURNS integer LANGUAGE plpgsql AS $$
            DECLARE
                sorted integer[];
                wanted integer;
                found integer;
            BEGIN
                SELECT count(DISTINCT n.id) INTO wanted FROM unnest(ids) AS n(id);
                SELECT coalesce(array_agg(x.id ORDER BY x.id), '{}') INTO sorted FROM nodes x WHERE x.node_id = ANY (ids);
                IF cardinality(sorted) <> wanted THEN
                    RAISE EXCEPTION 'a node is not registered' USING ERRCODE = 'VA001';
                END IF;
                SELECT p.id INTO found FROM placements p WHERE p.nodes = sorted;
                IF found IS NULL THEN
                    INSERT INTO placements (nodes, node_ids)
                    SELECT sorted, coalesce(array_agg(x.node_id ORDER BY x.node_id), '{}')
                    FROM nodes x WHERE x.id = ANY (sorted)
                    ON CONFLICT DO NOTHING;
                    SELECT p.id INTO found FROM placements p WHERE p.nodes = sorted;
                END IF;
                RETURN found;
            END $$;

            -- Enters instances, and the patients, studies and series above them that are given. Attributes of what is
            -- there already stay as they are, except that empty ones are filled.
            --
            -- entered: how many instances; the others' UIDs are taken, or their series (given by id) is gone.
            -- series_ids: the ids of `new_series`, in its order; 0 for one that was not needed.
            CREATE FUNCTION commit_instances(
                patients_in new_patient[], studies_in new_study[], series_in new_series[], instances_in new_instance[],
                OUT entered integer, OUT series_ids bigint[]
            ) LANGUAGE plpgsql AS $$
            DECLARE
                made_patients bigint[] := '{}';
                made_studies bigint[] := '{}';
                made_series bigint[] := '{}';
            BEGIN
                IF cardinality(series_in) > 0 THEN
                    -- A study keeps the patient it came with, so a patient is entered only with a new study.
                    WITH made AS (
                        INSERT INTO patients (patient_id, issuer, scope, name, name_key, ideographic_key, phonetic_key,
                            birth_date, sex)
                        SELECT n.* FROM unnest(patients_in) n
                        WHERE NOT EXISTS (
                            SELECT FROM patients x
                            WHERE (x.patient_id, x.issuer, x.scope) = (n.patient_id, n.issuer, n.scope))
                        AND EXISTS (
                            SELECT FROM unnest(studies_in) s
                            WHERE (s.patient_id, s.issuer, s.scope) = (n.patient_id, n.issuer, n.scope)
                            AND NOT EXISTS (SELECT FROM studies t WHERE t.uid = s.uid))
                        ORDER BY n.patient_id COLLATE "C", n.issuer COLLATE "C", n.scope COLLATE "C"
                        ON CONFLICT DO NOTHING
                        RETURNING id
                    ) SELECT coalesce(array_agg(id), '{}') INTO made_patients FROM made;

                    PERFORM FROM unnest(patients_in) n JOIN patients x
                        ON (x.patient_id, x.issuer, x.scope) = (n.patient_id, n.issuer, n.scope)
                    WHERE (x.name = '' AND n.name <> '') OR (x.sex = '' AND n.sex <> '')
                        OR (x.birth_date IS NULL AND n.birth_date IS NOT NULL)
                    ORDER BY x.patient_id, x.issuer, x.scope
                    FOR NO KEY UPDATE OF x;
                    IF FOUND THEN
                        UPDATE patients x SET
                            name = CASE WHEN x.name = '' THEN n.name ELSE x.name END,
                            name_key = CASE WHEN x.name = '' THEN n.name_key ELSE x.name_key END,
                            ideographic_key = CASE WHEN x.name = '' THEN n.ideographic_key ELSE x.ideographic_key END,
                            phonetic_key = CASE WHEN x.name = '' THEN n.phonetic_key ELSE x.phonetic_key END,
                            sex = CASE WHEN x.sex = '' THEN n.sex ELSE x.sex END,
                            birth_date = coalesce(x.birth_date, n.birth_date)
                        FROM unnest(patients_in) n
                        WHERE (x.patient_id, x.issuer, x.scope) = (n.patient_id, n.issuer, n.scope)
                        AND ((x.name = '' AND n.name <> '') OR (x.sex = '' AND n.sex <> '')
                            OR (x.birth_date IS NULL AND n.birth_date IS NOT NULL));
                    END IF;

                    WITH made AS (
                        INSERT INTO studies (patient, received_at, date, uid, time, accession, study_id, description,
                            referring, referring_key)
                        SELECT x.id, n.received_at, n.date, n.uid, n.time, n.accession, n.study_id, n.description,
                            n.referring, n.referring_key
                        FROM unnest(studies_in) n JOIN patients x
                            ON (x.patient_id, x.issuer, x.scope) = (n.patient_id, n.issuer, n.scope)
                        WHERE NOT EXISTS (SELECT FROM studies t WHERE t.uid = n.uid)
                        ORDER BY n.uid COLLATE "C"
                        ON CONFLICT DO NOTHING
                        RETURNING id
                    ) SELECT coalesce(array_agg(id), '{}') INTO made_studies FROM made;
                    IF cardinality(made_patients) > 0 AND cardinality(made_studies) < cardinality(studies_in) THEN
                        -- Another transaction entered a study with another patient in the meantime.
                        DELETE FROM patients p WHERE p.id = ANY (made_patients)
                            AND NOT EXISTS (SELECT FROM studies t WHERE t.patient = p.id);
                    END IF;

                    PERFORM FROM unnest(studies_in) n JOIN studies t ON t.uid = n.uid
                    WHERE (t.date IS NULL AND n.date IS NOT NULL) OR (t.time = '' AND n.time <> '')
                        OR (t.accession = '' AND n.accession <> '') OR (t.study_id = '' AND n.study_id <> '')
                        OR (t.description = '' AND n.description <> '') OR (t.referring = '' AND n.referring <> '')
                    ORDER BY t.uid
                    FOR NO KEY UPDATE OF t;
                    IF FOUND THEN
                        UPDATE studies t SET
                            date = coalesce(t.date, n.date),
                            time = CASE WHEN t.time = '' THEN n.time ELSE t.time END,
                            accession = CASE WHEN t.accession = '' THEN n.accession ELSE t.accession END,
                            study_id = CASE WHEN t.study_id = '' THEN n.study_id ELSE t.study_id END,
                            description = CASE WHEN t.description = '' THEN n.description ELSE t.description END,
                            referring = CASE WHEN t.referring = '' THEN n.referring ELSE t.referring END,
                            referring_key = CASE WHEN t.referring = '' THEN n.referring_key ELSE t.referring_key END
                        FROM unnest(studies_in) n
                        WHERE t.uid = n.uid
                        AND ((t.date IS NULL AND n.date IS NOT NULL) OR (t.time = '' AND n.time <> '')
                            OR (t.accession = '' AND n.accession <> '') OR (t.study_id = '' AND n.study_id <> '')
                            OR (t.description = '' AND n.description <> '')
                            OR (t.referring = '' AND n.referring <> ''));
                    END IF;

                    WITH made AS (
                        INSERT INTO series (study, number, date, uid, time, modality, description, body_part, station,
                            laterality, institution)
                        SELECT t.id, n.number, n.date, n.uid, n.time, n.modality, n.description, n.body_part,
                            n.station, n.laterality, n.institution
                        FROM unnest(series_in) n JOIN studies t ON t.uid = n.study_uid
                        WHERE NOT EXISTS (SELECT FROM series e WHERE e.uid = n.uid AND e.study = t.id)
                        ORDER BY n.uid COLLATE "C", t.id
                        ON CONFLICT DO NOTHING
                        RETURNING id
                    ) SELECT coalesce(array_agg(id), '{}') INTO made_series FROM made;

                    PERFORM FROM unnest(series_in) n JOIN studies t ON t.uid = n.study_uid
                        JOIN series e ON e.uid = n.uid AND e.study = t.id
                    WHERE (e.number IS NULL AND n.number IS NOT NULL) OR (e.date IS NULL AND n.date IS NOT NULL)
                        OR (e.time = '' AND n.time <> '') OR (e.modality = '' AND n.modality <> '')
                        OR (e.description = '' AND n.description <> '') OR (e.body_part = '' AND n.body_part <> '')
                        OR (e.station = '' AND n.station <> '') OR (e.laterality = '' AND n.laterality <> '')
                        OR (e.institution = '' AND n.institution <> '')
                    ORDER BY e.uid, e.study
                    FOR NO KEY UPDATE OF e;
                    IF FOUND THEN
                        UPDATE series e SET
                            number = coalesce(e.number, n.number),
                            date = coalesce(e.date, n.date),
                            time = CASE WHEN e.time = '' THEN n.time ELSE e.time END,
                            modality = CASE WHEN e.modality = '' THEN n.modality ELSE e.modality END,
                            description = CASE WHEN e.description = '' THEN n.description ELSE e.description END,
                            body_part = CASE WHEN e.body_part = '' THEN n.body_part ELSE e.body_part END,
                            station = CASE WHEN e.station = '' THEN n.station ELSE e.station END,
                            laterality = CASE WHEN e.laterality = '' THEN n.laterality ELSE e.laterality END,
                            institution = CASE WHEN e.institution = '' THEN n.institution ELSE e.institution END
                        FROM unnest(series_in) n JOIN studies t ON t.uid = n.study_uid
                        WHERE e.uid = n.uid AND e.study = t.id
                        AND ((e.number IS NULL AND n.number IS NOT NULL) OR (e.date IS NULL AND n.date IS NOT NULL)
                            OR (e.time = '' AND n.time <> '') OR (e.modality = '' AND n.modality <> '')
                            OR (e.description = '' AND n.description <> '')
                            OR (e.body_part = '' AND n.body_part <> '') OR (e.station = '' AND n.station <> '')
                            OR (e.laterality = '' AND n.laterality <> '')
                            OR (e.institution = '' AND n.institution <> ''));
                    END IF;
                END IF;

                INSERT INTO instances (series, received_at, received_bytes, stored_bytes, sop_class, received_syntax,
                    stored_syntax, calling_ae, placement, number, rows, columns, frames, record, uid, content_digest,
                    pixel_digest)
                SELECT e.id, n.received_at, n.received_bytes, n.stored_bytes, n.sop_class, n.received_syntax,
                    n.stored_syntax, n.calling_ae, n.placement, n.number, n.rows, n.columns, n.frames, n.record,
                    n.uid, n.content_digest, n.pixel_digest
                FROM unnest(instances_in) n CROSS JOIN LATERAL (
                    SELECT k.id FROM series k WHERE n.series <> 0 AND k.id = n.series
                    UNION ALL
                    SELECT k.id FROM studies t JOIN series k ON k.uid = n.series_uid AND k.study = t.id
                    WHERE n.series = 0 AND t.uid = n.study_uid
                ) e
                ORDER BY n.uid COLLATE "C"
                ON CONFLICT DO NOTHING;
                GET DIAGNOSTICS entered = ROW_COUNT;

                series_ids := '{}';
                IF entered < cardinality(instances_in) THEN
                    -- What this call made for instances that were then refused, nobody else has seen yet: away with it.
                    DELETE FROM series e WHERE e.id = ANY (made_series)
                        AND NOT EXISTS (SELECT FROM instances i WHERE i.series = e.id);
                    DELETE FROM studies t WHERE t.id = ANY (made_studies)
                        AND NOT EXISTS (SELECT FROM series e WHERE e.study = t.id);
                    DELETE FROM patients p WHERE p.id = ANY (made_patients)
                        AND NOT EXISTS (SELECT FROM studies t WHERE t.patient = p.id);
                END IF;
                IF cardinality(series_in) > 0 THEN
                    SELECT array_agg(coalesce(e.id, 0) ORDER BY n.position) INTO series_ids
                    FROM unnest(series_in) WITH ORDINALITY AS n(study_uid, uid, number, date, time, modality,
                            description, body_part, station, laterality, institution, position)
                        LEFT JOIN studies t ON t.uid = n.study_uid
                        LEFT JOIN series e ON e.uid = n.uid AND e.study = t.id;
                END IF;
            END $$;
            """#
    )
}
