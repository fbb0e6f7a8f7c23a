// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// Patients, studies, series, instances.
    ///
    /// Text compares by bytes (collation C), so that prefixes are index ranges and the order is the same on every
    /// server; columns ending in `_key` hold names folded for searching (`PersonNameKey`). No row carries a count of
    /// the rows below it, which all writers would fight for. An instance takes about 250 bytes and its index entries
    /// about 170, most of it the UID. Its row has no foreign keys: checking one costs a lookup and a lock for each
    /// instance, and the commit function finds the series' row anyway.
    static let imageTables = Migration(
        version: 2,
        name: "image tables",
        sql: #"""
            -- UIDs of SOP classes and transfer syntaxes, AE titles. A row never changes and is never removed.
            CREATE TABLE terms (
                id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                text text COLLATE "C" NOT NULL UNIQUE
            );

            CREATE TABLE patients (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                birth_date date,
                patient_id text COLLATE "C" NOT NULL,
                issuer text COLLATE "C" NOT NULL,
                -- Empty; the Study Instance UID for a patient without Patient ID, who is known in that study only.
                scope text COLLATE "C" NOT NULL,
                name text COLLATE "C" NOT NULL,
                name_key text COLLATE "C" NOT NULL,
                ideographic_key text COLLATE "C" NOT NULL,
                phonetic_key text COLLATE "C" NOT NULL,
                sex text COLLATE "C" NOT NULL,
                UNIQUE (patient_id, issuer, scope)
            );
            CREATE INDEX patients_by_name ON patients (name_key);
            CREATE INDEX patients_by_ideographic ON patients (ideographic_key) WHERE ideographic_key <> '';
            CREATE INDEX patients_by_phonetic ON patients (phonetic_key) WHERE phonetic_key <> '';
            CREATE INDEX patients_by_birth_date ON patients (birth_date);

            CREATE TABLE studies (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                patient bigint NOT NULL REFERENCES patients,
                received_at bigint NOT NULL,  -- milliseconds since 1970, of its first instance
                date date,
                uid text COLLATE "C" NOT NULL UNIQUE,
                time text COLLATE "C" NOT NULL,
                accession text COLLATE "C" NOT NULL,
                study_id text COLLATE "C" NOT NULL,
                description text COLLATE "C" NOT NULL,
                referring text COLLATE "C" NOT NULL,
                referring_key text COLLATE "C" NOT NULL
            );
            CREATE INDEX studies_by_patient ON studies (patient);
            CREATE INDEX studies_by_date ON studies (date DESC NULLS LAST, id DESC);
            CREATE INDEX studies_by_accession ON studies (accession) WHERE accession <> '';
            CREATE INDEX studies_by_study_id ON studies (study_id) WHERE study_id <> '';
            CREATE INDEX studies_by_referring ON studies (referring_key) WHERE referring_key <> '';

            -- The same Series Instance UID in two studies is a sender's fault, but not ours to refuse: two rows.
            CREATE TABLE series (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                study bigint NOT NULL REFERENCES studies,
                number integer,
                date date,
                uid text COLLATE "C" NOT NULL,
                time text COLLATE "C" NOT NULL,
                modality text COLLATE "C" NOT NULL,
                description text COLLATE "C" NOT NULL,
                body_part text COLLATE "C" NOT NULL,
                station text COLLATE "C" NOT NULL,
                laterality text COLLATE "C" NOT NULL,
                institution text COLLATE "C" NOT NULL,
                UNIQUE (uid, study)
            );
            CREATE INDEX series_by_study ON series (study, modality);
            CREATE INDEX series_by_modality ON series (modality, study);

            CREATE TABLE instances (
                series bigint NOT NULL,
                received_at bigint NOT NULL,  -- milliseconds since 1970
                received_bytes bigint NOT NULL,
                stored_bytes bigint NOT NULL,
                sop_class integer NOT NULL,
                received_syntax integer NOT NULL,
                stored_syntax integer NOT NULL,
                calling_ae integer NOT NULL,
                placement integer NOT NULL,
                number integer,
                rows integer,
                columns integer,
                frames integer,
                record uuid NOT NULL,
                uid text COLLATE "C" NOT NULL,
                content_digest bytea NOT NULL,
                pixel_digest bytea
            );
            ALTER TABLE instances ALTER content_digest SET STORAGE PLAIN, ALTER pixel_digest SET STORAGE PLAIN;
            CREATE UNIQUE INDEX instances_by_uid ON instances (uid);
            CREATE INDEX instances_by_series ON instances (series);
            CREATE INDEX instances_by_placement ON instances (placement);
            """#
    )
}
