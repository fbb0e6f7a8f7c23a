// SPDX-License-Identifier: Apache-2.0

/// One step of the schema, done once in the life of a database.
///
/// A migration that has been released is never edited; what it did wrong, the next one puts right. Archives are upgraded
/// node by node, so a step that takes something away comes long after the one that adds what is used instead
/// (docs/upgrading.md).
struct Migration: Sendable {
    enum Kind: String, Sendable {
        /// The program before it still runs on the schema after it: done as soon as a new program comes.
        case expand
        /// What programs before it need goes away: done in an empty catalog, or when the operator says that there are
        /// none left.
        case contract
    }

    /// Counts from 1 without gaps.
    let version: Int
    let name: String
    let kind: Kind
    /// Runs in one transaction with the note that it is done.
    let sql: String
    /// Statements outside any transaction, before `sql`: for what would hold up the archive otherwise.
    ///
    /// They are run again from the first when one of them, or the note, fails.
    let concurrent: [String]

    init(version: Int, name: String, kind: Kind = .expand, concurrent: [String] = [], sql: String = "") {
        self.version = version
        self.name = name
        self.kind = kind
        self.concurrent = concurrent
        self.sql = sql
    }

    /// All steps in order.
    static let all: [Migration] = [
        .clusterTables, .imageTables, .commitFunctions, .seriesCodecs, .nameWords, .recordIndex, .uidKey, .uidKeyIndex,
        .withoutUIDText, .commitments, .trash, .repair, .placementIndex, .surplus,
        .watch,
        .comparison, .putOffDrops, .lifecycle, .packs, .recordLookups, .coldInstances, .acts,
        .rejections, .recalls, .prefetch, .purges, .packProof, .recordPlaces, .recallsTouch, .offlineMedia,
        .onward,
        .repacking,
    ]
}
