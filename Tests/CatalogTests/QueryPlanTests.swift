// SPDX-License-Identifier: Apache-2.0

import Catalog
import Foundation
import Testing

/// The common questions must stay index scans when the archive has grown: 50,000 studies, 100,000 series.
@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct QueryPlanTests {
    private static let archive = """
        INSERT INTO terms (text) VALUES ('1.2.840.10008.5.1.4.1.1.2'), ('AE');
        INSERT INTO placements (nodes, node_ids) VALUES ('{1}', '{}');
        INSERT INTO patients (patient_id, issuer, scope, name, name_key, ideographic_key, phonetic_key, birth_date, sex,
            name_words)
        SELECT 'P' || n, '', '', 'N' || n || '^X', 'N' || n || '^X', '', '', date '1950-01-01' + n % 20000, 'F',
            words_of('N' || n || ' m' || n % 1000)
        FROM generate_series(1, 25000) n;
        INSERT INTO studies (patient, received_at, date, uid, time, accession, study_id, description, referring,
            referring_key, referring_words)
        SELECT 1 + n % 25000, n, date '2015-01-01' + n / 20, '1.2.3.' || n, '10', 'A' || n, 'S' || n, 'CT', 'R' || n % 500,
            'R' || n % 500, words_of('R' || n % 500 || ' r')
        FROM generate_series(1, 50000) n;
        INSERT INTO series (study, number, uid, time, modality, description, body_part, station, laterality, institution)
        SELECT 1 + n % 50000, 1, '1.2.3.' || n % 50000 || '.' || n, '', CASE WHEN n % 1000 = 0 THEN 'RARE' ELSE 'CT' END,
            '', '', '', '', ''
        FROM generate_series(1, 100000) n;
        INSERT INTO instances (series, received_at, received_bytes, stored_bytes, sop_class, received_syntax,
            stored_syntax, calling_ae, placement, record, uid, content_digest)
        SELECT n, 0, 1, 1, 1, 1, 1, 2, 1, gen_random_uuid(), '1.2.3.4.' || n, ''
        FROM generate_series(1, 100000) n;
        ANALYZE;
        """

    @Test func `no common question reads a whole table`() async throws {
        try await CatalogFixture.with { fixture in
            _ = try fixture.sql(Self.archive)
            let study: (CatalogKey, CatalogMatch.Condition, String) -> (CatalogLevel, [CatalogMatch], String) = {
                (.study, [CatalogMatch($0, $1)], $2)
            }
            // Each question, and the index that must begin to answer it.
            let questions: [(CatalogLevel, [CatalogMatch], String)] = [
                (.study, [], "studies_by_date"),
                study(.patientID, .single("P77"), "patients_patient_id_issuer_scope_key"),
                study(.patientID, .wildcard("P777*"), "patients_patient_id_issuer_scope_key"),
                study(.patientName, .wildcard("N123*"), "patients_by_name"),
                study(.patientName, .single("N123^X"), "patients_by_name"),
                study(.patientName, .wildcard("N123^*"), "patients_by_name"),
                study(.patientBirthDate, .single("19500503"), "patients_by_birth_date"),
                study(.studyDate, .single("20160101"), "studies_by_date"),
                study(.studyDate, .range(from: "20160101", to: "20160107"), "studies_by_date"),
                study(.studyDate, .range(from: "20200101", to: nil), "studies_by_date"),
                study(.accessionNumber, .single("A4711"), "studies_by_accession"),
                study(.accessionNumber, .wildcard("A4711*"), "studies_by_accession"),
                study(.studyID, .single("S4711"), "studies_by_study_id"),
                study(.referringPhysicianName, .single("R7"), "studies_by_referring"),
                study(.studyInstanceUID, .single("1.2.3.99"), "studies_uid_key"),
                study(.studyInstanceUID, .list((1...200).map { "1.2.3.\($0)" }), "studies_uid_key"),
                study(.modalitiesInStudy, .single("CT"), "studies_by_date"),
                study(.modalitiesInStudy, .single("RARE"), "series_by_modality"),
                (
                    .study,
                    [
                        CatalogMatch(.modalitiesInStudy, .single("CT")),
                        CatalogMatch(.studyDate, .range(from: "20170101", to: "20170102")),
                    ], "studies_by_date"
                ),
                (.series, [CatalogMatch(.studyInstanceUID, .single("1.2.3.99"))], "studies_uid_key"),
                (.series, [CatalogMatch(.seriesInstanceUID, .single("1.2.3.99.99"))], "series_uid_study_key"),
                (.series, [], "series_pkey"),
                (.series, [CatalogMatch(.modality, .single("RARE"))], "series_by_modality"),
                (.instance, [CatalogMatch(.studyInstanceUID, .single("1.2.3.99"))], "studies_uid_key"),
                (.instance, [CatalogMatch(.sopInstanceUID, .single("1.2.3.4.5"))], "instances_by_uid_key"),
                (
                    .instance, [CatalogMatch(.sopInstanceUID, .list(["1.2.3.4.5", "1.2.3.4.6"]))],
                    "instances_by_uid_key"
                ),
                (.instance, [], "instances_by_record"),
            ]
            for (level, matches, index) in questions {
                let plan = try await fixture.catalog.plan(CatalogQuery(matches: matches, limit: 100), level: level)
                for table in ["patients", "studies", "series", "instances"] {
                    #expect(!plan.contains("Seq Scan on \(table)"), "\(matches)\n\(plan)")
                }
                // The page is found in the part up to its limit.
                let page = plan[(plan.range(of: "Limit")?.lowerBound ?? plan.startIndex)...]
                #expect(page.contains(index), "\(matches)\n\(plan)")
            }
            let fuzzy = CatalogQuery(matches: [CatalogMatch(.patientName, .single("N4711"))], isFuzzy: true)
            let plan = try await fixture.catalog.plan(fuzzy, level: .study)
            #expect(plan.contains("patients_by_words") && !plan.contains("Seq Scan on patients"), "\(plan)")
        }
    }
}
