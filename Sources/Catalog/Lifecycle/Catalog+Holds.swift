// SPDX-License-Identifier: Apache-2.0

/// Legal holds: who wants what not to be deleted, and why. They stay when they are released.
extension Catalog {
    /// Studies that one hold names at most; a patient's are not counted.
    public static let maximumHeldStudyCount = 100_000

    /// Places a hold; its number, nil when one of the studies is not in the catalog.
    ///
    /// Throws `.invalid` for no study or too many, and for an empty Patient ID. After `.outcomeUnknown` it may be there, and is there twice
    /// when it is placed again: that holds no less.
    public func placeHold(
        on subject: HoldSubject,
        name: String,
        reason: String,
        placedBy client: String
    ) async throws(CatalogError) -> Int64? {
        let (studies, patient, issuer, query) = try Self.parameters(of: subject)
        let values: [PostgresValue] = [
            .text(StoredText.clean(name)), .text(StoredText.clean(reason)), .text(StoredText.clean(client)),
            .texts(studies), .text(patient), .text(issuer), .text(query),
        ]
        let number = try await perform(.once) { connection, deadline throws(PostgresFailure) in
            try connection.query(HoldStatements.place, values, deadline: deadline).first?.int(0)
        }
        return number.flatMap { $0 > 0 ? Int64($0) : nil }
    }

    /// Releases a hold; false when there is none of that number in force.
    public func releaseHold(
        _ number: Int64,
        reason: String,
        releasedBy client: String
    ) async throws(CatalogError) -> Bool {
        let values: [PostgresValue] = [
            .int8(number), .text(StoredText.clean(client)), .text(StoredText.clean(reason)),
        ]
        return try await perform(.once) { connection, deadline throws(PostgresFailure) in
            try connection.query(HoldStatements.release, values, deadline: deadline).changedRowCount > 0
        }
    }

    /// Holds, the last first: those in force, or with `all` those that were released, too; at most `limit`.
    public func holds(all: Bool = false, limit: Int) async throws(CatalogError) -> [Hold] {
        let values: [PostgresValue] = [.bool(all), .int4(Int32(clamping: limit))]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(HoldStatements.list, values, deadline: deadline).rows.map { Hold(row: $0) }
        }
    }

    /// A hold by its number, whether it is in force or not.
    public func hold(_ number: Int64) async throws(CatalogError) -> Hold? {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(HoldStatements.byNumber, [.int8(number)], deadline: deadline).first
                .map { Hold(row: $0) }
        }
    }

    /// The holds in force that hold a study.
    public func holds(onStudy uid: String) async throws(CatalogError) -> [Hold] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(HoldStatements.ofStudy, [.text(StoredText.clean(uid))], deadline: deadline).rows
                .map { Hold(row: $0) }
        }
    }

    /// What says that a hold is in the way of a deletion.
    func heldError(_ number: Int64) async -> CatalogError {
        let name: String?
        do throws(CatalogError) {
            name = try await hold(number)?.name
        } catch {
            // The hold is in the way all the same; only what people call it is not known now.
            name = nil
        }
        return CatalogError(
            .held,
            "the study is under legal hold \(number)\(name.map { " ('\($0)')" } ?? ""): nothing of it is deleted until "
                + "that is released"
        )
    }

    private static func parameters(
        of subject: HoldSubject
    ) throws(CatalogError) -> (studies: [String], patient: String, issuer: String, query: String) {
        switch subject {
        case .studies(let uids, let query):
            guard !uids.isEmpty, uids.count <= maximumHeldStudyCount else {
                throw CatalogError(
                    .invalid,
                    "a hold names 1 to \(maximumHeldStudyCount) studies, not \(uids.count); place several"
                )
            }
            return (uids.map(StoredText.clean), "", "", StoredText.clean(query))
        case .patient(let id, let issuer):
            let id = StoredText.clean(id)
            guard !id.isEmpty else { throw CatalogError(.invalid, "a Patient ID must be given") }
            return ([], id, StoredText.clean(issuer ?? ""), "")
        }
    }
}

private enum HoldStatements {
    static let place = PreparedStatement("place_hold", "SELECT place_hold($1, $2, $3, $4, $5, $6, $7)")

    static let release = PreparedStatement(
        "release_hold",
        """
        UPDATE holds SET released_at = now(), released_by = $2::text, release_reason = $3::text
        WHERE id = $1::int8 AND released_at IS NULL
        """
    )

    private static let columns = """
        h.id, h.name, h.reason, h.placed_by, (extract(epoch FROM h.placed_at) * 1000)::int8, h.patient_id, h.issuer,
            h.query,
            CASE WHEN h.patient_id = '' THEN (SELECT count(*) FROM held_studies s WHERE s.hold = h.id)
                ELSE (SELECT count(*) FROM patients p JOIN studies t ON t.patient = p.id
                    WHERE p.patient_id = h.patient_id AND (h.issuer = '' OR h.issuer = p.issuer)) END,
            coalesce((SELECT min(s.study_uid) FROM held_studies s WHERE s.hold = h.id), ''),
            (extract(epoch FROM h.released_at) * 1000)::int8, h.released_by, h.release_reason,
            (SELECT count(*) FROM hold_changes c WHERE c.hold = h.id)
                + (SELECT count(*) FROM node_holds n WHERE n.hold = h.id AND (n.done_at IS NULL
                    OR (n.is_held AND EXISTS (SELECT FROM hold_arrivals a WHERE a.study_uid = n.study_uid))))
        """

    static let list = PreparedStatement(
        "holds",
        """
        SELECT \(columns) FROM holds h WHERE $1::bool OR h.released_at IS NULL ORDER BY h.id DESC LIMIT $2::int4
        """
    )

    static let byNumber = PreparedStatement("hold", "SELECT \(columns) FROM holds h WHERE h.id = $1::int8")

    static let ofStudy = PreparedStatement(
        "holds_of_study",
        """
        SELECT \(columns) FROM holds h WHERE h.id IN (
            SELECT n.hold FROM held_now n WHERE n.study = (SELECT id FROM studies WHERE uid = $1::text)
        ) ORDER BY h.id
        """
    )
}

extension Hold {
    fileprivate init(row: PostgresResult.Row) {
        self.init(
            number: Int64(row.int(0) ?? 0),
            name: row.text(1),
            reason: row.text(2),
            placedBy: row.text(3),
            placedAtMilliseconds: Int64(row.int(4) ?? 0),
            patientID: row.text(5),
            issuer: row.text(6),
            query: row.text(7),
            studyCount: row.int(8) ?? 0,
            firstStudy: row.text(9),
            untoldCount: row.int(13) ?? 0,
            release: row.int(10).map {
                Release(releasedBy: row.text(11), reason: row.text(12), atMilliseconds: Int64($0))
            }
        )
    }
}
