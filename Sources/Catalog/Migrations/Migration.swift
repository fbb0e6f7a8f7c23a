// SPDX-License-Identifier: Apache-2.0

/// One step of the schema: SQL that runs in one transaction, once in the life of a database.
///
/// A migration that has been released is never edited; what it did wrong, the next one puts right. Steps are written so
/// that the program before them still runs on the schema after them: archives are upgraded node by node.
struct Migration: Sendable {
    /// Counts from 1 without gaps.
    let version: Int
    let name: String
    let sql: String

    /// All steps in order.
    static let all: [Migration] = [
        .clusterTables, .imageTables, .commitFunctions, .seriesCodecs, .nameWords, .recordIndex,
    ]
}
