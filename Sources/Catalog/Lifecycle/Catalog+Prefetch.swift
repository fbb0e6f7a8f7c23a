// SPDX-License-Identifier: Apache-2.0

public import Placement

/// A patient's earlier studies that are to come back when a new one arrives.
extension Catalog {
    /// Those of `studies` whose priors were not looked for yet.
    public func studiesNotPrefetched(_ studies: [Int64]) async throws(CatalogError) -> [Int64] {
        guard !studies.isEmpty else { return [] }
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.notPrefetched, [.int8s(studies)], deadline: deadline).rows
                .compactMap { $0.int(0).map(Int64.init) }
        }
    }

    /// Notes that the priors of studies were looked for.
    ///
    /// Safe to repeat.
    public func notePrefetched(_ studies: [Int64], term: Term) async throws(CatalogError) {
        guard !studies.isEmpty else { return }
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.notePrefetched, [.term(term), .int8s(studies)], deadline: deadline).rowCount
        }
    }

    /// The other studies of a study's patient that are in packs only, with something of them: their Study Instance UIDs.
    public func coldPriors(ofStudy study: Int64) async throws(CatalogError) -> [Int64: String] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            var found: [Int64: String] = [:]
            for row in try connection.query(Self.coldPriors, [.int8(study)], deadline: deadline).rows {
                if let number = row.int(0) { found[Int64(number)] = row.text(1) }
            }
            return found
        }
    }

    private static let notPrefetched = PreparedStatement(
        "studies_not_prefetched",
        """
        SELECT s.study FROM unnest($1::int8[]) s(study)
        WHERE NOT EXISTS (SELECT FROM prefetched_studies p WHERE p.study = s.study)
        """
    )

    private static let notePrefetched = PreparedStatement("note_prefetched", "SELECT note_prefetched($1, $2)")

    private static let coldPriors = PreparedStatement(
        "cold_priors",
        "SELECT found_study, found_uid FROM cold_priors($1)"
    )
}
