// SPDX-License-Identifier: Apache-2.0

public import Placement

/// What came of giving up a study's packs of some tiers.
public enum GivenUpPacks: Hashable, Sendable {
    /// A move or a recall of the study works with them; or it is a rule's order, and the rules don't act.
    case busy
    /// Packs that are not read from any more; packs that others hold all of, which are not proven at the moment and will be
    /// read; and packs that have something which is nowhere else, in the trash maybe.
    case done(givenUp: Int, unproven: Int, needed: Int)
}

extension Catalog {
    /// Gives up a study's packs of some tiers, as far as proven packs of others hold all that is in them.
    public func giveUpPacks(
        ofStudy study: String,
        inTiers tiers: [String],
        note: String
    ) async throws(CatalogError) -> GivenUpPacks {
        guard let key = RecordID.range(studyInstanceUID: study)?.lowerBound else {
            return .done(givenUp: 0, unproven: 0, needed: 0)
        }
        return try await giveUp(
            Self.giveUpPacks,
            [.text(study), .record(key), .texts(tiers), .text(StoredText.clean(note))]
        )
    }

    /// The same by a rule, if its version acts.
    public func giveUpPacks(
        ofStudy study: String,
        inTiers tiers: [String],
        note: String,
        version: Int64,
        term: Term
    ) async throws(CatalogError) -> GivenUpPacks {
        guard let key = RecordID.range(studyInstanceUID: study)?.lowerBound else { return .busy }
        let values: [PostgresValue] = [
            .term(term), .int8(version), .text(study), .record(key), .texts(tiers), .text(StoredText.clean(note)),
        ]
        return try await giveUp(Self.giveUpPacksByRule, values)
    }

    private func giveUp(
        _ statement: PreparedStatement,
        _ values: [PostgresValue]
    ) async throws(CatalogError) -> GivenUpPacks {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            guard let row = try connection.query(statement, values, deadline: deadline).first,
                let givenUp = row.int(0), givenUp >= 0
            else { return .busy }
            return .done(givenUp: givenUp, unproven: row.int(1) ?? 0, needed: row.int(2) ?? 0)
        }
    }

    private static let giveUpPacks = PreparedStatement(
        "give_up_packs",
        "SELECT given_up, unproven, needed FROM give_up_packs($1, $2, $3, $4)"
    )

    private static let giveUpPacksByRule = PreparedStatement(
        "give_up_packs_by_rule",
        "SELECT given_up, unproven, needed FROM give_up_packs_by_rule($1, $2, $3, $4, $5, $6)"
    )
}
