// SPDX-License-Identifier: Apache-2.0

import Lifecycle
import NIOCore

/// What rules decide by, of all studies (docs/decisions/0058-plans-from-the-catalog.md).
extension Catalog {
    /// Studies of one page of facts at most.
    public static let maximumFactsPageCount = 50_000
    /// Notes or studies of which facts are collected in one transaction.
    private static let collectedAtOnce: Int32 = 500

    /// Brings the facts up to date with some of what came and went; false when nothing is left to do.
    ///
    /// Any process may ask for it at any time; each call takes some hundred milliseconds at most, but for patients with very many
    /// studies.
    public func collectFacts() async throws(CatalogError) -> Bool {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let count = try connection.query(FactStatements.collect, [.int4(Self.collectedAtOnce)], deadline: deadline)
                .first?.int(0)
            return (count ?? 0) > 0
        }
    }

    /// The last study in the order of the catalog of which facts are collected; 0 when there is none.
    public func lastStudyWithFacts() async throws(CatalogError) -> Int64 {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            Int64(try connection.query(FactStatements.last, [], deadline: deadline).first?.int(0) ?? 0)
        }
    }

    /// The facts of the studies after one (0: from the first) up to another, as they were last collected, and who holds,
    /// read and marked them until now.
    public func studyFacts(
        after study: Int64,
        through last: Int64 = .max,
        limit: Int = Catalog.maximumFactsPageCount
    ) async throws(CatalogError) -> StudyFactsPage {
        let limit = min(max(1, limit), Self.maximumFactsPageCount)
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try Self.readFacts(
                FactStatements.page,
                [.int8(study), .int8(last), .int4(Int32(limit))],
                limit: limit,
                connection,
                deadline
            )
        }
    }

    /// The facts of these studies, in their order in the catalog; without those that are gone.
    public func studyFacts(of studies: [Int64]) async throws(CatalogError) -> [StudyFactsRow] {
        guard !studies.isEmpty else { return [] }
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let chosen: [PostgresValue] = [.int8s(studies)]
            return try Self.readFacts(
                FactStatements.ofStudies,
                chosen,
                limit: studies.count + 1,
                others: (FactStatements.accessesOf, FactStatements.tagsOf, FactStatements.heldOf, chosen),
                connection,
                deadline
            ).rows
        }
    }

    /// The facts of a study; nil when there is no such study, or when they are not collected yet.
    public func studyFacts(ofStudy uid: String) async throws(CatalogError) -> StudyFactsRow? {
        let parameters: [PostgresValue] = [.text(StoredText.clean(uid))]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try Self.readFacts(FactStatements.ofStudy, parameters, limit: 2, connection, deadline).rows.first
        }
    }

    /// The Study Instance UIDs of studies; those that are gone are left out.
    public func studyUIDs(_ studies: [Int64]) async throws(CatalogError) -> [Int64: String] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            var found: [Int64: String] = [:]
            for row in try connection.query(FactStatements.uids, [.int8s(studies)], deadline: deadline).rows {
                if let study = row.int(0) { found[Int64(study)] = row.text(1) }
            }
            return found
        }
    }

    private static func readFacts(
        _ statement: PreparedStatement,
        _ parameters: [PostgresValue],
        limit: Int,
        others: (
            accesses: PreparedStatement, tags: PreparedStatement, held: PreparedStatement, values: [PostgresValue]
        )? = nil,
        _ connection: PostgresConnection,
        _ deadline: NIODeadline
    ) throws(PostgresFailure) -> StudyFactsPage {
        let result = try connection.query(statement, parameters, deadline: deadline)
        let rows = Array(result.rows)
        guard let first = rows.first?.int(0), let last = rows.last?.int(0) else {
            return StudyFactsPage(rows: [], next: nil)
        }
        // Few studies have any of these, and so they are asked for by themselves.
        let range: [PostgresValue] = others?.values ?? [.int8(Int64(first)), .int8(Int64(last))]
        var accessed: [Int64: Int64] = [:]
        for row in try connection.query(others?.accesses ?? FactStatements.accesses, range, deadline: deadline).rows {
            if let study = row.int(0), let time = row.int(1) { accessed[Int64(study)] = Int64(time) }
        }
        var tags: [Int64: [String]] = [:]
        for row in try connection.query(others?.tags ?? FactStatements.tags, range, deadline: deadline).rows {
            if let study = row.int(0) { tags[Int64(study), default: []].append(row.text(1)) }
        }
        // The last, so that a hold placed meanwhile counts.
        var held: Set<Int64> = []
        for row in try connection.query(others?.held ?? FactStatements.held, range, deadline: deadline).rows {
            if let study = row.int(0) { held.insert(Int64(study)) }
        }
        let since = try connection.query(FactStatements.accessNotedSince, [], deadline: deadline).first?.int(0)
        var reader = StudyFactsReader(accessNotedSince: Int64(since ?? 0))
        var found: [StudyFactsRow] = []
        found.reserveCapacity(rows.count)
        for row in rows {
            guard let study = row.int(0).map(Int64.init) else { continue }
            found.append(
                StudyFactsRow(
                    study: study,
                    facts: reader.facts(
                        row,
                        accessed: accessed[study],
                        tags: tags[study] ?? [],
                        isHeld: held.contains(study)
                    )
                )
            )
        }
        return StudyFactsPage(rows: found, next: rows.count < limit ? nil : Int64(last))
    }
}

/// What is asked about facts.
enum FactStatements {
    static let collect = PreparedStatement("collect_some_facts", "SELECT collect_some_facts($1)")

    private static let columns = """
        study, received_at, byte_count, instance_count, study_date, birth_date, latest_visit, description, modalities,
            body_parts, stations, institutions, calling_aes, later_modalities
        """

    static let page = PreparedStatement(
        "facts_page",
        """
        SELECT \(columns) FROM study_facts WHERE study > $1::int8 AND study <= $2::int8
        ORDER BY study LIMIT $3::int4
        """
    )

    static let ofStudy = PreparedStatement(
        "facts_of_study",
        "SELECT \(columns) FROM study_facts WHERE study = (SELECT id FROM studies WHERE uid = $1::text)"
    )

    static let ofStudies = PreparedStatement(
        "facts_of_studies",
        "SELECT \(columns) FROM study_facts WHERE study = ANY ($1::int8[]) ORDER BY study"
    )

    static let accessesOf = PreparedStatement(
        "facts_accesses_of",
        "SELECT study, accessed_at FROM study_access WHERE study = ANY ($1::int8[])"
    )

    static let tagsOf = PreparedStatement(
        "facts_tags_of",
        "SELECT study, tag FROM study_tags WHERE study = ANY ($1::int8[])"
    )

    static let heldOf = PreparedStatement(
        "facts_held_of",
        "SELECT DISTINCT study FROM held_now WHERE study = ANY ($1::int8[])"
    )

    static let last = PreparedStatement("last_study_with_facts", "SELECT max(study) FROM study_facts")

    static let uids = PreparedStatement(
        "uids_of_studies",
        "SELECT id, uid FROM studies WHERE id = ANY ($1::int8[])"
    )

    static let accesses = PreparedStatement(
        "facts_accesses",
        "SELECT study, accessed_at FROM study_access WHERE study BETWEEN $1::int8 AND $2::int8"
    )

    static let tags = PreparedStatement(
        "facts_tags",
        "SELECT study, tag FROM study_tags WHERE study BETWEEN $1::int8 AND $2::int8"
    )

    static let held = PreparedStatement(
        "facts_held",
        "SELECT DISTINCT study FROM held_now WHERE study BETWEEN $1::int8 AND $2::int8"
    )

    static let accessNotedSince = PreparedStatement(
        "access_noted_since",
        "SELECT (extract(epoch FROM access_noted_since) * 1000)::int8 FROM lifecycle_state"
    )
}
