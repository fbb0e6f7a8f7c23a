// SPDX-License-Identifier: Apache-2.0

package import Catalog
import DICOM
import DICOMWeb
import DIMSE

/// Where C-FIND looks: the catalog in production, a list in tests.
package protocol FindSource: Sendable {
    /// At most `limit` matches, after a place that a page before ended at.
    func matches(
        _ query: FindQuery,
        after cursor: CatalogCursor?,
        limit: Int
    ) async throws(RetrieveFailure) -> FindPage
}

/// A part of what matches.
package struct FindPage: Sendable {
    package var matches: [FindResult]
    /// Where the next page begins; nil when this is the last.
    package var next: CatalogCursor?

    package init(matches: [FindResult], next: CatalogCursor?) {
        self.matches = matches
        self.next = next
    }
}

extension CatalogDirectory: FindSource {
    func matches(
        _ query: FindQuery,
        after cursor: CatalogCursor?,
        limit: Int
    ) async throws(RetrieveFailure) -> FindPage {
        let question = CatalogQuery(
            matches: query.matches.compactMap { CatalogMatch($0) },
            limit: limit,
            after: cursor,
            combinesDateAndTime: query.combinesDateAndTime,
            isFuzzy: query.isFuzzy
        )
        do throws(CatalogError) {
            switch query.level {
            case .patient: return FindPage(try await catalog.patientPage(question), limit) { FindResult($0) }
            case .study:
                let page = try await catalog.studyPage(question)
                let cold = await coldStudies(page.rows)
                return FindPage(page, limit) {
                    FindResult(SearchResult($0).available(cold.contains($0.studyInstanceUID)))
                }
            case .series:
                let page = try await catalog.seriesPage(question)
                let cold = await coldSeries(page.rows)
                return FindPage(page, limit) {
                    FindResult(SearchResult($0).available(cold.contains($0.seriesInstanceUID)))
                }
            case .image:
                let page = try await catalog.instancePage(question)
                let cold = await coldInstances(page.rows)
                var last: (upper: UpperAttributes, values: [Tag: DICOMJSONValue])?
                return FindPage(page, limit) { row in
                    let common =
                        last.flatMap { $0.upper === row.upper ? $0.values : nil }
                        ?? FindResult(SearchResult(row.upper)).values
                    last = (row.upper, common)
                    let own = SearchResult(ownOf: row).available(cold.contains(row.recordID))
                    return FindResult(values: FindResult(own).values, common: common)
                }
            }
        } catch {
            throw RetrieveFailure(error)
        }
    }
}

extension FindPage {
    /// A page that is not full is the last.
    fileprivate init<Row>(_ found: CatalogRows<Row>, _ limit: Int, _ result: (Row) -> FindResult) {
        self.init(matches: found.rows.map(result), next: found.rows.count < limit ? nil : found.cursors.last)
    }
}

extension FindResult {
    init(_ row: PatientRow) {
        self.init(SearchResult(row.patient))
        for (tag, count) in zip(FindQuery.patientCounts, [row.studyCount, row.seriesCount, row.instanceCount]) {
            values[tag] = .integers([count])
        }
    }
}
