// SPDX-License-Identifier: Apache-2.0

import Catalog
import LifecyclePlanning

/// An archive in memory: its studies' UIDs are `1.` and their places.
struct StudiesInMemory: FactsSource {
    let rows: [StudyFactsRow]
    var failure: CatalogError?
    var isNeverCollected = false

    init(rows: [StudyFactsRow]) {
        self.rows = rows
    }

    func collectFacts() async throws(CatalogError) -> Bool { isNeverCollected }

    func lastStudyWithFacts() async throws(CatalogError) -> Int64 { rows.last?.study ?? 0 }

    func studyFacts(after study: Int64, through last: Int64, limit: Int) async throws(CatalogError) -> StudyFactsPage {
        if let failure { throw failure }
        let found = rows.filter { $0.study > study && $0.study <= last }.prefix(limit)
        return StudyFactsPage(rows: Array(found), next: found.count < limit ? nil : found.last?.study)
    }

    func studyFacts(ofStudy uid: String) async throws(CatalogError) -> StudyFactsRow? {
        rows.first { "1.\($0.study)" == uid }
    }

    func studyUIDs(_ studies: [Int64]) async throws(CatalogError) -> [Int64: String] {
        Dictionary(uniqueKeysWithValues: studies.map { ($0, "1.\($0)") })
    }
}
