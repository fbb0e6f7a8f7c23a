// SPDX-License-Identifier: Apache-2.0

public import Catalog

/// Where facts of studies come from: the catalog, or a stand-in in tests.
public protocol FactsSource: Sendable {
    /// Brings the facts up to date with some of what came and went; false when nothing is left to do.
    func collectFacts() async throws(CatalogError) -> Bool
    /// The last study in the order of the catalog; 0 when there is none.
    func lastStudyWithFacts() async throws(CatalogError) -> Int64
    /// The facts of the studies after one up to another, at most `limit`.
    func studyFacts(after study: Int64, through last: Int64, limit: Int) async throws(CatalogError) -> StudyFactsPage
    /// The facts of a study; nil when there is no such study.
    func studyFacts(ofStudy uid: String) async throws(CatalogError) -> StudyFactsRow?
    /// The Study Instance UIDs of studies; those that are gone are left out.
    func studyUIDs(_ studies: [Int64]) async throws(CatalogError) -> [Int64: String]
}

extension Catalog: FactsSource {}
