// SPDX-License-Identifier: Apache-2.0

import Catalog
import Testing

/// Searching by names.
@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct NameTests {
    private static let names = [
        "Müller-Lüdenscheidt^Jürgen", "Mueller^Juergen", "Miller^Jane", "O'Brien^Seán", "Yamada^Tarou=山田^太郎=ﾔﾏﾀﾞ^ﾀﾛｳ",
        "DOE, JOHN", "Manuel^Samuel", "Smith^Mary Ann^^DR", "Иванова^Алёна", "Doe",
    ]

    /// Ten studies, each of a patient of `names`, by position.
    private static func with(_ body: (CatalogFixture) async throws -> Void) async throws {
        try await CatalogFixture.with { fixture in
            for (index, name) in names.enumerated() {
                var entry = InstanceEntry.sample(study: "\(index)", patientID: "N\(index)")
                entry.patient.name = name
                entry.study.referringPhysicianName = index == 0 ? "Schmidt-Rottluff^Karl" : ""
                _ = try await fixture.catalog.commit(entry)
            }
            try await body(fixture)
        }
    }

    private static func found(
        _ fixture: CatalogFixture,
        _ value: String,
        isFuzzy: Bool = false,
        key: CatalogKey = .patientName
    ) async throws -> [Int] {
        let hasWildcard = value.contains("*") || value.contains("?")
        let match = CatalogMatch(key, hasWildcard ? .wildcard(value) : .single(value))
        return try await fixture.catalog.studies(CatalogQuery(matches: [match], isFuzzy: isFuzzy))
            .compactMap { $0.studyInstanceUID.split(separator: ".").last.flatMap { Int($0) } }.sorted()
    }

    @Test func `spelling, width and punctuation do not hide a patient, and nobody else is found`() async throws {
        try await Self.with { fixture in
            let cases: [(String, [Int])] = [
                ("Müller Lüdenscheidt^Jürgen", [0]), ("MULLER-LUDENSCHEIDT^JURGEN", [0]), ("Muller*", [0]),
                ("mu\u{308}ller*", [0]), ("M?ller*", [0, 2]), ("Muller", []), ("Mueller*", [1]), ("M*ller^*", [1, 2]),
                ("OBrien^Sean", [3]), ("o’brien^se?n", [3]), ("O'B*", [3]),
                ("ＹＡＭＡＤＡ^Tarou", [4]), ("やまだ^たろう", [4]), ("ヤマダ^*", [4]), ("ﾔﾏﾀﾞ*", [4]), ("やま??たろう", [4]),
                ("==ヤマダ^タロウ", [4]), ("=ヤマダ*", []), ("山田*", [4]),
                ("DOE^JOHN", [5]), ("Doe, John", [5]), ("doe,j*", [5]), ("DOE^*", [5, 9]), ("DOE^J*", [5]),
                ("DOE", [9]),
                ("Samul*", []), ("Manul*", []), ("Smith^Mary  Ann^^Dr.", [7]), ("Smith^Mary Ann", []),
                ("ИВАНОВА^АЛЕНА", [8]), ("Smyth*", []), ("Jurgen*", []),
                // What SQL and text search take for special.
                ("M%", []), ("_*", []), ("' & '", []), ("\\*", []),
            ]
            for (value, expected) in cases {
                let found = try await Self.found(fixture, value)
                #expect(found == expected, "\(value)")
            }
        }
    }

    @Test func `fuzzy matching finds words that begin or sound alike, in any order`() async throws {
        try await Self.with { fixture in
            let cases: [(String, [Int])] = [
                ("Müller", [0, 1, 2]), ("Mueller^Jürgen", [0, 1]), ("Jurgen Muller", [0, 1]), ("Ludenscheid", [0]),
                ("Lüd*", [0]), ("mull*", [0]), ("mil", [2]), ("Smyth^Marie", [7]), ("Ann Schmitt", [7]),
                ("Obrian^Shawn", [3]), ("Obrian", [3]), ("Jon Do", [5]), ("John^Doe", [5]), ("Doe", [5, 9]),
                ("Yamda", [4]), ("Yamara", []), ("たろう", [4]), ("ヤマダ", [4]), ("山田", [4]), ("山", [4]), ("Алена", [8]),
                ("Smith^Jane", []),
                // With other wildcards than at a word's end: literally.
                ("M?ller*", [0, 2]), ("*Jane", [2]), ("J?ne", []),
                // Nothing to look for matches everything; what text search takes for special is literal.
                ("^^", Array(0...9)), ("*", Array(0...9)), ("' & '", []), ("a' | 'b", []), ("\\", []), (":* | Doe", []),
                ("!", []),
            ]
            for (value, expected) in cases {
                let found = try await Self.found(fixture, value, isFuzzy: true)
                #expect(found == expected, "\(value)")
            }
            #expect(try await Self.found(fixture, "Smith", isFuzzy: true, key: .referringPhysicianName) == [0])
            #expect(try await Self.found(fixture, "Smith", key: .referringPhysicianName) == [])
        }
    }

    @Test func `fuzzy matching finds whatever matching a whole name finds`() async throws {
        try await Self.with { fixture in
            for name in Self.names where !name.contains("=") {
                let exact = try await Self.found(fixture, name)
                #expect(!exact.isEmpty, "\(name)")
                #expect(Set(exact).isSubset(of: try await Self.found(fixture, name, isFuzzy: true)), "\(name)")
            }
        }
    }

    @Test func `names come back as they were stored`() async throws {
        try await Self.with { fixture in
            let rows = try await fixture.catalog.studies(CatalogQuery())
            #expect(Set(rows.map(\.patient.name)) == Set(Self.names))
        }
    }

    @Test func `a name that comes later is found, also when an older program enters it`() async throws {
        try await CatalogFixture.with { fixture in
            for (study, name) in [("1", ""), ("2", "Müller^Jane")] {
                var entry = InstanceEntry.sample(study: study)
                entry.patient.name = name
                _ = try await fixture.catalog.commit(entry)
            }
            #expect(try await Self.found(fixture, "Miller", isFuzzy: true) == [1, 2])
            // As the program before migration 5 fills an empty name.
            _ = try fixture.sql("UPDATE patients SET name = '', name_key = '', name_words = ''")
            _ = try fixture.sql("UPDATE patients SET name = 'Öz^Ä', name_key = 'ÖZ^Ä'")
            #expect(try await fixture.catalog.refoldNames(limit: 10) == 1)
            #expect(try await Self.found(fixture, "oz*") == [1, 2])
            #expect(try await Self.found(fixture, "oz", isFuzzy: true) == [1, 2])
        }
    }

    @Test func `the program before still enters instances, and its names are folded later`() async throws {
        try await CatalogFixture.with { fixture in
            _ = try fixture.sql(
                """
                SELECT intern_terms('{a}'), intern_placement('{}');
                SELECT commit_instances(
                    ARRAY[('P', '', '', 'Müller^X', 'MÜLLER^X', '', '', NULL, 'F')::new_patient],
                    ARRAY[('P', '', '', '1.2.7', 0, NULL, '', '', '', '', 'Öz', 'ÖZ')::new_study],
                    ARRAY[('1.2.7', '1.2.7.1', 1, NULL, '', 'CT', '', '', '', '', '')::new_series],
                    ARRAY[(0, '1.2.7', '1.2.7.1', 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, gen_random_uuid(), '1.2.7.1.1',
                        '\\x00', NULL)::new_instance]);
                """
            )
            #expect(try await Self.found(fixture, "muller^x") == [])
            #expect(try await fixture.catalog.refoldNames(limit: 10) == 2)
            #expect(try await fixture.catalog.refoldNames(limit: 10) == 0)
            #expect(try await Self.found(fixture, "muller^x") == [7])
            #expect(try await Self.found(fixture, "Miller", isFuzzy: true) == [7])
            #expect(try await Self.found(fixture, "oz", key: .referringPhysicianName) == [7])
        }
    }

    /// As migration 4 left it, with `count` patients and studies.
    private static func before(_ count: Int) -> String {
        """
        DROP INDEX instances_by_record;
        DROP FUNCTION commit_instances(new_patient[], text[], new_study[], text[], new_series[], new_instance[]);
        DROP FUNCTION words_of(text);
        DROP TRIGGER forget_words ON patients;
        DROP TRIGGER forget_words ON studies;
        DROP FUNCTION forget_words();
        ALTER TABLE patients DROP name_words;
        ALTER TABLE studies DROP referring_words;
        DELETE FROM schema_migrations WHERE version IN (5, 6);
        INSERT INTO patients (patient_id, issuer, scope, name, name_key, ideographic_key, phonetic_key, sex)
        SELECT 'P' || n, '', '', 'Müller-' || n || '^É=山=ヤ', 'MÜLLER-' || n || '^É', '山', 'ヤ', ''
        FROM generate_series(1, \(count)) n;
        INSERT INTO studies (patient, received_at, uid, time, accession, study_id, description, referring, referring_key)
        SELECT id, 0, '1.2.' || id, '', '', '', '', 'Öz', 'ÖZ' FROM patients;
        """
    }

    @Test func `names from before are folded in batches, beside transactions that hold some`() async throws {
        try await CatalogFixture.with { fixture in
            _ = try fixture.sql(Self.before(250))
            #expect(try await fixture.catalog.migrate() == [5, 6])
            var batches: [Int] = []
            while true {
                let count = try await fixture.catalog.refoldNames(limit: 100)
                if count == 0 { break }
                batches.append(count)
            }
            #expect(batches == [200, 200, 100])
            #expect(
                try fixture.sql(
                    "SELECT name, name_key, ideographic_key, phonetic_key FROM patients WHERE patient_id = 'P7'"
                )
                    == ["Müller-7^É=山=ヤ|MULLER 7^E|山|や"]
            )
            #expect(try await Self.found(fixture, "muller 7^e").count == 1)
            #expect(try await Self.found(fixture, "Miller 7", isFuzzy: true).count >= 1)
            #expect(try fixture.sql("SELECT DISTINCT referring, referring_key FROM studies") == ["Öz|OZ"])
        }
    }

    @Test func `many at once fold the same names without waiting for each other in a circle`() async throws {
        try await CatalogFixture.with { fixture in
            _ = try fixture.sql(Self.before(300))
            _ = try await fixture.catalog.migrate()
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for worker in 0..<4 {
                    tasks.addTask {
                        if worker == 3 {
                            // New studies of the same patients meanwhile.
                            for number in 1...40 {
                                let entry = InstanceEntry.sample(study: "5.\(number)", patientID: "P\(41 - number)")
                                let outcome = try await fixture.catalog.commit(entry)
                                #expect(outcome == .committed)
                            }
                        } else {
                            while try await fixture.catalog.refoldNames(limit: 50) > 0 {}
                        }
                    }
                }
                try await tasks.waitForAll()
            }
            while try await fixture.catalog.refoldNames(limit: 1000) > 0 {}
            #expect(try fixture.sql("SELECT count(*) FROM patients WHERE name_words IS NULL") == ["0"])
            #expect(try fixture.sql("SELECT count(*) FROM patients WHERE name_key LIKE 'MULLER%'") == ["300"])
        }
    }
}
