// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// The words of names and how they sound, for fuzzy matching (`PersonNameKey.words`).
    ///
    /// NULL is for names that this program has not folded yet: those that were there before this step, and those a
    /// program before it enters. `Catalog.refoldNames` folds them and their keys in batches, because the folding is
    /// Swift's; until then they are found by their old keys. A step that changes the folding sets the columns to NULL.
    static let nameWords = Migration(
        version: 5,
        name: "name words",
        sql: #"""
            ALTER TABLE patients ADD name_words tsvector;
            ALTER TABLE studies ADD referring_words tsvector;
            CREATE INDEX patients_by_words ON patients USING gin (name_words);
            CREATE INDEX studies_by_referring_words ON studies USING gin (referring_words);
            CREATE INDEX patients_not_folded ON patients (id) WHERE name_words IS NULL;
            CREATE INDEX studies_not_folded ON studies (id) WHERE referring_words IS NULL;

            CREATE FUNCTION words_of(words text) RETURNS tsvector LANGUAGE sql IMMUTABLE AS $$
                SELECT array_to_tsvector(array_remove(string_to_array(words, ' '), ''));
            $$;

            -- A name that an empty one is filled with has other words; a program before this step does not say which.
            CREATE FUNCTION forget_words() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF TG_TABLE_NAME = 'patients' THEN NEW.name_words := NULL; ELSE NEW.referring_words := NULL; END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER forget_words BEFORE UPDATE OF name ON patients FOR EACH ROW
                WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION forget_words();
            CREATE TRIGGER forget_words BEFORE UPDATE OF referring ON studies FOR EACH ROW
                WHEN (OLD.referring <> NEW.referring) EXECUTE FUNCTION forget_words();

            -- As commit_instances before it, which programs before this step still call, and enters the words of the
            -- names: `patient_words` and `study_words` are in the order of `patients_in` and `studies_in`.
            --
            -- What another transaction holds is left for refoldNames: rows are locked here last, and must not be
            -- waited for.
            CREATE FUNCTION commit_instances(
                patients_in new_patient[], patient_words text[], studies_in new_study[], study_words text[],
                series_in new_series[], instances_in new_instance[],
                OUT entered integer, OUT series_ids bigint[]
            ) LANGUAGE plpgsql AS $$
            BEGIN
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
    )
}
